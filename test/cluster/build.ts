// The programs of a real Kubernetes, built from their Go modules once and kept in the
// user's cache: no container engine, no downloads but the module proxy's.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, readlink, rename, rm, symlink } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { underLock } from './lock.ts'

export const kubernetesVersion = 'v1.37.2'

/** A program as the folder holds it, and the Go package it is made of. */
export interface Program {
  name: string
  module: string
  package: string
}

const here = import.meta.dirname
const clusterModule = join(here, 'go')
const etcdModule = join(here, 'go-etcd')

// prettier-ignore
const programs: Program[] = [
  { name: 'etcd',                    module: etcdModule,    package: 'go.etcd.io/etcd/server/v3' },
  { name: 'kube-apiserver',          module: clusterModule, package: 'k8s.io/kubernetes/cmd/kube-apiserver' },
  { name: 'kubectl',                 module: clusterModule, package: 'k8s.io/kubernetes/cmd/kubectl' },
  { name: 'kube-controller-manager', module: clusterModule, package: 'k8s.io/kubernetes/cmd/kube-controller-manager' },
  { name: 'kubelet-stand-in',        module: clusterModule, package: './kubelet' },
]

/** Programs say which version they are by this; without it kubectl cannot parse it. */
const linkerFlags = [
  '-s -w',
  ...['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((path) => [
    `-X ${path}.gitVersion=${kubernetesVersion}`,
    `-X ${path}.gitMajor=1`,
    `-X ${path}.gitMinor=37`,
  ]),
].join(' ')

/**
 * The folder that holds kube-apiserver, kubectl, kube-controller-manager, etcd and
 * kubelet-stand-in. What `KUBEBUILDER_ASSETS` has is taken from there; the rest is built
 * where the cache does not have it, which takes minutes and is told on stderr.
 *
 * The folder is one of links, named by all that went into it; so a change of the
 * stand-in makes a new folder, and builds that program alone.
 */
export async function clusterPrograms(): Promise<string> {
  const cache = cacheFolder()
  const targets = await built(programs)
  const name = hash(targets.map(({ path }) => path))
  return linkAll(join(cache, `kubernetes-${kubernetesVersion}-${name}`), targets)
}

/** A program that is none of the cluster's, built and kept in the same way; gives its path. */
export async function builtProgram(program: Program): Promise<string> {
  const [target] = await built([program])
  if (!target) throw new Error(`${program.name} was not built`)
  return target.path
}

function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'infra')
}

async function built(wanted: Program[]): Promise<Target[]> {
  const store = join(cacheFolder(), 'programs')
  await mkdir(store, { recursive: true })
  const targets = wanted.map((program) => ({ program, path: pathOf(program, store) }))
  if (targets.some(({ path }) => !existsSync(path))) {
    requireGo()
    const onWait = () => say('another process builds programs for tests; waiting')
    await underLock(join(cacheFolder(), 'build.lock'), onWait, () => buildMissing(targets))
  }
  return targets
}

interface Target {
  program: Program
  path: string
}

function pathOf(program: Program, store: string): string {
  const assets = process.env['KUBEBUILDER_ASSETS']
  const given = assets ? resolve(assets, program.name) : ''
  if (given && existsSync(given)) return given
  return join(store, `${program.name}-${hash(inputsOf(program))}`)
}

function inputsOf({ name, module, package: path }: Program): string[] {
  const files = [join(module, 'go.mod'), join(module, 'go.sum')]
  if (path.startsWith('./')) {
    const folder = join(module, path)
    files.push(
      ...readdirSync(folder)
        .toSorted()
        .map((file) => join(folder, file)),
    )
  }
  const platform = `${process.platform}-${process.arch}`
  return [name, linkerFlags, platform, ...files.map((file) => readFileSync(file, 'utf8'))]
}

function hash(parts: string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 12)
}

function requireGo(): void {
  if (spawnSync('go', ['version']).status === 0) return
  throw new Error(
    "the test cluster is built from Kubernetes' own sources: install Go 1.26 or later from " +
      'https://go.dev/dl (KUBEBUILDER_ASSETS, set to a folder with kube-apiserver, etcd and ' +
      'kubectl, saves the larger builds, but not Go)',
  )
}

async function buildMissing(targets: Target[]): Promise<void> {
  // Looked at again under the lock: whoever held it before may have built them all.
  const missing = targets.filter(({ path }) => !existsSync(path))
  for (const [index, target] of missing.entries()) {
    await build(target, `${index + 1} of ${missing.length}`)
  }
}

/** Builds to another name first: a file of the right name is always a whole program. */
async function build({ program, path }: Target, place: string): Promise<void> {
  const startedAt = Date.now()
  const seconds = () => `${Math.round((Date.now() - startedAt) / 1000)} s`
  const hint = program.name === 'kube-apiserver' ? ' (the longest: some minutes)' : ''
  say(`building ${program.name}, ${place}${hint}`)
  const progress = setInterval(() => say(`building ${program.name}, ${place}: ${seconds()}`), 5_000)
  const unfinished = `${path}.${process.pid}.unfinished`
  try {
    await goBuild(program, unfinished)
    await rename(unfinished, path)
  } finally {
    clearInterval(progress)
    await rm(unfinished, { force: true })
  }
  say(`built ${program.name}, ${place}, in ${seconds()}`)
}

function goBuild({ name, module, package: path }: Program, output: string): Promise<void> {
  const args = [
    'build',
    '-trimpath',
    '-buildvcs=false',
    '-ldflags',
    linkerFlags,
    '-o',
    output,
    path,
  ]
  const env = { ...process.env, CGO_ENABLED: '0', GOWORK: 'off' }
  return new Promise((done, fail) => {
    const go = spawn('go', args, { cwd: module, env, stdio: ['ignore', 'ignore', 'pipe'] })
    let complaint = ''
    go.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
    go.on('error', fail)
    go.on('close', (code) => {
      if (code === 0) done()
      else fail(new Error(`go could not build ${name}: ${complaint.trim().slice(-2000)}`))
    })
  })
}

async function linkAll(folder: string, targets: Target[]): Promise<string> {
  await mkdir(folder, { recursive: true })
  for (const { program, path } of targets) {
    const link = join(folder, program.name)
    if ((await readlink(link).catch(() => '')) === path) continue
    const unfinished = `${link}.${process.pid}`
    await rm(unfinished, { force: true })
    await symlink(path, unfinished)
    await rename(unfinished, link)
  }
  return folder
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

if (import.meta.main) {
  try {
    console.log(await clusterPrograms())
  } catch (error) {
    say(`error: ${(error as Error).message}`)
    process.exitCode = 1
  }
}
