/** Carries an attack out over TLS, and says in which ways it did not go as its verdict has it. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { account, world, type World } from '../fixtures.ts'
import { Sender, type Arrival, type Attack, type Family, type Verdict } from './attack.fixtures.ts'
import { Origin } from './origin.fixtures.ts'

export type Field = {
  made: World
  origin: Origin
  ana: Sender
  bo: Sender
  /** What of requests that are cut may arrive, and late: one attack may be over before it does. */
  good: string[]
}

export async function field(t: TestContext, { recorded = false } = {}): Promise<Field> {
  const made = await world(t)
  const origin = new Origin()
  if (!recorded) made.recorder.accept = (socket) => origin.accept(socket)
  const { signer } = made
  const ana = new Sender('ana', signer.token('u-ana'))
  const bo = new Sender('bo', signer.token('u-bo'))
  return { made, origin, ana, bo, good: [] }
}

/** Fails with every attack of the family that went otherwise, and not with the first alone. */
export async function withstands(t: TestContext, { attacks }: Family): Promise<void> {
  const on = await field(t)
  const wrong: unknown[] = []
  for (const one of attacks(on.ana, on.bo)) {
    const went = await carryOut(on, one)
    const expected = expectedOf(on, one)
    try {
      assert.deepEqual(went, expected)
    } catch {
      wrong.push({ attack: one.name, went, expected })
    }
  }
  assert.deepEqual(wrong, [])
}

type Went = { answers: string[]; arrived: string[]; broken: string[] }

async function carryOut(on: Field, { bytes, verdicts }: Attack): Promise<Went> {
  const { made, origin } = on
  const before = origin.whole.length
  const caller = await made.dial()
  const last = verdicts.at(-1)
  const staysOpen = last?.kind === 'passed'
  // Requests are answered in turn: when this one is, all that came before it has been read.
  caller.send(staysOpen ? bytes + on.bo.request('GET /last') : bytes)
  if (staysOpen) await caller.until('GET /last as bo')
  const isTold = last?.kind === 'refused' || (last?.kind === 'cut' && last.status !== null)
  // An end of input ends what is not answered yet.
  if (last?.kind === 'closed') await caller.until(verdicts.flatMap(answerTo).at(-1) ?? '')
  if (!isTold) caller.socket.end()
  const text = await caller.toEnd()
  const arrived = origin.whole.slice(before).map(plain)
  return {
    answers: answersOf(text),
    arrived,
    broken: brokenOf(await origin.broken(), on, verdicts),
  }
}

/** What arrived in part and should not have: how much of what is good goes on depends on timing. */
function brokenOf(broken: string[], on: Field, verdicts: Verdict[]): string[] {
  for (const verdict of verdicts)
    if (verdict.kind === 'cut') on.good.push(bytesOf(verdict.arrival, on))
  return broken.map(plain).filter((text) => !on.good.some((good) => good.startsWith(text)))
}

function expectedOf(on: Field, { verdicts }: Attack): Went {
  const passed = verdicts.flatMap((verdict) => (verdict.kind === 'passed' ? [verdict.arrival] : []))
  const arrived = passed.map((arrival) => bytesOf(arrival, on))
  const answers = verdicts.flatMap(answerTo)
  if (verdicts.at(-1)?.kind === 'passed') {
    arrived.push(bytesOf({ line: 'GET /last', as: 'bo', lines: [], body: '' }, on))
    answers.push('GET /last as bo')
  }
  return { answers, arrived, broken: [] }
}

function answerTo(verdict: Verdict): string[] {
  if (verdict.kind === 'passed') return [`${verdict.arrival.line} as ${verdict.arrival.as}`]
  if (verdict.kind === 'closed' || verdict.status === null) return []
  return [String(verdict.status)]
}

/** Of each answer: which request it is for, by the API server's word; else its status. */
function answersOf(text: string): string[] {
  const answers = text.split(/(?=HTTP\/1\.1 [0-9]{3} )/).filter((answer) => answer !== '')
  return answers.map((answer) => {
    const [, named] = /^X-Answers: (.*)\r$/m.exec(answer) ?? []
    return named ?? answer.slice('HTTP/1.1 '.length).slice(0, 3)
  })
}

const roleOf = { ana: 'view', bo: 'edit' }

/** The very bytes that a strict reading of the caller's gives. */
function bytesOf({ line, as, lines, body }: Arrival, { made }: Field): string {
  const own = [
    `${line} HTTP/1.1`,
    `Host: 127.0.0.1:${made.target.port}`,
    `Authorization: Bearer ${account}`,
    `Impersonate-User: ${as}@example.com`,
    `Impersonate-Uid: u-${as}`,
    `Impersonate-Group: infra:role:${roleOf[as]}`,
    `Impersonate-Extra-access.infra%2fsession: s-u-${as}`,
    'Audit-ID: ID',
    'X-Forwarded-For: 127.0.0.1',
  ]
  return `${[...own, ...lines].join('\r\n')}\r\n\r\n${body}`
}

function plain(request: string): string {
  return request.replace(/^Audit-ID: [0-9a-f-]{36}\r$/m, 'Audit-ID: ID\r')
}
