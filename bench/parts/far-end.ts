/**
 * The API server behind every connector: a watch that goes on for ever and says something every
 * tenth of a second, and enough of the rest for a connector to keep its bindings by.
 */
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { openAuthority } from '../../src/authority.ts'
import { serveParent } from '../harness.ts'

const watches = new Set<ServerResponse>()
const line = `${JSON.stringify({ type: 'MODIFIED', object: { pad: 'x'.repeat(200) } })}\n`
const list = { kind: 'List', apiVersion: 'v1', metadata: { resourceVersion: '1' }, items: [] }

async function open({ dir }: { dir: string }): Promise<{ port: number; ca: string }> {
  const authority = await openAuthority(dir, () => new Date())
  const { certificate, key } = await authority.certifyServer(['127.0.0.1'])
  const server = createServer({ cert: certificate, key }, (request, response) => {
    request.resume()
    if (request.url?.includes('/pods?watch=')) return watch(response)
    const isList = request.method === 'GET'
    response.setHeader('content-type', 'application/json')
    response.statusCode = isList ? 200 : 201
    if (request.url?.includes('watch=')) return response.flushHeaders()
    response.end(JSON.stringify(isList ? list : { status: { allowed: true } }))
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  setInterval(() => {
    for (const response of watches) response.write(line)
  }, 100)
  return { port: (server.address() as AddressInfo).port, ca: authority.caPem }
}

function watch(response: ServerResponse): void {
  response.setHeader('content-type', 'application/json')
  response.write(line)
  watches.add(response)
  response.on('close', () => watches.delete(response))
}

serveParent({ open, counts: () => watches.size })
