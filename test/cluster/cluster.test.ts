import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { bindingFor } from '../../connector/cluster/binding.ts'
import { attachCluster, run, startCluster, until } from './cluster.ts'

// Not in a hook: under Bun a hook that takes more than five seconds fails, and the first
// start builds a Kubernetes.
const dir = await mkdtemp(join(tmpdir(), 'infra-cluster-test-'))
const cluster = await startCluster({ dir: join(dir, 'cluster') })
await cluster.createPod({ namespace: 'shop', name: 'web' })
await cluster.createPod({ namespace: 'shop', name: 'clock', ticks: true })

after(async () => {
  await cluster.stop()
  await rm(dir, { recursive: true, force: true })
})

test('kubectl and the API server are of one version, and the default roles are filled', async () => {
  const { stdout } = await cluster.kubectlAdmin(['version', '-o', 'json'])
  const { clientVersion, serverVersion } = JSON.parse(stdout)
  assert.match(serverVersion.gitVersion, /^v1\.\d+\.\d+/)
  if (!process.env['KUBEBUILDER_ASSETS']) {
    assert.equal(serverVersion.gitVersion, 'v1.37.2')
    assert.equal(clientVersion.gitVersion, 'v1.37.2')
  }
  const roles = '/apis/rbac.authorization.k8s.io/v1/clusterroles'
  const view = await cluster.api('GET', `${roles}/view`)
  assert.ok(view.body.rules.length > 0)
})

const transports = [
  { name: 'WebSocket', env: {} },
  {
    name: 'SPDY',
    env: { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false', KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false' },
  },
]

for (const { name, env } of transports) {
  describe(`by ${name}`, () => {
    const kubectl = (args: string[], input?: string) =>
      cluster.kubectlAdmin(['-n', 'shop', ...args], input === undefined ? { env } : { env, input })

    test('exec reads its input to the end and hands back its exit code', async () => {
      const script = 'cat; echo heard >&2; exit 3'
      const ran = await kubectl(['exec', '-i', 'web', '--', 'sh', '-c', script], 'to the end')
      assert.equal(ran.stdout, 'to the end')
      assert.match(ran.stderr, /^heard$/m)
      assert.equal(ran.code, 3)
    })

    test('exec ends with its command, though its input is still open', async () => {
      const child = start(['-n', 'shop', 'exec', '-i', 'web', '--', 'echo', 'done'], env)
      assert.match(await said(child, /done/), /done/)
      assert.equal(await ended(child), 0)
    })

    test('cp brings a file there and back unchanged', async () => {
      const bytes = randomBytes(3_000_000)
      const [there, back] = [join(dir, `there-${name}`), join(dir, `back-${name}`)]
      await writeFile(there, bytes)
      assert.equal((await kubectl(['cp', there, `web:copied-${name}`])).code, 0)
      assert.equal((await kubectl(['cp', `web:copied-${name}`, back])).code, 0)
      assert.equal(sha256(await readFile(back)), sha256(bytes))
    })

    test('port-forward reaches a port, and its end is seen at the node', async (t) => {
      const echo = createServer((socket) => socket.pipe(socket))
      await new Promise<void>((done) => echo.listen(0, '127.0.0.1', done))
      t.after(() => echo.close())
      const { port } = echo.address() as { port: number }
      const forward = start(['-n', 'shop', 'port-forward', 'web', `:${port}`], env)
      const line = await said(forward, /127\.0\.0\.1:(\d+) ->/)
      assert.equal(await echoed(Number(/127\.0\.0\.1:(\d+) ->/.exec(line)?.[1]), 'hello'), 'hello')
      const closed = await closedCount('portforward', 'web')
      await kill(forward)
      await closedMore('portforward', 'web', closed)
    })

    test('a killed kubectl exec takes the command at the node with it', async () => {
      const closed = await closedCount('exec', 'web')
      const script = 'echo pid $$; exec sleep 10000'
      const exec = start(['-n', 'shop', 'exec', 'web', '--', 'sh', '-c', script], env)
      const pid = Number(/pid (\d+)/.exec(await said(exec, /pid \d+\n/))?.[1])
      assert.ok(isAlive(pid))
      await kill(exec)
      await closedMore('exec', 'web', closed)
      await until(`process ${pid} to end`, async () => !isAlive(pid))
    })

    test('attach shows the log as it grows, until it is closed', async () => {
      const closed = await closedCount('attach', 'clock')
      const attach = start(['-n', 'shop', 'attach', 'clock'], env)
      await said(attach, /tick \d+\n/)
      await kill(attach)
      await closedMore('attach', 'clock', closed)
    })
  })
}

