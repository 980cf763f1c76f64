import type { Event } from '../../src/wire/events.ts'
import { Failure } from '../../src/wire/failure.ts'
import { command, format } from '../command.ts'
import { type Connection, signedIn } from '../connect.ts'
import { follow } from '../follow.ts'
import { Misuse } from '../hint.ts'
import { showList, tableOf, when } from '../terminal/table.ts'

const pageSize = 1000

export const events = command({
  summary: 'show what happened, as it happens',
  detail:
    'With --follow and --format json each event is one line. A broken connection is taken up where it broke.',
  arguments: {
    follow: { type: 'boolean', description: 'stay, and show events as they happen' },
    after: {
      type: 'string',
      valueHint: 'N',
      description: 'only events after this number (default: from the first)',
    },
    format,
  },
  examples: [
    'infra events --after 1200',
    'infra events --follow',
    'infra events --follow --format json',
  ],
  run: (terminal, values) => {
    const after = numberOf(values.after)
    return signedIn(terminal, async (connection) => {
      if (!values.follow)
        return showList(terminal, values.format, await pages(connection, after), columns)
      const line = values.format === 'json' ? (event: Event) => JSON.stringify(event) : rowOf
      await follow(
        connection,
        after,
        (event) => terminal.out(line(event)),
        (sentence) => terminal.err(sentence),
      )
    })
  },
})

const columns = {
  NUMBER: ({ number }: Event) => String(number),
  AT: ({ at }: Event) => when(at),
  KIND: ({ kind }: Event) => kind,
  ACTOR: ({ actor }: Event) => actor.name,
  DETAIL: ({ detail }: Event) => JSON.stringify(detail),
}

/** Columns of a stream cannot know how wide the next event is: generous ones, without a head. */
function rowOf(event: Event): string {
  const [, row = ''] = tableOf([event], columns).split('\n')
  return row
}

function numberOf(text: string | undefined): number {
  if (text === undefined) return 0
  if (!/^\d{1,15}$/.test(text)) throw new Misuse('--after must be the number of an event')
  return Number(text)
}

async function pages({ client }: Connection, after: number): Promise<Event[]> {
  const all: Event[] = []
  for (let last = after; ;) {
    const page = await client.events.list({ after: last, limit: pageSize })
    for (const event of page) all.push(event)
    const next = page.at(-1)?.number ?? last
    if (page.length < pageSize) return all
    if (next <= last) throw new Failure('unavailable', 'the server repeats the same events')
    last = next
  }
}
