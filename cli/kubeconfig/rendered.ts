/**
 * A kubeconfig changed as a tree and written anew: for JSON and for lists in flow style, which
 * cannot be cut by the line. Comments and order stay; spacing may not.
 */
import { type Document, isMap, isSeq, parseDocument, YAMLMap, YAMLSeq } from 'yaml'
import { type Change, type Named, sections } from './document.ts'

export function rendered(text: string, change: Change): string | null {
  const document: Document = parseDocument(text)
  if (!isMap(document.contents)) document.contents = new YAMLMap()
  for (const section of sections) {
    const put = change.put[section]
    const remove = change.remove[section]
    if (put.length === 0 && remove.length === 0) continue
    const there = document.get(section, true)
    const list = isSeq(there) ? there : new YAMLSeq()
    if (list !== there) document.set(section, list)
    changeList(document, list, put, remove)
  }
  if (change.currentContext !== null) document.set('current-context', change.currentContext)
  const written = document.toString({ lineWidth: 0, ...styleOf(document) })
  return /(^|[^\r])\n/.test(text) || !text.includes('\n')
    ? written
    : written.replaceAll('\n', '\r\n')
}

function changeList(document: Document, list: YAMLSeq, put: Named[], remove: string[]): void {
  list.items = list.items.filter((item) => !remove.includes(String(nameOf(item))))
  for (const entry of put) {
    const at = list.items.findIndex((item) => nameOf(item) === entry.name)
    const node = document.createNode(entry, { flow: list.flow === true })
    if (at === -1) list.items.push(node)
    else list.items[at] = node
  }
}

function nameOf(item: unknown): unknown {
  return isMap(item) ? item.get('name') : undefined
}

/** What was JSON stays JSON. */
function styleOf({ contents }: Document): { defaultStringType?: 'QUOTE_DOUBLE' } {
  return isMap(contents) && contents.flow ? { defaultStringType: 'QUOTE_DOUBLE' } : {}
}
