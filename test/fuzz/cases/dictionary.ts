/**
 * What smuggled requests, or identities, somewhere at some time. Lines are without their ends;
 * `{n}` becomes the length of the body that follows.
 */
export const hidden = 'GET /hidden HTTP/1.1\r\nHost: a\r\nImpersonate-User: root\r\n\r\n'

// prettier-ignore
export const requestLines = [
  'GET /api/v1/pods HTTP/1.0', 'GET /api/v1/pods HTTP/0.9', 'GET /api/v1/pods', 'PRI * HTTP/2.0',
  'GET  /api HTTP/1.1', 'GET /api  HTTP/1.1', 'GET\t/api HTTP/1.1', ' GET /api HTTP/1.1',
  'GET /api HTTP/1.1 ', 'get /api HTTP/1.1', 'GET /api http/1.1', 'GET /api HTTP/1.10',
  'GET /api HTTP/01.1', 'GET http://evil/s HTTP/1.1', 'GET https://evil:6443/s HTTP/1.1',
  'CONNECT evil:443 HTTP/1.1', 'OPTIONS * HTTP/1.1', 'TRACE / HTTP/1.1', 'GET //evil/x HTTP/1.1',
  'GET /api//v1 HTTP/1.1', 'GET /api/../version HTTP/1.1', 'GET /api/./version HTTP/1.1',
  'GET /api/v1%2fsecrets HTTP/1.1', 'GET /api/%2E%2e/version HTTP/1.1', 'GET /api\\v1 HTTP/1.1',
  'GET /api/%00 HTTP/1.1', 'GET /api/%zz HTTP/1.1', 'GET /api/% HTTP/1.1', 'GET /a%5cb HTTP/1.1',
  'GET /api#frag HTTP/1.1', 'GET /api?a#b HTTP/1.1', 'GET /api?a b HTTP/1.1', 'GET api HTTP/1.1',
  'GET ?a HTTP/1.1', 'GET /\xe4 HTTP/1.1', 'GET /a?\xff HTTP/1.1', 'G\0T / HTTP/1.1',
  'PROPFIND / HTTP/1.1', 'GET /a;b=c/d HTTP/1.1', 'GET /api/v1/pods/ HTTP/1.1',
  'GET /API/v1?a=1&a=2 HTTP/1.1', 'GET /a?x=%2f..%2f HTTP/1.1', "GET /a?q={\"a\":'b'}|^` HTTP/1.1",
  'GET /?\\..\\ HTTP/1.1', '', '\r\nGET / HTTP/1.1', '\nGET / HTTP/1.1', 'SSH-2.0-OpenSSH_9.2',
]

// prettier-ignore
export const framings = [
  'Content-Length: {n}', 'Content-Length: 0', 'Content-Length: 1', 'Content-Length: +{n}',
  'Content-Length: -1', 'Content-Length: 0{n}', 'Content-Length: 0x5', 'Content-Length: {n}, {n}',
  'Content-Length: {n}, 0', 'Content-Length: {n} ', 'Content-Length:\t{n}', 'Content-Length : {n}',
  'Content-Length: {n}\r\nContent-Length: {n}', 'Content-Length: 0\r\nContent-Length: {n}',
  'content-length: {n}', 'Content-Length: 99999999999999999999', 'Content-Length: 999999999999999',
  'Content-Length:', 'Content-Length: {n};a', 'Content_Length: {n}', 'Content-Length: 1e1',
  'Content-Length: {n}\r\n 0', 'Content-Length: \xb2',
  'Transfer-Encoding: chunked', 'transfer-encoding: chunked', 'Transfer-Encoding: CHUNKED',
  'Transfer-Encoding: Chunked', 'Transfer-Encoding: chunked, identity', 'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: identity', 'Transfer-Encoding: chunked, chunked', 'Transfer-Encoding: xchunked',
  'Transfer-Encoding:\x0bchunked', 'Transfer-Encoding:\tchunked', 'Transfer-Encoding : chunked',
  ' Transfer-Encoding: chunked', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
  'Transfer-Encoding: x\r\nTransfer-Encoding: chunked', 'Transfer-Encoding:\r\n chunked',
  'Transfer-Encoding: "chunked"', 'Transfer-Encoding: chunked;q=1', 'Transfer_Encoding: chunked',
  'X: a\nTransfer-Encoding: chunked', 'X: a\rTransfer-Encoding: chunked', 'Transfer-Encoding: ',
  'Content-Length: {n}\r\nTransfer-Encoding: chunked', 'Transfer-Encoding: chunked\r\nContent-Length: 4',
  'TE: chunked', 'Transfer-Encoding: chunked,', 'Transfer-Encoding: ,chunked', 'Transfer-Encoding\0: chunked',
]

