import { command, format } from '../command.ts'
import { version as number } from '../version.ts'

export const version = command({
  summary: 'show the version',
  arguments: { format },
  examples: ['infra version', 'infra version --format json'],
  async run(terminal, values) {
    terminal.out(values.format === 'json' ? JSON.stringify({ version: number }, null, 2) : number)
  },
})
