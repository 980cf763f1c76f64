import { request } from 'node:https'

// Kubernetes objects of all kinds: a test looks at what it names, and fails where it is not.
// oxlint-disable-next-line typescript/no-explicit-any
export type KubernetesObject = any

export interface Answer {
  status: number
  body: KubernetesObject
}

export interface ApiServer {
  url: string
  caPem: string
  token: string
}

/** One request to the API server, and its whole answer; text that is no JSON stays text. */
export function callApi(server: ApiServer, method: string, path: string, body?: unknown) {
  const headers: Record<string, string> = { authorization: `Bearer ${server.token}` }
  const sent = body === undefined ? undefined : JSON.stringify(body)
  if (sent !== undefined) headers['content-type'] = 'application/json'
  if (method === 'PATCH') headers['content-type'] = 'application/merge-patch+json'
  return new Promise<Answer>((done, fail) => {
    const url = new URL(path, server.url)
    const asked = request(url, { method, headers, ca: server.caPem, agent: false }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (part: string) => (text += part))
      answer.on('error', fail)
      answer.on('end', () => done({ status: answer.statusCode ?? 0, body: parsed(text) }))
    })
    asked.on('error', fail)
    asked.end(sent)
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
