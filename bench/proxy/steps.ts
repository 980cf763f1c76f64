/** What is asked of each proxy, and the figures that come of it. */
import { setTimeout as pause } from 'node:timers/promises'
import { forgetPeak, loadCpu, peakOf, pssOf, started } from './machine.ts'
import type { Started } from './subjects.ts'

/** A figure of one round; its unit is its column's. */
export type Figures = Record<string, number>

export type Step = { id: string; measure(go: string, proxy: Started): Promise<Figures> }

type Load = { requests: number; seconds: number; cpu: number; p50: number; p99: number }
/** So much work, and not so long: a runtime that compiles as it goes is then equally warm. */
type Asked = { connections: number; times: number }

const gibibyte = 1024 ** 3
const mebibyte = 1024 ** 2

export const steps: Step[] = [
  // First, in a process that has not yet done anything else.
  { id: 'watch', measure: watches },
  { id: 'small', measure: smallGets },
  { id: 'dial', measure: newConnections },
  { id: 'list', measure: lists },
  { id: 'down', measure: (go, proxy) => bulks(go, proxy, 'down') },
  { id: 'up', measure: (go, proxy) => bulks(go, proxy, 'up') },
]

/** Some first, so that what is counted is what another thousand take. */
async function watches(go: string, proxy: Started): Promise<Figures> {
  const first = await hold(go, proxy, 100)
  const before = await settled(proxy.pid)
  const others = await hold(go, proxy, 1000)
  const after = await settled(proxy.pid)
  await Promise.all([first.stop(), others.stop()])
  return { watchKb: (after - before) / 1000 }
}

async function smallGets(go: string, proxy: Started): Promise<Figures> {
  await load(go, proxy, 'small', { connections: 16, times: 64_000 })
  const one = await load(go, proxy, 'small', { connections: 1, times: 3_000 })
  const many = await load(go, proxy, 'small', { connections: 16, times: 32_000 })
  return {
    oneCpu: microsecondsOf(one),
    smallCpu: microsecondsOf(many),
    smallRate: many.requests / many.seconds,
    smallP99: many.p99,
  }
}

async function newConnections(go: string, proxy: Started): Promise<Figures> {
  await load(go, proxy, 'dial', { connections: 16, times: 800 })
  const measured = await load(go, proxy, 'dial', { connections: 16, times: 2_400 })
  return { dialCpu: microsecondsOf(measured), dialRate: measured.requests / measured.seconds }
}

async function lists(go: string, proxy: Started): Promise<Figures> {
  await load(go, proxy, 'list', { connections: 4, times: 120 })
  const measured = await load(go, proxy, 'list', { connections: 4, times: 480 })
  const { requests, seconds } = measured
  return { listCpu: microsecondsOf(measured), listRate: (requests * mebibyte) / seconds / 1e6 }
}

function microsecondsOf({ cpu, requests }: Load): number {
  return (cpu / requests) * 1e6
}

/** 1 GiB in one body; memory is flat where its peak stays near what it was before. */
async function bulks(go: string, proxy: Started, kind: 'down' | 'up'): Promise<Figures> {
  forgetPeak(proxy.pid)
  const before = peakOf(proxy.pid)
  const { cpu, seconds } = await load(go, proxy, kind, { connections: 1, times: 1 })
  return {
    [`${kind}Cpu`]: cpu,
    [`${kind}Rate`]: gibibyte / seconds / 1e6,
    [`${kind}Peak`]: (peakOf(proxy.pid) - before) / 1024,
  }
}

async function load(go: string, proxy: Started, kind: string, asked: Asked): Promise<Load> {
  const { connections, times } = asked
  const each = String(times / connections)
  const args = ['-connections', String(connections), '-times', each]
  const running = loading(go, proxy, kind, args)
  const { code, stdout, stderr } = await running.ends()
  if (code !== 0) throw new Error(`the load ${kind} failed: ${stderr}`)
  return JSON.parse(stdout) as Load
}

async function hold(go: string, proxy: Started, connections: number) {
  const running = loading(go, proxy, 'watch', ['-connections', String(connections)])
  await running.says(/^held$/m)
  return running
}

function loading(go: string, { address, pid, token }: Started, kind: string, args: string[]) {
  const about = ['-address', address, '-pid', String(pid), '-kind', kind]
  const running = started(go, loadCpu, [go, 'load', ...about, ...args])
  // The token on standard input: other processes can read arguments.
  running.write(`${token}\n`)
  return running
}

/** Memory once it has stood still for a moment, or after as long as a collector may take. */
async function settled(pid: number): Promise<number> {
  let last = pssOf(pid)
  for (let look = 0; look < 8; look += 1) {
    await pause(250)
    const now = pssOf(pid)
    if (Math.abs(now - last) < 64) return now
    last = now
  }
  return last
}
