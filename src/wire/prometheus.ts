/**
 * The Prometheus text format, version 0.0.4. Values of labels come from closed lists: a label made
 * of what a stranger sends would grow memory with every request (threats.md O1).
 */
export const metricsType = 'text/plain; version=0.0.4; charset=utf-8'

/** A number that goes up and down; null: not known, and then it has no line. */
export function gauge(name: string, says: string, value: number | null): string {
  return metric(name, 'gauge', says, value === null ? [] : [['', value]])
}

export function counter(name: string, says: string, value: number): string {
  return metric(name, 'counter', says, [['', value]])
}

/** One counter for each value of a label. */
export function counters(
  name: string,
  says: string,
  label: string,
  values: ReadonlyMap<string | number, number> | Record<string, number>,
): string {
  const each = values instanceof Map ? [...values] : Object.entries(values)
  return metric(
    ...([name, 'counter', says] as const),
    each.map(([value, count]): [string, number] => [`{${label}="${value}"}`, count]),
  )
}

function metric(
  name: string,
  type: 'gauge' | 'counter',
  says: string,
  values: [labels: string, value: number][],
): string {
  const lines = values.map(([labels, value]) => `${name}${labels} ${value}\n`)
  return `# HELP ${name} ${says}\n# TYPE ${name} ${type}\n${lines.join('')}`
}
