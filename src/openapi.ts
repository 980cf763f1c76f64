/** The table of routes as an OpenAPI 3.1 document. */
import { z } from 'zod'
import type { Row } from './call.ts'
import { statusOf } from './wire/failure.ts'

type Json = Record<string, unknown>

const who = {
  anyone: 'Anyone.',
  user: 'A user, by session or access key.',
  admin: 'An administrator.',
  connector: "A connector, by its destination's access key.",
}

export function openApi(routes: readonly Row[], url: string): Json {
  const paths: Record<string, Json> = {}
  for (const row of routes) {
    const path = row.path.replace(/:([A-Za-z]+)/g, '{$1}')
    paths[path] = { ...paths[path], [row.method.toLowerCase()]: operation(row) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Infra', version: '1' },
    servers: [{ url }],
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      responses: { Failure: failure },
    },
    paths,
  }
}

function operation(row: Row): Json {
  const takes = z.toJSONSchema(row.takes, { io: 'input', unrepresentable: 'any' }) as Json
  const properties = (takes['properties'] ?? {}) as Record<string, Json>
  const required = (takes['required'] ?? []) as string[]
  const inPath = [...row.path.matchAll(/:([A-Za-z]+)/g)].map((match) => match[1] ?? '')
  const others = Object.keys(properties).filter((name) => !inPath.includes(name))
  const parameter = (place: string) => (name: string) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: properties[name] ?? { type: 'string' },
  })
  const inBody = row.method === 'POST' || row.method === 'PUT'
  return {
    description: who[row.who],
    security: row.who === 'anyone' ? [] : [{ bearer: [] }],
    parameters: [
      ...inPath.map(parameter('path')),
      ...(inBody ? [] : others.map(parameter('query'))),
    ],
    ...(inBody ? { requestBody: body(properties, required, others) } : {}),
    responses: { 200: ok(row), default: { $ref: '#/components/responses/Failure' } },
  }
}

function body(properties: Record<string, Json>, required: string[], others: string[]): Json {
  const schema = {
    type: 'object',
    properties: Object.fromEntries(others.map((name) => [name, properties[name]])),
    required: others.filter((name) => required.includes(name)),
  }
  return { required: true, content: { 'application/json': { schema } } }
}

function ok(row: Row): Json {
  const schema = z.toJSONSchema(row.gives, { io: 'output', unrepresentable: 'any' })
  return { description: 'Done.', content: { 'application/json': { schema } } }
}

const failure = {
  description: 'Refused, with a sentence that says why.',
  content: {
    'application/json': {
      schema: {
        type: 'object',
        properties: {
          code: { enum: [...Object.keys(statusOf), 'internal'] },
          message: { type: 'string' },
        },
        required: ['code', 'message'],
      },
    },
  },
}
