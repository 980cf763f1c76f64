/** What watches Infra in deploy/ names what is really told, and leads to a page that says what to do. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { well } from '../connector/health.fixtures.ts'
import { metricsText } from '../connector/health.ts'
import { linked } from '../src/hub/link.fixtures.ts'
import { root } from './processes.ts'
import { world } from './world.ts'

const read = (path: string) => readFileSync(join(root, path), 'utf8')

/** As Prometheus knows them, and nothing that it does not. */
const Rules = z.strictObject({
  groups: z.array(
    z.strictObject({
      name: z.string(),
      rules: z.array(
        z.strictObject({
          alert: z.string().regex(/^Infra[A-Za-z]+$/),
          expr: z.string(),
          for: z
            .string()
            .regex(/^\d+[sm]$/)
            .optional(),
          labels: z.strictObject({ severity: z.enum(['page', 'ticket']) }),
          annotations: z.strictObject({ summary: z.string().endsWith('.'), runbook: z.string() }),
        }),
      ),
    }),
  ),
})
const Dashboard = z.looseObject({
  title: z.string(),
  panels: z.array(
    z.looseObject({
      id: z.number(),
      title: z.string().min(1),
      description: z.string().endsWith('.'),
      datasource: z.object({ uid: z.literal('${datasource}') }),
      gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
      targets: z.array(z.looseObject({ expr: z.string(), refId: z.string() })).min(1),
    }),
  ),
})

type Metric = { type: string; labels: string[] }

/** What a process tells: each metric with its type, and its labels as they stand in its lines. */
function metricsIn(text: string): Map<string, Metric> {
  const told = new Map<string, Metric>()
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE (\w+) (\w+)$/gm)) {
    const lines = text.matchAll(new RegExp(`^${name}(?:_bucket)?\\{(.*)\\} `, 'gm'))
    told.set(name, { type, labels: [...lines].flatMap(([, labels = '']) => labels.split(',')) })
  }
  return told
}

/** By a server with a connector, and by a connector. */
async function told(t: TestContext) {
  const w = await world(t)
  await linked(w, 'prod')
  w.requests.count('admin', 500)
  return {
    server: metricsIn(await w.metrics.text()),
    connector: metricsIn(metricsText(well)),
  }
}

/** What is wrong with an expression, as far as one can see without Prometheus. */
function wrongIn(expr: string, all: Map<string, Metric>[]): string[] {
  const wrong: string[] = []
  const names = expr.matchAll(/\b(infra_\w+?)(_bucket|_sum|_count)?\b(?:\{(.*?)\})?(\[)?/g)
  let count = 0
  for (const [, name = '', part, selector = '', isRange] of names) {
    count += 1
    const known = all.flatMap((metrics) => metrics.get(name) ?? [])
    const labels = known.flatMap((one) => one.labels)
    const isGauge = known.every(({ type }) => type === 'gauge')
    const isHistogram = known.some(({ type }) => type === 'histogram')
    if (known.length === 0) wrong.push(`nobody tells ${name}`)
    if ((part !== undefined) !== isHistogram) wrong.push(`${name} and its parts`)
    if ((isRange !== undefined) === isGauge) wrong.push(`${name} is of another type`)
    for (const [, label = '', is = '', value = ''] of selector.matchAll(/(\w+)(!?=)"(.*?)"/g)) {
      const isTold =
        is === '='
          ? labels.includes(`${label}="${value}"`)
          : labels.some((one) => one.startsWith(`${label}=`))
      if (!isTold) wrong.push(`${name} has no ${label}${is}"${value}"`)
    }
  }
  if (count === 0) wrong.push('no metric of ours')
  for (const pair of [/[()]/g, /[{}]/g, /[[\]]/g]) {
    if ((expr.match(pair)?.length ?? 0) % 2 === 1) wrong.push(`${String(pair)} does not close`)
  }
  return wrong.map((what) => `${expr}: ${what}`)
}

/** Anchors of a page's headings, as they are made of them where the page is read. */
function anchorsOf(path: string): string[] {
  return [...read(path).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}

test('every alert is about what server or connector really tell, and leads to what to do', async (t) => {
  const { server, connector } = await told(t)
  const { groups } = Rules.parse(parse(read('deploy/alerts.yaml')))
  const rules = groups.flatMap((group) => group.rules)
  assert.ok(rules.length > 10)
  assert.deepEqual(rules.map(({ alert }) => alert).toSorted(), [
    ...new Set(rules.map(({ alert }) => alert).toSorted()),
  ])
  const wrong = groups.flatMap(({ name, rules: ofGroup }) => {
    const who = name === 'infra-server' ? server : connector
    return ofGroup.flatMap(({ expr }) => wrongIn(expr, [who]))
  })
  assert.deepEqual(wrong, [])
  const anchors = anchorsOf('docs/operating.md')
  for (const { alert, annotations } of rules) {
    const [page, anchor = ''] = annotations.runbook.split('#')
    assert.equal(page, 'docs/operating.md', alert)
    assert.ok(anchors.includes(anchor), `${alert}: there is no #${anchor}`)
    assert.ok(read('docs/operating.md').includes(alert), `${alert} is not on the page`)
  }
})

test('every panel of the dashboard shows what server or connector really tell', async (t) => {
  const { server, connector } = await told(t)
  const { panels } = Dashboard.parse(JSON.parse(read('deploy/dashboard.json')))
  const exprs = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
  assert.deepEqual(
    exprs.flatMap((expr) => wrongIn(expr, [server, connector])),
    [],
  )
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  for (const [at, { title, gridPos: a }] of panels.entries()) {
    const isOver = panels.slice(at + 1).some(({ gridPos: b }) => {
      return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
    })
    assert.ok(!isOver && a.x + a.w <= 24, `${title} lies over another`)
  }
})

test('the page on metrics names all that server and connector tell, and nothing else', async (t) => {
  const { server, connector } = await told(t)
  const [, ofConnector = '', ofServer = ''] =
    read('docs/metrics.md').split(/^## (?:Connector|Server)$/m)
  for (const [page, metrics] of [
    [ofConnector, connector],
    [ofServer.split('\n## ')[0] ?? '', server],
  ] as const) {
    const rows = [...page.matchAll(/^\| `(\w+)(?:\{(.*?)\})?` \|/gm)]
    assert.deepEqual(new Set(rows.map(([, name]) => name)), new Set(metrics.keys()))
    for (const [, name = '', labels = ''] of rows) {
      const known = metrics.get(name)?.labels.filter((one) => !one.startsWith('le=')) ?? []
      const said = [...new Set(known.map((one) => one.split('=')[0]))].filter(Boolean)
      assert.deepEqual(labels.split(',').filter(Boolean), said, name)
    }
  }
})

test('no label of a metric holds what somebody chose', async (t) => {
  const { server, connector } = await told(t)
  const labels = [server, connector].flatMap((metrics) => {
    return [...metrics.values()].flatMap((one) => one.labels.map((label) => label.split('=')[0]))
  })
  const closed = ['direction', 'kind', 'le', 'link', 'outcome', 'reason', 'status', 'who']
  assert.deepEqual(new Set(labels.filter(Boolean)), new Set(closed))
})
