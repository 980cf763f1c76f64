/** Administration as typed: command lines in; stdout, stderr, exit code and requests out. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fieldOf, isRecord, jsonOf } from '../disk/unknown.ts'
import { done, loggedIn } from '../testing/logged-in.ts'

test('users', async (t) => {
  const { world, ana } = await loggedIn(t)
  assert.equal(
    (await done(ana, 'users add Bo@example.com')).out,
    'EMAIL           ONE-TIME PASSWORD\nbo@example.com  one time pass\n',
  )
  const json = await done(ana, 'users add bo@example.com --admin --format json')
  assert.equal(fieldOf(jsonOf(json.out), 'password'), 'one time pass')
  assert.equal(json.err, '')
  assert.deepEqual(world.requests('/api/users').at(-1)?.body, {
    email: 'bo@example.com',
    admin: true,
  })
  assert.match((await done(ana, 'users edit bo@example.com --reset-password')).out, /another one/)
  await done(ana, 'users edit bo@example.com --no-admin')
  assert.deepEqual(world.seen.at(-1)?.body, { admin: false })
  assert.equal((await ana.types('users edit bo@example.com')).code, 2)
  assert.equal((await done(ana, 'users disable bo@example.com')).err, 'Disabled bo@example.com.\n')
  await done(ana, 'users enable bo@example.com')
  assert.deepEqual(world.seen.at(-1)?.body, { disabled: false })
  assert.equal((await done(ana, 'users remove bo@example.com')).err, 'Removed bo@example.com.\n')
  const { out } = await done(ana, 'users list')
  assert.equal(
    out,
    'EMAIL            ADMIN  STATE    GROUPS  LAST LOGIN  ID\nana@example.com  no     enabled  ops                 u-ana\n',
  )
  const refused = await ana.types('users add system:admin@x')
  assert.equal(refused.code, 1)
  assert.match(refused.err, /^error: names that begin with "system:" are reserved/)
})

test('groups, with names that a terminal would obey', async (t) => {
  const { world, ana } = await loggedIn(t)
  await done(ana, 'groups add ops')
  await done(ana, 'groups add-user okta/eng ana@example.com')
  assert.equal(world.seen.at(-1)?.path, '/api/groups/okta%2Feng/users/ana%40example.com')
  await done(ana, 'groups remove-user ops ana@example.com')
  assert.equal(world.seen.at(-1)?.method, 'DELETE')
  await done(ana, 'groups remove ops')
  const { out } = await done(ana, 'groups list')
  assert.match(out, /okta\/eng\\u001b\[31m/)
  const json = await done(ana, 'groups list --format json')
  assert.equal(json.out.includes('\u001b'), false)
  assert.equal(fieldOf(fieldOf(jsonOf(json.out), '1'), 'name'), 'okta/eng\u001b[31m')
})

test('grants are given and taken away with the same words', async (t) => {
  const { world, ana } = await loggedIn(t)
  const { out } = await done(ana, 'grants add ana@example.com prod.web --role edit --for 1h')
  assert.match(out, /^SUBJECT {10}KIND {2}DESTINATION {2}NAMESPACE {2}ROLE {2}UNTIL/)
  const body = world.seen.at(-1)?.body
  assert.deepEqual(
    { ...(isRecord(body) ? body : {}), expiresAt: '' },
    { user: 'ana@example.com', destination: 'prod', namespace: 'web', role: 'edit', expiresAt: '' },
  )
  const hours = (Date.parse(String(fieldOf(body, 'expiresAt'))) - Date.now()) / 3_600_000
  assert.ok(hours > 0.9 && hours <= 1)
  await done(ana, 'grants remove ops prod --role view --group')
  assert.deepEqual(world.seen.at(-1)?.body, {
    group: 'ops',
    destination: 'prod',
    namespace: null,
    role: 'view',
  })
  assert.equal((await ana.types('grants add ana@example.com prod --role view --for soon')).code, 2)
  assert.equal(world.seen.at(-1)?.path, '/api/grants/revoke', 'wrong usage asks the server nothing')
})

test('a receipt that is waited for names every connector, and its exit code says whether all is done', async (t) => {
  const { ana } = await loggedIn(t)
  const added = await done(ana, 'grants add ana@example.com prod --role view --wait')
  assert.match(
    added.out,
    /\nDESTINATION {2}CONNECTOR {2}LINK {4}ENFORCED {14}SEVERED {2}LEASE ENDS\nprod {9}prod-a {5}linked  2030-01-01T00:00:00Z {2}2\n$/,
  )
  const removed = await ana.types(
    'grants remove ana@example.com prod --role view --wait=1s --format json',
  )
  assert.equal(removed.code, 1)
  assert.equal(
    removed.err,
    'offline: connector prod-b of prod; its lease ends at 2030-01-01T00:00:00Z\n',
  )
  assert.equal(fieldOf(fieldOf(jsonOf(removed.out), 'receipt'), 'enforced'), false)
})

test('whoever loses access by another way is waited for alike, at each destination concerned', async (t) => {
  const { world, ana } = await loggedIn(t)
  const disabled = await done(ana, 'users disable bo@example.com --wait')
  assert.match(disabled.out, /\nprod {9}prod-a {5}linked .* 2\n$/)
  assert.equal(disabled.err, 'Disabled bo@example.com.\n')
  assert.match(world.seen.at(-1)?.path ?? '', /^\/api\/destinations\/d-prod\/receipt/)
  const removed = await ana.types('users remove bo@example.com --wait=1s --format json')
  assert.equal(removed.code, 1)
  assert.equal(
    removed.err,
    'offline: connector prod-b of prod; its lease ends at 2030-01-01T00:00:00Z\n',
  )
  const [receipt] = JSON.parse(removed.out).receipts
  assert.equal(receipt.destination.name, 'prod')
  const nowhere = await done(ana, 'groups remove-user ops bo@example.com --wait')
  assert.match(nowhere.err, /no destination is concerned/)
  const untold = await ana.types('groups remove ops --wait')
  assert.equal(untold.code, 1, 'not said is not none')
  assert.equal((await ana.types('users remove bo@example.com --wait=soon')).code, 2)
  assert.match(world.seen.at(-1)?.path ?? '', /groups/, 'wrong usage asks the server nothing')
})

test('destinations: the key of the connector is printed once, with what to run', async (t) => {
  const { world, ana } = await loggedIn(t)
  const { out, err } = await done(ana, 'destinations add lab --format json')
  assert.deepEqual(JSON.parse(out), { name: 'lab', id: 'd-lab', accessKey: 'key-c.secret' })
  assert.match(err, new RegExp(`INFRA_SERVER=${world.url} `))
  assert.doesNotMatch(err, /secret/)
  await done(ana, 'destinations edit lab --lease 15s')
  assert.deepEqual(world.seen.at(-1)?.body, { leaseSeconds: 15 })
  assert.equal((await ana.types('destinations edit lab')).code, 2)
  assert.equal((await ana.types('destinations edit lab --endpoint nowhere')).code, 2)
  assert.match((await done(ana, 'destinations list')).out, /prod {2}prod\.example\.com:6443/)
})

test('destinations show says how each connector stands: link, lease, what it lacks, what it cut last', async (t) => {
  const { ana } = await loggedIn(t)
  const { out } = await done(ana, 'destinations show prod')
  assert.match(out, /^Name {15}prod$/m)
  const [head, ...rows] = out.slice(out.indexOf('CONNECTOR')).trimEnd().split('\n')
  const cells = [head, ...rows].map((line) => line?.split(/ {2,}/))
  assert.deepEqual(cells, [
    ['CONNECTOR', 'LINK', 'LEASE LEFT', 'REVISION', 'BEHIND', 'LAST REVOCATION'],
    [
      ...['prod-a', 'linked', '353s', '12', '2, since 2030-01-01T00:00:00Z'],
      '2030-01-01T00:00:00Z, in 14ms, 3 severed',
    ],
    ['prod-b', 'silent since 2030-01-01T00:00:00Z', '1m'],
  ])
  const json = JSON.parse((await done(ana, 'destinations show prod --format json')).out)
  assert.deepEqual(json.connectors[0].lastRevocation.severed, 3)
})

test('providers: the secret comes by file or environment, and rules by flags', async (t) => {
  const { world, ana } = await loggedIn(t)
  const file = join(ana.folder, 'secret')
  writeFileSync(file, 'hush\n')
  const line = 'providers add okta --issuer https://example.okta.com --client-id me'
  const { out } = await done(
    ana,
    `${line} --client-secret-file ${file} --allowed-domains a.example,b.example --required-claim hd=a.example --any-loopback-port`,
  )
  assert.doesNotMatch(out, /hush/)
  const body = world.seen.at(-1)?.body
  assert.equal(fieldOf(body, 'clientSecret'), 'hush')
  assert.deepEqual(fieldOf(body, 'allowedDomains'), ['a.example', 'b.example'])
  assert.deepEqual(fieldOf(body, 'requiredClaim'), { name: 'hd', value: 'a.example' })
  assert.equal(fieldOf(body, 'anyLoopbackPort'), true)
  ana.env['INFRA_CLIENT_SECRET'] = 'a client secret of the environment'
  await done(ana, line)
  assert.equal(
    fieldOf(world.seen.at(-1)?.body, 'clientSecret'),
    'a client secret of the environment',
  )
  assert.equal((await ana.types(`${line} --client-secret hush`)).code, 2)
})

test('keys are printed once', async (t) => {
  const { world, ana } = await loggedIn(t)
  const { out } = await done(ana, 'keys add "prod 2" --connector prod --expires 30d --format json')
  assert.equal(fieldOf(jsonOf(out), 'accessKey'), 'k-1.secret')
  assert.equal(fieldOf(world.seen.at(-1)?.body, 'destination'), 'prod')
  assert.equal((await ana.types('keys add x --connector prod --user a@b')).code, 2)
})

test('events are read to the last page', async (t) => {
  const { ana } = await loggedIn(t)
  const { out } = await done(ana, 'events --format json')
  assert.equal(fieldOf(jsonOf(out), 'length'), 1200)
  const table = await done(ana, 'events --after 1199')
  assert.match(
    table.out,
    /^NUMBER {2}AT {20}.*\n1200 {4}2030-01-01T00:00:00Z {2}user\.created {2}system {2}\{"email":"ana@example\.com"\}\n$/,
  )
  assert.equal((await ana.types('events --after x')).code, 2)
})
