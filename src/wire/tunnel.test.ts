import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { throughProxy } from './tunnel.ts'

/** A proxy that answers whatever it is asked with `answer`, and nothing else. */
async function proxy(t: TestContext, answer: string, heard: string[] = []): Promise<URL> {
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => {})
    socket.once('data', (bytes) => {
      heard.push(bytes.toString('latin1'))
      socket.write(answer, 'latin1')
      if (answer === '') socket.destroy()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address)
  return new URL(`http://us%20er:pa%3Ass@127.0.0.1:${address.port}`)
}

test('the proxy is told where to, and who asks, and nothing else', async (t) => {
  const heard: string[] = []
  const url = await proxy(t, 'HTTP/1.1 200 OK\r\n\r\n', heard)
  const socket = await throughProxy(url, { host: 'fd00::1', port: 6443, tls: null })
  socket.destroy()
  const credential = Buffer.from('us er:pa:ss').toString('base64')
  const lines = ['CONNECT [fd00::1]:6443 HTTP/1.1', 'Host: [fd00::1]:6443']
  lines.push(`Proxy-Authorization: Basic ${credential}`, '', '')
  assert.deepEqual(heard, [lines.join('\r\n')])
})

test('an answer that is no plain yes is a failure, and the connection is closed', async (t) => {
  const answers: [string, RegExp][] = [
    ['HTTP/1.1 407 Proxy Authentication Required\r\n\r\n', /with 407/],
    ['HTTP/1.1 301 Moved\r\nLocation: http://elsewhere\r\n\r\n', /with 301/],
    // Whatever comes before our first word is not from the far end.
    ['HTTP/1.1 200 OK\r\n\r\nforged', /with 200/],
    ['SSH-2.0-OpenSSH\r\n\r\n', /no status/],
    [`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}`, /CONNECT/],
    ['', /closed/],
  ]
  for (const [answer, sentence] of answers) {
    const url = await proxy(t, answer)
    const asked = throughProxy(url, { host: 'infra.test', port: 443, tls: null })
    await assert.rejects(asked, sentence)
  }
})

test('an attempt that nobody waits for any more is given up', async (t) => {
  const url = await proxy(t, 'HTTP/1.1 ')
  let giveUp = () => {}
  const asked = throughProxy(url, { host: 'infra.test', port: 443, tls: null }, (end) => {
    giveUp = end
  })
  const refused = assert.rejects(asked, /nobody waits/)
  giveUp()
  await refused
})
