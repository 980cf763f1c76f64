import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { Failure } from '../../src/wire/failure.ts'
import { type Change, edited, emptyChange, type Named, readConfig } from './document.ts'

const cluster: Named = { name: 'infra:prod', cluster: { server: 'https://prod.example.com:6443' } }
const context: Named = {
  name: 'infra:prod',
  context: { cluster: 'infra:prod', user: 'infra:prod' },
}
const user: Named = {
  name: 'infra:prod',
  user: { exec: { command: '/bin/infra', args: ['tokens'] } },
}

const adds: Change = {
  ...emptyChange(),
  put: { clusters: [cluster], contexts: [context], users: [user] },
  currentContext: 'infra:prod',
}
const removes: Change = {
  ...emptyChange(),
  remove: { clusters: ['infra:prod'], contexts: ['infra:prod'], users: ['infra:prod'] },
  currentContext: '',
}

const byHand = `# my clusters
apiVersion: v1
kind: Config
preferences: {colors: true}   # I like it

clusters:
    # the old one
    - name:   office     # do not touch
      cluster: &office
         server: "https://10.0.0.1:6443"
         insecure-skip-tls-verify: true


    - {name: lab, cluster: *office}   # the same
    # nothing after this
contexts:
- context:
    cluster: office
    user: me
  name: office

current-context:   'office'   # where I work
users:
- name: me
  user:
    token: 0123
    note: >
      folded
      text
# the end
`

test('an absent or empty kubeconfig becomes a whole one', () => {
  for (const blank of ['', '\n', '   \n\t\n']) {
    const plain: unknown = parse(edited(blank, adds))
    assert.deepEqual(plain, {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [cluster],
      contexts: [context],
      users: [user],
      'current-context': 'infra:prod',
    })
  }
})

test('a kubeconfig of comments only keeps them', () => {
  const next = edited('# mine\n\n# also mine', adds)
  assert.ok(next.startsWith('# mine\n\n# also mine\napiVersion: v1\n'))
  assert.deepEqual(readConfig(next).users, [user])
})

test('what was written by hand survives to the byte, and our entries come last in each list', () => {
  const next = edited(byHand, adds)
  const expected = byHand
    .replace(
      '   # the same\n',
      `   # the same
    - name: infra:prod
      cluster:
        server: https://prod.example.com:6443
`,
    )
    .replace(
      '  name: office\n',
      `  name: office
- name: infra:prod
  context:
    cluster: infra:prod
    user: infra:prod
`,
    )
    .replace("'office'", 'infra:prod')
    .replace(
      '      text\n',
      `      text
- name: infra:prod
  user:
    exec:
      command: /bin/infra
      args:
        - tokens
`,
    )
  assert.equal(next, expected)
})

test('removing our entries gives back the bytes that were there before', () => {
  const back = edited(edited(byHand, adds), { ...removes, currentContext: null })
  assert.equal(back, byHand.replace("'office'", 'infra:prod'))
})

test('an entry is replaced where it stands, between those of others', () => {
  const before = edited(byHand, adds).replace('current-context', 'x-note: 1\ncurrent-context')
  const moved = { name: 'infra:prod', cluster: { server: 'https://new.example.com:6443' } }
  const change = { ...emptyChange(), put: { clusters: [moved], contexts: [], users: [] } }
  assert.equal(edited(before, change), before.replace('prod.example.com', 'new.example.com'))
})

test('Windows line ends stay, and the new lines have them too', () => {
  const windows = byHand.replaceAll('\n', '\r\n')
  const next = edited(windows, adds)
  assert.equal(next.replaceAll('\r\n', '\n'), edited(byHand, adds))
  assert.doesNotMatch(next, /[^\r]\n/)
})

test('a list that is null, empty or missing is filled, and its comment stays', () => {
  const text =
    'clusters: []   # none yet\ncontexts:\nkind: Config\nusers: null\ncurrent-context: # nothing\n'
  const next = edited(text, adds)
  assert.deepEqual(readConfig(next), {
    clusters: [cluster],
    contexts: [context],
    users: [user],
    currentContext: 'infra:prod',
  })
  assert.match(next, /# none yet/)
  assert.match(next, /current-context: infra:prod # nothing/)
  assert.deepEqual(readConfig(edited('kind: Config', adds)).users, [user])
})

test('the last entry of a list can go', () => {
  const next = edited(edited('', adds), removes)
  assert.deepEqual(readConfig(next), { clusters: [], contexts: [], users: [], currentContext: '' })
})

test('JSON stays JSON, and lists in flow style keep what they hold', () => {
  const json = edited('{"kind": "Config", "users": [{"name": "me", "user": {"token": "x"}}]}', adds)
  assert.deepEqual(JSON.parse(json).users, [{ name: 'me', user: { token: 'x' } }, user])
  const flow = edited('users: [{name: me, user: {token: x}}] # mine\n', adds)
  assert.deepEqual(readConfig(flow).users, [{ name: 'me', user: { token: 'x' } }, user])
  assert.match(flow, /# mine/)
})

test('what cannot be read is refused with a sentence', () => {
  for (const broken of [
    'users: [',
    'a: 1\na: 2\n',
    '- a\n- b\n',
    'just words',
    'users: 7\n',
    'a: 1\n---\nb: 2\n',
    '\tx: 1\n',
  ]) {
    assert.throws(
      () => edited(broken, adds),
      (error) => error instanceof Failure && error.code === 'invalid',
      JSON.stringify(broken),
    )
  }
})

test('entries without a name or a shape are left alone', () => {
  const text = 'users:\n- null\n- 7\n- user: {}\n- name: me\n'
  assert.ok(edited(text, adds).startsWith(text))
  assert.deepEqual(readConfig(text).users, [{ name: 'me' }])
})
