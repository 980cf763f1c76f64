/** What `npm run build` makes is whole: it runs in an empty folder, far from any `node_modules`. */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { keepToken, tokenFile } from '../cli/plugin-cache.ts'
import { productCommand, run, Running } from './processes.ts'

/** The product, copied away from here: the executable, or the folder of the bundles. */
function copied(t: TestContext): { dir: string; command: string[] } {
  const dir = mkdtempSync(join(tmpdir(), 'infra-built-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const command = productCommand()
  const product = command.at(-1) ?? ''
  const isBundle = product.endsWith('.mjs')
  cpSync(isBundle ? dirname(product) : product, join(dir, 'product'), { recursive: true })
  const own = isBundle ? join(dir, 'product', basename(product)) : join(dir, 'product')
  return { dir, command: [...command.slice(0, -1), own] }
}

test('the server starts, with its database, its snapshot and its password hashes', async (t) => {
  const { dir, command } = copied(t)
  const env = {
    HOME: dir,
    INFRA_LISTEN: '127.0.0.1:0',
    INFRA_URL: 'https://127.0.0.1:8443',
    INFRA_DATA_DIR: join(dir, 'data'),
    INFRA_ADMIN_PASSWORD: 'correct horse battery staple',
  }
  const server = new Running([...command, 'server'], env, dir)
  await server.says(/"message":"listening"/, 'stderr')
  assert.equal((await server.stop()).code, 0)
})

test('a cached token is handed out, with neither a server nor a session to ask', async (t) => {
  const { dir, command } = copied(t)
  const key = { server: 'https://infra.example.com', session: 's', destination: 'prod' }
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
  keepToken(tokenFile(dir, key), key, 'kept', expiresAt, Date.now())
  const words = ['tokens', 'create', 'prod', '--server', key.server, '--session', key.session]
  const env = { HOME: dir, INFRA_CONFIG_DIR: dir }
  const { code, stdout, stderr } = await run([...command, ...words], env)
  assert.equal(code, 0, stderr)
  assert.equal(JSON.parse(stdout).status.token, 'kept')
})
