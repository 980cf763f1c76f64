import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mayConnect } from './addresses.ts'

const outside = ['93.184.216.34', '8.8.8.8', '2606:4700::6810:84e5', '64:ff9b::808:808']
const inside = [
  '127.0.0.1',
  '127.8.8.8',
  '0.0.0.0',
  '10.1.2.3',
  '172.31.0.1',
  '192.168.1.1',
  '100.64.0.1',
  '::1',
  '::',
  'fd12::1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '::ffff:10.0.0.1',
  '64:ff9b::10.0.0.1',
  '2002:7f00:1::',
  '2001:db8::1',
  '::127.0.0.1',
  '::10.0.0.1',
  '2001::1',
  'ff02::1',
  '224.0.0.1',
  '255.255.255.255',
  '198.18.0.1',
  '203.0.113.9',
  '0:0:0:0:0:ffff:7f00:0001',
]
const credentials = [
  '169.254.169.254',
  '169.254.0.1',
  '::ffff:169.254.169.254',
  '64:ff9b::a9fe:a9fe',
  'fe80::1',
  'fd00:ec2::254',
  'fd20:ce::254',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  '::169.254.169.254',
  '2002:a9fe:a9fe::',
  '2001::a9fe:a9fe',
  '64:ff9b:1::a9fe:a9fe',
  '0:0:0:0:0:FFFF:A9FE:A9FE',
]

test('L8: a provider has a public address', () => {
  for (const address of outside) assert.equal(mayConnect(address, 'public'), true, address)
  for (const address of inside) assert.equal(mayConnect(address, 'public'), false, address)
})

test('L8: link-local addresses and metadata are refused whatever the settings say', () => {
  for (const address of credentials) {
    assert.equal(mayConnect(address, 'public'), false, address)
    assert.equal(mayConnect(address, 'any'), false, address)
  }
  for (const address of ['127.0.0.1', '10.1.2.3', '::1', 'fd12::1', '::ffff:7f00:1']) {
    assert.equal(mayConnect(address, 'any'), true, address)
  }
})

test('what is no address is refused', () => {
  for (const text of ['', 'localhost', '1.2.3', '0x7f.1', 'fe80::1%eth0', '1.2.3.4 ']) {
    assert.equal(mayConnect(text, 'any'), false, text)
  }
})
