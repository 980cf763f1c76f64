import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Batches } from './batches.ts'

/** Work that is done when it is said, and what it was asked for. */
function heldBack(most = Infinity) {
  const asked: number[][] = []
  const gates: PromiseWithResolvers<void>[] = []
  const work = async (items: number[]) => {
    asked.push(items)
    const gate = Promise.withResolvers<void>()
    gates.push(gate)
    await gate.promise
    return (item: number) => item * 10
  }
  const batches = new Batches<number, number>(work, { most })
  return { batches, asked, gates }
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

test('who asks together is one batch, and who asks while it runs is in the next', async () => {
  const { batches, asked, gates } = heldBack()
  const first = [batches.ask(1), batches.ask(2)]
  await turn()
  const later = [batches.ask(3), batches.ask(4)]
  await turn()
  assert.deepEqual(asked, [[1, 2]])
  gates[0]?.resolve()
  assert.deepEqual(await Promise.all(first), [10, 20])
  await turn()
  assert.deepEqual(asked, [
    [1, 2],
    [3, 4],
  ])
  gates[1]?.resolve()
  assert.deepEqual(await Promise.all(later), [30, 40])
})

test('a batch has an end, and the rest follows', async () => {
  const { batches, asked, gates } = heldBack(2)
  const all = Promise.all([1, 2, 3].map((item) => batches.ask(item)))
  await turn()
  gates[0]?.resolve()
  await turn()
  gates[1]?.resolve()
  assert.deepEqual(await all, [10, 20, 30])
  assert.deepEqual(asked, [[1, 2], [3]])
})

test('a batch that fails fails for all in it, and for nobody else', async () => {
  const { batches, gates } = heldBack()
  const first = Promise.allSettled([batches.ask(1), batches.ask(2)])
  await turn()
  const next = batches.ask(3)
  gates[0]?.reject(new Error('gone'))
  assert.deepEqual(
    (await first).map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  await turn()
  gates[1]?.resolve()
  assert.equal(await next, 30)
  await batches.idle()
})
