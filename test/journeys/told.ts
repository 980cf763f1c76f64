/** What an operator sees: numbers, lines of a log, events, and what `destinations show` says. */
import { type Running, until } from '../processes.ts'
import type { Connector, World } from './world.ts'

export type Line = { level: string; message: string; [fact: string]: unknown }
export type Told = { number: number; kind: string; detail: Record<string, unknown> }
export type Shown = { link: string; linked: number; problems: string[]; endpoint: string | null }

/** One number that the connector tells; NaN where it tells none of that name. */
export async function metric(connector: Connector, name: string): Promise<number> {
  return numberIn(await (await fetch(`${await connector.metricsUrl}/metrics`)).text(), name)
}

export function numberIn(text: string, name: string): number {
  const line = text.split('\n').find((one) => one.startsWith(`${name} `))
  return Number(line?.slice(name.length + 1) ?? NaN)
}

/** All that a process has logged so far. */
export function linesOf(running: Running | null): Line[] {
  const whole = (running?.stderr ?? '').split('\n').slice(0, -1)
  return whole.map((line) => JSON.parse(line) as Line)
}

/** The kinds of the events about the destination of this name, in order. */
export async function kindsAbout(world: World, name: string): Promise<string[]> {
  const events = await world.admin.json<Told[]>(['events'])
  const ours = events.filter(({ kind, detail }) => {
    const about = detail['destination'] as { name?: string } | undefined
    return /^(connector|destination)\./.test(kind) && about?.name === name
  })
  return ours.map(({ kind }) => kind)
}

export async function hasEvent(world: World, name: string, kind: string): Promise<void> {
  await until(`${kind} of ${name} is an event`, async () => {
    return (await kindsAbout(world, name)).includes(kind)
  })
}

export function shown(world: World, name: string): Promise<Shown> {
  return world.admin.json<Shown>(['destinations', 'show', name])
}
