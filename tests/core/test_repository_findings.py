"""What `doctor` says of a repository on GitHub: one sound repository, perturbed one fact at a time."""

from dataclasses import replace

import pytest

from refinery.core.findings import FAIL, OK, WARN
from refinery.core.repository_facts import ACTIONS, Access, BranchFacts, Needs, RepositoryFacts
from refinery.core.repository_findings import about_branch, about_repository, wanted_labels
from refinery.core.workflows import Workflow

NEEDS = Needs(required=(("tests", "github-actions"),))
FACTS = RepositoryFacts(
    name="acme/widgets",
    page="https://github.com/acme/widgets",
    credentials="a token from GH_TOKEN",
    login="robot",
    access=(Access(what="contents: write", is_granted=True),),
    methods=frozenset({"squash"}),
    labels={name: name for name in wanted_labels(NEEDS)},
    default_rights="read",
)
BRANCH = BranchFacts(
    name="main",
    required=(("lint", ""),),
    seen=(("tests", "github-actions"), ("lint", "@mona")),
    workflows=(Workflow(path="ci.yml", starts=("pull_request",), rights="read"),),
)


def findings(facts=FACTS, branch=BRANCH, needs=NEEDS):
    return [*about_repository(facts, needs), *about_branch(facts, branch, needs)]


def only(level, found):
    (one,) = [each for each in found if each.level != OK]
    assert one.level == level
    assert one.remedy
    return one


def test_a_sound_repository_has_nothing_against_it():
    """And every thing that was looked at is named."""
    assert {each.level for each in findings()} == {OK}
    assert len(findings()) >= 10


@pytest.mark.parametrize(
    ("changes", "level", "name", "words"),
    [
        ({"is_archived": True}, FAIL, "on github", "archived"),
        ({"has_issues": False}, FAIL, "issues", "switched off"),
        ({"methods": frozenset({"merge"})}, FAIL, "merge methods", "lands by squash, and allowed is merge"),
        ({"labels": {"hold": "hold"}}, WARN, "labels", "polecat:failed yet"),
        ({"skew": 90.0}, WARN, "clock", "ahead of GitHub's"),
        ({"skew": -90.0}, WARN, "clock", "behind GitHub's"),
        ({"login": ACTIONS}, FAIL, "ci", "starts no workflow"),
        ({"login": f"{ACTIONS}[bot]"}, FAIL, "ci", "starts no workflow"),
    ],
)
def test_one_fact_that_is_against_it(changes, level, name, words):
    """Exactly one finding, with what to do."""
    found = only(level, findings(replace(FACTS, **changes)))
    assert found.name == name
    assert words in found.message


@pytest.mark.parametrize(("granted", "level"), [(False, FAIL), (None, WARN)])
def test_a_permission_that_is_missing_or_unknown(granted, level):
    """Which one, and how to grant it where GitHub said so."""
    lacking = Access(what="issues: write", is_granted=granted, remedy="grant issues: write")
    found = only(level, findings(replace(FACTS, access=(*FACTS.access, lacking))))
    assert "issues: write" in found.message
    assert "contents" not in found.message


def test_labels_of_another_case_are_the_same():
    """GitHub takes them for one, too."""
    named = {"polecat": "PoleCat"}
    assert not [each for each in findings(replace(FACTS, labels=FACTS.labels | named)) if each.level != OK]


def test_without_issue_tasks_issues_may_be_off_and_mirrors_missing():
    """Only what pulls need is asked for."""
    facts = replace(FACTS, has_issues=False, labels={"polecat": "polecat", "hold": "hold"})
    assert {each.level for each in findings(facts, needs=replace(NEEDS, has_tasks=False))} == {OK}


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"approvals": 2}, "branch rules", "2 approving reviews, so nothing merges by itself"),
        (
            {"seen": (("tests", "impostor"), ("lint", ""))},
            "required checks",
            "impostor reports one of that name",
        ),
        ({"seen": (("tests", "github-actions"),)}, "required checks", "lint was not reported"),
    ],
)
def test_one_rule_of_the_branch_that_keeps_things_from_merging(changes, name, words):
    """A check of another App's does not count (F25)."""
    found = only(WARN, findings(branch=replace(BRANCH, **changes)))
    assert found.name == name
    assert words in found.message


def test_what_cannot_be_seen_of_reviews_and_queues_is_said():
    """Without alarm: most people are no administrators."""
    branch = replace(BRANCH, approvals=None, has_queue=True)
    (rules,) = [each for each in findings(branch=branch) if each.name == "branch rules"]
    assert rules.level == OK
    assert "a merge queue" in rules.message
    assert "administrator" in rules.message


@pytest.mark.parametrize(
    ("workflow", "words"),
    [
        ({"secrets": ("NPM_TOKEN",)}, "gives NPM_TOKEN to what an agent wrote"),
        ({"starts": ("pull_request_target",)}, "gets every secret"),
        ({"problem": "not valid YAML"}, "not known"),
        ({"rights": "write"}, "can write to the repository"),
    ],
)
def test_workflows_that_hand_something_to_an_agents_code_are_a_danger(workflow, words):
    """Pushing a branch executes it; said loudly."""
    branch = replace(BRANCH, workflows=(replace(BRANCH.workflows[0], **workflow),))
    found = only(WARN, findings(branch=branch))
    assert found.message.startswith("DANGER: ")
    assert words in found.message


@pytest.mark.parametrize(
    ("default", "words"), [("write", "whose token can write"), ("", "may be able to write"), ("read", "")]
)
def test_a_workflow_without_permissions_has_the_default_rights(default, words):
    """Unknown counts as dangerous."""
    branch = replace(BRANCH, workflows=(replace(BRANCH.workflows[0], rights=""),))
    found = findings(replace(FACTS, default_rights=default), branch)
    loud = [each.message for each in found if each.level != OK]
    assert [words in message for message in loud] == ([True] if words else [])


def test_workflows_that_an_agents_branch_does_not_start_are_harmless():
    """Whatever they have."""
    quiet = Workflow(path="release.yml", secrets=("KEY",), rights="write")
    assert {each.level for each in findings(branch=replace(BRANCH, workflows=(quiet,)))} == {OK}
