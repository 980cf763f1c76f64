/** Which credentials a text holds that may hold some: an answer of the API, a session's file. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Kind, type Secret, secret } from './record.ts'

/** Records all that `text` holds. */
export function harvest(text: string): void {
  for (const { kind, value } of credentialsIn(text)) secret(kind, value)
}

/** Fields of JSON, by the names that the wire gives them. */
const fields: Record<string, Kind> = {
  password: 'password',
  oldPassword: 'password',
  newPassword: 'password',
  credential: 'session',
  accessKey: 'access key',
  token: 'token',
  clientSecret: 'client secret',
  verifier: 'CLI verifier',
  access_token: 'provider token',
  refresh_token: 'provider token',
  id_token: 'provider token',
}

/** Fields of OAuth's queries and forms. (In our JSON, `code` is that of a failure.) */
const parameters: Record<string, Kind> = {
  client_secret: 'client secret',
  code: 'code',
  state: 'state',
  nonce: 'nonce',
  code_verifier: 'code verifier',
  access_token: 'provider token',
  refresh_token: 'provider token',
}

/** What is a credential by its form, wherever it stands. */
export const forms: [Kind, RegExp][] = [
  ['token', /eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{20,}/g],
  ['access key', /(?<![\w-])[0-9a-f]{24}\.[\w-]{43}(?![\w-])/g],
  ['private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]{40,}-----END/g],
  ['password', /(?<![\w-])[a-hjkmnp-z2-9]{5}(?:-[a-hjkmnp-z2-9]{5}){3}(?![\w-])/g],
]

export function credentialsIn(text: string): Secret[] {
  const named = namedIn(parsed(text))
  const formed = forms.flatMap(([kind, form]) =>
    [...text.matchAll(form)].map(([value]): Secret => ({ kind, value })),
  )
  // A field's name says more than a form, which sessions and access keys share.
  return [...named, ...formed.filter(({ value }) => !named.some((one) => one.value === value))]
}

/** Records the credentials of a URL's query, or of a form's body. */
export function harvestQuery(query: URLSearchParams | string): void {
  for (const { kind, value } of inQuery(query)) secret(kind, value)
}

function namedIn(value: unknown): Secret[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, field]: [string, unknown]) => {
    if (typeof field !== 'string') return namedIn(field)
    // Where the browser is sent, and the query that it comes back with.
    if (name === 'authorizationUrl') return inQuery(URL.parse(field)?.searchParams ?? '')
    if (name === 'callback') return inQuery(field)
    const kind = Object.hasOwn(fields, name) ? fields[name] : undefined
    return kind ? [{ kind, value: field }] : []
  })
}

function inQuery(query: URLSearchParams | string): Secret[] {
  return [...new URLSearchParams(query)].flatMap(([name, value]) => {
    const kind = Object.hasOwn(parameters, name) ? parameters[name] : undefined
    return kind ? [{ kind, value }] : []
  })
}

function parsed(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return null
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const maxFile = 64 * 1024

/** What stands in a folder's files and in those of the folders in it; what is not there holds none. */
export function harvestFiles(path: string, depth = 2): void {
  try {
    const found = lstatSync(path)
    if (found.isDirectory() && depth > 0) {
      for (const name of readdirSync(path)) harvestFiles(join(path, name), depth - 1)
    }
    if (!found.isFile() || found.size > maxFile) return
    const text = readFileSync(path, 'utf8')
    const name = basename(path)
    if (name.startsWith('sealing.key')) secret('sealing key', text.trim())
    else harvest(text)
  } catch {
    // Gone while we looked: it was a draft, or its owner has cleaned up.
  }
}
