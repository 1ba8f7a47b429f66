"""The GraphQL documents of issues, each one request. Lists carry `pageInfo`: what was cut off is asked for, or unknown.

`BLOCKED` is left out for servers that do not know native dependencies yet.
"""

from typing import Final

_EVENTS: Final = """
fragment Events on IssueTimelineItemsConnection {
  pageInfo { hasPreviousPage startCursor }
  nodes {
    __typename
    ... on LabeledEvent { createdAt actor { __typename login } label { name } }
    ... on UnlabeledEvent { createdAt actor { __typename login } label { name } }
    ... on RenamedTitleEvent { createdAt actor { __typename login } }
    ... on ReopenedEvent { createdAt actor { __typename login } }
    ... on TransferredEvent { createdAt actor { __typename login } }
  }
}
"""

_COMMENTS: Final = """
fragment Comments on IssueCommentConnection {
  pageInfo { hasNextPage endCursor }
  nodes { id body createdAt lastEditedAt viewerDidAuthor author { __typename login } }
}
"""

_KINDS: Final = "[LABELED_EVENT, UNLABELED_EVENT, RENAMED_TITLE_EVENT, REOPENED_EVENT, TRANSFERRED_EVENT]"

_PLAIN: Final = (
    """
fragment Fields on Issue {
  id number title body state stateReason createdAt updatedAt lastEditedAt repository { nameWithOwner }
  labels(first: 100) { pageInfo { hasNextPage } nodes { name } }
  assignees(first: 20) { nodes { login } }
  timelineItems(last: 50, itemTypes: """
    + _KINDS
    + """) { ...Events }
  comments(first: 50) { ...Comments }
}
"""
    + _EVENTS
    + _COMMENTS
)

_BLOCKED: Final = """
fragment Blocked on Issue {
  blockedBy(first: 50) { pageInfo { hasNextPage } nodes { number repository { nameWithOwner } } }
}
"""

_LABELS: Final = """
fragment Labels on Repository {
  handover: label(name: $label) { name }
  working: label(name: $working) { id }
  review: label(name: $review) { id }
  blocked: label(name: $blocked) { id }
  failed: label(name: $failed) { id }
}
"""

_NAMES: Final = (
    "$owner: String!, $name: String!, $label: String!,"
    " $working: String!, $review: String!, $blocked: String!, $failed: String!"
)

_OPEN: Final = (
    "query OpenIssues(" + _NAMES + ", $after: String)"
    """ {
  viewer { login }
  repository(owner: $owner, name: $name) {
    hasIssuesEnabled
    ...Labels
    issues(first: 50, after: $after, labels: [$label], states: [OPEN],
           orderBy: {field: CREATED_AT, direction: ASC}) {
      totalCount
      pageInfo { hasNextPage endCursor }
      nodes { ...Fields %s }
    }
  }
}
"""
)

_ONE: Final = (
    "query OneIssue(" + _NAMES + ", $number: Int!)"
    """ {
  viewer { login }
  repository(owner: $owner, name: $name) {
    hasIssuesEnabled
    ...Labels
    issue(number: $number) { ...Fields %s }
  }
}
"""
)

OPEN_ISSUES_QUERY: Final = _OPEN % "...Blocked" + _LABELS + _PLAIN + _BLOCKED
PLAIN_OPEN_ISSUES_QUERY: Final = _OPEN % "" + _LABELS + _PLAIN
ONE_ISSUE_QUERY: Final = _ONE % "...Blocked" + _LABELS + _PLAIN + _BLOCKED
PLAIN_ONE_ISSUE_QUERY: Final = _ONE % "" + _LABELS + _PLAIN

EARLIER_EVENTS_QUERY: Final = (
    """
query EarlierEvents($issue: ID!, $before: String) {
  node(id: $issue) { ... on Issue {
    timelineItems(last: 100, before: $before, itemTypes: """
    + _KINDS
    + """) { ...Events }
  } }
}
"""
    + _EVENTS
)

LATER_COMMENTS_QUERY: Final = (
    """
query LaterComments($issue: ID!, $after: String) {
  node(id: $issue) { ... on Issue { comments(first: 100, after: $after) { ...Comments } } }
}
"""
    + _COMMENTS
)

MIRROR_MUTATION: Final = """
mutation Mirror($issue: ID!, $body: String!, $comment: ID!, $extra: ID!, $add: [ID!]!, $remove: [ID!]!,
                $says: Boolean!, $edits: Boolean!, $tidies: Boolean!, $adds: Boolean!, $removes: Boolean!,
                $closes: Boolean!) {
  say: addComment(input: {subjectId: $issue, body: $body}) @include(if: $says) { commentEdge { node { id } } }
  edit: updateIssueComment(input: {id: $comment, body: $body}) @include(if: $edits) { issueComment { id } }
  tidy: deleteIssueComment(input: {id: $extra}) @include(if: $tidies) { clientMutationId }
  add: addLabelsToLabelable(input: {labelableId: $issue, labelIds: $add}) @include(if: $adds) { clientMutationId }
  remove: removeLabelsFromLabelable(input: {labelableId: $issue, labelIds: $remove}) @include(if: $removes) {
    clientMutationId
  }
  close: closeIssue(input: {issueId: $issue, stateReason: COMPLETED}) @include(if: $closes) { clientMutationId }
}
"""
