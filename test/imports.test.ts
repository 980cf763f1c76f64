/** Who may import whom. The table is ARCHITECTURE.md's; a rule that is not a test is a wish. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Nouns in their order: each may import those before it, and none after it. */
const nouns = [
  'events',
  'concerns',
  'credential',
  'epoch',
  'passwords',
  'users',
  'groups',
  'providers',
  'sessions',
  'keys',
  'destinations',
  'connectors',
  'grants',
  'signing',
  'tokens',
  'entries',
  'access',
  'changes',
]
/** The library of a noun's craft. */
const crafts: Record<string, (string | RegExp)[]> = {
  passwords: ['@node-rs/argon2'],
  signing: ['jose'],
  tokens: ['jose'],
}
const anyNode = /^node:/
/** The tables, and the type of a database; which store it is, only `db/` knows. */
const schema = /^src\/db\/(schema|database|built|any-of|batches)\.ts$/
/** What `pglite-embedded.ts` puts into the one executable. */
const embeddedFiles = [/^node_modules\/@electric-sql\/pglite\/dist\//, /^\.cache\/pglite-/]

type Rule = { files: RegExp; may: (string | RegExp)[] }

/**
 * The first rule whose `files` matches counts. `may` lists paths from the root (a regular
 * expression) and packages (a string). Tests and fixtures may import anything.
 */
// prettier-ignore
const rules: Rule[] = [
  { files: /\.test\.ts$|fixtures\.ts$|^cli\/testing\/|^test\/|^bench\/|^scripts\/|^drizzle\.config/, may: [/./, anyNode] },
  { files: /^src\/wire\/dial\.ts$/,  may: [/^src\/wire\//, 'ws', 'undici', anyNode] },
  { files: /^src\/wire\/(proxy|tunnel)\.ts$/, may: [/^src\/wire\//, anyNode] },
  { files: /^src\/wire\/ledger\.ts$/, may: [/^src\/wire\//, 'node:crypto'] },
  { files: /^src\/wire\/x509\.ts$/,  may: ['@peculiar/x509'] },
  { files: /^src\/wire\//,           may: [/^src\/wire\//, 'zod'] },
  { files: /^src\/db\/conformance\.ts$/, may: [/^src\/db\//, /^src\/(events|wire\/failure)\.ts$/, /^drizzle-orm/, anyNode] },
  { files: /^src\/db\//,             may: [/^src\/db\//, /^src\/wire\/(failure|log)\.ts$/, /^drizzle-orm/, 'postgres', /^@electric-sql\/pglite/, ...embeddedFiles, anyNode] },
  { files: /^src\/serve\.ts$/,       may: [/^src\/(sockets\.ts|wire\/)/, /^hono/, /^@hono\/node-server/, 'ws', anyNode] },
  { files: /^src\/sockets\.ts$/,     may: [] },
  { files: /^src\/openapi\.ts$/,     may: [/^src\/(call\.ts|wire\/)/, 'zod'] },
  { files: /^src\/input\.ts$/,       may: [/^src\/(call\.ts|wire\/)/] },
  { files: /^src\/app\.ts$/,         may: [/^src\/(?!ui|main|serve|db\/(?!errors))/, /^hono/, anyNode] },
  { files: /^src\/routes\.ts$/,      may: [/^src\/wire\//, /^src\/call\.ts$/, /^src\/login\//, ...nouns.map(file)] },
  { files: /^src\/login\//,          may: [/^src\/login\//, /^src\/wire\//, schema, /^src\/(call|seal|settings)\.ts$/, ...nouns.map(file), 'oauth4webapi', 'zod', /^drizzle-orm/, anyNode] },
  { files: /^src\/revalidate\//,     may: [/^src\/(revalidate|login|wire)\//, schema, /^src\/db\/errors\.ts$/, /^src\/(call|seal|settings)\.ts$/, ...nouns.map(file), 'oauth4webapi', /^drizzle-orm/, anyNode] },
  { files: /^src\/hub\//,            may: [/^src\/hub\//, /^src\/wire\//, schema, /^src\/db\/errors\.ts$/, /^src\/(call|settings|sockets)\.ts$/, ...nouns.map(file), /^drizzle-orm/, anyNode] },
  { files: /^src\/(admit|expiry|first|follow|installation)\.ts$/, may: [/^src\/wire\//, schema, /^src\/db\/errors\.ts$/, /^src\/(call|seal|settings|sockets)\.ts$/, ...nouns.map(file), /^drizzle-orm/, anyNode] },
  { files: /^src\/backup\.ts$/,      may: [/^src\/wire\//, schema, /^src\/db\/(copy|migrate|migrations)\.ts$/, /^src\/(installation|seal)\.ts$/, ...nouns.map(file), /^drizzle-orm/, 'zod', anyNode] },
  { files: /^src\/main\.ts$/,        may: [/^src\//, 'hono', anyNode] },
  { files: /^src\/settings(-fields)?\.ts$/, may: [/^src\/(wire\/|(settings-fields|credential)\.ts$)/, 'zod', 'yaml', anyNode] },
  { files: /^src\/authority\.ts$/,   may: [/^src\/wire\//, '@peculiar/x509', anyNode] },
  { files: /^src\/metrics\.ts$/,    may: [/^src\/wire\//, /^src\/(call|survey|db\/(database|errors)|hub\/hub)\.ts$/, 'node:timers/promises'] },
  { files: /^src\/survey\.ts$/,     may: [schema, /^drizzle-orm/] },
  { files: /^src\/seal\.ts$/,        may: [anyNode] },
  { files: /^src\/call\.ts$/,        may: [/^src\/(wire|db\/database|seal|authority|settings)/, 'zod'] },
  ...nouns.map((noun, at): Rule => ({
    files: file(noun),
    may: [/^src\/wire\//, schema, /^src\/(call|settings|seal)\.ts$/, ...nouns.slice(0, at).map(file), /^drizzle-orm/, 'zod', ...(crafts[noun] ?? []), anyNode],
  })),
  { files: /^connector\/door\//,     may: [/^connector\/(door\/|(access|standing|status)\.ts$)/, /^src\/wire\//, 'zod', anyNode] },
  { files: /^connector\/splice\//,   may: [/^connector\/(door|splice)\//, /^connector\/(access|streams|status)\.ts$/, /^src\/wire\//, anyNode] },
  { files: /^connector\/link\//,     may: [/^connector\/(link\/|splice\/listen\.ts$|(access|streams|clock|status|backoff)\.ts$)/, /^src\/wire\//, 'ws', 'zod', anyNode] },
  { files: /^connector\/cluster\//,  may: [/^connector\/(cluster\/|splice\/upstream\.ts$|(settings|backoff|directory)\.ts$)/, /^src\/wire\//, 'yaml', 'zod', anyNode] },
  { files: /^connector\//,           may: [/^connector\//, /^src\/wire\//, 'zod', anyNode] },
  { files: /^cli\/tree\.ts$/,        may: [/^cli\//, /^src\/(wire\/|main\.ts$)/, /^connector\/main\.ts$/] },
  { files: /^cli\//,                 may: [/^cli\//, /^src\/wire\//, 'citty', 'yaml', 'zod', anyNode] },
]

test('every import is one that the table of ARCHITECTURE.md allows', () => {
  const wrong = sources().flatMap((path) => {
    const rule = rules.find(({ files }) => files.test(path))
    if (!rule) return [`${path}: no rule says what it may import`]
    return importsOf(path)
      .filter((target) => !rule.may.some((allowed) => matches(allowed, target)))
      .map((target) => `${path} imports ${target}`)
  })
  assert.deepEqual(wrong, [])
})

test('what kubectl waits for loads three modules of the runtime, and nothing else', () => {
  const loaded = new Set<string>()
  const follow = (path: string): void => {
    if (loaded.has(path)) return
    loaded.add(path)
    if (path.endsWith('.ts')) staticImportsOf(path).forEach(follow)
  }
  follow('cli/main.ts')
  assert.deepEqual([...loaded].filter((path) => !path.startsWith('cli/')).toSorted(), [
    'node:fs',
    'node:os',
    'node:path',
  ])
})

test('only serve.ts, db/ and dial.ts know Bun from Node', () => {
  const knowing = sources().filter((path) => {
    return (
      !path.includes('.test.') &&
      /\bBun\.|versions\['bun'\]|versions\.bun|from 'bun'/.test(read(path))
    )
  })
  const allowed = /^(src\/serve\.ts|src\/db\/|src\/wire\/dial\.ts|test\/|scripts\/|bench\/)/
  assert.deepEqual(
    knowing.filter((path) => !allowed.test(path)),
    [],
  )
})

function matches(allowed: string | RegExp, target: string): boolean {
  return typeof allowed === 'string' ? allowed === target : allowed.test(target)
}

/** Those that are loaded with the file: types are erased, and `import()` waits until it is called. */
function staticImportsOf(path: string): string[] {
  const kept = read(path).replaceAll(/^import type [^]*?from '[^']+'/gm, '')
  return namesIn(path, kept.matchAll(/^(?:import|export|\}).*?\bfrom '([^']+)'/gm))
}

function importsOf(path: string): string[] {
  return namesIn(path, read(path).matchAll(/(?:\bfrom|\bimport|\bimport\()\s*'([^']+)'/g))
}

function namesIn(path: string, found: Iterable<RegExpMatchArray>): string[] {
  return [...found].map(([, target = '']) => {
    return target.startsWith('.') ? relative(root, resolve(root, dirname(path), target)) : target
  })
}

function sources(): string[] {
  return ['src', 'connector', 'cli', 'test', 'bench', 'scripts'].flatMap((folder) => {
    try {
      return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.tsx?$/.test(name))
        .map((name) => `${folder}/${name}`)
    } catch {
      return []
    }
  })
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

function file(noun: string): RegExp {
  return new RegExp(`^src/${noun}\\.ts$`)
}
