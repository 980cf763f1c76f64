import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { world } from '../test/world.ts'
import { routes } from './routes.ts'

const here = fileURLToPath(new URL('.', import.meta.url))

test('S5: events are only ever added: no row changes them, and no code of the server does', async (t) => {
  const rows = routes.filter(({ path }) => path.startsWith('/api/events'))
  assert.deepEqual(
    rows.map(({ method }) => method),
    ['GET'],
  )
  const sources = readdirSync(here, { recursive: true, encoding: 'utf8' }).filter((name) => {
    return name.endsWith('.ts') && !/\.test\.ts$|fixtures\.ts$|conformance\.ts$/.test(name)
  })
  const changing = /\.(update|delete)\(events\)|(update|delete from|truncate)\s+"?events\b/i
  assert.ok(sources.length > 80)
  assert.deepEqual(
    sources.filter((name) => changing.test(readFileSync(join(here, name), 'utf8'))),
    [],
  )
  const w = await world(t)
  await w.client.groups.create({ name: 'ops' })
  const before = await w.client.events.list()
  await w.client.groups.delete('ops')
  await w.user('ana@example.com')
  await w.client.users.delete('ana@example.com')
  const after = await w.client.events.list()
  assert.deepEqual(after.slice(0, before.length), before)
  assert.equal(after.length, before.length + 2)
})
