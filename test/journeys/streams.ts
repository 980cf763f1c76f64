/** A watch, a log that is followed and a shell, held open; and what it means that they were cut. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type Running, until } from '../processes.ts'
import type { Person } from './person.ts'
import type { World } from './world.ts'

export type Open = {
  person: Person
  namespace: string
  pod: string
  watch: Running
  logs: Running
  exec: Running
}

/**
 * Opens the three as `person` by the context of `destination`, and waits until each has been heard
 * of. The pod is of this test's own, so that what the node says of it is about these streams.
 */
export async function openStreams(
  world: World,
  person: Person,
  { destination, namespace }: { destination: string; namespace: string },
): Promise<Open> {
  const pod = `pod-${randomBytes(4).toString('hex')}`
  await world.cluster.createPod({ namespace, name: pod, ticks: true })
  await person.ok(['list'])
  const where = ['--context', `infra:${destination}`, '--namespace', namespace]
  const open: Open = {
    person,
    namespace,
    pod,
    watch: person.open([...where, 'get', 'configmaps', '--watch', '-o', 'name']),
    logs: person.open([...where, 'logs', '-f', pod]),
    exec: person.open([...where, 'exec', '-i', pod, '--', 'cat']),
  }
  await goesOn(world, open)
  return open
}

/** Each of the three still carries what happens now. */
export async function goesOn(world: World, { namespace, watch, logs, exec }: Open): Promise<void> {
  const word = `w-${randomBytes(6).toString('hex')}`
  exec.write(`${word}\n`)
  await exec.says(new RegExp(word))

  await world.cluster.api('POST', `/api/v1/namespaces/${namespace}/configmaps`, {
    metadata: { name: word },
  })
  await watch.says(new RegExp(`configmap/${word}`))

  const ticks = [...logs.stdout.matchAll(/tick (\d+)/g)].length
  await until('the log goes on', () => {
    assert.ok(!logs.hasEnded, `logs -f ended: ${logs.stderr}`)
    return [...logs.stdout.matchAll(/tick (\d+)/g)].length > ticks
  })
}

/** The three have ended at the caller, and behind the connector at the API server. */
export async function areCut(
  world: World,
  { person, pod, namespace, ...open }: Open,
): Promise<void> {
  for (const stream of [open.watch, open.logs, open.exec]) await stream.ends()
  await until('the node saw exec and logs close', async () => {
    const seen = (await world.cluster.streamEvents()).filter((event) => event.pod === pod)
    return ['exec', 'logs'].every((kind) => {
      const count = (event: string) =>
        seen.filter((one) => one.kind === kind && one.event === event).length
      return count('opened') > 0 && count('opened') === count('closed')
    })
  })
  await until('the API server saw the watch close', async () => {
    const watches = (await world.cluster.auditEvents()).filter((event) => {
      const by = event.impersonatedUser?.username
      return (
        by === person.email && event.verb === 'watch' && event.objectRef?.namespace === namespace
      )
    })
    const ids = (stage: string) =>
      new Set(watches.filter((event) => event.stage === stage).map((event) => event.auditID))
    const begun = [...ids('ResponseStarted')]
    return begun.length > 0 && begun.every((id) => ids('ResponseComplete').has(id))
  })
}

/** The next request of this person there is refused. */
export async function isRefused(person: Person, destination: string): Promise<void> {
  const next = await person.kubectl(['--context', `infra:${destination}`, 'get', 'configmaps'])
  assert.equal(next.code, 1, next.stdout)
  assert.notEqual(next.stderr.trim(), '')
}
