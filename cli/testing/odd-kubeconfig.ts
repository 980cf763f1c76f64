/** Kubeconfigs as nobody should write them and kubectl reads them all the same, made from a seed. */

export type Random = () => number

/** A small generator of numbers (mulberry32): the same seed gives the same kubeconfig everywhere. */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Scalars that another reader or writer would change: each must be in the text afterwards. */
export const oddScalars = [
  '00123',
  '123456789012345678901',
  '1.10',
  '0x1F',
  'yes',
  'Null',
  '1e3',
  '.5',
]

export function oddKubeconfig(random: Random): string {
  return random() < 0.2 ? flowConfig(random) : blockConfig(random)
}

function pick<T>(random: Random, choices: readonly T[]): T {
  const chosen = choices[Math.floor(random() * choices.length)]
  if (chosen === undefined) throw new Error('nothing to pick from')
  return chosen
}

function shuffled<T>(random: Random, values: T[]): T[] {
  return values
    .map((value) => ({ value, key: random() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ value }) => value)
}

const names = [
  'office',
  'infra:prod',
  'infra:prod:web',
  'my cluster',
  'a:b',
  'infra:lab',
  '__proto__',
]

function flowConfig(random: Random): string {
  const q = random() < 0.5 ? '"' : ''
  const list = (key: string, body: string): string =>
    `${q}${key}${q}: [${shuffled(random, names)
      .slice(0, Math.floor(random() * 3))
      .map((name) => `{"name": "${name}", ${q}${body}${q}: {"x": ${pick(random, oddScalars)}}}`)
      .join(', ')}]`
  const parts = [
    list('clusters', 'cluster'),
    list('users', 'user'),
    list('contexts', 'context'),
    `${q}preferences${q}: {"n": ${pick(random, oddScalars)}, "\\u00e9": "\\ud83d\\ude00"}`,
    `${q}current-context${q}: ${pick(random, ['"office"', '""', 'null'])}`,
  ]
  const comment = q === '' && random() < 0.5 ? ' # mine\n' : ''
  return `{${shuffled(random, parts).join(pick(random, [', ', ',\n  ']))}}${comment}`
}

function blockConfig(random: Random): string {
  const parts = [
    section(random, 'clusters', 'cluster'),
    section(random, 'users', 'user'),
    section(random, 'contexts', 'context'),
    pick(random, ['', 'current-context: office\n', "current-context:   'office'  # here\n"]),
    'apiVersion: v1\n',
    pick(random, [
      'preferences: {colors: true}   # I like it\n',
      `preferences:\n    n: ${pick(random, oddScalars)}\n`,
    ]),
    pick(random, [
      '',
      'x-fold: >-\n   folded\n   text\n\n',
      'x-lit: |+\n  - name: infra:prod\n\n\n',
      '__proto__: {a: 1}\n',
    ]),
    pick(random, ['', '# a word\n', '\n\n', '   # further in\n', '#\tand a tab\n']),
  ]
  const text = shuffled(random, parts).join('')
  const head = pick(random, ['', '', '---\n', '# mine\n---\n', '%YAML 1.1\n---\n', '\ufeff'])
  const tail = pick(random, ['', '', '# the end\n', '# the end', '\n\n', '...\n'])
  const whole = pick(random, [text + tail, (text + tail).replace(/\n$/, '')])
  const lines = head + whole
  return random() < 0.2 ? lines.replaceAll('\n', '\r\n') : lines
}

function section(random: Random, key: string, body: string): string {
  const kind = random()
  if (kind < 0.1) return ''
  if (kind < 0.25)
    return `${key}:${pick(random, ['', ' null', ' []', ' [] # none', ' # none', ' ~'])}\n`
  const indent = pick(random, ['', '  ', '    '])
  const chosen = shuffled(random, names).slice(0, 1 + Math.floor(random() * 3))
  const items = chosen.map((name, at) => item(random, indent, name, body, `${key}${at}`))
  return `${pick(random, [key, `"${key}"`])}:\n${items.join(pick(random, ['', '\n', `${indent}# between\n`]))}`
}

function item(random: Random, indent: string, name: string, body: string, anchor: string): string {
  const quoted = pick(random, [`'${name}'`, `"${name}"`])
  const value = pick(random, oddScalars)
  const kind = random()
  if (kind < 0.2) return `${indent}- {name: ${quoted}, ${body}: {x: ${value}}}   # flow\n`
  if (kind < 0.3) return `${indent}- &${anchor} {name: ${quoted}, ${body}: {x: ${value}}}\n`
  if (kind < 0.5)
    return `${indent}- ${body}:\n${indent}      x: &${anchor} {y: ${value}}\n${indent}      z: *${anchor}\n${indent}  name: ${quoted}  # last\n`
  if (kind < 0.6)
    return `${indent}-   name: ${quoted}\n\n${indent}    # inside\n${indent}    ${body}:\n${indent}        note: |\n${indent}          two\n${indent}          - name: lines\n`
  if (kind < 0.65) return `${indent}- null\n${indent}- ${body}: {token: ${value}}\n`
  return `${indent}- name: ${quoted}\n${indent}  ${body}:\n${indent}    x: ${value}\t# tab\n`
}
