import { command, format } from '../command.ts'
import { signedIn } from '../connect.ts'
import { showFacts, when, yesNo } from '../terminal/table.ts'

export const info = command({
  summary: 'show who you are and where',
  arguments: { format },
  examples: ['infra info', 'infra info --format json'],
  run: (terminal, values) =>
    signedIn(terminal, async ({ client, server }) => {
      const { user, session } = await client.me.get()
      if (values.format === 'json')
        return terminal.out(JSON.stringify({ server, user, session }, null, 2))
      showFacts(terminal, {
        Server: server,
        User: user.email,
        Administrator: yesNo(user.admin),
        Groups: user.groups.join(', ') || 'none',
        ...(session === null
          ? { Credential: 'access key (INFRA_ACCESS_KEY)' }
          : {
              Session: session.id,
              'Logged in by': session.provider ?? 'password',
              Expires: when(session.expiresAt),
            }),
      })
    }),
})
