"""Configuration: what is read, what is refused, and what is written back."""

import json
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery.core.additive import Tier
from refinery.core.config import (
    CheckConfig,
    ProjectConfig,
    UserConfig,
    UserProject,
    from_plain,
    merge_agents,
)
from refinery.core.config_edit import set_project
from refinery.core.config_model import json_schema, parse_project, parse_user, render
from refinery.core.policy import to_policy
from refinery.core.reasons import CHECKS_APP
from refinery.core.verdict import Policy
from refinery.errors import ConfigError

EVERYTHING = """\
label: polecat
base: trunk
agents:
  stub: {command: [stub, --fast], env: [LANG, "LC_*"], timeout: 90s}
  short: make work
  claude: {model: large, max_turns: 30, max_budget_usd: 2.5}
agent: stub
prompt: |
  Be brief.
  Add tests.
setup: pip install -e .
verify: [make lint, [pytest, -q]]
checks:
  tests: pytest -q
  types: {command: [mypy], timeout: 5m}
policy:
  tier: new-files
  max_lines: 100
  any: [docs/]
  required: [build, {name: scan, app: scanner}]
  squash: no
limits: {lease: 4h, memory: 4GB, backoff: 0}
budgets: {per_attempt_usd: 20}
sandbox: auto
"""


def mistakes_of(text, parse=parse_project):
    with pytest.raises(ConfigError) as caught:
        parse(text, "refinery.yml")
    assert caught.value.exit_code == 2
    assert caught.value.remedy
    return str(caught.value).splitlines()


def test_an_empty_file_is_the_defaults():
    """Nothing needs to be configured."""
    config = parse_project("# nothing yet\n", "refinery.yml")
    assert config == ProjectConfig() == parse_project("", "refinery.yml")
    assert (config.label, config.policy.tier, config.limits.lease) == ("polecat", "additions", 900.0)
    assert (config.policy.max_lines, config.policy.max_files, config.checks) == (500, 50, {})


def test_every_key_is_read():
    """Commands become argv lists, durations seconds, sizes bytes."""
    config = parse_project(EVERYTHING, "refinery.yml")
    assert config.agents["stub"].command == ("stub", "--fast")
    assert config.agents["short"].command == ("sh", "-c", "make work")
    assert config.agents["stub"].timeout == 90.0
    assert config.setup == (("sh", "-c", "pip install -e ."),)
    assert config.verify == (("sh", "-c", "make lint"), ("pytest", "-q"))
    assert config.checks["tests"].command == ("sh", "-c", "pytest -q")
    assert config.checks["types"].timeout == 300.0
    assert config.limits.memory == 4_000_000_000
    assert config.limits.lease == 4 * 3600.0
    assert config.policy.squash is False
    assert [(item.name, item.app) for item in config.policy.required] == [("build", ""), ("scan", "scanner")]
    assert config.agents["claude"].settings().max_budget_usd == 2.5


def test_f19_a_script_of_several_lines_stops_at_its_first_failure():
    """F19: a line that failed is not covered up by the next one."""
    config = parse_project("checks:\n  all: |\n    make lint\n    make test\n", "refinery.yml")
    assert config.checks["all"].command == ("sh", "-e", "-c", "make lint\nmake test")


def test_words_stay_what_was_typed():
    """`on`, `no`, `007` and `12:30` are names wherever a name is asked for, and truth values where one is."""
    config = parse_project("label: on\nagents: {no: yes}\nchecks: {007: 12:30}\npolicy: {squash: off}\n", "c")
    assert config.label == "on"
    assert config.agents["no"].command == ("sh", "-c", "yes")
    assert config.checks["007"].command == ("sh", "-c", "12:30")
    assert config.policy.squash is False


