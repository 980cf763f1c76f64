import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { configFolder } from './disk/places.ts'
import { changeSessions, knownServer, readSessions } from './session.ts'

function home(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'infra-session-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('sessions stand in a 0600 file of a 0700 folder', async (t) => {
  const folder = join(home(t), 'a', 'b')
  await changeSessions(folder, (sessions) => ({ ...sessions, current: 'https://x' }))
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  assert.equal(statSync(join(folder, 'sessions.json')).mode & 0o777, 0o600)
  assert.equal(readSessions(folder).current, 'https://x')
  assert.equal(existsSync(join(folder, 'sessions.lock')), false)
})

test('two logins at once both stay', async (t) => {
  const folder = home(t)
  const add = (server: string): Promise<void> =>
    changeSessions(folder, ({ servers }) => ({
      current: server,
      servers: { ...servers, [server]: { ca: null, session: null } },
    }))
  await Promise.all(['https://a', 'https://b', 'https://c'].map(add))
  assert.deepEqual(Object.keys(readSessions(folder).servers).toSorted(), [
    'https://a',
    'https://b',
    'https://c',
  ])
})

test('a file that is not ours to read is refused with what to do, and stays', (t) => {
  const folder = home(t)
  const path = join(folder, 'sessions.json')
  for (const text of ['', '{', '[]', '{"current": 7, "servers": {}}']) {
    writeFileSync(path, text)
    assert.throws(() => readSessions(folder), { code: 'invalid' })
    assert.equal(readFileSync(path, 'utf8'), text)
  }
})

test('a name of the language itself is no server', () => {
  assert.equal(knownServer({ current: null, servers: {} }, 'constructor'), null)
})

test('the folder is the one that is named, else under the XDG one, else under ~/.config', () => {
  assert.equal(configFolder({ INFRA_CONFIG_DIR: '/c', XDG_CONFIG_HOME: '/x', HOME: '/h' }), '/c')
  assert.equal(configFolder({ XDG_CONFIG_HOME: '/x', HOME: '/h' }), '/x/infra')
  assert.equal(configFolder({ HOME: '/h' }), '/h/.config/infra')
})
