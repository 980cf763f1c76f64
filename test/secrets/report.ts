/** The last step of `npm test`: searches all that was recorded, and says what was found where. */
import { createReadStream, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { whyAllowed } from './allowed.ts'
import { forms } from './harvest.ts'
import { needlesOf } from './needles.ts'
import { type Kind, kinds, type Place, places, type Secret, type Text } from './record.ts'
import { Searcher } from './search.ts'

export type Report = {
  secrets: Map<Kind, number>
  texts: Map<Place, number>
  bytes: number
  /** Too short to be searched for. */
  short: number
  /** What was found where, and how often. */
  findings: Map<string, { times: number; after: string }>
}

/** `after`: what stands before it in the text, for whoever looks for the cause. */
type Finding = { what: string; after: string }

/** Searches the record in `folder`: every credential in every text. */
export async function searchRecord(folder: string): Promise<Report> {
  const { searcher, ...known } = await secretsIn(folder)
  const report: Report = { ...known, texts: new Map(), bytes: 0, findings: new Map() }
  for (const name of filesOf(folder, '.texts')) {
    for await (const line of linesOf(name)) {
      const text = JSON.parse(line) as Text
      const bytes = Buffer.from(text.text)
      count(report.texts, text.place)
      report.bytes += bytes.length
      for (const { what, after } of findingsIn(searcher, text, bytes)) {
        const { times } = report.findings.get(what) ?? { times: 0 }
        report.findings.set(what, { times: times + 1, after })
      }
    }
  }
  return report
}

/** What a run of the whole suite did not record: a search for nothing, or in nothing, finds nothing. */
export function missingIn({ secrets, texts }: Report): string[] {
  return [
    ...kinds.filter((kind) => !secrets.has(kind)),
    ...places.filter((place) => !texts.has(place)),
  ]
}

export function summaryOf({ secrets, texts, bytes, short, findings }: Report): string {
  const sum = (counts: Map<unknown, number>) => [...counts.values()].reduce((a, b) => a + b, 0)
  const megabytes = (bytes / 1e6).toFixed(1)
  const result = findings.size === 0 ? 'nothing found' : `${findings.size} FOUND`
  const tooShort = short > 0 ? ` (${short} too short to be told from words)` : ''
  return `${sum(secrets)} secrets${tooShort}, ${sum(texts)} texts, ${megabytes} MB searched, ${result}`
}

async function secretsIn(folder: string) {
  const searcher = new Searcher()
  const secrets = new Map<Kind, number>()
  const known = new Set<string>()
  let short = 0
  for (const name of filesOf(folder, '.secrets')) {
    for await (const line of linesOf(name)) {
      if (known.has(line)) continue
      known.add(line)
      const secret = JSON.parse(line) as Secret
      const needles = needlesOf(secret)
      count(secrets, secret.kind)
      if (needles.length === 0) short += 1
      for (const needle of needles) searcher.add(needle)
    }
  }
  return { searcher, secrets, short }
}

type Found = { kind: Kind; at: number; length: number }

function findingsIn(searcher: Searcher, { place, where, text }: Text, bytes: Buffer): Finding[] {
  const recorded = searcher.find(bytes)
  const formed = formsIn(text).filter(({ at, length }) => {
    return !recorded.some((one) => one.at < at + length && at < one.at + one.length)
  })
  const told = (found: Found, by: string) => ({
    what: `${found.kind}${by} in ${place} (${where})`,
    after: before(bytes, found.at, [...recorded, ...formed]),
  })
  const isWrong = ({ kind }: Found) => whyAllowed(kind, place, where) === null
  return [
    ...recorded.filter(isWrong).map((found) => told(found, '')),
    ...formed.filter(isWrong).map((found) => told(found, ', by its form,')),
  ]
}

function formsIn(text: string): Found[] {
  return forms.flatMap(([kind, form]) =>
    [...text.matchAll(form)].map(({ 0: whole, index }) => {
      return { kind, at: Buffer.byteLength(text.slice(0, index)), length: Buffer.byteLength(whole) }
    }),
  )
}

/** What stands before a finding, without any credential that stands there, too. */
function before(bytes: Buffer, at: number, found: Found[]): string {
  const shown = Buffer.from(bytes.subarray(0, at))
  for (const other of found) {
    if (other.at < at) shown.fill('*', other.at, Math.min(at, other.at + other.length))
  }
  return JSON.stringify(shown.subarray(Math.max(0, at - 40)).toString('utf8'))
}

function filesOf(folder: string, end: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(end))
    .map((name) => join(folder, name))
}

/** By line ends alone: `node:readline` also ends a line at U+2028, as JSON does not. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let parts: string[] = []
  for await (const chunk of createReadStream(path, { encoding: 'utf8', highWaterMark: 1 << 20 })) {
    const [first = '', ...lines] = String(chunk).split('\n')
    parts.push(first)
    for (const line of lines) {
      yield parts.join('')
      parts = [line]
    }
  }
  // A process that was killed in the middle of its last line has said no more.
}

function count<T>(counts: Map<T, number>, of: T): void {
  counts.set(of, (counts.get(of) ?? 0) + 1)
}
