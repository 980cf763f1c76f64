import assert from 'node:assert/strict'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { destination } from '../testing/destinations.ts'
import { readConfig } from './document.ts'
import { kubeconfigPaths, type Mine, refreshKubeconfig } from './refresh.ts'

const prod = destination('prod')
const mine: Mine = { server: 'https://infra.example.com', session: 's-1', destinations: [prod] }

function home(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'infra-kubeconfig-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777
}

test('an absent kubeconfig is made in ~/.kube, for its owner only', async (t) => {
  const HOME = home(t)
  await refreshKubeconfig({ HOME }, mine, { kind: 'first' })
  const path = join(HOME, '.kube', 'config')
  assert.equal(readConfig(readFileSync(path, 'utf8')).currentContext, 'infra:prod')
  assert.equal(modeOf(path), 0o600)
  assert.equal(modeOf(join(HOME, '.kube')), 0o700)
  assert.deepEqual(readdirSync(join(HOME, '.kube')), ['config'])
})

test('nothing is made where nothing is granted', async (t) => {
  const HOME = home(t)
  await refreshKubeconfig({ HOME }, { ...mine, destinations: [] }, { kind: 'first' })
  assert.deepEqual(readdirSync(HOME), [])
})

test('the mode of a file that exists stays, and a symlink is followed', async (t) => {
  const HOME = home(t)
  const real = join(HOME, 'real')
  const link = join(HOME, 'link')
  writeFileSync(real, '# mine\n')
  chmodSync(real, 0o640)
  symlinkSync('real', link)
  await refreshKubeconfig({ HOME, KUBECONFIG: link }, mine, { kind: 'first' })
  assert.ok(lstatSync(link).isSymbolicLink())
  assert.equal(modeOf(real), 0o640)
  assert.match(readFileSync(real, 'utf8'), /^# mine\n[^]*infra:prod/)
})

test('of several files the first that exists takes what is new', async (t) => {
  const HOME = home(t)
  const [absent, one, two] = ['absent', 'one', 'two'].map((name) => join(HOME, name))
  writeFileSync(one ?? '', 'kind: Config\n')
  writeFileSync(two ?? '', 'current-context: office\n')
  const KUBECONFIG = [absent, one, two].join(delimiter)
  await refreshKubeconfig({ HOME, KUBECONFIG }, mine, { kind: 'first' })
  assert.deepEqual(readdirSync(HOME).toSorted(), ['one', 'two'])
  assert.equal(readConfig(readFileSync(one ?? '', 'utf8')).users.length, 1)
  assert.equal(readFileSync(two ?? '', 'utf8'), 'current-context: office\n')
})

test('a file that cannot be read is left untouched, with a sentence that names it', async (t) => {
  const HOME = home(t)
  const path = join(HOME, 'config')
  writeFileSync(path, 'users: [\n')
  await assert.rejects(refreshKubeconfig({ HOME, KUBECONFIG: path }, mine, { kind: 'first' }), {
    code: 'invalid',
    message: /config is left untouched: it is not YAML/,
  })
  assert.equal(readFileSync(path, 'utf8'), 'users: [\n')
})

test('a kubeconfig that needs no change is neither written nor locked', async (t) => {
  const HOME = home(t)
  const path = join(HOME, 'config')
  await refreshKubeconfig({ HOME, KUBECONFIG: path }, mine, { kind: 'first' })
  const { ino } = statSync(path)
  writeFileSync(`${path}.lock`, '')
  await refreshKubeconfig({ HOME, KUBECONFIG: path }, mine, { kind: 'keep' })
  assert.equal(statSync(path).ino, ino)
})

test('two refreshes at once for two servers both stay', async (t) => {
  const HOME = home(t)
  const KUBECONFIG = join(HOME, 'config')
  const other = { ...mine, server: 'https://other.example.org' }
  await Promise.all([
    refreshKubeconfig({ HOME, KUBECONFIG }, mine, { kind: 'first' }),
    refreshKubeconfig({ HOME, KUBECONFIG }, other, { kind: 'first' }),
  ])
  const names = readConfig(readFileSync(KUBECONFIG, 'utf8')).users.map(({ name }) => name)
  assert.deepEqual(names.length, 2)
  assert.ok(names.includes('infra:prod'))
})

test('while kubectl holds its lock nothing is written, and what it wrote is kept', async (t) => {
  const HOME = home(t)
  const path = join(HOME, 'config')
  writeFileSync(path, 'kind: Config\n')
  writeFileSync(`${path}.lock`, '')
  const waiting = refreshKubeconfig({ HOME, KUBECONFIG: path }, mine, { kind: 'first' })
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
  assert.equal(readFileSync(path, 'utf8'), 'kind: Config\n')
  writeFileSync(path, 'kind: Config\ncurrent-context: office\n')
  rmSync(`${path}.lock`)
  await waiting
  const config = readConfig(readFileSync(path, 'utf8'))
  assert.equal(config.currentContext, 'office')
  assert.equal(config.users.length, 1)
})

test('an empty KUBECONFIG means the file in the home folder', () => {
  assert.deepEqual(kubeconfigPaths({ HOME: '/h', KUBECONFIG: delimiter }), ['/h/.kube/config'])
  assert.deepEqual(kubeconfigPaths({ KUBECONFIG: ['/a', '/b', '/a'].join(delimiter) }), [
    '/a',
    '/b',
  ])
})

test('K1: a folder in place of a kubeconfig is refused with a sentence', async (t) => {
  const HOME = home(t)
  const path = join(HOME, 'config')
  mkdirSync(path)
  await assert.rejects(refreshKubeconfig({ HOME, KUBECONFIG: path }, mine, { kind: 'first' }), {
    code: 'invalid',
    message: `${path} is not a regular file`,
  })
})
