/** What a journey's processes tell when they are asked, before they end. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Place, recordFolder, written } from './record.ts'

const enoughMs = 5_000
const atOnce = 1000

/** The whole list of events, as the API gives it; nothing where the server does not answer. */
export async function recordEvents(get: (path: string) => Promise<Response>): Promise<void> {
  if (!recordFolder()) return
  const late = sleep(enoughMs, undefined, { ref: false })
  await Promise.race([readEvents(get).catch(() => {}), late])
}

async function readEvents(get: (path: string) => Promise<Response>): Promise<void> {
  for (let after = 0; ;) {
    const response = await get(`/api/events?after=${after}&limit=${atOnce}`)
    const events = (await response.json()) as { number: number; kind: string }[]
    for (const event of events) written('event', event.kind, JSON.stringify(event))
    if (events.length < atOnce) return
    after = events.at(-1)?.number ?? 0
  }
}

/** Nothing where nobody answers. */
export async function recordAnswer(place: Place, where: string, url: string): Promise<void> {
  if (!recordFolder()) return
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(enoughMs) })
    written(place, where, await response.text())
  } catch {
    // A process that does not answer has told nothing.
  }
}
