/** Command lines in; stdout, stderr and exit code out. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readConfig } from '../kubeconfig/document.ts'
import { readSessions } from '../session.ts'
import { done, loggedIn, prod } from '../testing/logged-in.ts'
import { person, type Person } from '../testing/transcript.ts'

function kubeconfigOf({ env }: Person): ReturnType<typeof readConfig> {
  return readConfig(readFileSync(env['KUBECONFIG'] ?? '', 'utf8'))
}

test('list prints where one has access, as a table and as JSON, and refreshes the kubeconfig', async (t) => {
  const { world, ana } = await loggedIn(t)
  const { out } = await done(ana, 'list')
  assert.equal(
    out,
    `DESTINATION  NAMESPACE  ROLE  UNTIL                 CONTEXT
prod                    view                        infra:prod
prod         web        edit  2030-01-01T00:00:00Z  infra:prod:web
`,
  )
  const json = await done(ana, 'list --format json')
  assert.deepEqual(JSON.parse(json.out), [
    {
      id: 'd-prod',
      name: 'prod',
      endpoint: prod.endpoint,
      roles: prod.roles,
      contexts: ['infra:prod', 'infra:prod:web'],
    },
  ])
  world.destinations = []
  const none = await done(ana, 'list --format json')
  assert.equal(none.out, '[]\n')
  assert.deepEqual(kubeconfigOf(ana).users, [])
})

test('use picks the current context, and says what it cannot find', async (t) => {
  const { ana } = await loggedIn(t)
  assert.equal((await done(ana, 'use prod.web')).err, 'kubectl now uses infra:prod:web.\n')
  assert.equal(kubeconfigOf(ana).currentContext, 'infra:prod:web')
  assert.equal(
    (await done(ana, 'use prod.api')).err,
    'kubectl now uses infra:prod, namespace api.\n',
  )
  assert.equal((await done(ana, 'use prod')).err, 'kubectl now uses infra:prod.\n')
  const lab = await ana.types('use lab')
  assert.deepEqual(lab, {
    code: 1,
    out: '',
    err: 'error: you have no access to a destination "lab"\nhint: infra list\n',
  })
  assert.equal((await ana.types('use prod/web')).code, 2)
})

test('a destination without a connector is said to have none, and the others are written', async (t) => {
  const { ana } = await loggedIn(t, [{ ...prod, id: 'd-lab', name: 'lab', endpoint: null }, prod])
  const { err } = await done(ana, 'list')
  assert.equal(err, 'warning: lab has no connector yet\n')
  assert.deepEqual(
    kubeconfigOf(ana).users.map(({ name }) => name),
    ['infra:prod'],
  )
  assert.equal((await ana.types('use lab')).code, 1)
})

test('info says who one is', async (t) => {
  const { world, ana } = await loggedIn(t)
  assert.equal(
    (await done(ana, 'info')).out,
    `Server         ${world.url}
User           ana@example.com
Administrator  no
Groups         ops
Session        s-ana-1
Logged in by   password
Expires        2030-01-01T00:00:00Z
`,
  )
  const { out } = await done(ana, 'info --format json')
  assert.deepEqual(Object.keys(JSON.parse(out)), ['server', 'user', 'session'])
})

test('logout ends the session at the server, here, and in the kubeconfig, and keeps everything else', async (t) => {
  const { world, ana } = await loggedIn(t)
  const path = ana.env['KUBECONFIG'] ?? ''
  writeFileSync(path, `# mine\n${readFileSync(path, 'utf8')}`)
  assert.equal((await done(ana, 'logout')).err, `Logged out of ${world.url}.\n`)
  assert.equal(world.sessions.size, 0)
  assert.equal(readSessions(ana.env['INFRA_CONFIG_DIR'] ?? '').current, null)
  assert.deepEqual(kubeconfigOf(ana), { clusters: [], contexts: [], users: [], currentContext: '' })
  assert.match(readFileSync(path, 'utf8'), /^# mine\n/)
  const again = await ana.types('logout')
  assert.deepEqual(again, { code: 1, out: '', err: 'error: you are not logged in\n' })
})

test('logout forgets the session although the server cannot be told, and says so', async (t) => {
  const { ana } = await loggedIn(t)
  const folder = ana.env['INFRA_CONFIG_DIR'] ?? ''
  const path = join(folder, 'sessions.json')
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:1'))
  const { code, err } = await ana.types('logout')
  assert.equal(code, 1)
  assert.match(
    err,
    /^error: the session is forgotten here, but the server was not told \(cannot reach/,
  )
  assert.equal(readSessions(folder).current, null)
})

test('an ended session is said to have ended, by any command, and is not forgotten', async (t) => {
  const { world, ana } = await loggedIn(t)
  world.sessions.clear()
  const { code, err } = await ana.types('users list')
  assert.equal(code, 1)
  assert.equal(
    err,
    `error: your session with ${world.url} has ended\nhint: infra login ${world.url}\n`,
  )
  assert.ok(readSessions(ana.env['INFRA_CONFIG_DIR'] ?? '').servers[world.url]?.session)
})

test('K5: an access key in the environment goes before the session, and logout leaves it alone', async (t) => {
  const { world, ana } = await loggedIn(t)
  const [account] = world.accounts
  assert.ok(account)
  world.sessions.set('key-1.secret', account)
  Object.assign(ana.env, { INFRA_ACCESS_KEY: 'key-1.secret', INFRA_SERVER: world.url })
  assert.match((await done(ana, 'info')).out, /\nCredential {5}access key \(INFRA_ACCESS_KEY\)\n/)
  await done(ana, 'list')
  assert.match(readFileSync(ana.env['KUBECONFIG'] ?? '', 'utf8'), /- --session\n +- key-1\n/)
  await done(ana, 'logout')
  const again = await ana.types('logout')
  assert.match(
    again.err,
    /hint: the access key in the environment stays until you unset INFRA_ACCESS_KEY/,
  )
  assert.equal((await ana.types('info')).code, 0)
  delete ana.env['INFRA_SERVER']
  assert.match((await ana.types('info')).err, /nothing says which server the key is for/)
})

test('the password is changed, and a wrong old one is no ended session', async (t) => {
  const { world, ana } = await loggedIn(t)
  ana.env['INFRA_NEW_PASSWORD'] = 'battery staple'
  await done(ana, 'password')
  assert.equal(world.accounts[0]?.password, 'battery staple')
  assert.deepEqual(await ana.types('password'), {
    code: 1,
    out: '',
    err: 'error: the old password is wrong\n',
  })
})

test('a server that cannot be reached, and one that talks nonsense, are a sentence each', async (t) => {
  const ana = person(t, { INFRA_SERVER: 'http://127.0.0.1:1', INFRA_ACCESS_KEY: 'k.s' })
  assert.deepEqual(await ana.types('list'), {
    code: 1,
    out: '',
    err: 'error: cannot reach the server at http://127.0.0.1:1\n',
  })
  assert.equal(existsSync(ana.env['KUBECONFIG'] ?? ''), false)
})

test('wrong usage is exit code 2, with how it is written', async (t) => {
  const ana = person(t)
  assert.deepEqual(await ana.types('frob'), {
    code: 2,
    out: '',
    err: 'error: there is no command "frob"\nhint: infra --help\n',
  })
  assert.deepEqual(await ana.types('constructor'), {
    code: 2,
    out: '',
    err: 'error: there is no command "constructor"\nhint: infra --help\n',
  })
  assert.equal((await ana.types('users')).code, 2)
  assert.equal((await ana.types('users toString')).code, 2)
  assert.deepEqual(await ana.types('use'), {
    code: 2,
    out: '',
    err: 'error: DESTINATION is missing\nhint: infra use DESTINATION[.NAMESPACE] [flags]\n',
  })
})

test('completion and version print for programs to read', async (t) => {
  const ana = person(t)
  assert.equal((await done(ana, 'version')).out, '0.1.0\n')
  assert.deepEqual(JSON.parse((await done(ana, 'version --format json')).out), { version: '0.1.0' })
  for (const shell of ['bash', 'zsh', 'fish'])
    assert.match((await done(ana, `completion ${shell}`)).out, /remove-user/)
  assert.equal((await ana.types('completion tcsh')).code, 2)
})
