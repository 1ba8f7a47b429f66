"""Classic branch protection and rulesets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refinery.testing.checking import required_checks
from refinery.testing.graphql.ids import named_id
from refinery.testing.graphql.objects import Ref
from refinery.testing.graphql.paging import Window, window
from refinery.testing.graphql.registry import answers, is_kind, reads, resolves
from refinery.testing.graphql.scope import Scope
from refinery.testing.state import App, CheckRun, Repository, Status


@dataclass(frozen=True, eq=False)
class Protection:
    """The classic protection of one branch."""

    repository: Repository
    branch: str
    said: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Ruleset:
    """A ruleset of a repository."""

    repository: Repository
    said: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Rule:
    """One rule of a ruleset."""

    ruleset: Ruleset
    said: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Parameters:
    """What a rule of a type says in detail, in REST's words."""

    type: str
    said: Mapping[str, Any]


_PARAMETERS = {
    "required_status_checks": "RequiredStatusChecksParameters",
    "pull_request": "PullRequestParameters",
    "merge_queue": "MergeQueueParameters",
}
is_kind(Parameters, lambda node: _PARAMETERS[node.type])


def _says(name: str, default: Any) -> Any:
    return lambda node, _scope: node.said.get(name, default)


answers(
    "BranchProtectionRule",
    {
        "id": lambda rule, _: named_id("BranchProtectionRule", rule.repository.id, rule.branch),
        "pattern": lambda rule, _: rule.branch,
        "requiredApprovingReviewCount": lambda rule, _: rule.said.get("reviews") or None,
        "requiresApprovingReviews": lambda rule, _: bool(rule.said.get("reviews")),
        "requiredStatusCheckContexts": lambda rule, _: [each["context"] for each in _checks(rule)],
        "requiredStatusChecks": lambda rule, _: _checks(rule),
        "requiresStatusChecks": lambda rule, _: bool(_checks(rule)),
        "requiresStrictStatusChecks": lambda rule, _: bool(rule.said.get("strict")),
        "isAdminEnforced": lambda _rule, _scope: True,
        **dict.fromkeys(
            (
                "allowsDeletions",
                "allowsForcePushes",
                "dismissesStaleReviews",
                "requiresCodeOwnerReviews",
                "requiresLinearHistory",
            ),
            lambda _rule, _scope: False,
        ),
    },
)
reads("BranchProtectionRule", repository="repository")
answers("RequiredStatusCheckDescription", {"context": lambda check, _: check["context"]})
answers(
    "RepositoryRuleset",
    {
        "id": lambda ruleset, _: named_id("RepositoryRuleset", ruleset.said["id"]),
        "databaseId": lambda ruleset, _: ruleset.said["id"],
        "name": lambda ruleset, _: ruleset.said.get("name", "rules"),
        "enforcement": lambda ruleset, _: str(ruleset.said.get("enforcement", "active")).upper(),
        "target": lambda _ruleset, _scope: "BRANCH",
        "source": lambda ruleset, _: ruleset.repository,
        "conditions": lambda ruleset, _: ruleset,
        **dict.fromkeys(("createdAt", "updatedAt"), lambda ruleset, _: ruleset.repository.created_at),
    },
)
answers("RepositoryRuleConditions", {"refName": lambda ruleset, _: ruleset})
answers(
    "RefNameConditionTarget",
    {
        "include": lambda ruleset, _: [f"refs/heads/{branch}" for branch in ruleset.said["branches"]],
        "exclude": lambda _ruleset, _scope: [],
    },
)
answers(
    "RepositoryRule",
    {
        "id": lambda rule, _: named_id("RepositoryRule", rule.ruleset.said["id"], rule.said["type"]),
        "type": lambda rule, _: rule.said["type"].upper(),
        "parameters": lambda rule, _: (
            Parameters(rule.said["type"], rule.said.get("parameters") or {})
            if rule.said["type"] in _PARAMETERS
            else None
        ),
    },
)
reads("RepositoryRule", repositoryRuleset="ruleset")
answers(
    "RequiredStatusChecksParameters",
    {
        "doNotEnforceOnCreate": _says("do_not_enforce_on_create", default=False),
        "requiredStatusChecks": _says("required_status_checks", ()),
        "strictRequiredStatusChecksPolicy": _says("strict_required_status_checks_policy", default=False),
    },
)
answers(
    "StatusCheckConfiguration",
    {
        "context": lambda check, _: check["context"],
        "integrationId": lambda check, _: check.get("integration_id"),
    },
)
answers(
    "PullRequestParameters",
    {
        "allowedMergeMethods": lambda node, _: [
            each.upper() for each in node.said.get("allowed_merge_methods", ("merge", "squash", "rebase"))
        ],
        "dismissStaleReviewsOnPush": _says("dismiss_stale_reviews_on_push", default=False),
        "requireCodeOwnerReview": _says("require_code_owner_review", default=False),
        "requireLastPushApproval": _says("require_last_push_approval", default=False),
        "requiredApprovingReviewCount": _says("required_approving_review_count", 0),
        "requiredReviewThreadResolution": _says("required_review_thread_resolution", default=False),
    },
)
answers(
    "MergeQueueParameters",
    {
        "checkResponseTimeoutMinutes": _says("check_response_timeout_minutes", 60),
        "groupingStrategy": _says("grouping_strategy", "ALLGREEN"),
        "maxEntriesToBuild": _says("max_entries_to_build", 5),
        "maxEntriesToMerge": _says("max_entries_to_merge", 5),
        "mergeMethod": _says("merge_method", "MERGE"),
        "minEntriesToMerge": _says("min_entries_to_merge", 1),
        "minEntriesToMergeWaitMinutes": _says("min_entries_to_merge_wait_minutes", 5),
    },
)


