import type { Person } from './provider.ts'

/** The login page of the local provider: one button for each person. */
export function loginPage(people: Person[], uid: string): string {
  const buttons = people
    .filter(({ disabled }) => !disabled)
    .map(({ sub, name, email, groups }) => {
      const belongs = groups.length > 0 ? groups.join(', ') : 'no groups'
      return `<button name="person" value="${escaped(sub)}">
        <b>${escaped(name)}</b><br>${escaped(email)}<br><small>${escaped(belongs)}</small>
      </button>`
    })
  return `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width">
  <title>Who are you?</title>
  <style>
    body { font: 16px/1.5 system-ui, sans-serif; max-width: 24rem; margin: 4rem auto; padding: 0 1rem }
    button { display: block; width: 100%; margin: .75rem 0; padding: .75rem 1rem; font: inherit; text-align: left }
  </style>
  <h1>Who are you?</h1>
  <p>A local provider for trying things out. Nobody needs a password here.</p>
  <form method="post" action="/interaction/${escaped(uid)}">
    ${buttons.join('\n    ')}
    <button name="person" value="cancel">Cancel</button>
  </form>
</html>
`
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
