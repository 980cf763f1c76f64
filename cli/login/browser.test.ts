import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { until } from '../../test/processes.ts'
import { fakeServer } from '../testing/fake-server.ts'
import { person } from '../testing/transcript.ts'
import { openBrowser, webUrl } from './browser.ts'

/** A browser that notes its arguments and its environment. A watch of the folder could begin too late: it is looked for. */
function noting(folder: string): { command: string; noted: () => Promise<string> } {
  const [command, note] = [join(folder, 'my browser'), join(folder, 'note')]
  const script = `#!/bin/sh\n{ printf '%s\\n' "$@"; env; } > "${note}.part"\nmv "${note}.part" "${note}"\n`
  writeFileSync(command, script, { mode: 0o755 })
  const look = (): string | null => (existsSync(note) ? readFileSync(note, 'utf8') : null)
  return { command, noted: () => until('the browser was opened', look) }
}

test('the address is one argument, whatever it holds, and no secret of the environment goes along', async (t) => {
  const { folder } = person(t)
  const { command, noted } = noting(folder)
  const url = webUrl('https://idp.example/a?b=\'$(touch x)`;|&c="<>\\ \n--flag')
  const env = {
    ...{ PATH: process.env['PATH'], BROWSER: command, LANG: 'C' },
    ...{
      INFRA_PASSWORD: 'secret-1',
      INFRA_ACCESS_KEY: 'secret-2',
      INFRA_CLIENT_SECRET: 'secret-3',
    },
  }
  assert.equal(await openBrowser(url, env), null)
  const note = await noted()
  assert.equal(note.split('\n')[0], url)
  assert.match(url, /^https:\/\/idp\.example\/a\?[^\s"<>]*$/)
  assert.match(note, /^LANG=C$/m)
  assert.doesNotMatch(note, /secret-\d|INFRA_/)
})

test('only a web page is opened', () => {
  for (const address of [
    'javascript:alert(1)',
    'file:///etc/passwd',
    'data:text/html,x',
    'vscode://x',
    '--help',
    '-rf',
    '',
    'calc.exe',
    '//idp.example',
    'ssh://-oProxyCommand=x',
  ])
    assert.throws(() => webUrl(address), { code: 'unavailable' }, address)
})

test('a BROWSER that is nothing, or cannot be started, is said, and the login waits on', async () => {
  for (const BROWSER of ['/nowhere/browser', 'no-such-browser --x', '/dev/null', '/'])
    assert.match(
      String(await openBrowser('https://x/', { BROWSER })),
      /ENOENT|EACCES|EPERM|not found|no such|permission/i,
    )
})

test('K3: no browser opens behind anybody: without a person and BROWSER, or beneath kubectl', async (t) => {
  for (const [more, opens] of [
    [{}, true],
    [{ KUBERNETES_EXEC_INFO: '{}' }, false],
    [{ BROWSER: ' ' }, false],
  ] as const) {
    const world = await fakeServer(t)
    world.providers = [{ name: 'okta', anyLoopbackPort: true }]
    const ana = person(t)
    // Whatever the system's own browser is, here it is this one.
    const { command, noted } = noting(ana.folder)
    const opener = join(ana.folder, 'xdg-open')
    writeFileSync(opener, `#!/bin/sh\nexec "${command}" "$@"\n`, { mode: 0o755 })
    Object.assign(ana.env, {
      PATH: `${ana.folder}:${process.env['PATH']}`,
      BROWSER: command,
      ...more,
    })
    const login = ana.types(`login ${world.url} --provider okta`)
    const ended: unknown[] = []
    void login.then((how) => ended.push(how))
    while (world.pending.size === 0 && ended.length === 0) await new Promise(setImmediate)
    if (opens) assert.match(await noted(), /^http:\/\/127\.0\.0\.1:\d+\/authorize/)
    const { redirectUri, code, state } = world.pending.get('l-0') ?? {}
    // The server has begun the login a moment before the CLI knows of it, and waits for a callback.
    await until('the callback is taken', async () => {
      return (await fetch(`${redirectUri}?code=${code}&state=${state}`)).ok
    })
    const { code: exit, err } = await login
    assert.equal(exit, 0, err)
    assert.match(err, /^Open this page to log in:\n {2}http:/)
    if (!opens) assert.equal(existsSync(join(ana.folder, 'note')), false)
  }
})
