/**
 * The one executable: the CLI and, as `infra server` and `infra connector`, the rest.
 *
 * kubectl waits for `tokens create` at every call, so a cached token is answered before anything
 * else is loaded.
 */
import { writeSync } from 'node:fs'
import { cachedAnswer } from './fast-path.ts'

const words = process.argv.slice(2)
const answer = cachedAnswer(words, process.env, Date.now())
if (answer !== null) writeSync(1, answer)
else process.exitCode = await (await import('./start.ts')).start(words)
