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

/** How often a number was at most each of `bounds`, which ascend; +Inf is told besides. */
export class Histogram {
  readonly #bounds: readonly number[]
  /** Of each bound alone, and of what is past them all. */
  readonly #counts: number[]
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = [...bounds, Infinity].map(() => 0)
  }

  observe(value: number): void {
    const at = this.#bounds.findIndex((bound) => value <= bound)
    const place = at < 0 ? this.#bounds.length : at
    this.#counts[place] = (this.#counts[place] ?? 0) + 1
    this.#sum += value
  }

  text(name: string, says: string): string {
    let upTo = 0
    const buckets = this.#counts.map((count, at) => {
      upTo += count
      return `${name}_bucket{le="${this.#bounds[at] ?? '+Inf'}"} ${upTo}\n`
    })
    const sums = `${name}_sum ${this.#sum}\n${name}_count ${upTo}\n`
    return `${head(name, 'histogram', says)}${buckets.join('')}${sums}`
  }
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
  return `${head(name, type, says)}${lines.join('')}`
}

function head(name: string, type: string, says: string): string {
  return `# HELP ${name} ${says}\n# TYPE ${name} ${type}\n`
}

function labelled(labels: Labels): string {
  const each = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  return each.length === 0 ? '' : `{${each.join(',')}}`
}
