import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client } from './client.ts'

const refuse = () => {
  throw new Error('nothing may be sent')
}

test('L10: a credential that no header can carry is refused before it is sent, and not repeated', () => {
  for (const around of ['\n', '\r\nX-Other: 1', '\u2026', '\0']) {
    const made = () => new Client('http://server', `key.very-secret${around}x`, refuse)
    assert.throws(made, (error: Error) => {
      assert.match(error.message, /^the credential holds a letter that none has/)
      return error.cause === undefined
    })
  }
})

test('the line end that files and secrets of Kubernetes end in is no part of a credential', async () => {
  let sent: string | null = null
  const client = new Client('http://server', 'key.very-secret\n', ({ headers }) => {
    sent = headers.get('authorization')
    return Response.json([])
  })
  assert.deepEqual(await client.groups.list(), [])
  assert.equal(sent, 'Bearer key.very-secret')
})