def test_all_mistakes_are_listed_with_their_lines():
    """One run shows everything there is to mend."""
    text = "agnts: {}\nlimits:\n  lease: 15\n  attempts: zero\n\npolicy:\n  tier: addition\nlimits: {}\n"
    lines = mistakes_of(text)
    assert [line.split(": ")[:2] for line in lines] == [
        ["refinery.yml:1", "agnts"],
        ["refinery.yml:3", "limits.lease"],
        ["refinery.yml:4", "limits.attempts"],
        ["refinery.yml:7", "policy.tier"],
        ["refinery.yml:8", "limits"],
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("agnts: {}", "agnts: is not a known key (did you mean agents?)"),
        ("max_lines: 3", "did you mean policy.max_lines?"),
        (
            "agents: {a: {command: x, tiemout: 3m}}",
            "agents.a.tiemout: is not a known key (did you mean timeout?)",
        ),
        ("xyzzy: 1", "xyzzy: is not a known key (known here: label, base,"),
        ("policy: {tier: addition}", "(did you mean additions?)"),
        ("limits: {lease: 15}", "such as 15s or 15m"),
        ("limits: {lease: 2d}", "limits.lease: must be 1d or less"),
        ("limits: {memory: 4 apples}", "such as 100MB or 4GB"),
        ("limits: {workers: 0}", "limits.workers: must be 1 or more"),
        ("limits: 3", "limits: must be a mapping of keys to values"),
        ("policy: {squash: perhaps}", "must be true or false, not 'perhaps'"),
        ("policy: {required: [a, {nam: b}]}", "policy.required[1].nam"),
        ("policy: {protected: ['../x']}", "policy.protected[0]: '../x' is not a pattern"),
        ("policy: {any: ['a[z-a]']}", "policy.any[0]: 'a[z-a]' is not a pattern"),
        ("policy: {bases: ['']}", "policy.bases[0]: '' is not a pattern for branch names"),
        ("checks: {tests: ''}", "checks.tests.command: must be a command"),
        ("checks: {tests: [1, [2]]}", "must be a command"),
        ("setup: {a: b}", "setup: must be a command or a list of commands, not a mapping"),
        ("label: a\nagents: {ghost: {}}", "refinery.yml:2: agents: the agent ghost needs a command"),
        ("agents: {'a b': x}", "agents.a b: 'a b' is not a name"),
        ("base: a..b", "base: 'a..b' is not a branch name"),
        ("base: refs/heads/main", "is not a branch name"),
        ("budgets: {per_attempt_usd: -1}", "must be more than 0"),
        ("a: 1\na: 2", "refinery.yml:2: a: is given twice, first in line 1"),
        ("[1, 2]", "refinery.yml:1: must be a mapping of keys to values"),
        ("label: [a\nb: c", "refinery.yml:2: not valid YAML"),
        (
            "label: !!python/object:os.system x",
            "the tag tag:yaml.org,2002:python/object:os.system is not used",
        ),
        ("prompt: &x [*x]", "contains itself"),
        ("label: a\x01", "a character that YAML does not allow"),
        ("a:\n\t- b", "a tab cannot indent YAML"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("[" * 50_000, "is nested too deeply"),
        (b"prompt: x\nlabel: \xff", "refinery.yml:2: is not UTF-8 text"),
    ],
)
def test_a_mistake_is_named(text, part):
    """Each kind of mistake has words of its own."""
    assert part in "\n".join(mistakes_of(text))


def test_repeated_aliases_do_not_exhaust_memory():
    """A file of nested aliases is refused while it is small."""
    levels = "\n".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]" for n in range(8)
    )
    assert "holds more than 20000 values" in "\n".join(
        mistakes_of(f"a: &a [{', '.join('x' * 10)}]\n{levels}\n")
    )


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GH_*", "GIT_DIR", "GIT_SSH", "GITHUB_*"])
def test_an_agent_is_never_given_a_forge_token(name):
    """Principle 7: no configuration hands the forge's token or git's own variables to an agent."""
    assert "never gets a forge token" in mistakes_of(f"agents: {{a: {{command: x, env: ['{name}']}}}}")[0]


def test_the_persons_agents_win():
    """An agent in the home's configuration replaces the project's of the same name."""
    project = parse_project("agents: {a: theirs, b: theirs}", "p")
    user = parse_user("agents: {a: mine}", "u")
    merged = merge_agents(project, user)
    assert {name: agent.command[-1] for name, agent in merged.items()} == {"a": "mine", "b": "theirs"}


def test_a_slug_must_be_a_portable_file_name():
    """A project's slug names folders on file systems that fold case."""
    assert (
        "cannot name a project" in mistakes_of("projects: {Demo: {repository: a, tasks: b}}", parse_user)[0]
    )
    assert "projects.a.repository: is missing" in mistakes_of("projects: {a: {tasks: b}}", parse_user)[0]


def test_what_is_shown_parses_to_the_same():
    """`render` writes what `parse` reads."""
    for config in (parse_project(EVERYTHING, "c"), ProjectConfig()):
        assert parse_project(render(config), "c") == config
    user = parse_user("projects: {a: {repository: /r, tasks: t}}\nretention: {logs: 0}\n", "c")
    assert parse_user(render(user), "c") == user


def test_a_configuration_survives_json():
    """So that it can be kept between runs; what another version kept is refused."""
    config = parse_project(EVERYTHING, "c")
    kept = json.loads(json.dumps(asdict(config)))
    assert from_plain(ProjectConfig, kept) == config
    with pytest.raises(ValueError, match="not the fields of ProjectConfig"):
        from_plain(ProjectConfig, {**kept, "newer": 1})


_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n"), max_size=30)


@given(
    prompt=_TEXT, label=st.sampled_from(["on", "null", "~", "1e3", "a: b", "# x", "- y", "é"]), script=_TEXT
)
def test_any_text_survives_being_shown(prompt, label, script):
    """No text is mistaken for a number, a null or YAML syntax."""
    checks = {"t": CheckConfig(command=("sh", script))} if script.strip() else {}
    config = ProjectConfig(prompt=prompt, label=label, checks=checks)
    assert parse_project(render(config), "c") == config


