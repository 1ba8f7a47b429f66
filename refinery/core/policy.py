"""From a project's configuration to the policy that its pulls are judged by.

Apart from `config`, which a look at the queue reads without needing any rule of landing.
"""

import shlex
from collections.abc import Iterable

from refinery.core.additive import Tier
from refinery.core.config import ProjectConfig
from refinery.core.protected import scripts_named
from refinery.core.reasons import CHECKS_APP
from refinery.core.verdict import Policy


def to_policy(config: ProjectConfig, also_protected: Iterable[str] = ()) -> Policy:
    """The policy that verdicts are judged by.

    Protected besides what the configuration lists: every script that `setup`, `verify` or `checks` names, and
    `also_protected` (a task folder within the repository, say).
    """
    policy = config.policy
    commands = [*config.setup, *config.verify, *(check.command for check in config.checks.values())]
    scripts = scripts_named(shlex.join(command) for command in commands)
    return Policy(
        tier=Tier(policy.tier),
        max_lines=policy.max_lines,
        max_files=policy.max_files,
        label=config.label,
        hold_label=policy.hold_label,
        bases=policy.bases,
        protected=(*policy.protected, *sorted({*scripts, *also_protected})),
        unprotected=policy.unprotected,
        any_paths=policy.any,
        required=(
            *((name, CHECKS_APP) for name in config.checks),
            *((check.name, check.app) for check in policy.required),
        ),
        squash=policy.squash,
    )
