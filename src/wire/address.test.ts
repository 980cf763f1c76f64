import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatAddress, ListenAddress, parseAddress } from './address.ts'

test('an address is a host and a port, IPv6 in brackets', () => {
  assert.deepEqual(parseAddress('127.0.0.1:8443'), { host: '127.0.0.1', port: 8443 })
  assert.deepEqual(parseAddress('[::]:6443'), { host: '::', port: 6443 })
  assert.deepEqual(parseAddress('[fe80::1]:0'), { host: 'fe80::1', port: 0 })
  assert.deepEqual(parseAddress('proxy-1.example.com:443'), {
    host: 'proxy-1.example.com',
    port: 443,
  })
})

test('what is not wholly an address is none', () => {
  const none = ['', ':6443', '6443', '::1:6443', '[::1]', '[::g]:1', '[]:1', '127.0.0.256:1']
  none.push('1.2.3:80', 'a:65536', 'a:-1', 'a: 1', 'a b:1', '-a:1', 'a-:1', 'a:1\n', 'http://a:1')
  for (const text of none) assert.equal(parseAddress(text), null, text)
})

test('an address reads back as it was written', () => {
  for (const text of ['[::]:6443', '10.0.0.1:1', 'localhost:65535']) {
    const address = parseAddress(text)
    assert.ok(address)
    assert.equal(formatAddress(address), text)
  }
})

test('a setting that is no address is refused with an example of one', () => {
  const read = ListenAddress.safeParse('6443')
  assert.match(read.error?.issues[0]?.message ?? '', /must be host:port such as/)
})
