/** As much of a browser as a login page needs: cookies, redirects, one form. */

import { harvestQuery } from './secrets/harvest.ts'
import { written } from './secrets/record.ts'

/**
 * Opens `url`, fills `fields` into the form of the page that comes, and follows redirects until they
 * lead away from `origin`: that URL is returned and not opened.
 */
export async function visit(
  url: string,
  origin: string,
  fields: Record<string, string>,
): Promise<string> {
  const cookies = new Map<string, string>()
  let next: { url: string; body: URLSearchParams | null } = { url, body: null }
  harvestQuery(new URL(url).searchParams)
  for (let hop = 0; hop < 15; hop += 1) {
    written('provider URL', 'browser', next.url)
    const response = await fetch(next.url, {
      method: next.body ? 'POST' : 'GET',
      body: next.body,
      redirect: 'manual',
      signal: AbortSignal.timeout(30_000),
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    })
    keep(cookies, response)
    const location = response.headers.get('location')
    const page = await response.text()
    if (location === null) {
      next = { url: formOf(page, next.url), body: new URLSearchParams(fields) }
      continue
    }
    const target = new URL(location, next.url)
    if (target.origin !== origin) {
      harvestQuery(target.searchParams)
      written('loopback URL', 'browser', target.href)
      return target.href
    }
    next = { url: target.href, body: null }
  }
  throw new Error('the provider redirects without end')
}

function keep(cookies: Map<string, string>, response: Response): void {
  for (const line of response.headers.getSetCookie()) {
    const [, name, value] = /^([^=;]+)=([^;]*)/.exec(line) ?? []
    if (!name) continue
    if (value === '' || /expires=thu, 01 jan 1970/i.test(line)) cookies.delete(name)
    else cookies.set(name, value ?? '')
  }
}

function formOf(page: string, url: string): string {
  const [, action] = /<form method="post" action="([^"]+)"/.exec(page) ?? []
  if (!action) throw new Error(`no login page but: ${page.slice(0, 300)}`)
  return new URL(action.replaceAll('&amp;', '&'), url).href
}
