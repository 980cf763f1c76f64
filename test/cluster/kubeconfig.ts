import { randomUUID } from 'node:crypto'
import { rename, writeFile } from 'node:fs/promises'
import { stringify } from 'yaml'

interface Kubeconfig {
  path: string
  url: string
  caPem: string
  user: string
  credential: { token: string } | { tokenFile: string }
}

/** Writes a kubeconfig of one cluster and one user, which its owner alone may read. */
export async function writeKubeconfig(config: Kubeconfig): Promise<void> {
  const { path, url, caPem, user, credential } = config
  const ca = Buffer.from(caPem).toString('base64')
  const written = stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': user,
    clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority-data': ca } }],
    users: [{ name: user, user: credential }],
    contexts: [{ name: user, context: { cluster: 'test', user } }],
  })
  await writeWhole(path, written)
}

/** Whoever reads it meanwhile reads the old one or the new one: several connectors start at once. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const part = `${path}.${randomUUID()}`
  await writeFile(part, text, { mode: 0o600 })
  await rename(part, path)
}
