/**
 * `of`, with what it gave for a value remembered for as long as that value lives. For values that do
 * not change, which come again: the headers of a connection, a user who stands. What throws is
 * judged again.
 */
export function once<Key extends object, Value extends {}>(
  of: (key: Key) => Value,
): (key: Key) => Value {
  const known = new WeakMap<Key, Value>()
  return (key) => {
    const seen = known.get(key)
    if (seen !== undefined) return seen
    const value = of(key)
    known.set(key, value)
    return value
  }
}
