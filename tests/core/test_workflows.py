"""What GitHub Actions does with an agent's branch, from workflow files as people write them."""

import pytest

from refinery.core.workflows import EVERY, read_workflow


def starts(text):
    return read_workflow(".github/workflows/ci.yml", text.encode()).starts


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("on: push", ("push",)),
        ("on: [push, pull_request]", ("push", "pull_request")),
        ("'on': {push: }", ("push",)),
        ("on: {push: {branches: [main]}}", ()),
        ("on: {push: {branches: main}}", ()),
        ("on: {push: {branches: ['**']}}", ("push",)),
        ("on: {push: {branches: ['*']}}", ()),
        ("on: {push: {branches: ['*/*']}}", ("push",)),
        ("on: {push: {branches: ['polecat/**']}}", ("push",)),
        ("on: {push: {branches: ['**', '!polecat/**']}}", ()),
        ("on: {push: {branches: ['!polecat/**', '**']}}", ("push",)),
        ("on: {push: {branches: ['polecat/[0-9]+']}}", ("push",)),
        ("on: {push: {branches: ['polecat/[']}}", ()),
        ("on: {push: {branches: ['(']}}", ()),
        ("on: {push: {branches: ['[z-a]']}}", ("push",)),
        ("on: {push: {branches-ignore: [main]}}", ("push",)),
        ("on: {push: {branches-ignore: ['polecat/*']}}", ()),
        ("on: {push: {tags: ['v*']}}", ()),
        ("on: {push: {tags: ['v*'], branches: ['**']}}", ("push",)),
        ("on: {push: {paths: [src/**]}}", ("push",)),
        ("on: {pull_request: {branches: [main]}}", ("pull_request",)),
        ("on: pull_request_target", ()),
        ("on: [schedule, workflow_dispatch]", ()),
        ("name: nothing", ()),
    ],
)
def test_what_starts_for_an_agents_branch(on, expected):
    """By GitHub's filter patterns; a filter of a pull is about its base, so it never keeps ours out."""
    assert starts(f"{on}\njobs: {{}}\n") == expected


def test_a_target_workflow_that_takes_the_head_is_the_worst():
    """It runs with every secret, and checks out what an agent wrote."""
    text = "on: pull_request_target\njobs: {a: {steps: [{uses: actions/checkout@v4, with: {ref: '%s'}}]}}\n"
    assert starts(text % "${{ github.event.pull_request.head.sha }}") == ("pull_request_target",)
    assert starts(text % "main") == ()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("echo ${{ secrets.NPM_TOKEN }} ${{secrets['OTHER']}}", ("NPM_TOKEN", "OTHER")),
        ("echo ${{ secrets.GITHUB_TOKEN }}", ()),
        ("echo ${{ toJSON(secrets) }}", (EVERY,)),
        ("echo my.secrets", ()),
    ],
)
def test_secrets_are_named(words, expected):
    """The token that every job has is none of them."""
    text = f"on: push\njobs:\n  a:\n    steps:\n      - run: {words}\n"
    assert read_workflow("ci.yml", text.encode()).secrets == expected


def test_inherited_secrets_are_all_of_them():
    """A reusable workflow gets what it asks for."""
    text = b"on: push\njobs:\n  a:\n    uses: ./.github/workflows/b.yml\n    secrets: inherit\n"
    assert read_workflow("ci.yml", text).secrets == (EVERY,)


@pytest.mark.parametrize(
    ("text", "rights"),
    [
        ("jobs: {a: {}}", ""),
        ("permissions: read-all\njobs: {a: {}}", "read"),
        ("permissions: {}\njobs: {a: {}}", "read"),
        ("permissions: write-all\njobs: {a: {}}", "write"),
        ("permissions: {contents: read, issues: write}\njobs: {a: {}}", "write"),
        ("permissions: {contents: read}\njobs: {a: {permissions: {packages: write}}, b: {}}", "write"),
        ("permissions: write-all\njobs: {a: {permissions: {contents: read}}}", "read"),
        ("jobs: {a: {permissions: {contents: read}}, b: {}}", ""),
        ("permissions: {contents: read}", "read"),
    ],
)
def test_what_the_token_may(text, rights):
    """The most that any job may; "" where one leaves it to the repository's default."""
    assert read_workflow("ci.yml", f"on: push\n{text}\n".encode()).rights == rights


def test_a_file_that_cannot_be_read_counts_as_the_worst():
    """Nobody knows what it does, and GitHub might."""
    found = read_workflow("ci.yml", b"on: [push\n")
    assert found.starts == ("push",)
    assert "YAML" in found.problem
