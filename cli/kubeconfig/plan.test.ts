import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MyDestination } from '../../src/wire/destinations.ts'
import { fieldOf } from '../disk/unknown.ts'
import { testCa } from '../testing/certificates.ts'
import { destination } from '../testing/destinations.ts'
import { type Config, edited, isEmptyChange, readConfig } from './document.ts'
import { ownCommand, type Pin, pinOf } from './entries.ts'
import { type Current, planned } from './plan.ts'

const pin: Pin = {
  server: 'https://infra.example.com',
  session: 's-1',
  configFolder: null,
  own: { command: '/somewhere/infra', args: [] },
}
const other: Pin = { ...pin, server: 'https://other.example.org:8443', session: 's-9' }
const first: Current = { kind: 'first' }
const keep: Current = { kind: 'keep' }

/** The text of one kubeconfig after a refresh. */
function after(
  text: string,
  who: Pin,
  destinations: MyDestination[],
  current: Current = first,
): string {
  return severalAfter([text], 0, who, destinations, current)[0] ?? ''
}

function severalAfter(
  texts: string[],
  target: number,
  who: Pin,
  destinations: MyDestination[],
  current: Current,
): string[] {
  const { changes } = planned(texts.map(readConfig), target, who, destinations, current)
  return texts.map((text, at) => {
    const change = changes[at]
    return change && !isEmptyChange(change) ? edited(text, change) : text
  })
}

function contextNames(text: string): string[] {
  return readConfig(text).contexts.map(({ name }) => name)
}

test('a destination becomes a cluster, a user that runs infra, and a context', () => {
  const config: Config = readConfig(after('', pin, [destination('prod')]))
  assert.deepEqual(config, {
    clusters: [
      {
        name: 'infra:prod',
        cluster: {
          'certificate-authority-data': Buffer.from(testCa).toString('base64'),
          server: 'https://prod.example.com:6443',
          'tls-server-name': 'd-prod.destination.infra',
        },
      },
    ],
    users: [
      {
        name: 'infra:prod',
        user: {
          exec: {
            apiVersion: 'client.authentication.k8s.io/v1',
            command: '/somewhere/infra',
            args: [
              'tokens',
              'create',
              'd-prod',
              '--server',
              'https://infra.example.com',
              '--session',
              's-1',
            ],
            interactiveMode: 'Never',
            provideClusterInfo: false,
          },
        },
      },
    ],
    contexts: [{ name: 'infra:prod', context: { cluster: 'infra:prod', user: 'infra:prod' } }],
    currentContext: 'infra:prod',
  })
})

test('a checkout is started by its runtime and script, and a folder of sessions is handed on', () => {
  const own = ownCommand('/opt/bun', '/src/cli/main.ts')
  const config = readConfig(
    after('', { ...pin, configFolder: '/etc/infra', own }, [destination('prod')]),
  )
  const exec = fieldOf(config.users[0]?.['user'], 'exec')
  assert.equal(fieldOf(exec, 'command'), '/opt/bun')
  const args = fieldOf(exec, 'args')
  assert.deepEqual(Array.isArray(args) ? args.slice(0, 3) : args, [
    '/src/cli/main.ts',
    'tokens',
    'create',
  ])
  assert.deepEqual(fieldOf(exec, 'env'), [{ name: 'INFRA_CONFIG_DIR', value: '/etc/infra' }])
  // Where Bun has the sources of every executable that it compiles; no place on any disk.
  assert.deepEqual(ownCommand('/somewhere/infra', '/$bunfs/root/infra'), {
    command: '/somewhere/infra',
    args: [],
  })
})

test('each namespace grant has a context of its own, and one without the whole cluster starts there', () => {
  const text = after('', pin, [destination('prod', ['web', 'api', 'web'])])
  assert.deepEqual(contextNames(text), ['infra:prod', 'infra:prod:api', 'infra:prod:web'])
  const web = readConfig(text).contexts[2]
  assert.deepEqual(web?.['context'], {
    cluster: 'infra:prod',
    namespace: 'web',
    user: 'infra:prod',
  })
  assert.equal(readConfig(text).currentContext, 'infra:prod:api')
})

test('a destination of the same name on a second server gets its host into its name', () => {
  const both = after(after('', pin, [destination('prod')]), other, [
    destination('prod', [null, 'web']),
  ])
  assert.deepEqual(contextNames(both), [
    'infra:prod',
    'infra:prod@other.example.org:8443',
    'infra:prod@other.example.org:8443:web',
  ])
  assert.equal(readConfig(both).currentContext, 'infra:prod')
  const users = readConfig(both).users.map(pinOf)
  assert.deepEqual(
    users.map((it) => it?.server),
    [pin.server, other.server],
  )
})

test('what another server wrote is never touched', () => {
  const both = after(after('', pin, [destination('prod'), destination('lab')]), other, [
    destination('prod'),
  ])
  const left = after(both, other, [])
  assert.equal(left, after('', pin, [destination('prod'), destination('lab')]))
})

test('a name that is in use stays when the shorter one becomes free', () => {
  const both = after(after('', pin, [destination('prod')]), other, [destination('prod')])
  const alone = after(both, pin, [])
  assert.deepEqual(contextNames(after(alone, other, [destination('prod')])), [
    'infra:prod@other.example.org:8443',
  ])
})

