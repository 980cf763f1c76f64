/** Values whose shape nobody vouches for: looked into, never believed. */

/** A field of what may be an object; undefined where it is none, or has no such field. */
export function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return Reflect.get(value, name)
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a JSON text says; null where it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Whether the system refused with one of these codes (`EEXIST`, say). */
export function isCode(error: unknown, ...codes: string[]): boolean {
  const code = fieldOf(error, 'code')
  return typeof code === 'string' && codes.includes(code)
}
