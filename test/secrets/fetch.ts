/** A network whose requests and answers go into the record of the run. */
import type { Fetch } from '../../src/wire/client.ts'
import { harvest } from './harvest.ts'
import { recordFolder, written } from './record.ts'

/**
 * `fetch`, with every URL kept as a text, and what was answered as credentials. Bodies of requests
 * are left alone: a test's may be a stream without an end, and none may be read ahead of the server.
 */
export function recorded(where: string, fetch: Fetch): Fetch {
  if (!recordFolder()) return fetch
  return async (request) => {
    written('URL', where, request.url)
    const response = await fetch(request)
    harvest(await response.clone().text())
    return response
  }
}

/** The same for what our own client sends, whose bodies are short texts and are kept as well. */
export function recordedClient(fetch: Fetch): Fetch {
  if (!recordFolder()) return fetch
  return async (request) => {
    if (!request.body) return fetch(request)
    const { url, method, headers } = request
    const body = await request.text()
    const response = await fetch(new Request(url, { method, headers, body }))
    // What was refused was a wrong password, perhaps, and a word that stands in a sentence of ours.
    if (response.ok) harvest(body)
    return response
  }
}
