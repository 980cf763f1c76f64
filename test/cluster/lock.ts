import { readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

const heartbeatMs = 5_000
const silentMs = 60_000

/**
 * Does `work` while no other process does work under the same lock, which is a file.
 *
 * A holder that died is taken over: at once when its process is gone from this machine,
 * after a minute without a heartbeat otherwise. Should two take over in the same instant,
 * both work: so `work` must bear that, and only waste time.
 */
export async function underLock<T>(
  path: string,
  onWait: () => void,
  work: () => Promise<T>,
): Promise<T> {
  const mine = JSON.stringify({ host: hostname(), pid: process.pid, at: Date.now() })
  let hasWaited = false
  while (!(await take(path, mine))) {
    if (!hasWaited) onWait()
    hasWaited = true
    if (await isAbandoned(path)) await bury(path)
    else await sleep(500)
  }
  const heartbeat = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => {})
  }, heartbeatMs)
  try {
    return await work()
  } finally {
    clearInterval(heartbeat)
    if ((await readFile(path, 'utf8').catch(() => '')) === mine) await rm(path, { force: true })
  }
}

async function take(path: string, mine: string): Promise<boolean> {
  try {
    await writeFile(path, mine, { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(path)
    if (Date.now() - mtimeMs > silentMs) return true
    const { host, pid } = JSON.parse(await readFile(path, 'utf8')) as { host: string; pid: number }
    return host === hostname() && !isAlive(pid)
  } catch {
    // Gone, or not yet written to the end: the next look tells.
    return false
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Of many that bury a lock, the one whose rename succeeds does; for the rest it is gone. */
async function bury(path: string): Promise<void> {
  const grave = `${path}.${process.pid}`
  await rename(path, grave).catch(() => {})
  await rm(grave, { force: true })
}
