/** A network whose requests and answers go into the record of the run. */
import type { Fetch } from '../../src/wire/client.ts'
import { harvest } from './harvest.ts'
import { recordFolder, written } from './record.ts'

/** `fetch`, with every URL kept as a text, and what was let in and answered as credentials. */
export function recorded(where: string, fetch: Fetch): Fetch {
  if (!recordFolder()) return fetch
  return async (request) => {
    written('URL', where, request.url)
    // A body is read once: by whom it is for.
    const body = request.body ? request.clone() : null
    const response = await fetch(request)
    // What was refused was a wrong password, perhaps, and a word that stands in a sentence of ours.
    if (response.ok && body) harvest(await body.text())
    harvest(await response.clone().text())
    return response
  }
}
