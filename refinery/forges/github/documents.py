"""The GraphQL documents of the forge, each one request.

Lists carry `pageInfo`: what is longer than its page counts as not known (docs.github.com/graphql).
"""

from typing import Final

_PULL: Final = """
fragment Pull on PullRequest {
  id number title body state isDraft isCrossRepository isInMergeQueue mergeable
  createdAt closedAt updatedAt headRefName headRefOid baseRefName
  mergeCommit { oid }
  labels(first: 100) { pageInfo { hasNextPage } nodes { name } }
}
"""

_OPEN: Final = """
fragment Open on PullRequest {
  reviews(last: 100, states: [APPROVED, CHANGES_REQUESTED]) {
    pageInfo { hasPreviousPage }
    nodes { state body submittedAt author { login } commit { oid } }
  }
  latestOpinionatedReviews(first: 100, writersOnly: true) { nodes { author { login } } }
  commits(last: 1) { nodes { commit { oid statusCheckRollup { contexts(first: 100) {
    pageInfo { hasNextPage }
    nodes {
      __typename
      ... on CheckRun {
        databaseId name status conclusion title
        checkSuite { databaseId app { databaseId slug } }
      }
      ... on StatusContext { context state description creator { __typename login } }
    }
  } } } } }
}
"""

PULLS_QUERY: Final = (
    """
query Pulls($owner: String!, $name: String!, $label: String!, $after: String, $since: String,
            $withOpen: Boolean!, $withEnded: Boolean!) {
  repository(owner: $owner, name: $name) {
    id
    open: pullRequests(states: [OPEN], labels: [$label], first: 50, after: $after,
                       orderBy: {field: CREATED_AT, direction: ASC}) @include(if: $withOpen) {
      pageInfo { hasNextPage endCursor }
      nodes { ...Pull ...Open }
    }
    ended: pullRequests(states: [MERGED, CLOSED], labels: [$label], first: 100, after: $since,
                        orderBy: {field: UPDATED_AT, direction: DESC}) @include(if: $withEnded) {
      pageInfo { hasNextPage endCursor }
      nodes { ...Pull }
    }
  }
}
"""
    + _PULL
    + _OPEN
)

PULL_QUERY: Final = (
    """
query OnePull($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    id
    pullRequest(number: $number) { ...Pull ...Open }
  }
}
"""
    + _PULL
    + _OPEN
)

ENQUEUE_MUTATION: Final = """
mutation Enqueue($pull: ID!, $head: GitObjectID!) {
  enqueuePullRequest(input: {pullRequestId: $pull, expectedHeadOid: $head}) { mergeQueueEntry { position } }
}
"""

READY_MUTATION: Final = """
mutation Ready($pull: ID!) {
  markPullRequestReadyForReview(input: {pullRequestId: $pull}) { pullRequest { isDraft } }
}
"""

DRAFT_MUTATION: Final = """
mutation Draft($pull: ID!) {
  convertPullRequestToDraft(input: {pullRequestId: $pull}) { pullRequest { isDraft } }
}
"""

REFS_MUTATION: Final = """
mutation Refs($repository: ID!, $updates: [RefUpdate!]!) {
  updateRefs(input: {repositoryId: $repository, refUpdates: $updates}) { clientMutationId }
}
"""
