/** A browser for tests, as `BROWSER` names one: opens the page, follows, and keeps what it reads. */
import { renameSync, writeFileSync } from 'node:fs'

const [url = ''] = process.argv.slice(2)
const response = await fetch(url)
const page = process.env['BROWSER_PAGE'] ?? ''
writeFileSync(`${page}.part`, `${response.status} ${await response.text()}`)
renameSync(`${page}.part`, page)
