/** What a caller says of identity, in every way that a server on the way or behind may listen to. */
import { attack, head, type Family } from './attack.fixtures.ts'

// prettier-ignore
const naming = [
  'Connection: Impersonate-User', 'Connection: Impersonate-User, Impersonate-Group', 'connection: IMPERSONATE-UID',
  'Connection: impersonate_user', 'Connection: keep-alive,\timpersonate-extra-a', 'Connection: keep-alive\r\nConnection: Impersonate-User',
  'Connection: X-Remote-User', 'Connection: Authorization', 'Connection: Host', 'Connection: Audit-ID', 'Connection: X-Forwarded-For',
  'Connection: Content-Length', 'Connection: Transfer-Encoding', 'Connection: close, x', 'Connection: "close"', 'Connection: close;x',
  'Keep-Alive: Impersonate-User', 'Keep-Alive: timeout=5, impersonate-group', 'Keep-Alive: a;Impersonate-User', 'Keep-Alive: a\r\nKeep-Alive: impersonate-user',
  'Proxy-Connection: Impersonate-User', 'proxy-connection: x-remote-group', 'TE: Impersonate-User', 'TE: trailers, IMPERSONATE_GROUP;q=1',
  'Trailer: Impersonate-Group', 'trailer: x\r\nTrailer: Impersonate-User', 'Trailer: X-Remote-User', 'TE: a=impersonate-user',
]

export const named: Family = {
  title: 'D1: a caller who names our headers as hop by hop is refused over the wire',
  attacks: (ana, bo) => naming.map((line) => attack(line, ana.get(line) + bo.hidden, 400)),
}

// prettier-ignore
const speaking = [
  'Impersonate-User: system:admin', 'Impersonate-Group: system:masters', 'Impersonate-Uid: 1', 'Impersonate-Extra-scopes: x',
  'Impersonate-Extra-: x', 'Impersonate-Not-Invented-Yet: x', 'impersonate-user: x', 'IMPERSONATE-GROUP: x', 'Impersonate_User: x',
  'Impersonate.User: x', 'ImpersonateUser: x', 'Impersonate: x', 'Impersonate-User:', 'Impersonate--User: x', '_Impersonate-User: x',
  'Impersonate-User: a\r\nImpersonate-User: b', "Impersonate'User: x", 'Impersonate-Extra-access.infra%2fsession: x',
  'X-Remote-User: root', 'x-remote-group: system:masters', 'X_Remote_User: root', 'X-Remote-Extra-a: b', 'X-RemoteUser: x', 'X.Remote.Uid: 1',
]

export const spoken: Family = {
  title: 'D2: a caller who speaks of identity is refused over the wire',
  attacks: (ana, bo) => speaking.map((line) => attack(line, ana.get(line) + bo.hidden, 400)),
}

const bearerProtocol = 'base64url.bearer.authorization.k8s.io'

