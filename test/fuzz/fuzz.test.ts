import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { judgeAll } from './batch.ts'
import { campaign, caseOf } from './campaign.ts'
import { readCase, written } from './cases/case.ts'
import { judgeCaller } from './judge-caller.ts'
import { Oracle, type Message } from './oracle.ts'
import { play } from './play.ts'
import { Tally } from './tally.ts'

/** With each of them so many cases; both runtimes play the same. */
const seeds = [1, 20_260_101, 0xd00d]
const casesOfEach = 3_500

let oracle: Oracle
before(async () => {
  oracle = await Oracle.start()
})
after(() => oracle.stop())

test('D5, D8: what was found once is not found again', async () => {
  const folder = join(import.meta.dirname, 'corpus')
  for (const name of readdirSync(folder)) {
    const one = readCase(readFileSync(join(folder, name), 'utf8'))
    const [judged] = await judgeAll([one], oracle)
    assert.deepEqual(judged?.wrong, [], name)
  }
})

for (const seed of seeds) {
  test(`D1, D2, D4, D5, D8, D10, P7: two other parsers read what we do, seed ${seed}`, async () => {
    const tally = new Tally()
    const more = (played: number) => casesOfEach - played
    const found = await campaign({ seed, from: 0, more }, oracle, tally)
    assert.equal(found && `case ${found.number}: ${found.wrong.join()}`, null)
    // Whoever refuses everything agrees with everybody.
    for (const hostile of ['caller', 'upstream'] as const) {
      assert.ok(tally.accepted(hostile) > 0.3, `${tally.line}\n${tally.reasons.join('\n')}`)
    }
  })
}

test('a case is the same whenever it is made, and through a file', () => {
  for (let number = 0; number < 100; number += 1) {
    const one = caseOf(1, number)
    assert.deepEqual(caseOf(1, number), one)
    assert.deepEqual(readCase(written(one)), one)
  }
})

const request = (user: string, line: string, more = '') =>
  `${line} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer <${user}>\r\n${more}\r\n`

/** What the judges would have to say, had the connector done it. */
// prettier-ignore
const misdeeds: Record<string, [from: string | RegExp, to: string, verdict: string]> = {
  'passed a header on':         ['\r\n\r\n', '\r\nX-Remote-User: root\r\n\r\n', 'x-remote-user was passed on'],
  'spoke for another':          ['bo@example.com', 'ana@example.com', 'impersonate-user is not ours'],
  'joined two groups':          [/\r\nImpersonate-Group: infra:role:view/, '', 'impersonate-group is not ours'],
  'let two credentials through':['\r\nHost', '\r\nAuthorization: Bearer x\r\nHost', 'authorization is not ours'],
  'changed the path':           ['/two', '/three', 'the target is read in two ways'],
  'carried one too many':       [/$/, 'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n', 'the API server reads other requests than were carried'],
  'cut a body':                 ['{"a":1}', '{"a":1', 'a request behind one that was cut'],
}

for (const [what, [from, to, verdict]] of Object.entries(misdeeds)) {
  test(`it would be seen that the connector ${what}`, async () => {
    const sent = [
      request('u-ana', 'POST /one', 'Content-Length: 7\r\n') + '{"a":1}',
      request('u-bo', 'GET /two'),
    ]
    const plan = { answer: 'counted', switches: false } as const
    const parts = { hostile: 'caller', answered: [], closes: false, ends: 'in quiet' } as const
    const one = readCase(JSON.stringify({ ...parts, sent, plan }))
    const seen = await play(one)
    const judged = async (received: string[]) => {
      const asks = [
        { text: one.sent.join('') },
        { text: seen.got.join(''), methods: ['POST', 'GET'] },
      ]
      const read = await oracle.read([...asks, ...received.map((text) => ({ text }))])
      const [said = [], got = [], ...others]: Message[][] = read
      return judgeCaller(one, { ...seen, received }, { said, got, received: others })
    }
    assert.deepEqual(await judged(seen.received), [])
    const done = seen.received.map((text) => text.replace(from, to))
    assert.notDeepEqual(done, seen.received)
    assert.ok((await judged(done)).includes(verdict), (await judged(done)).join())
  })
}
