/**
 * A kubeconfig changed as a tree and written anew: for JSON and for lists in flow style, which
 * cannot be cut by the line. Comments and order stay; spacing may not.
 */
import { type Document, isMap, isSeq, type Node, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import { type Change, type Named, sections } from './document.ts'
import { parsed } from './parsed.ts'

export function rendered(text: string, change: Change): string | null {
  const document: Document = parsed(text)
  if (!isMap(document.contents)) document.contents = new YAMLMap()
  for (const section of sections) {
    const put = change.put[section]
    const remove = change.remove[section]
    if (put.length === 0 && remove.length === 0) continue
    const there = document.get(section, true)
    const list = isSeq(there) ? there : new YAMLSeq()
    if (list !== there) document.set(quoted(section), list)
    changeList(list, put, remove)
  }
  if (change.currentContext !== null)
    document.set(quoted('current-context'), quoted(change.currentContext))
  const written = document.toString({ lineWidth: 0 })
  return /(^|[^\r])\n/.test(text) || !text.includes('\n')
    ? written
    : written.replaceAll('\n', '\r\n')
}

function changeList(list: YAMLSeq, put: Named[], remove: string[]): void {
  list.items = list.items.filter((item) => !remove.includes(String(nameOf(item))))
  for (const entry of put) {
    const at = list.items.findIndex((item) => nameOf(item) === entry.name)
    if (at === -1) list.items.push(inFlow(entry))
    else list.items[at] = inFlow(entry)
  }
}

function nameOf(item: unknown): unknown {
  return isMap(item) ? item.get('name') : undefined
}

/** As JSON writes it: right in JSON and in YAML of any style and version. */
function inFlow(entry: Named): Node | null {
  return parsed(JSON.stringify(entry)).contents
}

function quoted(text: string): Scalar<string> {
  const scalar = new Scalar(text)
  scalar.type = Scalar.QUOTE_DOUBLE
  return scalar
}
