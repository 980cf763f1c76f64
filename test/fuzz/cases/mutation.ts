/** Damage done to bytes that were good, or nearly. */
import { crumbs, framings, identities, oddFields } from './dictionary.ts'
import type { Random } from './random.ts'

type Damage = (text: string, random: Random) => string

const damages: Damage[] = [
  (text, random) => {
    const at = place(text, random)
    const flipped = text.charCodeAt(at) ^ (1 << random.below(8))
    return spliced(text, at, 1, String.fromCharCode(flipped))
  },
  (text, random) => spliced(text, place(text, random), 1, String.fromCharCode(random.below(256))),
  (text, random) => spliced(text, place(text, random), 0, random.pick(crumbs)),
  (text, random) => spliced(text, place(text, random), 1 + random.below(4), ''),
  (text, random) => {
    const from = place(text, random)
    const length = 1 + random.below(random.once(3) ? 120 : 8)
    return spliced(text, place(text, random), 0, text.slice(from, from + length))
  },
  (text, random) => {
    const line = random.pick([...framings, ...identities, ...oddFields]).replaceAll('{n}', '5')
    return spliced(text, lineStart(text, random), 0, `${line}\r\n`)
  },
  (text, random) => {
    const from = lineStart(text, random)
    const end = text.indexOf('\r\n', from)
    return end < 0 ? text : spliced(text, lineStart(text, random), 0, text.slice(from, end + 2))
  },
  (text, random) => {
    const at = text.indexOf('\r\n', place(text, random))
    return at < 0 ? text : spliced(text, at, 2, random.pick(['\n', '\r', '\r\r\n', '\n\r', '']))
  },
  (text, random) => text.slice(0, place(text, random)),
  (text, random) => text.replaceAll('\r\n', random.pick(['\n', '\r', '\n\n'])),
]

export function damaged(text: string, random: Random): string {
  let result = text
  for (const damage of random.picks(damages, 1 + random.below(3))) {
    if (result.length > 0) result = damage(result, random)
  }
  return result
}

/** Rarely within a token, which is most of a request and stands for one thing. */
function place(text: string, random: Random): number {
  const at = random.below(text.length)
  const isInToken = /^[\w.-]{20}/.test(text.slice(at, at + 20))
  return isInToken && !random.once(10) ? random.below(text.length) : at
}

function lineStart(text: string, random: Random): number {
  return text.lastIndexOf('\r\n', place(text, random)) + (text.startsWith('\r\n') ? 0 : 2) || 0
}

function spliced(text: string, at: number, remove: number, add: string): string {
  return text.slice(0, at) + add + text.slice(at + remove)
}

/** The same bytes in pieces: whole, in a few, at every line's end, or one by one. */
export function pieces(text: string, random: Random): string[] {
  const way = random.below(8)
  if (way < 3) return [text]
  if (way === 3 && text.length < 400) return text.split('')
  if (way === 4) return text.split(/(?<=\r)(?=\n)|(?<=\n)/)
  const cuts = Array.from({ length: 1 + random.below(6) }, () => random.below(text.length + 1))
  const ends = [...cuts.toSorted((a, b) => a - b), text.length]
  return ends.map((end, at) => text.slice(ends[at - 1] ?? 0, end)).filter((piece) => piece !== '')
}
