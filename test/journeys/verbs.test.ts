/**
 * What kubectl opens and holds, one by one: by WebSocket, which it speaks by default, and by
 * SPDY/3.1, which older ones speak and newer ones fall back to. Both pass through the connector as
 * bytes, in constant memory.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { type Exit, run, Running, until } from '../processes.ts'
import { forgetPeak, memoryOf } from './memory.ts'
import type { Environment, Person } from './person.ts'
import { journey, type Connector, type World } from './world.ts'

const namespace = 'verbs'
const pod = 'app'
const megabyte = 1024 * 1024

/** How kubectl is told to speak, and the audit log's verb by which the API server tells the two. */
const protocols: { name: string; env: Environment; verb: string }[] = [
  { name: 'WebSocket', env: {}, verb: 'get' },
  {
    name: 'SPDY/3.1',
    env: {
      KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false',
      KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false',
    },
    verb: 'create',
  },
]

type Scene = { world: World; connector: Connector; ana: Person; kubectl: Kubectl }
type Kubectl = {
  command(args: string[]): string[]
  env: Environment
  run(args: string[], input?: string | null): Promise<Exit>
  open(args: string[]): Running
}

test('every verb that opens a stream, by each protocol that kubectl speaks', async (t) => {
  const world = await journey(t)
  await world.cluster.createPod({ namespace, name: pod, ticks: true })
  const connector = await world.destination('prod')
  const ana = await world.loggedIn('ana@example.com')
  await world.admin.ok([
    'grants',
    'add',
    ana.email,
    `prod.${namespace}`,
    '--role',
    'edit',
    '--wait',
  ])
  await ana.ok(['use', `prod.${namespace}`])

  for (const { name, env, verb } of protocols) {
    const scene = { world, connector, ana, kubectl: kubectlOf(world, ana, env) }
    const begun = (await world.cluster.auditEvents()).length
    const upgraded = async (subresource: string) => {
      const asked = (await world.cluster.auditEvents()).slice(begun)
      const verbs = asked
        .filter(({ objectRef }) => {
          return objectRef?.namespace === namespace && objectRef.subresource === subresource
        })
        .map((event) => event.verb)
      assert.deepEqual([...new Set(verbs)], [verb], `${subresource} by ${name}`)
    }
    await t.test(`exec by ${name}: input to its end, both outputs, the exit code`, async () => {
      await execs(scene)
      await upgraded('exec')
    })
    await t.test(`exec on a terminal by ${name}: its size, a new size, the exit code`, (tt) =>
      execsOnTerminal(tt, scene),
    )
    await t.test(`attach by ${name}: output as it comes, input to its end`, async () => {
      await attaches(scene)
      await upgraded('attach')
    })
    await t.test(`port-forward by ${name}: many connections, each whole both ways`, async (tt) => {
      await forwards(tt, scene)
      await upgraded('portforward')
    })
    await t.test(`cp of 50 MB by ${name}: equal at both ends, in constant memory`, () =>
      copies(scene),
    )
  }
  const scene = { world, connector, ana, kubectl: kubectlOf(world, ana, {}) }
  await t.test('logs -f says what is written while it is written', () => followsLogs(scene))
  await t.test('watch says what happens while it happens', () => watches(scene))
})

function kubectlOf(world: World, person: Person, more: Environment): Kubectl {
  const env = { ...person.env, ...more }
  const command = (args: string[]) => [world.cluster.kubectl, ...args]
  return {
    ...{ command, env },
    run: (args, input = null) => run(command(args), env, input),
    open: (args) => world.opened(new Running(command(args), env)),
  }
}

async function execs({ kubectl }: Scene): Promise<void> {
  const input = randomBytes(2 * megabyte).toString('hex')
  const summed = await kubectl.run(['exec', '-i', pod, '--', 'sha256sum'], input)
  assert.equal(summed.stdout.split(' ')[0], sha256(Buffer.from(input)), summed.stderr)
  const script = 'cat; echo out; echo err >&2; exit 42'
  const failed = await kubectl.run(['exec', '-i', pod, '--', 'sh', '-c', script], 'in\n')
  assert.equal(failed.code, 42)
  assert.equal(failed.stdout, 'in\nout\n')
  assert.match(failed.stderr, /^err$/m)
}

/**
 * util-linux's `script` is the terminal. Whoever sets its size from outside does what a window does:
 * the kernel tells kubectl, and kubectl the far end.
 */
