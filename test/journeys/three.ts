/** A watch, a shell and a forwarded port of one person at one destination, held open. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { Running } from '../processes.ts'
import { until } from '../processes.ts'
import type { Person } from './person.ts'
import type { World } from './world.ts'

export type Place = { namespace: string; pod: string; port: number }
export type Three = { watch: Running; exec: Running; forward: Running; forwarded: Forwarded }

/** A pod with a port behind it that echoes what it is sent. */
export async function openPlace(t: TestContext, world: World, namespace: string): Promise<Place> {
  const server = createServer((socket) => socket.on('error', () => {}).pipe(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const pod = 'held'
  await world.cluster.createPod({ namespace, name: pod })
  return { namespace, pod, port: address.port }
}

/** Opens the three, and waits until each has been heard of. */
export async function openThree(
  world: World,
  person: Person,
  destination: string,
  { namespace, pod, port }: Place,
): Promise<Three> {
  const where = ['--context', `infra:${destination}`, '--namespace', namespace]
  const watch = person.open([...where, 'get', 'configmaps', '--watch', '-o', 'name'])
  const exec = person.open([...where, 'exec', '-i', pod, '--', 'cat'])
  const forward = person.open([...where, 'port-forward', pod, `:${port}`])
  const [, local] = await forward.says(/Forwarding from 127\.0\.0\.1:(\d+)/)
  const three = { watch, exec, forward, forwarded: new Forwarded(Number(local)) }
  await threeGoOn(world, namespace, [three])
  return three
}

export function openShell(person: Person, destination: string, { namespace, pod }: Place): Running {
  return person.open([
    ...['--context', `infra:${destination}`, '--namespace', namespace],
    ...['exec', '-i', pod, '--', 'cat'],
  ])
}

/** Each of them still carries what happens now. */
export async function threeGoOn(world: World, namespace: string, all: Three[]): Promise<void> {
  const word = `w-${randomBytes(6).toString('hex')}`
  await world.cluster.api('POST', `/api/v1/namespaces/${namespace}/configmaps`, {
    metadata: { name: word },
  })
  for (const { watch, exec, forwarded } of all) {
    await shellGoesOn(exec)
    await forwarded.goesOn()
    await watch.says(new RegExp(`configmap/${word}`))
  }
}

export async function shellGoesOn(shell: Running): Promise<void> {
  const word = `w-${randomBytes(6).toString('hex')}`
  shell.write(`${word}\n`)
  await shell.says(new RegExp(word))
}

/** The three have ended at the caller: so many streams a receipt must count. */
export async function threeAreCut({ watch, exec, forward, forwarded }: Three): Promise<number> {
  const ended = await Promise.all([watch.ends(), exec.ends(), forward.ends()])
  await until('what went through the port is closed', () => forwarded.isClosed)
  return ended.length
}

/** A connection through the forwarded port. */
class Forwarded {
  isClosed = false
  #heard = ''
  readonly #socket: Socket

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1')
    this.#socket.setEncoding('utf8').on('data', (text: string) => (this.#heard += text))
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => (this.isClosed = true))
  }

  async goesOn(): Promise<void> {
    const word = `w-${randomBytes(6).toString('hex')}`
    this.#socket.write(word)
    await until('the forwarded port echoes', () => {
      assert.ok(!this.isClosed, 'the forwarded port is closed')
      return this.#heard.includes(word)
    })
  }
}
