/** What is taken for a credential where the suite meets it. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { root } from '../processes.ts'
import { credentialsIn } from './harvest.ts'

const kindsIn = (value: object) =>
  credentialsIn(JSON.stringify(value)).map(({ kind, value: text }) => `${kind}: ${text}`)

test('L10: every credential in an answer of the API is known by the name of its field', () => {
  assert.deepEqual(kindsIn({ id: 'x', accessKey: 'k.s' }), ['access key: k.s'])
  assert.deepEqual(kindsIn([{ user: {}, credential: 'c.s' }]), ['session: c.s'])
  assert.deepEqual(kindsIn({ status: { token: 't' } }), ['token: t'])
  assert.deepEqual(kindsIn({ password: 'p', oldPassword: 'o', newPassword: 'n' }), [
    ...['password: p', 'password: o', 'password: n'],
  ])
  assert.deepEqual(kindsIn({ clientSecret: 's' }), ['client secret: s'])
  assert.deepEqual(kindsIn({ authorizationUrl: 'https://p/a?state=s&nonce=n&scope=openid' }), [
    ...['state: s', 'nonce: n'],
  ])
  assert.deepEqual(kindsIn({ verifier: 'v', callback: 'code=c&state=s' }), [
    ...['CLI verifier: v', 'code: c', 'state: s'],
  ])
  assert.deepEqual(kindsIn({ code: 'not_found', message: 'no such user' }), [])
})

/** Such a file says in the record what it starts, or (below) starts none of ours or with nothing to keep. */
const starts = /\b(?:spawn|execFile|fork)\(/

test('L10: no test starts a process behind the back of the record', () => {
  const builds =
    /^test\/(cluster\/(build|launch|cluster)|postgres(-programs)?|demo\/main|fuzz\/oracle)\.ts$/
  const silent =
    /^(test\/secrets\/argv|src\/db\/(pglite|lock)|cli\/lock|test\/cluster\/cluster)\.test\.ts$/
  const unrecorded = ['src', 'connector', 'cli', 'test'].flatMap((folder) =>
    readdirSync(`${root}/${folder}`, { recursive: true, encoding: 'utf8' })
      .map((name) => `${folder}/${name}`)
      .filter((path) =>
        /\.test\.ts$|fixtures\.ts$|^cli\/testing\/.*\.ts$|^test\/.*\.ts$/.test(path),
      )
      .filter((path) => !builds.test(path) && !silent.test(path))
      .filter((path) => {
        const text = readFileSync(`${root}/${path}`, 'utf8')
        return starts.test(text) && !/from '.*(secrets|\.)\/(process|record)\.ts'/.test(text)
      }),
  )
  assert.deepEqual(unrecorded, [])
})
