/**
 * `npm run docs`: the pages of `docs/` that say what the code says: the settings, and the help of
 * every command, and which tests are for which threat. A test compares them with what is generated,
 * so neither can fall behind.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { describedSettings } from '../connector/settings.ts'
import { securityPage } from './security.ts'
import { fields, flagOf, keyOf, settingsFile } from '../src/settings-fields.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const made = '<!-- Made by `npm run docs`. -->'

/** Those of the CLI are read where they are used, so they have no schema; each is named in a file. */
export const cliVariables: [name: string, says: string][] = [
  ['INFRA_SERVER', 'the server, where none is named; with it the access key and the CA are used'],
  ['INFRA_SERVER_CA_FILE', 'PEM of the CA of that server'],
  ['INFRA_ACCESS_KEY', 'an access key in place of a session, for automation'],
  ['INFRA_USER', 'the e-mail to log in with'],
  ['INFRA_PASSWORD', 'the password to log in with'],
  ['INFRA_NEW_PASSWORD', 'the password to change a one-time password to'],
  ['INFRA_CLIENT_SECRET', 'the client secret of a provider that is added or edited'],
  ['INFRA_NON_INTERACTIVE', '`true`: nothing is asked; what is missing is an error'],
  ['INFRA_INSECURE_HTTP', 'unsafe, `true`: lets a server be plain HTTP'],
  ['INFRA_CONFIG_DIR', 'where sessions and cached tokens are kept'],
  ['KUBECONFIG', 'the kubeconfig to write to, as kubectl reads it'],
  ['BROWSER', 'the command that opens a URL'],
]

/** The generated pages, by their path. */
export function pages(): Map<string, string> {
  return new Map([
    ['docs/settings.md', settingsPage()],
    ['docs/cli.md', commandsPage()],
    ['docs/security.md', securityPage()],
  ])
}

function settingsPage(): string {
  return `${made}
# Settings

Durations are written \`15s\`, \`5m\`, \`12h\`; addresses to listen at \`127.0.0.1:8443\` or \`[::]:6443\`. Nonsense is refused at start,
with a sentence that names the setting.

## Server

By flag, from the environment, or from the settings file, in this order. A secret has no flag: it comes from the environment, or
from a file whose path the flag or the variable with \`_FILE\` names.

| name | flag | in the settings file | default | |
|---|---|---|---|---|
${[settingsFile, ...fields].map(serverLine).join('\n')}

## Connector

By flag, or from the environment.

| name | flag | default | |
|---|---|---|---|
${describedSettings().map(connectorLine).join('\n')}

## CLI

From the environment; \`infra COMMAND --help\` lists the flags.

| name | |
|---|---|
${cliVariables.map(([name, says]) => row([code(name), says])).join('\n')}

## Proxies

Every outgoing connection of all three honours \`HTTPS_PROXY\` and \`NO_PROXY\` (and \`HTTP_PROXY\` for plain HTTP), in upper or lower
case, as kubectl reads them: \`NO_PROXY\` lists hosts, domains, addresses, ranges (\`10.0.0.0/8\`) and \`host:port\`. The proxy is asked to
\`CONNECT\`, so it carries TLS and cannot read it. This machine itself (\`localhost\`, \`127.0.0.0/8\`, \`::1\`) is never reached by a proxy.
A connector in a cluster reaches its API server by the proxy too, unless \`NO_PROXY\` names it: set it to the service network there.
`
}

function serverLine(field: (typeof fields)[number]): string {
  const { name, secret, says } = field
  const flag = secret ? `--${flagOf(name)}-file` : `--${flagOf(name)}`
  const names = secret ? `${code(name)}, ${code(`${name}_FILE`)}` : code(name)
  const keys = secret ? `${code(keyOf(name))}, ${code(`${keyOf(name)}File`)}` : code(keyOf(name))
  const fallback = field.shown ?? (field.default === undefined ? '' : code(field.default))
  return row([names, code(flag), field === settingsFile ? '' : keys, fallback, says])
}

function connectorLine({ name, flag, fallback, says }: ReturnType<typeof describedSettings>[0]) {
  return row([code(name), flag ? code(`--${flag}`) : '', fallback ? code(fallback) : '', says])
}

function commandsPage(): string {
  const golden = readFileSync(join(root, 'cli', 'help.golden.txt'), 'utf8')
  const [first = '', ...rest] = golden.split(/^\$ infra ?/m).slice(1)
  const sections = rest.map((section) => {
    const [line = '', ...help] = section.split('\n')
    return `## infra ${line.replace(/ ?--help$/, '')}\n\n${fenced(help.join('\n'))}`
  })
  const main = fenced(first.slice(first.indexOf('\n') + 1))
  return `${made}\n# Commands\n\n${[main, ...sections].join('\n\n')}\n`
}

function fenced(text: string): string {
  return `\`\`\`text\n${text.trim()}\n\`\`\``
}

function row(cells: string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function code(text: string): string {
  return `\`${text}\``
}

if (import.meta.main) {
  for (const [path, text] of pages()) writeFileSync(join(root, path), text)
}
