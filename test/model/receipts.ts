/** Asks everywhere whether a change is enforced, and notes what is said. */
import type { Driver } from './driver.ts'
import type { History } from './history.ts'
import type { World } from './world.ts'

export async function receipts(
  { driver, history, world }: { driver: Driver; history: History; world: World },
  askedAt: number,
  number: number,
  waitSeconds: number,
): Promise<void> {
  const { admin, state } = driver
  const there = [...state.destinations.keys()]
  await Promise.all(
    there.map(async (destination) => {
      const asked = { destination, revision: number, waitSeconds: Math.min(60, waitSeconds) }
      const receipt = await admin.destinations.receipt(asked).catch(() => null)
      if (!receipt) return
      const at = history.now
      const { enforced: isEnforced } = receipt
      history.add({ kind: 'receipt', at, askedAt, number, destination, isEnforced })
      const heard = receipt.connectors.filter(({ link }) => link !== 'silent')
      const beside = [...world.connectors.values()].filter(
        (each) => each.destination === destination,
      )
      const [only] = beside
      if (!isEnforced || !only || beside.length > 1 || heard.length > 1) return
      const { name: connector } = only
      history.add({ kind: 'enforced', at, connector, revision: number, isExact: false })
    }),
  )
}
