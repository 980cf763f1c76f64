/** The second reader: llhttp, Node's own parser, in the form in which undici brings it along. */
import { createRequire } from 'node:module'

export type Reading = {
  /** 'whole', 'cut' (more is missing) or 'wrong'. */
  state: 'whole' | 'cut' | 'wrong'
  method: string
  target: string
  status: number
  body: string
}

type Exports = {
  memory: { buffer: ArrayBuffer }
  llhttp_alloc(type: number): number
  llhttp_free(parser: number): void
  llhttp_execute(parser: number, at: number, length: number): number
  llhttp_finish(parser: number): number
  llhttp_get_method(parser: number): number
  malloc(size: number): number
  free(at: number): void
}

const require = createRequire(import.meta.url)
const { METHODS } = require('undici/lib/llhttp/constants.js') as { METHODS: Record<string, number> }
const nameOf = new Map(Object.entries(METHODS).map(([name, number]) => [number, name]))
const types = { request: 1, answer: 2 }
/** `on_headers_complete`: there is no body, whatever the head says. */
const noBody = 1
const pausedByUpgrade = 22

let readings: Reading[] = []
let methods: string[] | null = null
let isOpen = false
let isLast = false

/** Neither runtime's types are meant for both; this much is the same. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    Module: new (bytes: Buffer) => object
    Instance: new (
      module: object,
      imports: object,
    ) => { exports: Exports & { ['_initialize'](): void } }
  }
}

const wasm: Exports = load()

function load(): Exports {
  const module = new WebAssembly.Module(require('undici/lib/llhttp/llhttp-wasm.js') as Buffer)
  const text = (at: number, length: number) =>
    Buffer.from(wasm.memory.buffer, at, length).toString('latin1')
  const on = {
    wasm_on_message_begin: () => begin(),
    wasm_on_url: (_: number, at: number, length: number) => put('target', text(at, length)),
    wasm_on_body: (_: number, at: number, length: number) => put('body', text(at, length)),
    wasm_on_status: () => 0,
    wasm_on_header_field: () => 0,
    wasm_on_header_value: () => 0,
    wasm_on_headers_complete: (parser: number, status: number, _: number, stays: number) =>
      headsUp(parser, status, stays !== 0),
    wasm_on_message_complete: () => complete(),
  }
  const made = new WebAssembly.Instance(module, { env: on }).exports
  made['_initialize']()
  return made
}

function begin(): number {
  if (isLast) return -1
  readings.push({ state: 'cut', method: '', target: '', status: 0, body: '' })
  isOpen = true
  return 0
}

function put(what: 'target' | 'body', text: string): number {
  const reading = readings.at(-1)
  if (reading) reading[what] += text
  return 0
}

function headsUp(parser: number, status: number, stays: boolean): number {
  const reading = readings.at(-1)
  if (!reading) return 0
  reading.status = status
  if (methods === null) reading.method = nameOf.get(wasm.llhttp_get_method(parser)) ?? ''
  else {
    const finals = readings.filter((read) => read.status >= 200).length
    reading.method = methods[Math.max(0, finals - 1)] ?? 'GET'
  }
  isLast = !stays
  // What undici says here; and it reads a body of a 204 that gives one, which none has.
  const isBodiless =
    methods !== null &&
    (status < 200 || status === 204 || status === 304 || reading.method === 'HEAD')
  return isBodiless ? noBody : 0
}

function complete(): number {
  const reading = readings.at(-1)
  if (reading) reading.state = 'whole'
  isOpen = false
  return 0
}

/** Requests, one after the other; the last may be cut or wrong. */
export function requestsIn(text: string): Reading[] {
  return read(text, null, false)
}

/** Answers to requests of `asked`; `isClosed`: the connection ended properly behind them. */
export function answersIn(text: string, asked: string[], isClosed: boolean): Reading[] {
  return read(text, asked, isClosed)
}

function read(text: string, asked: string[] | null, isClosed: boolean): Reading[] {
  readings = []
  methods = asked
  isOpen = false
  isLast = false
  const bytes = Buffer.from(text, 'latin1')
  const at = wasm.malloc(bytes.length + 1)
  const parser = wasm.llhttp_alloc(asked === null ? types.request : types.answer)
  new Uint8Array(wasm.memory.buffer, at, bytes.length).set(bytes)
  const error = wasm.llhttp_execute(parser, at, bytes.length)
  if (error !== 0 && error !== pausedByUpgrade) spoil()
  else if (isClosed && isOpen && wasm.llhttp_finish(parser) !== 0) spoil()
  wasm.llhttp_free(parser)
  wasm.free(at)
  return readings
}

/** What is wrong is wrong with the message that is being read, or with one that never began. */
function spoil(): void {
  const reading = readings.at(-1)
  if (isOpen && reading) reading.state = 'wrong'
  else readings.push({ state: 'wrong', method: '', target: '', status: 0, body: '' })
}
