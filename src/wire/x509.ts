/**
 * The X.509 library, made ready. It builds on tsyringe, which refuses to load where `Reflect` lacks
 * the metadata functions; nothing that is used of it reads metadata, so functions that know of none
 * suffice. They must stand before the library is evaluated: hence loaded on demand, since Bun
 * evaluates CommonJS (tsyringe) ahead of the modules that are imported before it.
 */
export async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  if (!('getMetadata' in Reflect)) {
    Object.assign(Reflect, { getMetadata: none, getOwnMetadata: none, defineMetadata: none })
  }
  return import('@peculiar/x509')
}

function none(): void {}
