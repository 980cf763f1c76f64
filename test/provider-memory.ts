import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider'

type Kept = { payload: AdapterPayload; until: number }

/**
 * What one provider keeps, in memory and for itself alone. (The adapter that comes with
 * oidc-provider is shared by all providers of a process, and warns that it is none.)
 */
export function memoryOf(): AdapterFactory {
  const kept = new Map<string, Kept>()
  return (model) => adapterOf(kept, model)
}

function adapterOf(kept: Map<string, Kept>, model: string): Adapter {
  const keyOf = (id: string) => `${model}:${id}`
  const fresh = (one: Kept | undefined) => (one && one.until > Date.now() ? one.payload : undefined)
  const search = (is: (payload: AdapterPayload) => boolean) => {
    const found = [...kept].find(([key, one]) => key.startsWith(`${model}:`) && is(one.payload))
    return fresh(found?.[1])
  }
  return {
    upsert: async (id, payload, expiresIn) => {
      kept.set(keyOf(id), { payload, until: expiresIn ? Date.now() + expiresIn * 1000 : Infinity })
    },
    find: async (id) => fresh(kept.get(keyOf(id))),
    findByUid: async (uid) => search((payload) => payload.uid === uid),
    findByUserCode: async (userCode) => search((payload) => payload.userCode === userCode),
    consume: async (id) => {
      const payload = fresh(kept.get(keyOf(id)))
      if (payload) payload.consumed = Math.floor(Date.now() / 1000)
    },
    destroy: async (id) => {
      kept.delete(keyOf(id))
    },
    revokeByGrantId: async (grantId) => {
      for (const [key, { payload }] of kept) if (payload.grantId === grantId) kept.delete(key)
    },
  }
}