async function execsOnTerminal(t: TestContext, { world, kubectl }: Scene): Promise<void> {
  if (!hasScript()) return t.skip('there is no `script` (util-linux) on this machine')
  const exec = kubectl.command(['exec', '-it', pod, '--', 'sh']).join(' ')
  const inside = `tty; stty rows 31 cols 101; exec ${exec}`
  const script = ['script', '--quiet', '--return', '--command', inside, '/dev/null']
  const shell = world.opened(new Running(script, kubectl.env))
  const [terminal] = await shell.says(/\/dev\/pts\/\d+/)
  const hasSize = (rows: number, columns: number) =>
    until(`the shell has ${rows} rows`, () => {
      if (!shell.hasEnded) shell.write('stty size\n')
      return new RegExp(`^${rows} ${columns}\\r?$`, 'm').test(shell.stdout)
    })
  await hasSize(31, 101)
  const resized = await run(['stty', '-F', terminal, 'rows', '47', 'cols', '123'], kubectl.env)
  assert.equal(resized.code, 0, resized.stderr)
  await hasSize(47, 123)
  shell.write('exit 7\n')
  const { code } = await shell.ends()
  assert.equal(code, 7, shell.stdout)
}

function hasScript(): boolean {
  return ['/usr/bin/script', '/bin/script'].some((path) => existsSync(path))
}

async function attaches({ kubectl }: Scene): Promise<void> {
  const attach = kubectl.open(['attach', '-i', pod])
  await attach.says(/tick \d+/)
  const word = randomBytes(6).toString('hex')
  attach.write(`${word}\n`)
  await attach.says(new RegExp(word))
  attach.endInput()
  assert.equal((await attach.ends()).code, 0, attach.stderr)
}

/** A pod of the test's node has no network of its own: its ports are this machine's. */
async function forwards(t: TestContext, { kubectl }: Scene): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const forward = kubectl.open(['port-forward', `pod/${pod}`, `:${port}`])
  const [, local] = await forward.says(/Forwarding from 127\.0\.0\.1:(\d+)/)
  const echoes = [1, 2, 3, 4].map(async () => {
    const bytes = randomBytes(2 * megabyte)
    assert.equal(sha256(await echoOf(Number(local), bytes)), sha256(bytes))
  })
  await Promise.all(echoes)
  await forward.stop()
}

/** kubectl drops a connection as soon as its caller has said all, so the caller ends last. */
async function echoOf(port: number, bytes: Buffer): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes)
  const parts: Buffer[] = []
  let length = 0
  for await (const part of socket as AsyncIterable<Buffer>) {
    parts.push(part)
    length += part.length
    if (length >= bytes.length) break
  }
  socket.destroy()
  return Buffer.concat(parts)
}

/** Of 100 MB that pass: whoever kept them would grow by as much. */
const mostGrowth = 64 * megabyte

async function copies({ world, connector, kubectl }: Scene): Promise<void> {
  const bytes = randomBytes(50 * megabyte)
  const [there, back] = [join(world.dir, 'there'), join(world.dir, 'back')]
  writeFileSync(there, bytes)
  // Whatever a runtime takes for itself at the first large stream is not what is measured.
  await kubectl.run(['exec', '-i', pod, '--', 'wc', '-c'], 'x'.repeat(20 * megabyte))
  const before = forgetPeak(connector)
  const up = await kubectl.run(['cp', there, `${pod}:copied`])
  assert.equal(up.code, 0, up.stderr)
  const summed = await kubectl.run(['exec', pod, '--', 'sha256sum', 'copied'])
  assert.equal(summed.stdout.split(' ')[0], sha256(bytes), summed.stderr)
  const down = await kubectl.run(['cp', '--retries=0', `${pod}:copied`, back])
  assert.equal(down.code, 0, down.stderr)
  assert.equal(sha256(readFileSync(back)), sha256(bytes))
  const growth = memoryOf(connector, 'VmHWM') - before
  assert.ok(growth < mostGrowth, `the connector grew by ${growth} bytes over 50 MB both ways`)
}

async function followsLogs({ kubectl }: Scene): Promise<void> {
  const logs = kubectl.open(['logs', '-f', pod])
  await logs.says(/tick (\d+)\n[^]*tick \d+\n[^]*tick \d+\n/)
  await logs.stop()
}

async function watches({ world, kubectl }: Scene): Promise<void> {
  const watch = kubectl.open(['get', 'configmaps', '--watch', '-o', 'name'])
  for (const _ of [1, 2, 3]) {
    const word = `w-${randomBytes(6).toString('hex')}`
    await world.cluster.api('POST', `/api/v1/namespaces/${namespace}/configmaps`, {
      metadata: { name: word },
    })
    await watch.says(new RegExp(`configmap/${word}`))
  }
  await watch.stop()
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
