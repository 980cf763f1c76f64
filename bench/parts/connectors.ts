/** Real connectors, one or several in this process: each as `infra connector` starts it. */
import { connectorMain } from '../../connector/main.ts'
import { serveParent } from '../harness.ts'

// Each listens for the signals to stop.
process.setMaxListeners(0)

function start({ env }: { env: Record<string, string>[] }): void {
  for (const one of env) {
    connectorMain([], { PATH: process.env['PATH'], ...one }).catch((error: unknown) => {
      console.error(error)
    })
  }
}

serveParent({ start, pid: () => process.pid })
