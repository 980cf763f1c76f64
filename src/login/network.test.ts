import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { test, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { startForwardProxy } from '../../test/forward-proxy.ts'
import { Failure } from '../wire/failure.ts'
import { type LookUp, providerFetch } from './network.ts'

const anywhere = { insecureProviders: true }
const strict = { insecureProviders: false }

async function listen(t: TestContext, answer: RequestListener): Promise<number> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address)
  return address.port
}

const names =
  (table: Record<string, string[]>): LookUp =>
  (host, _options, found) => {
    const addresses = table[host]?.map((address) => ({ address, family: 4 }))
    if (addresses) found(null, addresses)
    else found(new Error('ENOTFOUND'), [])
  }

const isUnavailable = (sentence: RegExp) => (error: unknown) =>
  error instanceof Failure && error.code === 'unavailable' && sentence.test(error.message)

test('a request goes out with its body and comes back with status and headers', async (t) => {
  const port = await listen(t, (request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      response.writeHead(418, { 'content-type': 'text/plain', 'x-two': ['a', 'b'] })
      response.end(
        `${request.method} ${request.headers.host} ${String(request.headers['x-one'])} ${body}`,
      )
    })
  })
  const fetch = providerFetch(anywhere, names({ 'provider.test': ['127.0.0.1'] }))
  const response = await fetch(
    new Request(`http://provider.test:${port}/token`, {
      method: 'POST',
      headers: { 'x-one': '1' },
      body: new URLSearchParams({ code: 'abc' }),
    }),
  )
  assert.equal(response.status, 418)
  assert.equal(response.headers.get('x-two'), 'a, b')
  assert.equal(await response.text(), `POST provider.test:${port} 1 code=abc`)
})

test('L8: plain http is refused unless it is loudly allowed', async () => {
  await assert.rejects(
    async () => providerFetch(strict)(new Request('http://provider.test/')),
    isUnavailable(/not reached by https/),
  )
})

test('L8: loopback, private and metadata addresses are refused, written in any way', async () => {
  const urls = [
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://10.0.0.1/',
    'https://169.254.169.254/',
    'https://0177.0.0.1/',
    'https://0x7f000001/',
    'https://127.1/',
    'https://0/',
    'https://127.0.0.1./',
    'https://%31%32%37.0.0.1/',
    'https://\uff11\uff12\uff17.0.0.1/',
    'https://127.0.0.1\\@example.com/',
    'https://2852039166/latest/meta-data',
    'https://[::ffff:169.254.169.254]/',
    'https://[::127.0.0.1]/',
    'https://[0:0:0:0:0:ffff:a9fe:a9fe]/',
    'https://[64:ff9b::10.0.0.1]/',
    'https://[2002:7f00:1::]/',
    'https://[::]/',
    'https://localhost/',
  ]
  for (const url of urls) {
    await assert.rejects(
      async () => providerFetch(strict)(new Request(url)),
      isUnavailable(/address that is not allowed/),
      url,
    )
  }
  await assert.rejects(
    async () => providerFetch(anywhere)(new Request('http://169.254.169.254/')),
    isUnavailable(/address that is not allowed/),
  )
})

test('L8: a name that leads to a private address, also among others, is refused', async () => {
  const table = { inner: ['10.0.0.1'], mixed: ['93.184.216.34', '127.0.0.1'] }
  for (const host of Object.keys(table)) {
    await assert.rejects(
      async () => providerFetch(strict, names(table))(new Request(`https://${host}/`)),
      isUnavailable(/address that is not allowed/),
    )
  }
})

test('L8: a name that changes between two look-ups is looked up once', async (t) => {
  const port = await listen(t, (_request, response) => response.end('reached'))
  let asked = 0
  const lookUp: LookUp = (_host, _options, found) => {
    asked += 1
    found(null, [{ address: asked === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }])
  }
  const response = await providerFetch(anywhere, lookUp)(new Request(`http://rebind:${port}/`))
  assert.equal(await response.text(), 'reached')
  assert.equal(asked, 1)
})

test('L8: redirects are not followed', async (t) => {
  let asked = 0
  const port = await listen(t, (_request, response) => {
    asked += 1
    response.writeHead(302, { location: '/elsewhere' }).end()
  })
  const response = await providerFetch(anywhere)(new Request(`http://127.0.0.1:${port}/`))
  assert.equal(response.status, 302)
  assert.equal(asked, 1)
})

