/** The trusted reader: a program of Go's own net/http (oracle/), asked in batches. */
import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { builtProgram } from '../cluster/build.ts'

/** As `message` in oracle/read.go. */
export type Message = {
  start: number
  head: number
  end: number
  method: string
  target: string
  status: number
  reason: string
  host: string
  fields: Record<string, string[]>
  trailers: Record<string, string[]>
  framing: 'none' | 'length' | 'chunked' | 'until-close'
  /** Base64. */
  body: string | null
  state: 'whole' | 'cut' | 'wrong'
  error: string
  odd: string
  last: boolean
}

/** Bytes to be read as requests, or as the answers to requests of these methods. */
export type Ask = { text: string; methods?: string[] }

const program = { name: 'http-oracle', module: join(import.meta.dirname, 'oracle'), package: './' }

export class Oracle {
  readonly #process: ChildProcess
  readonly #waiting: ((messages: Message[][]) => void)[] = []
  #failed: Error | null = null
  #parts: Buffer[] = []
  #size = 0

  static async start(): Promise<Oracle> {
    return new Oracle(await builtProgram(program))
  }

  private constructor(path: string) {
    this.#process = spawn(path, [], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#process.stdout?.on('data', (bytes: Buffer) => this.#take(bytes))
    this.#process.on('exit', (code) => {
      this.#failed = new Error(`the oracle ended (${code})`)
      for (const told of this.#waiting.splice(0)) told([])
    })
  }

  async read(asks: Ask[]): Promise<Message[][]> {
    const batch = asks.map(({ text, methods }) => ({
      bytes: Buffer.from(text, 'latin1').toString('base64'),
      ...(methods ? { methods } : {}),
    }))
    const body = Buffer.from(JSON.stringify(batch))
    const size = Buffer.alloc(4)
    size.writeUInt32BE(body.length)
    const answer = new Promise<Message[][]>((resolve) => this.#waiting.push(resolve))
    this.#process.stdin?.write(Buffer.concat([size, body]))
    const messages = await answer
    if (this.#failed) throw this.#failed
    return messages
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#process.stdin?.end()
    await gone
  }

  #take(bytes: Buffer): void {
    this.#parts.push(bytes)
    this.#size += bytes.length
    if (this.#size < 4) return
    const first = this.#parts[0]
    const all = first && first.length >= 4 ? null : Buffer.concat(this.#parts)
    if (all) this.#parts = [all]
    const wanted = 4 + (this.#parts[0]?.readUInt32BE() ?? 0)
    if (this.#size < wanted) return
    const text = Buffer.concat(this.#parts).subarray(4, wanted).toString()
    // One batch is asked at a time, so nothing stands behind it.
    this.#parts = []
    this.#size = 0
    this.#waiting.shift()?.(JSON.parse(text) as Message[][])
  }
}
