/** Other changes beside what is measured: a grant given and taken away, each a change of its own. */
import type { Directory } from './directory.ts'
import type { Server } from './harness.ts'

/** Begins `perMinute` changes of other people at random destinations; gives the end, and a count. */
export function churn({ admin }: Server, { others, destinations }: Directory, perMinute: number) {
  let [count, failed] = [0, 0]
  let granted: Promise<string | null> | null = null
  const change = async (): Promise<string | null> => {
    const before = await granted
    if (before !== null) {
      await admin.grants.revoke(before)
      return null
    }
    const user = any(others)?.email ?? ''
    const { id } = await admin.grants.create({
      ...{ user, destination: any(destinations)?.name ?? '', role: 'view' },
      ...{ namespace: `churn-${count}` },
    })
    return id
  }
  const turning = setInterval(() => {
    count += 1
    granted = change().catch(() => {
      failed += 1
      return null
    })
  }, 60_000 / perMinute)
  return { count: () => count - failed, stop: () => clearInterval(turning) }
}

function any<T>(items: T[]): T | undefined {
  return items[Math.floor(Math.random() * items.length)]
}
