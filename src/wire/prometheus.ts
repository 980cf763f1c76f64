/**
 * The Prometheus text format, version 0.0.4. Values of labels come from closed lists: a label made
 * of what a stranger sends would grow memory with every request (security.md O1).
 */
export const metricsType = 'text/plain; version=0.0.4; charset=utf-8'

type Labels = Record<string, string>

/** A number that goes up and down; null: not known, and then it has no line. */
export function gauge(name: string, says: string, value: number | null): string {
  return metric(name, 'gauge', says, value === null ? [] : [[{}, value]])
}

/** The same, once for each set of labels. */
export function gauges(name: string, says: string, values: [Labels, number][]): string {
  return metric(name, 'gauge', says, values)
}

/** A number that only grows, until the process starts anew. */
export function counter(name: string, says: string, value: number): string {
  return metric(name, 'counter', says, [[{}, value]])
}

/** The same, once for each set of labels. */
export function counters(name: string, says: string, values: [Labels, number][]): string {
  return metric(name, 'counter', says, values)
}

/** Numbers by one label. */
export function by(label: string, values: ReadonlyMap<unknown, number>): [Labels, number][] {
  return [...values].map(([value, count]) => [{ [label]: String(value) }, count])
}

function metric(
  name: string,
  type: 'gauge' | 'counter',
  says: string,
  values: [Labels, number][],
): string {
  const lines = values.map(([labels, value]) => `${name}${labelled(labels)} ${value}\n`)
  return `# HELP ${name} ${says}\n# TYPE ${name} ${type}\n${lines.join('')}`
}

function labelled(labels: Labels): string {
  const each = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  return each.length === 0 ? '' : `{${each.join(',')}}`
}
