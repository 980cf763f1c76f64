/**
 * `bun bench/proxy/memory.ts [BATCHES]`: what the connector's own code takes for a small GET, with
 * both far ends in memory: no TLS, no system call. CPU µs of each request, by batches of as many;
 * the median of the later half is what it comes to. With `--cpu-prof` it shows where that goes.
 */
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import { HeldAccess } from '../../connector/access.ts'
import { systemClock } from '../../connector/clock.ts'
import { Deadlines } from '../../connector/deadlines.ts'
import { Door } from '../../connector/door/door.ts'
import { accessTo, renew, requestOf, Signer } from '../../connector/fixtures.ts'
import { Proxy } from '../../connector/splice/proxy.ts'
import { Side } from '../../connector/splice/side.ts'
import { Streams } from '../../connector/streams.ts'

const perBatch = 2_000

/** As much of a socket as the connector touches. What is written is heard in a turn of its own. */
class Wire extends EventEmitter {
  writableLength = 0
  heard: (bytes: string | Buffer) => void = () => {}

  write(bytes: string | Buffer, _encoding: string, sent?: () => void): boolean {
    setImmediate(() => this.heard(bytes))
    if (sent) process.nextTick(sent)
    return true
  }

  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}

  get asSocket(): Duplex {
    return this as unknown as Duplex
  }
}

const signer = new Signer('k1')
const access = new HeldAccess(systemClock)
renew(access, { ...accessTo(), signingKeys: [signer.publicKey] })
const streams = new Streams()
const deadlines = new Deadlines({ access, streams, clock: systemClock })
const body = Buffer.from(`{"kind":"PodList","items":["${'x'.repeat(2_000)}"]}`)
const answer = Buffer.concat([
  Buffer.from(
    `HTTP/1.1 200 OK\r\nAudit-Id: 0f8fad5b-d9cb-469f-a165-70867728950e\r\nCache-Control: no-cache, private\r\nContent-Type: application/json\r\nX-Kubernetes-Pf-Flowschema-Uid: 1\r\nX-Kubernetes-Pf-Prioritylevel-Uid: 2\r\nDate: Sat, 28 Nov 2026 16:00:00 GMT\r\nContent-Length: ${body.length}\r\n\r\n`,
  ),
  body,
])
const proxy = new Proxy({
  door: new Door({ access }),
  streams,
  access,
  upstream: () => ({ host: 'h', port: 1, tls: { ca: 'ca' }, credential: () => 'own' }),
  dial: async () => {
    const far = new Wire()
    far.heard = () => far.emit('data', Buffer.from(answer))
    return new Side(far.asSocket)
  },
  log: () => {},
  beforeBytes: () => deadlines.catchUp(),
})

const accepts = ['Accept: application/json', 'Accept-Encoding: gzip', 'User-Agent: kubectl/v1.36.2']
const path = '/api/v1/namespaces/default/pods/small?limit=500'
const request = Buffer.from(requestOf(signer.token('u-ana'), `GET ${path}`, ...accepts))
const wire = new Wire()
const place = proxy.places.take('127.0.0.1', () => {})
if (!place) throw new Error('there is no place')
void proxy.serve(wire.asSocket, { address: '127.0.0.1', place })

function batch(): Promise<void> {
  return new Promise((resolve) => {
    let left = perBatch
    wire.heard = (bytes) => {
      if (!bytes.length) return
      left -= 1
      if (left === 0) resolve()
      else wire.emit('data', Buffer.from(request))
    }
    wire.emit('data', Buffer.from(request))
  })
}

const batches = Number(process.argv[2] ?? 24)
const costs: number[] = []
for (let at = 0; at < batches; at += 1) {
  const before = process.cpuUsage()
  await batch()
  const { user, system } = process.cpuUsage(before)
  costs.push((user + system) / perBatch)
}
const later = costs.slice(batches / 2).toSorted((a, b) => a - b)
const shown = costs.map((cost) => cost.toFixed(1)).join(' ')
console.log(
  `${shown}\nmedian of the later half: ${later[later.length >> 1]?.toFixed(1)} µs, least ${later[0]?.toFixed(1)}`,
)
deadlines.stop()
proxy.close()
process.exit(0)