test('what was lost goes, and nothing else does', () => {
  const before = after('', pin, [destination('lab'), destination('prod', [null, 'web'])])
  const text = after(before, pin, [destination('prod')], keep)
  assert.deepEqual(contextNames(text), ['infra:prod'])
  assert.equal(
    text.replace('current-context: ""', 'current-context: infra:prod'),
    after('', pin, [destination('prod')]),
  )
})

test('the current context is cleared when it is lost, and set at a login only where none is', () => {
  const two = after('', pin, [destination('lab'), destination('prod')])
  assert.equal(readConfig(two).currentContext, 'infra:lab')
  assert.equal(readConfig(after(two, pin, [destination('prod')], keep)).currentContext, '')
  assert.equal(
    readConfig(after(two, pin, [destination('prod')], first)).currentContext,
    'infra:prod',
  )
  const office = 'current-context: office\n'
  assert.equal(
    readConfig(after(office, pin, [destination('prod')], first)).currentContext,
    'office',
  )
})

test('use picks a destination, one of its namespace contexts, or a namespace of the whole cluster', () => {
  const mine = [destination('lab'), destination('prod', [null, 'web'])]
  const used = (namespace: string | null): Config =>
    readConfig(
      after(after('', pin, mine), pin, mine, { kind: 'use', destination: 'prod', namespace }),
    )
  assert.equal(used(null).currentContext, 'infra:prod')
  assert.equal(used('web').currentContext, 'infra:prod:web')
  assert.equal(used('api').currentContext, 'infra:prod')
  const whole = used('api').contexts.find(({ name }) => name === 'infra:prod')
  assert.deepEqual(whole?.['context'], {
    cluster: 'infra:prod',
    namespace: 'api',
    user: 'infra:prod',
  })
})

test('a namespace that was set by kubectl in our context stays', () => {
  const before = after('', pin, [destination('prod')])
  const set = before.replace(
    '      user: infra:prod\n',
    '      namespace: team\n      user: infra:prod\n',
  )
  assert.notEqual(set, before)
  assert.equal(
    after(set, { ...pin, session: 's-2' }, [destination('prod')]),
    set.replace('s-1', 's-2'),
  )
})

test('an entry that only looks like ours is nobody else to overwrite', () => {
  const theirs = `users:
- name: infra:prod
  user:
    token: secret
contexts:
- name: infra:prod
  context: {cluster: infra:prod, user: infra:prod}
`
  const text = after(theirs, pin, [destination('prod')])
  assert.deepEqual(contextNames(text), ['infra:prod', 'infra:prod@infra.example.com'])
  assert.equal(after(text, pin, []).startsWith(theirs), true)
  const { warnings } = planned(
    [
      readConfig(theirs),
      readConfig(theirs.replaceAll('infra:prod', 'infra:prod@infra.example.com')),
    ],
    0,
    pin,
    [destination('prod')],
    first,
  )
  assert.equal(warnings.length, 1)
})

test('an entry of ours in a second file is changed there, and new ones go to the target', () => {
  const old = after('', pin, [destination('prod')])
  const [one, two] = severalAfter(
    ['kind: Config\n', old],
    0,
    { ...pin, session: 's-2' },
    [destination('lab'), destination('prod')],
    keep,
  )
  assert.deepEqual(contextNames(one ?? ''), ['infra:lab'])
  assert.equal(two, old.replace('s-1', 's-2'))
})

test('a second refresh changes nothing', () => {
  const once = after('# mine\n', pin, [destination('prod', [null, 'web'])])
  assert.equal(after(once, pin, [destination('prod', [null, 'web'])]), once)
})

test('nothing that a hostile server names is written, and its other destinations are', () => {
  const evil: MyDestination[] = [
    { ...destination('prod'), name: '../../etc' },
    { ...destination('prod'), name: 'prod\n  proxy-url: http://evil' },
    { ...destination('prod'), name: 'Prod' },
    { ...destination('prod'), id: 'd.prod' },
    { ...destination('prod'), id: '--server' },
    { ...destination('prod'), endpoint: 'evil.example.com:6443/path' },
    { ...destination('prod'), endpoint: 'evil.example.com:99999' },
    { ...destination('prod'), endpoint: 'user@evil.example.com:6443' },
    { ...destination('prod'), tlsServerName: 'x\ninsecure-skip-tls-verify: true' },
    { ...destination('prod'), ca: 'not a certificate' },
    { ...destination('prod'), ca: testCa.replace('MII', 'AAA') },
    destination('prod', ['web\n']),
  ]
  const { warnings, entries } = planned(
    [readConfig('')],
    0,
    pin,
    [...evil, destination('lab')],
    first,
  )
  assert.equal(warnings.length, evil.length)
  assert.deepEqual(
    entries.map(({ destination: it }) => it.name),
    ['lab'],
  )
  const text = after('', pin, [...evil, destination('lab')])
  assert.doesNotMatch(text, /evil|insecure|proxy-url/)
})

test('text beside the certificates of a CA is not written', () => {
  const text = after('', pin, [{ ...destination('prod'), ca: `proxy-url: x\n${testCa}\nmore` }])
  assert.equal(text, after('', pin, [destination('prod')]))
})