test('logs end where they are told to, and are followed until they are closed', async () => {
  const kubectl = (...args: string[]) => cluster.kubectlAdmin(['-n', 'shop', 'logs', ...args])
  assert.equal((await kubectl('web')).stdout, 'starting\nlistening\nready\n')
  assert.equal((await kubectl('web', '--tail=1')).stdout, 'ready\n')
  assert.equal((await kubectl('web', '--limit-bytes=5')).stdout, 'start')
  for (const pod of ['clock', 'web']) {
    const closed = await closedCount('logs', pod)
    const logs = start(['-n', 'shop', 'logs', '-f', pod], {})
    await said(logs, pod === 'clock' ? /tick 3\n/ : /ready\n/)
    await kill(logs)
    await closedMore('logs', pod, closed)
  }
})

test('a deleted pod is gone, and takes its streams along', async () => {
  await cluster.createPod({ namespace: 'shop', name: 'brief', ticks: true })
  const logs = start(['-n', 'shop', 'logs', '-f', 'brief'], {})
  await said(logs, /tick 0\n/)
  const deleted = await cluster.kubectlAdmin(['-n', 'shop', 'delete', 'pod', 'brief'])
  assert.equal(deleted.code, 0, deleted.stderr)
  assert.equal(await ended(logs), 0)
})

