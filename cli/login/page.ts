/** The page that a browser shows after a login: no script, nothing loaded, nothing left in it. */

export function page(title: string, sentence: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>
  body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 20vh auto; padding: 0 1rem; }
</style>
<h1>${escaped(title)}</h1>
<p>${escaped(sentence)}</p>
</html>
`
}

/** The sentence may quote a provider: in HTML it is text and nothing else. */
function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
}
