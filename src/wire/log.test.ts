import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

/** Logs, and says on its output whether lines were lost by then. */
const program = `
import { log, logFailures } from ${JSON.stringify(new URL('log.ts', import.meta.url).href)}
log('info', 'one')
setTimeout(() => log('info', 'two'), 50)
setTimeout(() => console.log(logFailures() > 0), 200)
`

for (const [log, isLost] of [
  ['/dev/full', 'true'],
  ['/dev/null', 'false'],
] as const) {
  test(`a log on ${log} ends no process; what it loses is counted`, () => {
    const module = process.versions['bun'] ? [] : ['--input-type=module']
    const command = [process.execPath, ...module, '-e', program]
    const args = ['-c', `exec "$@" 2>${log}`, 'sh', ...command]
    const ran = spawnSync('sh', args, { encoding: 'utf8' })
    assert.deepEqual([ran.status, ran.stdout.trim()], [0, isLost])
  })
}
