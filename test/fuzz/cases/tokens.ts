/**
 * Tokens of two users, signed once by a key that nobody has any more: the bytes of a case must be
 * the same whenever it is repeated, and a signature of ES256 never is.
 */
import type { PublicKey } from '../../../src/wire/access.ts'

export const issuedAt = Date.parse('2026-01-01T00:00:00Z')

export const publicKey: PublicKey = {
  ...{ kid: 'k1', kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' },
  x: 'LcZKD0D2xoZM2YApTJkfVVNpSneiNj1AUrR5AQkhCTw',
  y: 'RgeOVnDRVd7wYqF60c6D4gxSmVGfVvjoSXY38KaR3N8',
}

export const tokens = {
  'u-ana':
    'eyJhbGciOiJFUzI1NiIsInR5cCI6ImluZnJhK2p3dCIsImtpZCI6ImsxIn0.eyJpc3MiOiJodHRwczovL2luZnJhLnRlc3QiLCJhdWQiOiJkLXByb2QiLCJzdWIiOiJ1LWFuYSIsInNpZCI6InMtdS1hbmEiLCJpYXQiOjE3NjcyMjU2MDAsImV4cCI6MTc2NzMxMjAwMH0.SVtfeTHwm-slwgl_aN8nhL7u0luTiF0_SHw-6aEtXzSocA6P6GdMWvc4UJAWr6qYBUs7onPk2FvyBrpuvyKvyg',
  'u-bo':
    'eyJhbGciOiJFUzI1NiIsInR5cCI6ImluZnJhK2p3dCIsImtpZCI6ImsxIn0.eyJpc3MiOiJodHRwczovL2luZnJhLnRlc3QiLCJhdWQiOiJkLXByb2QiLCJzdWIiOiJ1LWJvIiwic2lkIjoicy11LWJvIiwiaWF0IjoxNzY3MjI1NjAwLCJleHAiOjE3NjczMTIwMDB9._C-JnTbc_BuTSQS7lQst8rb2pc3ckeYy72twF2ZuMZWWyMKNyxkItSOYoXeHFkU8vpdg0JOw7yyFaV3ZeLE4aQ',
}

export type UserId = keyof typeof tokens
