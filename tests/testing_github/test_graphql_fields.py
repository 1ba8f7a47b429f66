"""Every field of the fake's GraphQL schema is answered: what the schema promises is never a crash or a stub."""

import graphql
import pytest
from support.questions import Asker

from refinery.testing.graphql import schema as slices

from .conftest import NAME

GIVEN = {
    "number": "1",
    "name": '"bug"',
    "qualifiedName": '"main"',
    "refPrefix": '"refs/heads/"',
    "expression": '"main:README.md"',
    "login": '"mona"',
    "query": '"a"',
    "type": "ISSUE",
    "pullRequestNumber": "2",
    "first": "3",
}
ALWAYS = ("first", "expression", "pullRequestNumber")


class Walk:
    """A selection of every field below a type, each type once, with whatever arguments it must have."""

    def __init__(self, schema, database_id):
        self.schema, self.seen, self.count = schema, {"Query"}, 0
        self.given = {**GIVEN, "databaseId": str(database_id)}

    def below(self, kind):
        kind = graphql.get_named_type(kind)
        if graphql.is_leaf_type(kind):
            return ""
        if graphql.is_abstract_type(kind):
            each = [f"... on {name} {self.below(self.schema.type_map[name])}" for name in self.members(kind)]
            return "{ __typename " + " ".join(each) + " }"
        if kind.name in self.seen:
            return "{ __typename }"
        self.seen.add(kind.name)
        return (
            "{ __typename " + " ".join(self.field(name, field) for name, field in kind.fields.items()) + " }"
        )

    def members(self, kind):
        return [each.name for each in self.schema.get_possible_types(kind) if each.name not in self.seen]

    def field(self, name, field):
        self.count += 1
        given = {**self.given, **({"number": "2"} if name == "pullRequest" else {})}
        wanted = [each for each in field.args if is_demanded(field.args[each]) or each in ALWAYS]
        arguments = ", ".join(f"{each}: {given[each]}" for each in wanted)
        # Fields of one name have different types in different parts of a union: each gets a name of its own.
        return f"f{self.count}: {name}{f'({arguments})' if arguments else ''} {self.below(field.type)}"


def is_demanded(argument):
    return graphql.is_non_null_type(argument.type)


@pytest.fixture
def stage(hub):
    """Something of every kind: issues, pulls in each state, rules, checks, a queue, a fork."""
    hub.wire.keeps_bodies = False
    hub.open_issue(NAME, "One", "Closes nothing", by="mona", labels=("bug",), assignees=("bob",))
    hub.edit(NAME, 1, by="mona", title="Other", body="edited")
    hub.unlabel(NAME, 1, "bug", by="mona")
    hub.label(NAME, 1, "bug", by="mona")
    said = hub.comment(NAME, 1, "Hm", by="github-actions[bot]")
    hub.world.edit_comment(said, "Hm, hm", said.author)
    head = hub.push(NAME, {"b.py": "b = 1\n"}, branch="topic", by="bob")
    hub.open_pull(NAME, by="bob", head="topic", body="Closes #1")
    hub.review(NAME, 2, "APPROVED", by="mona")
    hub.report_check(NAME, head, "ci")
    hub.report_status(NAME, head, "lint", by="bob")
    hub.push(NAME, {"c.py": "c = 1\n"}, branch="second", by="bob")
    hub.open_pull(NAME, by="bob", head="second")
    hub.merge(NAME, 3, by="mona")
    hub.protect(NAME, checks=(("ci", "ci-app"),), reviews=1)
    hub.ruleset(NAME, checks=(("ci", "ci-app"),), merge_queue=True)
    hub.repository(NAME).rulesets[0]["rules"].append({"type": "pull_request", "parameters": {}})
    pull = hub.issue(NAME, 2)
    pull.pull.auto_merge_by = pull.author
    pull.pull.reviewers.append(hub.world.account("mona"))
    world = hub.world
    for kind in ("assigned", "unassigned"):
        world.event(hub.issue(NAME, 1), kind, pull.author, after="bob")
    for kind in (
        "head_ref_deleted",
        "ready_for_review",
        "convert_to_draft",
        "transferred",
        "added_to_merge_queue",
    ):
        world.event(pull, kind, pull.author)
    world.event(pull, "head_ref_force_pushed", pull.author, before=head, after=head)
    hub.close(NAME, 1, by="mona")
    hub.reopen(NAME, 1, by="mona")
    pull.pull.is_queued = True
    return hub


def test_every_field_is_answered(stage, monkeypatch):
    """Asked for all at once, from several starts: nothing fails, and no field is left that was never asked."""
    schema, asked = slices.executable(), set()
    watch(monkeypatch, schema, asked)
    asker = Asker(stage, stage.token("mona"))
    ruleset = stage.repository(NAME).rulesets[0]["id"]
    owner, name = NAME.split("/")
    names = samples(asker, owner, name)
    kinds = asker("query($ids: [ID!]!) { nodes(ids: $ids) { __typename } }", ids=names)["nodes"]
    for kind, each in {kind["__typename"]: each for kind, each in zip(kinds, names, strict=True)}.items():
        below = Walk(schema, ruleset).below(schema.type_map[kind])
        asker(f"query($id: ID!) {{ node(id: $id) {{ ... on {kind} {below} }} }}", id=each)
    asker(
        """{ id viewer { login } user(login: "mona") { id } nodes(ids: []) { id }
        rateLimit { cost limit nodeCount remaining resetAt used }
        search(type: ISSUE, query: "is:issue", first: 1) { issueCount repositoryCount pageInfo { endCursor }
          edges { cursor node { __typename } } nodes { __typename } } }"""
    )
    promised = {
        f"{kind.name}.{field}"
        for kind in schema.type_map.values()
        if graphql.is_object_type(kind) and not kind.name.startswith("__")
        for field in kind.fields
        if kind.name != "Mutation" and not kind.name.endswith("Payload")
    }
    assert sorted(promised - asked) == []


def watch(monkeypatch, schema, asked):
    for kind in schema.type_map.values():
        if graphql.is_object_type(kind) and not kind.name.startswith("__"):
            for name, field in kind.fields.items():
                monkeypatch.setattr(field, "resolve", noted(field.resolve, f"{kind.name}.{name}", asked))


def noted(resolve, name, asked):
    def resolver(node, info, **arguments):
        asked.add(name)
        return resolve(node, info, **arguments)

    return resolver


def samples(asker, owner, name):
    """Opaque names of one object of many kinds."""
    found = asker(
        """query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) {
        id owner { id } issue(number: 1) { id comments(first: 1) { nodes { id author { ... on Bot { id } } } }
          timelineItems(first: 50) { nodes { ... on Node { id } } } }
        queued: pullRequest(number: 2) { id author { ... on User { id } } reviews(first: 1) { nodes { id } }
          timelineItems(first: 50) { nodes { ... on Node { id } } }
          statusCheckRollup { contexts(first: 5) { nodes { ... on Node { id } ... on CheckRun {
            checkSuite { id app { id } } } } } } }
        merged: pullRequest(number: 3) { id mergeCommit { id tree { id } } timelineItems(first: 50) {
          nodes { ... on Node { id } } } }
        ref(qualifiedName: "main") { id } object(expression: "main:README.md") { id } label(name: "bug") { id } } }""",
        owner=owner,
        name=name,
    )
    return list(ids_in(found))


def ids_in(found):
    if isinstance(found, dict):
        if isinstance(found.get("id"), str):
            yield found["id"]
        for value in found.values():
            yield from ids_in(value)
    elif isinstance(found, list):
        for value in found:
            yield from ids_in(value)