// prettier-ignore
export const identities = [
  'Impersonate-User: root', 'Impersonate-Group: system:masters', 'impersonate-group: system:masters',
  'IMPERSONATE-UID: 0', 'Impersonate-Extra-scopes: x', 'Impersonate_User: root', 'ImPeRsOnAtE-uSeR: root',
  'Impersonate.Group: a', 'Impersonate-New-Thing: a', 'X-Remote-User: root', 'x-remote-group: a',
  'X-Remote-Extra-a: b', 'X_Remote_User: root', 'Audit-ID: 00000000-0000-0000-0000-000000000000',
  'X-Forwarded-For: 203.0.113.9', 'X-Real-Ip: 203.0.113.9', 'Forwarded: for=203.0.113.9',
  'X-HTTP-Method-Override: DELETE', 'Authorization: Basic cm9vdDpyb290', 'Proxy-Authorization: Basic a',
  'authorization: Bearer other', 'Cookie: a=b', 'X-Forwarded-Host: evil', 'X-Original-URL: /secret',
  'Connection: Impersonate-User, Impersonate-Group', 'Connection: close, Authorization',
  'Connection: keep-alive\r\nConnection: X-Forwarded-For', 'Keep-Alive: impersonate-user',
  'Proxy-Connection: Impersonate_Group', 'TE: trailers, impersonate-user', 'Trailer: Impersonate-User',
  'Trailer: X-A', 'Connection: upgrade', 'Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c',
  'Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.aGk', 'Host: evil', 'host: evil', 'Host: a, b',
]

// prettier-ignore
export const oddFields = [
  ': a', 'X', 'X : a', '\tX: a', ' X: a', 'X: a\r\n b', 'X: a\r\n\tb', 'X: a\0b', 'X: a\x07b', 'X: \x7f',
  'X: \xe4', 'X\xe4: a', 'X(: a', 'X: a\r', 'X: a\n', 'X: a\r\rb', 'X: a\n\nGET / HTTP/1.1', '"X": a', 'X[]: a',
  `X: ${'a'.repeat(3_000)}`, 'Expect: 100-continue', 'Expect: 100-continue, x', 'Expect: 200-ok', 'expect: 100-CONTINUE',
  'Content-Type: a\r\nContent-Type: b', 'User-Agent:', 'Accept:   */*   ', 'Accept: a\tb', 'Pragma: no-cache',
]

/** Bodies in chunks, with what was taken for chunks. */
// prettier-ignore
export const chunkedBodies = [
  '0\r\n\r\n', '5\r\nhello\r\n0\r\n\r\n', '5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n', '00\r\n\r\n', 'A\r\n0123456789\r\n0\r\n\r\n',
  'a\r\n0123456789\r\n000\r\n\r\n', '00000005\r\nhello\r\n0\r\n\r\n', '2\r\n\r\n\r\n0\r\n\r\n',
]

// prettier-ignore
export const oddChunkedBodies = [
  '5;a=b\r\nhello\r\n0\r\n\r\n', '5 \r\nhello\r\n0\r\n\r\n', ' 5\r\nhello\r\n0\r\n\r\n', '0x5\r\nhello\r\n0\r\n\r\n',
  '5\nhello\n0\n\n', '5\r\nhello\n0\r\n\r\n', '5\rhello\r\n0\r\n\r\n', '000000005\r\nhello\r\n0\r\n\r\n', '5\r\nhello!\r\n0\r\n\r\n',
  '5\r\nhell\r\n0\r\n\r\n', '-5\r\nhello\r\n0\r\n\r\n', '+5\r\nhello\r\n0\r\n\r\n', 'g\r\n', '\r\n\r\n', '5\r\nhello0\r\n\r\n',
  '0\r\nX-Sum: 1\r\n\r\n', '0\r\nImpersonate-Group: system:masters\r\n\r\n', '0\r\nContent-Length: 9\r\n\r\n', '0\r\n X: folded\r\n\r\n',
  '0\r\nno colon\r\n\r\n', '0\r\n: a\r\n\r\n', '0\r\nX: a\nY: b\r\n\r\n', '0\r\nX: \xe4\r\n\r\n', '0\n\n', '0\r\n\n', '0\r\n\r', '0;\r\n\r\n',
  'FFFFFFFF\r\nhello', 'FFFFFFFFFFFFFFFF1\r\nhello\r\n0\r\n\r\n', `5;${'a'.repeat(5_000)}\r\nhello\r\n0\r\n\r\n`, '5;\n\r\nhello\r\n0\r\n\r\n',
]

/** What may stand behind the last chunk, and what may not. */
// prettier-ignore
export const trailers = [
  'X-Sum: 1', 'X-Sum:', 'X: a\r\nY: b', ' X: folded', 'X: a\r\n b', 'no colon', ': a', 'X : a', 'X: a\nY: b', 'X: \0', '\tX: a',
  'Content-Length: 9', 'content-length:9', 'Transfer-Encoding: chunked', 'Trailer: X', 'Host: a', 'HTTP/1.1 200 OK', 'GET / HTTP/1.1',
]

/** Single bytes and short runs that parsers part over. */
// prettier-ignore
export const crumbs = [
  '\0', '\r', '\n', '\r\n', '\r\n\r\n', '\n\n', '\r\r\n', ' ', '\t', '\x0b', '\x0c', '\x7f', '\x80', '\xa0', '\xff', ':', ',', ';', '"',
  '%', '%00', '%2f', '%0d%0a', '/', '//', '..', '?', '#', '\\', '0', 'Host: a\r\n', 'X: y\r\n', 'HTTP/1.1', 'chunked', hidden,
]
