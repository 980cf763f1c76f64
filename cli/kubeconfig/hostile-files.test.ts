/** Kubeconfigs, and what stands beside them, as somebody who means ill may lay them out. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { locked } from '../lock.ts'
import { destination } from '../testing/destinations.ts'
import { edited, emptyChange, readConfig } from './document.ts'
import { type Mine, refreshKubeconfig } from './refresh.ts'

const prod = destination('prod')
const mine: Mine = { server: 'https://infra.example.com', session: 's-1', destinations: [prod] }
const first = { kind: 'first' } as const

function home(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'infra-hostile-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function usersIn(path: string): string[] {
  return readConfig(readFileSync(path, 'utf8')).users.map(({ name }) => name)
}

test('K1: what is no file, or no text, is refused with a sentence, is not waited for and stays', async (t) => {
  const HOME = home(t)
  const path = join(HOME, 'config')
  const refused: [() => void, RegExp][] = [
    [() => execFileSync('mkfifo', [path]), /config is not a regular file$/],
    [() => symlinkSync('/dev/zero', path), /config is not a regular file$/],
    [() => mkdirSync(path), /config is not a regular file$/],
    [() => symlinkSync('config', path), /leads nowhere|symbolic link/],
    [
      () => writeFileSync(path, Buffer.from('# B\xfcro\n', 'latin1')),
      /config is not text in UTF-8$/,
    ],
    [
      () => writeFileSync(path, Buffer.from('\ufeffkind: Config\n', 'utf16le')),
      /not text in UTF-8|not YAML/,
    ],
    [() => writeFileSync(path, 'a: *nowhere\n'), /is left untouched: it is not YAML/],
    [() => writeFileSync(path, bomb()), /is left untouched: it is not YAML/],
    [() => writeFileSync(path, '['.repeat(100_000)), /is left untouched: it is not YAML/],
    [() => writeFileSync(path, '{a: '.repeat(50_000)), /is left untouched: it is not YAML/],
    [() => writeFileSync(path, 'users: []\nusers: []\n'), /is left untouched: it is not YAML/],
    [() => writeFileSync(path, 'a: 1\n---\nb: 1\n'), /is left untouched: it is not YAML/],
  ]
  for (const [lay, sentence] of refused) {
    lay()
    const before = lstatSync(path)
    await assert.rejects(refreshKubeconfig({ HOME, KUBECONFIG: path }, mine, first), sentence)
    assert.equal(lstatSync(path).ino, before.ino)
    assert.deepEqual(readdirSync(HOME), ['config'], 'no lock and no temporary file is left')
    rmSync(path, { recursive: true })
  }
})

/** Ten lines that are ten thousand million values (the "billion laughs"). */
function bomb(): string {
  const lines = Array.from(
    { length: 9 },
    (_, at) => `a${at + 1}: &a${at + 1} [${`*a${at},`.repeat(9)}]`,
  )
  return ['a0: &a0 [x]', ...lines, ''].join('\n')
}

test('K1: a link is followed as the system follows it, also out of a folder that is a link', async (t) => {
  const HOME = home(t)
  mkdirSync(join(HOME, 'data', 'kube'), { recursive: true })
  mkdirSync(join(HOME, 'data', 'real'))
  writeFileSync(join(HOME, 'data', 'real', 'config'), '# mine\nkind: Config\n')
  symlinkSync('data/kube', join(HOME, '.kube'))
  symlinkSync('../real/config', join(HOME, '.kube', 'config'))
  await refreshKubeconfig({ HOME }, mine, first)
  assert.equal(readlinkSync(join(HOME, '.kube', 'config')), '../real/config')
  assert.match(
    readFileSync(join(HOME, 'data', 'real', 'config'), 'utf8'),
    /^# mine\n[^]*infra:prod/,
  )
  assert.equal(existsSync(join(HOME, 'real')), false, 'nothing is made where the words alone lead')
})

test('K1: a link to nothing yet is made a file where it leads, for its owner only', async (t) => {
  const HOME = home(t)
  const path = join(HOME, 'config')
  symlinkSync('later/config', path)
  await refreshKubeconfig({ HOME, KUBECONFIG: path }, mine, first)
  assert.ok(lstatSync(path).isSymbolicLink())
  assert.equal(statSync(join(HOME, 'later', 'config')).mode & 0o777, 0o600)
})

test('K2: a file that is named twice, by a link and by itself, is one file', async (t) => {
  const HOME = home(t)
  const [link, real] = [join(HOME, 'link'), join(HOME, 'real')]
  writeFileSync(real, 'kind: Config\n')
  symlinkSync('real', link)
  const env = { HOME, KUBECONFIG: [link, real].join(delimiter) }
  await refreshKubeconfig(env, mine, first)
  const turned = { HOME, KUBECONFIG: [real, link].join(delimiter) }
  for (const [at, named] of [env, turned, env].entries()) {
    await refreshKubeconfig(named, { ...mine, session: `s-2${at}` }, first)
    assert.deepEqual(usersIn(real), ['infra:prod'])
  }
  await Promise.all([
    refreshKubeconfig({ HOME, KUBECONFIG: link }, { ...mine, session: 's-3' }, first),
    refreshKubeconfig(
      { HOME, KUBECONFIG: real },
      { ...mine, server: 'https://other.example.org' },
      first,
    ),
  ])
  assert.deepEqual(usersIn(real).toSorted(), ['infra:prod', 'infra:prod@other.example.org'])
})