test('the connector impersonates users, and reads nothing on its own', async () => {
  const path = await cluster.connectorKubeconfig({ tokenFile: join(dir, 'connector.token') })
  const kubectl = (...args: string[]) =>
    run(cluster.kubectl, args, { env: { HOME: dir, KUBECONFIG: path } })
  const as = ['--as=ana@example.com', '--as-group=infra:role:view', '--as-uid=u1']
  const session = '--as-user-extra=access.infra/session=s1'

  const whoami = await kubectl('auth', 'whoami', '-o', 'json', ...as, session)
  assert.equal(whoami.code, 0, whoami.stderr)
  const { userInfo } = JSON.parse(whoami.stdout).status
  assert.equal(userInfo.username, 'ana@example.com')
  assert.equal(userInfo.uid, 'u1')
  assert.deepEqual(userInfo.extra['access.infra/session'], ['s1'])
  assert.deepEqual(userInfo.groups, ['infra:role:view', 'system:authenticated'])

  for (const what of ['secrets', 'pods', 'configmaps']) {
    const read = await kubectl('-n', 'infra', 'get', what)
    assert.notEqual(read.code, 0)
    assert.match(read.stderr, /system:serviceaccount:infra:infra-connector" cannot list/)
  }
})

test('the connector impersonates nobody that is the cluster itself', async () => {
  const path = await cluster.connectorKubeconfig()
  const kubectl = (...args: string[]) =>
    run(cluster.kubectl, args, { env: { HOME: dir, KUBECONFIG: path } })
  for (const as of [
    ['--as=ana@example.com', '--as-group=system:masters'],
    ['--as=system:serviceaccount:infra:infra-connector'],
    ['--as=system:serviceaccount:kube-system:default'],
    ['--as=system:node:node-1', '--as-group=system:nodes'],
    ['--as=ana@example.com', '--as-user-extra=example.com/other=1'],
  ]) {
    const refused = await kubectl('get', 'namespaces', ...as)
    assert.notEqual(refused.code, 0, as.join(' '))
    assert.match(refused.stderr, /cannot impersonate/i, as.join(' '))
  }
})

test('the connector binds a role to the infra group of that role, and to nobody else', async () => {
  const path = await cluster.connectorKubeconfig()
  const kubectl = (args: string[], input = '') =>
    run(cluster.kubectl, args, { env: { HOME: dir, KUBECONFIG: path }, input })
  const create = (binding: object) => kubectl(['create', '-f', '-'], JSON.stringify(binding))
  const good = bindingOf('view', null)
  const shop = bindingOf('edit', 'shop')
  // A policy is enforced a moment after it was made.
  await until('the policy to be enforced', async () => {
    const made = await create({ ...good, subjects: [{ ...good.subjects[0], name: 'infra:other' }] })
    if (made.code !== 0) return /infra group of that role/.test(made.stderr)
    await cluster.kubectlAdmin(['delete', 'clusterrolebinding', good.metadata.name])
    return false
  })
  const subject = good.subjects[0]
  const { labels, name } = good.metadata
  const refused: Record<string, object> = {
    'a user': { ...good, subjects: [{ ...subject, kind: 'User', name: 'infra:role:view' }] },
    'a service account': {
      ...good,
      subjects: [{ kind: 'ServiceAccount', name: 'infra-connector', namespace: 'infra' }],
    },
    'a group of the cluster': { ...good, subjects: [{ ...subject, name: 'system:authenticated' }] },
    'the group of another role': { ...good, subjects: [{ ...subject, name: 'infra:role:edit' }] },
    nobody: { ...good, subjects: [] },
    'somebody besides': { ...good, subjects: [subject, { ...subject, name: 'system:masters' }] },
    'the group of everywhere, here': {
      ...shop,
      subjects: [{ ...subject, name: 'infra:role:edit' }],
    },
    'without labels': { ...good, metadata: { name } },
    'under another name': { ...good, metadata: { labels, name: 'cluster-admin' } },
  }
  for (const [what, binding] of Object.entries(refused)) {
    const { code, stderr } = await create(binding)
    assert.notEqual(code, 0, what)
    assert.match(stderr, /ValidatingAdmissionPolicy 'infra-connector'/, what)
  }
  for (const binding of [good, shop]) {
    const made = await create(binding)
    assert.equal(made.code, 0, made.stderr)
    const gone = await kubectl(['delete', '-f', '-'], JSON.stringify(binding))
    assert.equal(gone.code, 0, gone.stderr)
  }
  const others = await kubectl(['delete', 'clusterrolebinding', 'system:discovery'])
  assert.match(others.stderr, /only bindings that it made/)
  const seen = await cluster.kubectlAdmin(['get', 'clusterrolebinding', 'system:discovery'])
  assert.equal(seen.code, 0, seen.stderr)
})

test('a role that the connector binds to a group lets in who is impersonated with it', async () => {
  const path = await cluster.connectorKubeconfig()
  const kubectl = (...args: string[]) =>
    run(cluster.kubectl, args, { env: { HOME: dir, KUBECONFIG: path } })
  const binding = JSON.stringify(bindingOf('edit', 'shop'))
  const env = { HOME: dir, KUBECONFIG: path }
  const bound = await run(cluster.kubectl, ['create', '-f', '-'], { env, input: binding })
  assert.equal(bound.code, 0, bound.stderr)
  const as = ['--as=ana@example.com', '--as-group=infra:namespace:shop:edit']
  const read = await kubectl('-n', 'shop', 'get', 'secrets', ...as)
  assert.equal(read.code, 0, read.stderr)
  const elsewhere = await kubectl('-n', 'default', 'get', 'secrets', ...as)
  assert.match(elsewhere.stderr, /"ana@example.com" cannot list/)

  const audited = await cluster.auditEvents()
  const seen = audited.find(
    ({ impersonatedUser, objectRef }) =>
      impersonatedUser?.username === 'ana@example.com' && objectRef?.resource === 'secrets',
  )
  assert.equal(seen.user.username, 'system:serviceaccount:infra:infra-connector')
  assert.ok(seen.impersonatedUser.groups.includes('infra:namespace:shop:edit'))
})

test('a cluster handed to another process is the same one, and is not stopped by it', async () => {
  const handed = attachCluster(JSON.parse(JSON.stringify(cluster)))
  await handed.stop()
  assert.equal((await handed.api('GET', '/readyz')).body, 'ok')
})

function bindingOf(role: string, namespace: string | null) {
  return bindingFor('d-test', { role, namespace })
}

function start(args: string[], env: Record<string, string>): ChildProcess {
  const own = { HOME: dir, KUBECONFIG: cluster.adminKubeconfig, PATH: process.env['PATH'] }
  return spawn(cluster.kubectl, args, { env: { ...own, ...env }, stdio: 'pipe' })
}

/** All of the output so far, once `what` is in it. */
function said(child: ChildProcess, what: RegExp): Promise<string> {
  return new Promise((done, fail) => {
    let text = ''
    let complaint = ''
    child.stderr?.setEncoding('utf8').on('data', (part: string) => (complaint += part))
    child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      text += part
      if (what.test(text)) done(text)
    })
    child.once('close', () => fail(new Error(`never said ${what}: ${text}${complaint}`)))
  })
}

function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return Promise.resolve(child.exitCode)
  return new Promise((done) => child.once('exit', done))
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await ended(child)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function closedCount(kind: string, pod: string): Promise<number> {
  const events = await cluster.streamEvents()
  return events.filter((it) => it.event === 'closed' && it.kind === kind && it.pod === pod).length
}

async function closedMore(kind: string, pod: string, than: number): Promise<void> {
  await until(`${kind} to close`, async () => (await closedCount(kind, pod)) > than)
}

function echoed(port: number, text: string): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.on('error', fail)
    socket.on('data', (bytes) => {
      done(bytes.toString())
      socket.destroy()
    })
  })
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
