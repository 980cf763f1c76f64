/** What was measured, as the tables of `bench/README.md`. */
import type { Figures } from './steps.ts'

export type Measured = { id: string; name: string; rounds: Figures[] }

// prettier-ignore
const columns: [title: string, figure: string, digits: number][] = [
  ['small GET, 1 at once: CPU µs', 'oneCpu',   1],
  ['16 at once: CPU µs',           'smallCpu', 1],
  ['per s',                        'smallRate', 0],
  ['p99 µs',                       'smallP99', 0],
  ['new connection: CPU µs',       'dialCpu',  0],
  ['per s',                        'dialRate', 0],
  ['1 MB list: CPU µs',            'listCpu',  0],
  ['MB/s',                         'listRate', 0],
  ['1 GiB down: CPU s',            'downCpu',  2],
  ['MB/s',                         'downRate', 0],
  ['MB more at the peak',          'downPeak', 0],
  ['1 GiB up: CPU s',              'upCpu',    2],
  ['MB/s',                         'upRate',   0],
  ['MB more at the peak',          'upPeak',   0],
  ['idle watch: KB',               'watchKb',  1],
]

export function table(all: Measured[]): string {
  const shown = columns.filter(([, figure]) => all.some((each) => medianOf(each, figure) !== null))
  const head = `| |${shown.map(([title]) => ` ${title} |`).join('')}\n|---|${'---|'.repeat(shown.length)}`
  const lines = all.map((each) => {
    const cells = shown.map(([, figure, digits]) => {
      const median = medianOf(each, figure)
      return ` ${median === null ? '-' : median.toFixed(digits)} |`
    })
    return `| ${each.name} |${cells.join('')}`
  })
  return [head, ...lines].join('\n')
}

type Goal = { what: string; figure: string; beside: string | null; most: number; unit: string }

// prettier-ignore
const goals: Goal[] = [
  { what: 'CPU per small GET, 16 at once, beside nginx', figure: 'smallCpu', beside: 'nginx', most: 1.3, unit: '×' },
  { what: 'CPU per small GET, 16 at once, beside Go',    figure: 'smallCpu', beside: 'go',    most: 0.6, unit: '×' },
  { what: 'CPU per new connection, beside Go',           figure: 'dialCpu',  beside: 'go',    most: 1.1, unit: '×' },
  { what: 'an idle watch',                               figure: 'watchKb',  beside: null,    most: 40,  unit: 'KB' },
  { what: 'CPU of 1 GiB down, beside Go',                figure: 'downCpu',  beside: 'go',    most: 1,   unit: '×' },
  { what: 'CPU of 1 GiB up, beside Go',                  figure: 'upCpu',    beside: 'go',    most: 1,   unit: '×' },
  { what: 'memory at the peak of 1 GiB down',            figure: 'downPeak', beside: null,    most: 64,  unit: 'MB more' },
  { what: 'memory at the peak of 1 GiB up',              figure: 'upPeak',   beside: null,    most: 64,  unit: 'MB more' },
]

/** The goals are for Bun; Node is told beside them. */
export function goalsTable(all: Measured[]): string {
  const lines = goals.map((goal) => {
    const [bun, node] = ['bun', 'node'].map((id) => reached(all, goal, id))
    const isMet = bun === null || bun === undefined ? '-' : bun <= goal.most ? 'yes' : '**no**'
    const shown = [bun, node].map((value) => (typeof value === 'number' ? value.toFixed(2) : '-'))
    return `| ${goal.what} | ${goal.most} ${goal.unit} | ${shown[0]} | ${isMet} | ${shown[1]} |`
  })
  return ['| goal | at most | Bun | met | Node |', '|---|---|---|---|---|', ...lines].join('\n')
}

/** Ratios are the median of the rounds' own: both figures of a round share its noise. */
function reached(all: Measured[], { figure, beside }: Goal, id: string): number | null {
  const own = all.find((each) => each.id === id)
  if (!own) return null
  if (beside === null) return medianOf(own, figure)
  const other = all.find((each) => each.id === beside)
  const ratios = own.rounds.flatMap((round, at) => {
    const [value, reference] = [round[figure], other?.rounds[at]?.[figure]]
    return value === undefined || !reference ? [] : [value / reference]
  })
  return median(ratios)
}

function medianOf({ rounds }: Measured, figure: string): number | null {
  return median(rounds.flatMap((round) => round[figure] ?? []))
}

function median(values: number[]): number | null {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? null
}
