/**
 * Ports that a test starts, stops and starts again something at. Meanwhile they must be nobody
 * else's: a port that the system gave out is given to the next who asks, or to any connection that
 * goes out, and what should come back cannot. So each process of the tests has some of its own,
 * below those that the system gives out.
 */
import { createServer, type Server } from 'node:net'

const first = 20_000
const last = 31_999
/** The first port of a block is its guard: who listens there has the block. */
const blockSize = 100

let block: Promise<Iterator<number>> | null = null

/**
 * A port that nobody listens at, and that no other process of the tests is given: of `host` where
 * that is an address in brackets; of names, this machine's own.
 */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const address = /^\[(.*)\]$/.exec(host)?.[1] ?? '127.0.0.1'
  block ??= claim()
  const ports = await block
  for (let next = ports.next(); !next.done; next = ports.next()) {
    const probe = await listen(next.value, address)
    if (!probe) continue
    await new Promise((resolve) => probe.close(resolve))
    return next.value
  }
  block = null
  return freePort(host)
}

/** As many, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = []
  while (found.length < count) found.push(await freePort())
  return found
}

/** Begins somewhere, so that two processes seldom want the same block. */
async function claim(): Promise<Iterator<number>> {
  const blocks = (last + 1 - first) / blockSize
  const start = process.pid % blocks
  for (let tried = 0; tried < blocks; tried += 1) {
    const base = first + ((start + tried) % blocks) * blockSize
    const guard = await listen(base)
    if (!guard) continue
    // Held until this process ends, which it does not keep from ending.
    guard.unref()
    return Array.from({ length: blockSize - 1 }, (_, index) => base + 1 + index).values()
  }
  throw new Error(`no ports are left between ${first} and ${last}`)
}

/** null: somebody listens there. */
async function listen(port: number, host = '127.0.0.1'): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null)
      else reject(error)
    })
    server.listen(port, host, () => resolve(server))
  })
}
