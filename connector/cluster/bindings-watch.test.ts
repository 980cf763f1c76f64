import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BindingsWatch, type Follow } from './bindings-watch.ts'

/** Watches as the test plays them: each is heard of, and ended, by hand. */
function watches() {
  const begun: { path: string; heard: () => void; end: () => void }[] = []
  let tell = () => {}
  const follow: Follow = (path, heard, signal) =>
    new Promise((end) => {
      begun.push({ path, heard, end })
      signal.addEventListener('abort', () => end())
      tell()
    })
  const begin = async (count: number) => {
    while (begun.length < count) await new Promise<void>((resolve) => (tell = resolve))
  }
  return { begun, begin, follow }
}

test('both kinds of binding are watched, by the labels of this destination', async (t) => {
  const { begun, follow, begin } = watches()
  let touched = 0
  const watch = new BindingsWatch(follow, () => (touched += 1))
  t.after(() => watch.close())
  watch.begin('d1')
  watch.begin('d1')
  await begin(2)
  const paths = begun.map(({ path }) => decodeURIComponent(path))
  assert.equal(paths.length, 2)
  for (const kind of ['/clusterrolebindings?', '/rolebindings?']) {
    assert.equal(paths.filter((path) => path.includes(kind)).length, 1, kind)
  }
  for (const path of paths) {
    assert.match(path, /managed-by=infra,app\.kubernetes\.io\/instance=d1&watch=1$/)
  }
  begun[0]?.heard()
  assert.equal(touched, 1)
})

test('a watch that breaks is a reason to look, once: the API server may be gone', async (t) => {
  let touched = 0
  let begun = 0
  const again = Promise.withResolvers<void>()
  const follow: Follow = async () => {
    begun += 1
    // Both kinds, each for the second time.
    if (begun === 4) again.resolve()
    throw new Error('ECONNREFUSED')
  }
  const watch = new BindingsWatch(follow, () => (touched += 1))
  t.after(() => watch.close())
  watch.begin('d1')
  await again.promise
  assert.equal(touched, 2)
})

test('a watch that ends is begun anew', async (t) => {
  const { begun, follow, begin } = watches()
  const watch = new BindingsWatch(follow, () => {})
  t.after(() => watch.close())
  watch.begin('d1')
  await begin(2)
  begun[1]?.end()
  await begin(3)
  assert.equal(begun[2]?.path, begun[1]?.path)
})
