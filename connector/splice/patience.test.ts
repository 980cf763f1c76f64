import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Patience } from './patience.ts'

/** Keeps the process alive: these waits do not. */
async function awake<T>(awaited: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, 1_000)
  return awaited.finally(() => clearInterval(timer))
}

test('what takes too long is told so, in the order that it began, and nothing that has ended is', async () => {
  const patience = new Patience(20)
  const told: string[] = []
  await awake(
    new Promise<void>((resolve) => {
      patience.begin(() => told.push('first'))
      const ended = patience.begin(() => told.push('ended'))
      patience.begin(() => {
        told.push('second')
        // Begun while others are told: it has a wait of its own.
        patience.begin(() => {
          told.push('again')
          resolve()
        })
      })
      patience.end(ended)
    }),
  )
  assert.deepEqual(told, ['first', 'second', 'again'])
})

test('nobody is told before the time, though the timer was set for others', async () => {
  let now = 0
  const patience = new Patience(20, () => now)
  const told: string[] = []
  const end = Promise.withResolvers<void>()
  patience.begin(() => told.push('first'))
  now = 10
  patience.begin(() => {
    told.push('second')
    end.resolve()
  })
  now = 20
  setTimeout(() => {
    assert.deepEqual(told, ['first'])
    now = 30
  }, 200)
  await awake(end.promise)
  assert.deepEqual(told, ['first', 'second'])
})

test('what settles in time is given, whatever it is', async () => {
  const patience = new Patience(60_000)
  const late = () => assert.fail('it was in time')
  assert.equal(await patience.during(Promise.resolve(1), late), 1)
  await assert.rejects(patience.during(Promise.reject(new Error('no')), late), /no/)
})
