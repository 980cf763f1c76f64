/**
 * FOR TESTS ALONE: loaded before a process of the product, this shifts its wall clock by as many
 * milliseconds as the file of INFRA_TEST_SHIFTED_CLOCK_FILE says, which a test rewrites while the
 * process runs. The product knows nothing of it. The monotonic clock goes on as ever, as it does
 * where an operator sets a machine's clock.
 */
import { readFileSync } from 'node:fs'

const file = process.env['INFRA_TEST_SHIFTED_CLOCK_FILE']
const lookMs = 100

if (file !== undefined) shift(file)

function shift(path: string): void {
  const read = () => Number(readFileSync(path, 'utf8')) || 0
  let offsetMs = read()
  process.stderr.write(`THE CLOCK OF THIS PROCESS IS SHIFTED BY A TEST: ${path}\n`)
  setInterval(() => {
    offsetMs = read()
  }, lookMs).unref()
  const real = Date
  const now = () => real.now() + offsetMs
  globalThis.Date = new Proxy(real, {
    construct: (target, args, made) => {
      const given: unknown[] = args.length === 0 ? [now()] : args
      return Reflect.construct(target, given, made === globalThis.Date ? target : made) as object
    },
    apply: () => new globalThis.Date().toString(),
    get: (target, name) => (name === 'now' ? now : (Reflect.get(target, name) as unknown)),
  })
}