def test_the_schema_names_every_section():
    """Editors complete and check the file by it."""
    schema = json_schema()
    assert list(schema["properties"]) == [field.name for field in fields(ProjectConfig)]
    assert schema["additionalProperties"] is False
    assert "projects" in json_schema(UserConfig)["properties"]


FILES = {
    "empty": "",
    "comment": "# mine\n",
    "no newline": "defaults: {caller: me}",
    "no value": "# before\nprojects:  # mine\n\ndefaults:\n  caller: me\n",
    "null": "projects: ~ # later\n",
    "end of file": "projects:",
    "block": "projects:\n    # first\n    old:\n        repository: /o # here\n        tasks: t\n    # last\n\n# end\n",
    "block, no newline": "projects:\n  old: {repository: /o, tasks: t}",
    "block scalar": "projects:\n  old:\n    repository: /o\n    tasks: |-\n      t\n\n# end\ndefaults: {}\n",
    "flow": "projects: {old: {repository: /o, tasks: t}} # flow\n",
    "empty flow": "projects: {}\n",
    "trailing comma": "projects: {old: {repository: /o, tasks: t},}\n",
    "windows": "# a\r\nprojects:\r\n  old:\r\n    repository: /o\r\n    tasks: t\r\n",
    "same": "projects:\n  new: # c\n    tasks: t2 # keep\n    base: dev\n    repository: '/elsewhere'\n",
    "same, lacking": "projects:\n  new:\n    tasks: t2\n    repository: /n\n",
    "same, flow": "projects: {new: {tasks: t2, repository: /n}}\n",
}


@pytest.mark.parametrize("name", FILES)
def test_registering_changes_nothing_else(name):
    """The person's comments, order and line endings stay; every old line is still there unless it was replaced."""
    text = FILES[name]
    before = parse_user(text, "c") if "lacking" not in name else None
    values = {"repository": "/a path: #1", "tasks": "/t", "base": "main"}
    after_text = set_project(text, "new", values)
    after = parse_user(after_text, "c")
    assert after.projects["new"] == UserProject(**values)
    if before is not None:
        others = {slug: project for slug, project in before.projects.items() if slug != "new"}
        assert {slug: project for slug, project in after.projects.items() if slug != "new"} == others
        assert after.defaults == before.defaults
    comments = [part for part in text.split() if part.startswith("#")]
    assert [part for part in after_text.replace("#1", "").split() if part.startswith("#")] == comments
    assert after_text.count("\r\n") in (0, after_text.count("\n"))
    assert set_project(after_text, "new", values) == after_text


@given(
    slugs=st.lists(
        st.from_regex(r"[a-z0-9][a-z0-9._-]{0,6}", fullmatch=True), unique=True, min_size=1, max_size=5
    ),
    path=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12),
)
def test_projects_registered_one_after_another_are_all_there(slugs, path):
    """Whatever the path and the order."""
    text = "# mine\n"
    for slug in slugs:
        text = set_project(text, slug, {"repository": path, "tasks": path})
    projects = parse_user(text, "c").projects
    assert list(projects) == slugs
    assert {project.repository for project in projects.values()} == {path}


@pytest.mark.parametrize("text", ["[1]", "projects: [1]", "projects: {a: b", "{defaults: {}}"])
def test_registering_into_a_broken_file_is_refused(text):
    """There is no place to write to."""
    with pytest.raises(ValueError, match=r"."):
        set_project(text, "new", {"repository": "/r", "tasks": "/t"})


def test_the_policy_is_what_was_configured():
    """Every key reaches the judge, and what the commands run is protected besides."""
    config = parse_project(EVERYTHING.replace("pytest -q\n", "bash tools/check.sh\n"), "c")
    policy = to_policy(config, ["tasks/"])
    assert (policy.tier, policy.max_lines, policy.any_paths) == (Tier.NEW_FILES, 100, ("docs/",))
    own = (("tests", CHECKS_APP), ("types", CHECKS_APP))
    assert policy.required == (*own, ("build", ""), ("scan", "scanner"))
    assert policy.squash is False
    assert {"/tools/check.sh", "tasks/"} <= set(policy.protected)
    assert to_policy(ProjectConfig()) == Policy()


def test_settings_are_plain_values():
    """Adapters get a dataclass, not a model."""
    settings = parse_project("agents: {a: {command: [x], arguments: [y]}}", "c").agents["a"].settings()
    assert replace(settings, model="m").arguments == ("y",)


def test_f28_the_trust_list_is_exact():
    """F28: logins and Apps by their whole name; a pattern or a mention would let in others than were meant."""
    config = parse_project("trust:\n  allow: [mona, 'dependabot[bot]']\n", "refinery.yml")
    assert config.trust.allow == ("mona", "dependabot[bot]")
    for name in ("@mona", "*", "mona*", "[bot]", "a b", "mona[BOT]x"):
        with pytest.raises(ConfigError, match=r"refinery.yml:2: trust.allow\[0\]: .*is not a login"):
            parse_project(f"trust:\n  allow: ['{name}']\n", "refinery.yml")
