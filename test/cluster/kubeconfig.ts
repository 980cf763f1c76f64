import { writeFile } from 'node:fs/promises'
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
  await writeFile(path, written, { mode: 0o600 })
}
