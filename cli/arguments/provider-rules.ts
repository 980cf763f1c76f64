/** The rules of a provider as flags, for `providers add` and `providers edit` alike. */
import { readFileSync } from 'node:fs'
import type { NewProvider } from '../../src/wire/providers.ts'
import type { Arguments, Values } from '../command.ts'
import { Misuse } from '../hint.ts'
import type { Terminal } from '../terminal/terminal.ts'

export const ruleFlags = {
  scopes: {
    type: 'string',
    valueHint: 'A,B',
    description: 'scopes to ask for (at first: openid,email,profile,groups,offline_access)',
  },
  'groups-claim': {
    type: 'string',
    valueHint: 'CLAIM',
    description: 'the claim that lists groups (at first: groups)',
  },
  'allowed-domains': {
    type: 'string',
    valueHint: 'A,B',
    description: 'only e-mails of these domains may log in; "none" lifts it',
  },
  'required-claim': {
    type: 'string',
    valueHint: 'NAME=VALUE',
    description: 'the ID token must carry this; "none" lifts it',
  },
  'trusted-domains': {
    type: 'string',
    valueHint: 'A,B',
    description: 'a verified e-mail of these domains joins a user who exists; "none" lifts it',
  },
  'vouches-for-emails': {
    type: 'boolean',
    description: 'loud: believe e-mails that the provider does not call verified',
    negatable: 'believe verified e-mails only',
  },
  'any-loopback-port': {
    type: 'boolean',
    description: 'the provider lets the redirect go to any port of 127.0.0.1',
    negatable: 'only the ports 8000 and 18000',
  },
  'loopback-host': {
    type: 'enum',
    options: ['127.0.0.1', 'localhost'],
    description: 'the host of the redirect URI',
  },
  'questions-per-minute': {
    type: 'string',
    valueHint: 'N',
    description: 'how often it may be asked about people who are in (at first: 600)',
  },
  'questions-at-once': {
    type: 'string',
    valueHint: 'N',
    description: 'how many of these questions may be open at once (at first: 10)',
  },
} as const satisfies Arguments

export const secretFlag = {
  'client-secret-file': {
    type: 'string',
    valueHint: 'FILE',
    description: 'file with the client secret; without one: INFRA_CLIENT_SECRET, else asked for',
  },
} as const satisfies Arguments

type Rules = Pick<
  NewProvider,
  | 'scopes'
  | 'groupsClaim'
  | 'allowedDomains'
  | 'requiredClaim'
  | 'trustedDomains'
  | 'vouchesForEmails'
  | 'anyLoopbackPort'
  | 'loopbackHost'
  | 'questionsPerMinute'
  | 'questionsAtOnce'
>

/** Only what was given: a rule that is not named stays as it is. */
export function rulesFrom(values: Values<typeof ruleFlags>): Rules {
  const rules: Rules = {
    scopes: listOf(values.scopes),
    groupsClaim: values['groups-claim'],
    allowedDomains: listOf(values['allowed-domains']),
    requiredClaim: claimOf(values['required-claim']),
    trustedDomains: listOf(values['trusted-domains']),
    vouchesForEmails: values['vouches-for-emails'],
    anyLoopbackPort: values['any-loopback-port'],
    loopbackHost: values['loopback-host'],
    questionsPerMinute: countOf(values['questions-per-minute'], 'questions-per-minute'),
    questionsAtOnce: countOf(values['questions-at-once'], 'questions-at-once'),
  }
  return Object.fromEntries(Object.entries(rules).filter(([, value]) => value !== undefined))
}

/**
 * The client secret: by file, environment or prompt and never as an argument, which every user of
 * the machine can read in the list of processes. Undefined: a public client.
 */
export async function clientSecret(
  terminal: Terminal,
  file: string | undefined,
): Promise<string | undefined> {
  const given =
    file === undefined ? terminal.env['INFRA_CLIENT_SECRET'] : readFileSync(file, 'utf8').trim()
  if (given === '' && file !== undefined) throw new Misuse(`${file} is empty`)
  if (given || !terminal.isInteractive) return given || undefined
  return (await terminal.askSecret('Client secret (empty for a public client): ')) || undefined
}

function listOf(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined
  return text === 'none' ? [] : text.split(',').map((part) => part.trim())
}

function countOf(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined
  if (!/^[1-9][0-9]{0,5}$/.test(text)) throw new Misuse(`--${flag} must be a whole number`)
  return Number(text)
}

function claimOf(text: string | undefined): Rules['requiredClaim'] {
  if (text === undefined) return undefined
  if (text === 'none') return null
  const at = text.indexOf('=')
  if (at < 1) throw new Misuse('--required-claim must be NAME=VALUE')
  return { name: text.slice(0, at), value: text.slice(at + 1) }
}