def _checks(rule: Protection) -> list[Mapping[str, Any]]:
    return list(rule.said.get("checks", ()))


@resolves("RequiredStatusCheckDescription", "app")
def _app(check: Mapping[str, Any], scope: Scope) -> App | None:
    return next((app for app in scope.world.apps.values() if app.id == check.get("app_id")), None)


@resolves("Repository", "branchProtectionRules")
def _protections(repository: Repository, scope: Scope, **bounds: Any) -> Window:
    """Only for those who may change them: others see an empty list on GitHub."""
    rules = [Protection(repository, branch, said) for branch, said in repository.protection.items()]
    return window(rules if scope.role(repository) == "admin" else [], bounds, "branchProtectionRules")


@resolves("Ref", "branchProtectionRule")
def _protection(ref: Ref, _scope: Scope) -> Protection | None:
    said = ref.repository.protection.get(ref.name) if ref.prefix == "refs/heads/" else None
    return Protection(ref.repository, ref.name, said) if said is not None else None


@resolves("Repository", "rulesets")
def _rulesets(repository: Repository, _scope: Scope, **bounds: Any) -> Window:
    return window([Ruleset(repository, said) for said in repository.rulesets], bounds, "rulesets")


@resolves("Repository", "ruleset")
def _ruleset(repository: Repository, _scope: Scope, database_id: int) -> Ruleset | None:
    found = (said for said in repository.rulesets if said["id"] == database_id)
    return next((Ruleset(repository, said) for said in found), None)


@resolves("RepositoryRuleset", "rules")
def _rules(ruleset: Ruleset, _scope: Scope, type: str | None = None, **bounds: Any) -> Window:  # noqa: A002  (GitHub's name)
    found = [Rule(ruleset, said) for said in ruleset.said["rules"] if type in (None, said["type"].upper())]
    return window(found, bounds, "rules")


def is_required(subject: CheckRun | Status, repository: Repository, branch: str) -> bool:
    """Whether a branch wants this result before a merge."""
    name = subject.name if isinstance(subject, CheckRun) else subject.context
    apps = (0, subject.app.id) if isinstance(subject, CheckRun) else (0,)
    wanted = required_checks(repository, branch)
    return any((name, app) in wanted for app in apps)
