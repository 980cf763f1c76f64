/** For the tests that attack the API: requests made by hand, and all that is stored. */
import { createHash } from 'node:crypto'
import type { World } from '../test/world.ts'
import type { Row } from './call.ts'
import { rowsOf } from './db/copy.ts'
import { newId } from './credential.ts'
import type { CreatedDestination } from './wire/destinations.ts'
import { loadX509 } from './wire/x509.ts'

export type Answer = { status: number; code: unknown; text: string; headers: Headers }

/** The values of a row's path, and what goes into its body or query. */
export type Sample = { path?: Record<string, string>; input?: Record<string, unknown> }

/**
 * Every row of every table, as its table and a hash: two lists that are equal mean that nothing was
 * changed between them. When something was last used is a mark, and no change.
 */
export async function stored({ db }: World, without: string[] = []): Promise<string[]> {
  const lines: string[] = []
  await db.transaction(async (tx) => {
    for await (const { table, row } of rowsOf(tx)) {
      if (without.includes(table)) continue
      const text = JSON.stringify({ ...(row as object), last_used_at: null })
      lines.push(`${table} ${createHash('sha256').update(text).digest('hex').slice(0, 16)}`)
    }
  })
  return lines.toSorted()
}

export async function ask(
  w: Pick<World, 'fetch'>,
  row: Pick<Row, 'method' | 'path'>,
  sample: Sample,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return answerTo(w, requestFor(row, sample, headers))
}

export async function answerTo({ fetch }: Pick<World, 'fetch'>, request: Request): Promise<Answer> {
  const response = await fetch(request)
  const text = await response.text()
  return { status: response.status, code: codeOf(text), text, headers: response.headers }
}

export function requestFor(
  { method, path }: Pick<Row, 'method' | 'path'>,
  { path: values = {}, input = {} }: Sample,
  headers: Record<string, string> = {},
): Request {
  const filled = path.replace(/:([a-z]+)/gi, (_, name) => encodeURIComponent(values[name] ?? 'x'))
  const url = `http://server${filled}`
  if (method === 'POST' || method === 'PUT') {
    const all = { 'content-type': 'application/json', ...headers }
    return new Request(url, { method, headers: all, body: JSON.stringify(input) })
  }
  const given = Object.entries(input).map(([name, value]): [string, string] => [
    name,
    String(value),
  ])
  const query = new URLSearchParams(given).toString()
  return new Request(query === '' ? url : `${url}?${query}`, { method, headers })
}

export function bearer(credential: string | null): Record<string, string> {
  return credential === null ? {} : { authorization: `Bearer ${credential}` }
}

function codeOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { code?: unknown } | null)?.code
  } catch {
    return undefined
  }
}

/** A PKCS#10 request that asks for a name which is not its to ask for. */
export async function certificateRequest(asked: string): Promise<string> {
  const { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } = await loadX509()
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ])
  const made = await Pkcs10CertificateRequestGenerator.create({
    name: `CN=${asked}`,
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: asked }])],
  })
  return made.toString('pem')
}

/**
 * Makes for each row what a caller who is let in does something with, new each time. A row that
 * has none here is a row that no test of the whole table has looked at, and fails them all.
 */
export function samplesOf(
  w: World,
  { prod, password, csr }: { prod: CreatedDestination; password: string; csr: string },
): Record<string, () => Promise<Sample>> {
  const { client } = w
  let made = 0
  const next = (word: string) => `${word}${++made}`
  const someone = () => w.user(`${next('someone')}@example.com`)
  const group = async () => (await client.groups.create({ name: next('group') })).name
  const destination = async () => (await client.destinations.create({ name: next('place') })).name
  const newProvider = () => ({
    ...{ name: next('provider'), clientId: 'infra', issuer: 'https://id.example.com' },
  })
  const provider = async () => (await client.providers.create(newProvider())).name
  const words = async () => ({
    ...{ user: (await someone()).email, destination: prod.name, role: 'view' },
  })
  const member = async () => {
    const [user, into] = [(await someone()).email, await group()]
    return { user, group: into }
  }
  const nothing = async (): Promise<Sample> => ({})
  const challenge = 'x'.repeat(43)
  return {
    'GET /api/login': nothing,
    'POST /api/login/password': async () => ({ input: { email: 'root@example.com', password } }),
    'POST /api/login/oidc': async () => ({
      input: { provider: 'none', redirectUri: 'http://127.0.0.1:8000/callback/none', challenge },
    }),
    'POST /api/login/oidc/finish': async () => ({
      input: { login: newId(), verifier: challenge, callback: 'code=1' },
    }),
    'GET /api/me': nothing,
    'GET /api/me/destinations': nothing,
    'POST /api/me/password': async () => ({
      input: { oldPassword: password, newPassword: next('another password ') },
    }),
    'POST /api/tokens': async () => ({ input: { destination: prod.name } }),
    'POST /api/logout': nothing,
    'GET /api/sessions': nothing,
    'DELETE /api/sessions/:id': async () => ({ path: { id: (await someone()).session } }),
    'GET /api/keys': nothing,
    'POST /api/keys': async () => ({ input: { name: next('key') } }),
    'DELETE /api/keys/:key': async () => ({
      path: { key: (await client.keys.create({ name: next('key') })).id },
    }),
    'GET /api/users': nothing,
    'POST /api/users': async () => ({ input: { email: `${next('new')}@example.com` } }),
    'PUT /api/users/:user': async () => ({
      path: { user: (await someone()).email },
      input: { admin: true },
    }),
    'DELETE /api/users/:user': async () => ({ path: { user: (await someone()).email } }),
    'GET /api/groups': nothing,
    'POST /api/groups': async () => ({ input: { name: next('group') } }),
    'DELETE /api/groups/:group': async () => ({ path: { group: await group() } }),
    'PUT /api/groups/:group/users/:user': async () => ({ path: await member() }),
    'DELETE /api/groups/:group/users/:user': async () => {
      const path = await member()
      await client.groups.addUser(path.group, path.user)
      return { path }
    },
    'GET /api/providers': nothing,
    'POST /api/providers': async () => ({ input: newProvider() }),
    'PUT /api/providers/:provider': async () => ({
      path: { provider: await provider() },
      input: { disabled: true },
    }),
    'DELETE /api/providers/:provider': async () => ({ path: { provider: await provider() } }),
    'GET /api/destinations': nothing,
    'POST /api/destinations': async () => ({ input: { name: next('place') } }),
    'GET /api/destinations/:destination': async () => ({ path: { destination: prod.name } }),
    'PUT /api/destinations/:destination': async () => ({
      path: { destination: await destination() },
      input: { endpoint: 'here.example.com:443' },
    }),
    'DELETE /api/destinations/:destination': async () => ({
      path: { destination: await destination() },
    }),
    'GET /api/destinations/:destination/receipt': async () => ({
      path: { destination: prod.name },
      input: { revision: 1 },
    }),
    'GET /api/grants': nothing,
    'POST /api/grants': async () => ({ input: await words() }),
    'POST /api/grants/revoke': async () => {
      const input = await words()
      await client.grants.create(input)
      return { input }
    },
    'DELETE /api/grants/:id': async () => ({
      path: { id: (await client.grants.create(await words())).id },
    }),
    'GET /api/events': nothing,
    'POST /api/connector/certificate': async () => ({ input: { csr } }),
    'GET /api/connector/access': async () => ({ input: { instance: 'one', version: '1' } }),
    'POST /api/connector/access': async () => ({
      input: { instance: 'one', epoch: 'any', revision: 1, severed: 0 },
    }),
  }
}
