/** A kubeconfig changed by cutting and pasting its text, so that every other byte stays. */
import {
  isMap,
  isScalar,
  isSeq,
  isNode,
  type Pair,
  stringify,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import { type Change, type Named, type Section, sections, style } from './document.ts'
import { parsed } from './parsed.ts'

/** `isTail`: comes after whatever else is inserted at the end of the text. */
type Edit = { from: number; until: number; text: string; isTail?: true }

/** Null where the text is written in a way that cannot be cut: flow style, aliases, JSON. */
export function spliced(text: string, change: Change): string | null {
  const root = parsed(text, { keepSourceTokens: true }).contents
  if (!isMap(root) || root.flow) return null
  const edits: Edit[] = []
  for (const section of sections) {
    const made = sectionEdits(text, root, section, change)
    if (made === null) return null
    edits.push(...made)
  }
  if (change.currentContext !== null) edits.push(currentEdit(text, root, change.currentContext))
  return applied(text, edits)
}

function sectionEdits(
  text: string,
  root: YAMLMap,
  section: Section,
  change: Change,
): Edit[] | null {
  const put = change.put[section]
  const remove = change.remove[section]
  if (put.length === 0 && remove.length === 0) return []
  const pair = pairOf(root, section)
  if (!pair) return [appended(text, `${section}:\n${itemsText(put, '')}`)]
  const list = pair.value
  if (isSeq(list) && list.flow !== true) return listEdits(text, list, put, remove)
  return isNothing(list) ? [...filledEdits(text, pair, put)] : null
}

/** `contexts:`, `contexts: null` and `contexts: []` become a list. */
function filledEdits(text: string, pair: Pair, put: Named[]): Edit[] {
  const [from, until] = spanOf(pair.value)
  const end = lineEnd(text, until)
  return [
    { from, until, text: '' },
    { from: end, until: end, text: openLine(text, end) + itemsText(put, '') },
  ]
}

function listEdits(text: string, list: YAMLSeq, put: Named[], remove: string[]): Edit[] | null {
  const edits: Edit[] = []
  const spans = list.items.map((_, at) => itemSpan(text, list, at))
  const known = list.items.map((item) => (isMap(item) ? item.get('name') : undefined))
  const [first] = spans
  const last = spans.at(-1)
  if (!first || !last || spans.includes(null)) return null
  const indent = text.slice(lineStart(text, first.dash), first.dash)
  for (const [at, span] of spans.entries()) {
    const replacement = put.find(({ name }) => name === known[at])
    if (!span || !(replacement || remove.includes(String(known[at])))) continue
    edits.push({
      from: span.from,
      until: span.until,
      text: replacement ? itemsText([replacement], indent) : '',
    })
  }
  const added = put.filter(({ name }) => !known.includes(name))
  const end = last.until
  if (added.length > 0)
    edits.push({ from: end, until: end, text: openLine(text, end) + itemsText(added, indent) })
  return edits
}

/** The lines of one item, from its dash on. Comments above it belong to whoever wrote them. */
function itemSpan(
  text: string,
  list: YAMLSeq,
  at: number,
): { from: number; until: number; dash: number } | null {
  const source = list.srcToken
  const item = list.items[at]
  if (source?.type !== 'block-seq' || !item) return null
  const dash = source.items[at]?.start.find(({ type }) => type === 'seq-item-ind')?.offset
  if (dash === undefined) return null
  const [, end] = spanOf(item)
  return {
    from: lineStart(text, dash),
    until: text[end - 1] === '\n' ? end : lineEnd(text, end),
    dash,
  }
}

function currentEdit(text: string, root: YAMLMap, name: string): Edit {
  const written = stringify(name, style).trimEnd()
  const pair = pairOf(root, 'current-context')
  if (!pair) return appended(text, `current-context: ${written}\n`)
  const [from, until] = spanOf(pair.value)
  if (from !== until) return { from, until, text: written }
  const colon = text.indexOf(':', spanOf(pair.key)[1]) + 1
  return { from: colon, until: colon, text: ` ${written}` }
}

function pairOf(root: YAMLMap, key: string): Pair | undefined {
  return root.items.find((pair) => isScalar(pair.key) && pair.key.value === key)
}

function isNothing(node: unknown): boolean {
  return (isScalar(node) && node.value === null) || (isSeq(node) && node.items.length === 0)
}

function itemsText(items: Named[], indent: string): string {
  return items.length === 0 ? '' : stringify(items, style).replace(/^(?=.)/gm, indent)
}

/** At the end of the document, which a line of three dots may say. */
function appended(text: string, lines: string): Edit {
  const dots = text.search(/^\.\.\.(\s|$)/m)
  const end = dots === -1 ? text.length : dots
  return { from: end, until: end, text: openLine(text, end) + lines, isTail: true }
}

/** What must come first at `at`, where the text before it does not end its line. */
function openLine(text: string, at: number): string {
  return at === 0 || text[at - 1] === '\n' ? '' : '\n'
}

/** From where to where a value is written. What the parser read has a range. */
function spanOf(node: unknown): [number, number] {
  if (!isNode(node) || !node.range) throw new Error('a node without a range')
  return [node.range[0], node.range[1]]
}

function lineStart(text: string, at: number): number {
  return text.lastIndexOf('\n', at - 1) + 1
}

function lineEnd(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end === -1 ? text.length : end + 1
}

function applied(text: string, edits: Edit[]): string {
  const ordered = edits.toSorted(
    (a, b) => a.from - b.from || a.until - b.until || Number(a.isTail ?? 0) - Number(b.isTail ?? 0),
  )
  let next = ''
  let at = 0
  for (const edit of ordered) {
    next += text.slice(at, edit.from) + eolOf(text, edit.text)
    at = edit.until
  }
  return next + text.slice(at)
}

function eolOf(text: string, added: string): string {
  return text.includes('\r\n') ? added.replaceAll('\n', '\r\n') : added
}
