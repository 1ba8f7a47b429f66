"""Refs, commits, trees and blobs."""

from typing import Any

from refinery.testing.graphql.lists import listed
from refinery.testing.graphql.objects import Blob, Commit, Entry, GitObject, Ref, Tree, find
from refinery.testing.graphql.paging import Window, window
from refinery.testing.graphql.registry import answers, is_kind, reads, resolves
from refinery.testing.graphql.scope import Scope
from refinery.testing.state import Account, Issue

BLOB_LIMIT = 512_000  # bytes of text that GitHub gives of one file

is_kind(Commit, "Commit")
is_kind(Tree, "Tree")
is_kind(Blob, "Blob")
is_kind(Ref, "Ref")

answers(
    "Commit Tree Blob",
    {
        "abbreviatedOid": lambda node, _: node.oid[:7],
        "commitUrl": lambda node, scope: scope.url(f"{node.repository.full_name}/commit/{node.oid}"),
        "id": lambda node, scope: scope.node_id(node),
    },
)
reads("Commit Tree Blob", oid="oid", repository="repository")
reads(
    "Commit",
    author="made.author",
    committer="made.committer",
    message="made.message",
    tree="tree",
)
answers(
    "Commit",
    {
        "authoredDate": lambda commit, _: commit.made.author[2],
        "committedDate": lambda commit, _: commit.made.committer[2],
        "messageHeadline": lambda commit, _: commit.made.message.partition("\n")[0],
        "messageBody": lambda commit, _: commit.made.message.partition("\n")[2].strip("\n"),
        "resourcePath": lambda commit, _: f"/{commit.repository.full_name}/commit/{commit.oid}",
        "url": lambda commit, scope: scope.url(f"{commit.repository.full_name}/commit/{commit.oid}"),
    },
)
answers(
    "GitActor",
    {
        "name": lambda stamp, _: stamp[0],
        "email": lambda stamp, _: stamp[1],
        "date": lambda stamp, _: stamp[2],
        "user": lambda stamp, scope: user_of(scope.world.accounts.get(stamp[0].casefold())),
    },
)
reads("Tree", entries="entries")
reads("TreeEntry", mode="mode", oid="oid", path="name", name="name", size="size", type="kind")
reads("Ref", name="name", prefix="prefix", repository="repository")
answers(
    "Ref",
    {
        "id": lambda ref, scope: scope.node_id(ref),
        "target": lambda ref, _: find(ref.repository, ref.oid),
    },
)


def user_of(account: Account | None) -> Account | None:
    """A person; None for a bot, an organisation or nobody."""
    return account if account is not None and account.kind == "User" else None


@resolves("Commit", "parents")
def _parents(commit: Commit, _scope: Scope, **bounds: Any) -> Window:
    return window(commit.parents, bounds, "parents")


@resolves("Commit", "history")
def _history(commit: Commit, _scope: Scope, **bounds: Any) -> Window:
    return window(commit.history(), bounds, "history")


@resolves("TreeEntry", "object")
def _entry_object(entry: Entry, _scope: Scope) -> GitObject | None:
    return find(entry.repository, entry.oid) if entry.kind != "commit" else None


@resolves("Blob", "byteSize")
def _size(blob: Blob, _scope: Scope) -> int:
    return len(blob.content)


@resolves("Blob", "isBinary")
def _is_binary(blob: Blob, _scope: Scope) -> bool:
    return b"\0" in blob.content


@resolves("Blob", "isTruncated")
def _is_truncated(blob: Blob, _scope: Scope) -> bool:
    return len(blob.content) > BLOB_LIMIT


@resolves("Blob", "text")
def _text(blob: Blob, _scope: Scope) -> str | None:
    return None if b"\0" in blob.content else blob.content[:BLOB_LIMIT].decode("utf-8", "replace")


@resolves("Ref", "associatedPullRequests")
def _pulls_of(ref: Ref, scope: Scope, **asked: Any) -> Window:
    def is_head(issue: Issue) -> bool:
        pull = issue.pull
        return pull is not None and pull.head_repository is ref.repository and pull.head_ref == ref.name

    found = (issue for issue in ref.repository.issues.values() if is_head(issue))
    return listed(scope, found, asked, "associatedPullRequests")