/** Anything but one `Authorization: Bearer` is no identity. */
export const otherWays: Family = {
  title: 'D7: nothing but one Bearer token says who somebody is',
  attacks: (ana, bo) => {
    const coded = Buffer.from(bo.token).toString('base64url')
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
    const spelled = [
      ...[
        `bearer ${bo.token}`,
        `BEARER ${bo.token}`,
        `Bearer  ${bo.token}`,
        `Bearer\t${bo.token}`,
        bo.token,
      ],
      ...[
        `Bearer ${bo.token}, Bearer ${bo.token}`,
        `Bearer ${bo.token}, Basic eDp5`,
        `Basic eDp5, Bearer ${bo.token}`,
      ],
      ...[
        `Bearer "${bo.token}"`,
        `Bearer token=${bo.token}`,
        `Bearer ${bo.token};a`,
        `Bearer ${bo.token} a`,
        'Bearer',
        'Bearer ',
      ],
      ...[
        `Basic ${Buffer.from(`bo:${bo.token}`).toString('base64')}`,
        `Token ${bo.token}`,
        `DPoP ${bo.token}`,
        'Negotiate YII=',
      ],
      ...[`Digest username="bo"`, `Bearer:${bo.token}`, `Bearer ${bo.token}=`],
    ]
    const without = (line: string, ...lines: string[]) =>
      head(`${line} HTTP/1.1`, 'Host: a', ...lines)
    const carried = [
      ...[
        `Cookie: token=${bo.token}`,
        `Proxy-Authorization: Bearer ${bo.token}`,
        `X-Access-Token: ${bo.token}`,
      ],
      ...[
        `X-Authorization: Bearer ${bo.token}`,
        `X-Auth-Token: ${bo.token}`,
        `X-Forwarded-Access-Token: ${bo.token}`,
      ],
      ...[
        `Authorization_: Bearer ${bo.token}`,
        `X-Forwarded-User: bo`,
        `X-Client-Cert: x`,
        `X-Forwarded-Client-Cert: x`,
      ],
    ]
    return [
      ...spelled.map((value) =>
        attack(
          `Authorization: ${told(value, bo.token)}`,
          without('GET /a', `Authorization: ${value}`) + bo.hidden,
          401,
        ),
      ),
      attack('no Authorization', without('GET /a') + bo.hidden, 401),
      ...['access_token', 'token', 'authorization', 'bearer', 'id_token'].map((key) =>
        attack(`?${key}= alone`, without(`GET /a?${key}=${bo.token}`) + bo.hidden, 401),
      ),
      ...carried.map((line) =>
        attack(`${told(line, bo.token)} alone`, without('GET /a', line) + bo.hidden, 401),
      ),
      ...carried.map((line) =>
        attack(`${told(line, bo.token)} beside a token`, ana.get(line), ana.passed('GET /a')),
      ),
      ...[
        `${bearerProtocol}.${coded}`,
        `v5.channel.k8s.io, ${bearerProtocol}.${coded}`,
        `${bearerProtocol.toUpperCase()}.x`,
      ].flatMap((protocol) => [
        attack(
          `${told(protocol, coded)} alone`,
          without('GET /a', ...upgrade, `Sec-WebSocket-Protocol: ${protocol}`),
          400,
        ),
        attack(
          `${told(protocol, coded)} beside a token`,
          ana.get(...upgrade, `Sec-WebSocket-Protocol: ${protocol}`),
          400,
        ),
        attack(
          `${told(protocol, coded)}, no upgrade`,
          ana.get(`Sec-WebSocket-Protocol: ${protocol}`),
          400,
        ),
      ]),
      attack(
        'a bearer protocol in a second line',
        ana.get(
          ...upgrade,
          'Sec-WebSocket-Protocol: v5.channel.k8s.io',
          `Sec-WebSocket-Protocol: ${bearerProtocol}.${coded}`,
        ),
        400,
      ),
      attack('two schemes in two lines', ana.get('Authorization: Basic eDp5') + bo.hidden, 400),
      attack('two tokens', ana.get(`authorization: Bearer ${bo.token}`) + bo.hidden, 400),
    ]
  },
}

function told(text: string, token: string): string {
  return text.replace(token, 'TOKEN')
}

// prettier-ignore
const forged = [
  'Audit-ID: 00000000-0000-0000-0000-000000000000', 'X-Forwarded-For: 203.0.113.9', 'X-Real-Ip: 203.0.113.9', 'X-Real-IP: 1',
  'Forwarded: for=203.0.113.9', 'True-Client-IP: 1', 'X-Cluster-Client-Ip: 1', 'CF-Connecting-IP: 1', 'X-Client-IP: 1',
  'X_Forwarded_For: 1', 'Audit_ID: 1', 'Traceparent: 00-0-0-01', 'X-Request-Id: 1',
]

export const forgeries: Family = {
  title: "P7: what the API server believes in its audit log is the connector's own",
  attacks: (ana) => forged.map((line) => attack(line, ana.get(line, line), ana.passed('GET /a'))),
}