test('K3: kubectl that was given the file itself holds up who was given a link to it', async (t) => {
  const HOME = home(t)
  writeFileSync(join(HOME, 'real'), 'kind: Config\n')
  symlinkSync('real', join(HOME, 'link'))
  writeFileSync(join(HOME, 'real.lock'), '')
  const waiting = refreshKubeconfig({ HOME, KUBECONFIG: join(HOME, 'link') }, mine, first)
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
  assert.equal(readFileSync(join(HOME, 'real'), 'utf8'), 'kind: Config\n')
  rmSync(join(HOME, 'real.lock'))
  await waiting
  assert.deepEqual(usersIn(join(HOME, 'real')), ['infra:prod'])
})

test('K3: what stands in the place of a lock is not followed, not waited upon and not destroyed', async (t) => {
  const HOME = home(t)
  const lock = join(HOME, 'it.lock')
  const treasure = join(HOME, 'treasure')
  // Whose holder is dead: as a lock it would be removed.
  writeFileSync(treasure, JSON.stringify({ pid: 2 ** 30, started: '1', host: hostname() }))
  for (const lay of [
    () => symlinkSync(treasure, lock),
    () => symlinkSync(join(HOME, 'absent'), lock),
    () => symlinkSync('/dev/zero', lock),
    () => execFileSync('mkfifo', [lock]),
    () => mkdirSync(lock),
  ]) {
    lay()
    await assert.rejects(
      locked(lock, 0, () => 'done'),
      { code: 'conflict', message: `another process left or holds the lock ${lock}` },
    )
    assert.ok(lstatSync(lock))
    rmSync(lock, { recursive: true })
  }
  assert.deepEqual(readdirSync(HOME), ['treasure'])
})

const theirs = 'users:\n- name: infra:prod\n  user: {token: theirs}\n'

test('K1, K2: an entry of somebody else in another file survives though its name is ours in the first', async (t) => {
  const HOME = home(t)
  const [one, two] = [join(HOME, 'one'), join(HOME, 'two')]
  await refreshKubeconfig({ HOME, KUBECONFIG: one }, mine, first)
  writeFileSync(two, theirs)
  const env = { HOME, KUBECONFIG: [one, two].join(delimiter) }
  await refreshKubeconfig(env, { ...mine, session: 's-2' }, first)
  await refreshKubeconfig(env, { ...mine, destinations: [] }, first)
  assert.equal(readFileSync(two, 'utf8'), theirs)
  assert.deepEqual(usersIn(one), [])
})

test('K1, K2: an entry of somebody else survives though one of ours has the same name in the same file', async (t) => {
  const HOME = home(t)
  const KUBECONFIG = join(HOME, 'config')
  await refreshKubeconfig({ HOME, KUBECONFIG }, mine, first)
  const text = readFileSync(KUBECONFIG, 'utf8')
  const doubled = text.replace('users:\n', () =>
    theirs.replace(/^- /m, '  - ').replace(/^ {2}user/m, '    user'),
  )
  writeFileSync(KUBECONFIG, doubled)
  await refreshKubeconfig({ HOME, KUBECONFIG }, { ...mine, session: 's-2' }, first)
  await refreshKubeconfig({ HOME, KUBECONFIG }, { ...mine, destinations: [] }, first)
  assert.match(readFileSync(KUBECONFIG, 'utf8'), /token: theirs/)
})

test('K1: a kubeconfig of five megabytes survives', async (t) => {
  const HOME = home(t)
  const KUBECONFIG = join(HOME, 'config')
  const before = `# large\npreferences:\n  note: "${'x'.repeat(5_000_000)}"\nusers:\n- name: me\n`
  writeFileSync(KUBECONFIG, before)
  await refreshKubeconfig({ HOME, KUBECONFIG }, mine, first)
  assert.ok(readFileSync(KUBECONFIG, 'utf8').startsWith(before))
})

test('K1: names that other readers of YAML take for something else are written as text', () => {
  const contexts = ['no', 'on', '123', '1_000', '0x1f', 'null', '2030-01-01', '1e3', 'y'].map(
    (namespace) => ({
      name: `infra:prod:${namespace}`,
      context: { cluster: 'infra:prod', namespace, user: 'infra:prod' },
    }),
  )
  const change = { ...emptyChange(), put: { clusters: [], contexts, users: [] } }
  for (const text of ['', 'kind: Config\n', '{"kind": "Config"}', 'contexts: [{name: x}]\n']) {
    const next = edited(text, change)
    for (const { context } of contexts)
      assert.match(next, new RegExp(`"?namespace"?: "${context.namespace}"`), text)
  }
})
