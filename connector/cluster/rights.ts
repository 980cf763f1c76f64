/**
 * Whether the connector's own account has the rights that it was meant to have, as the API server
 * sees it: too few lets nobody in, and too many is what a thief of the account would have.
 */
import { z } from 'zod'
import type { ClusterApi } from './binding.ts'

const Review = z.object({ status: z.object({ allowed: z.boolean() }) })
const reviews = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'

/** What the API server answers about each way to impersonate; null: it does not say. */
export type Rights = { constrained: boolean | null; anybody: boolean | null }

/** What is wrong with such rights, a sentence each. */
export function problemsOf({ constrained, anybody }: Rights): string[] {
  if (anybody === true) {
    return [
      "the connector's account may act as anybody in this cluster, system:masters too: on Kubernetes 1.36 and later, delete what connector-before-1.36.yaml made",
    ]
  }
  if (constrained !== false || anybody !== false) return []
  return ["the connector's account may not impersonate users: apply deploy/connector.yaml anew"]
}

/** @throws {Failure} `unavailable` when the API server cannot be reached. */
export async function readRights(ask: ClusterApi): Promise<Rights> {
  const users = { resource: 'users' }
  return {
    constrained: await mayI(ask, {
      ...users,
      group: 'authentication.k8s.io',
      verb: 'impersonate:user-info',
    }),
    anybody: await mayI(ask, { ...users, group: '', verb: 'impersonate' }),
  }
}

async function mayI(ask: ClusterApi, resourceAttributes: object): Promise<boolean | null> {
  const answer = await ask('POST', reviews, {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes },
  })
  const read = Review.safeParse(answer.body)
  return read.success ? read.data.status.allowed : null
}
