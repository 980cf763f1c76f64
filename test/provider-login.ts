/** The login of the local provider: a page with the people, and what happens when one is chosen. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Interaction, Provider } from 'oidc-provider'
import type { Person } from './provider.ts'

export async function interact(
  provider: Provider,
  people: Person[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const interaction = await provider.interactionDetails(request, response)
  if (request.method !== 'POST') {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
    response.end(loginPage(people, interaction.uid))
    return
  }
  const chosen = new URLSearchParams(await textOf(request)).get('person')
  const person = people.find(({ sub, disabled }) => sub === chosen && !disabled)
  const result = person
    ? {
        login: { accountId: person.sub },
        consent: await consent(provider, interaction, person.sub),
      }
    : { error: 'access_denied', error_description: 'nobody was chosen' }
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
}

/** Consents to whatever is asked, so that choosing a person is all there is to do. */
async function consent(provider: Provider, { params }: Interaction, accountId: string) {
  const grant = new provider.Grant({ accountId, clientId: String(params['client_id']) })
  grant.addOIDCScope(String(params['scope']))
  return { grantId: await grant.save() }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

/** The login page of the local provider: one button for each person. */
function loginPage(people: Person[], uid: string): string {
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