test('L8: an answer of more than a MiB is cut off where it passes the limit', async (t) => {
  const chunk = Buffer.alloc(64 * 1024)
  let sent = 0
  const port = await listen(t, (_request, response) => {
    const more = (): void => {
      if (response.destroyed) return
      sent += chunk.length
      response.write(chunk, more)
    }
    response.on('error', () => {})
    more()
  })
  await assert.rejects(
    async () => providerFetch(anywhere)(new Request(`http://127.0.0.1:${port}/`)),
    isUnavailable(/does not answer/),
  )
  // What the sockets buffer comes on top.
  assert.ok(sent < 32 * 1024 * 1024, `${sent} bytes were taken`)
})

test('L8: an answer that drips on and on is let go', async (t) => {
  const port = await listen(t, (_request, response) => {
    const dripping = setInterval(() => response.write('x'), 200)
    response.on('close', () => clearInterval(dripping))
  })
  await assert.rejects(
    async () => providerFetch(anywhere)(new Request(`http://127.0.0.1:${port}/`)),
    isUnavailable(/does not answer/),
  )
})

test('L8: an answer in a coding is not unpacked, and a head without end is cut', async (t) => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024))
  const port = await listen(t, (request, response) => {
    if (request.url === '/head') {
      response.socket?.write(`HTTP/1.1 200 OK\r\n${'A: x\r\n'.repeat(100_000)}\r\n`)
    } else response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
  })
  const fetch = providerFetch(anywhere)
  const packed = await fetch(new Request(`http://127.0.0.1:${port}/`))
  assert.equal((await packed.arrayBuffer()).byteLength, bomb.length)
  await assert.rejects(
    async () => fetch(new Request(`http://127.0.0.1:${port}/head`)),
    isUnavailable(/does not answer/),
  )
})

test('an answer that is cut short is no answer', async (t) => {
  const port = await listen(t, (request, response) => {
    const length = request.url === '/chunked' ? {} : { 'content-length': '100' }
    response.writeHead(200, length).write('{"issuer":"x"}')
    setImmediate(() => response.destroy())
  })
  for (const path of ['/chunked', '/length']) {
    await assert.rejects(
      async () => providerFetch(anywhere)(new Request(`http://127.0.0.1:${port}${path}`)),
      isUnavailable(/does not answer/),
      path,
    )
  }
})

test('L8: whoever waits no longer is let go, though the provider never answers', async (t) => {
  const asked = Promise.withResolvers<void>()
  const port = await listen(t, () => asked.resolve())
  const stop = new AbortController()
  const waiting = providerFetch(anywhere)(
    new Request(`http://127.0.0.1:${port}/`, { signal: stop.signal }),
  )
  await asked.promise
  stop.abort()
  await assert.rejects(async () => waiting, isUnavailable(/does not answer/))
})

test('a provider that cannot be reached is unavailable', async (t) => {
  const port = await listen(t, () => {})
  const fetch = providerFetch(anywhere, names({}))
  await assert.rejects(
    async () => fetch(new Request(`http://unknown.test:${port}/`)),
    isUnavailable(/does not answer/),
  )
})

test('by way of a proxy the proxy looks the name up, and a written address is judged all the same', async (t) => {
  const proxy = await startForwardProxy()
  t.after(() => proxy.close())
  const port = await listen(t, (request, response) => {
    request.resume()
    request.on('end', () => response.end(`${request.method} ${request.headers.host}`))
  })
  const asked: string[] = []
  const lookUp: LookUp = (host, _options, found) => {
    asked.push(host)
    found(new Error('ENOTFOUND'), [])
  }
  const fetch = providerFetch(anywhere, lookUp, { HTTP_PROXY: proxy.url })
  const url = `http://provider.test:${port}/token`
  const response = await fetch(new Request(url, { method: 'POST', body: 'code=abc' }))
  assert.equal(await response.text(), `POST provider.test:${port}`)
  assert.deepEqual(proxy.targets, [`provider.test:${port}`])
  assert.deepEqual(asked, [])

  const secure = { HTTPS_PROXY: proxy.url }
  for (const host of ['10.0.0.1', '169.254.169.254', '[fd00::1]']) {
    await assert.rejects(
      async () => providerFetch(strict, lookUp, secure)(new Request(`https://${host}/`)),
      isUnavailable(/not allowed/),
    )
  }
  // A name of this machine is never handed to a proxy: it is looked up here, and judged.
  await assert.rejects(
    async () => providerFetch(strict, lookUp, secure)(new Request('https://localhost/')),
    isUnavailable(/does not answer/),
  )
  assert.deepEqual([asked, proxy.targets.length], [['localhost'], 1])
})
