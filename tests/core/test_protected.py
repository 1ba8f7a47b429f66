"""Paths that act merely by existing, and the scripts that commands name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery.core.paths import branch_glob, fold_path, glob
from refinery.core.protected import DEFAULT, matches, protected_by, scripts_named

ACTS = str.split("""
.github/workflows/ci.yml .github/CODEOWNERS docs/CODEOWNERS .gitlab-ci.yml .circleci/config.yml Jenkinsfile action.yml
.vscode/tasks.json .idea/x .claude/settings.json pkg/.claude/commands/x.md sub/.cursor/rules AGENTS.md docs/AGENTS.md
CLAUDE.md pkg/claude.md GEMINI.md .cursorrules .mcp.json pyproject.toml setup.py setup.cfg requirements.txt
requirements-dev.txt requirements/base.txt uv.lock poetry.lock Pipfile conftest.py tests/unit/conftest.py evil.pth
src/sitecustomize.py usercustomize.py pytest.ini tox.ini src/x.egg-info/entry_points.txt a/__pycache__/m.cpython-311.pyc
package.json web/package-lock.json yarn.lock pnpm-lock.yaml node_modules/left-pad/index.js binding.gyp vite.config.ts
Cargo.toml Cargo.lock build.rs .cargo/config.toml go.mod go.sum pom.xml build.gradle build.gradle.kts gradlew
gradle/wrapper/gradle-wrapper.jar x.csproj Directory.Build.props Gemfile Gemfile.lock Rakefile composer.lock mix.exs
Makefile sub/GNUmakefile CMakeLists.txt x.cmake meson.build BUILD.bazel WORKSPACE Justfile Dockerfile Dockerfile.dev
docker-compose.yml main.tf .gitattributes sub/.gitattributes .gitmodules .lfsconfig .pre-commit-config.yaml .husky/x
hooks/pre-commit .githooks/x tools/hooks/deploy.sh db/migrate/1_x.rb app/migrations/0001_x.py alembic/versions/1.py
.env .envrc .npmrc .tool-versions refinery.yml .github/refinery.yml src/META-INF/services/x random.py json/__init__.py
""")
ORDINARY = str.split("""
README.md src/app.py src/json.py src/random.py src/hooks/useThing.ts src/build/x.py docs/migration.md src/namespace/x.py
src/workspace/y.ts tests/test_x.py test/__init__.py data/x.json src/config.py lib/rules.c docs/claude/notes.txt
CHANGELOG.md LICENSE src/stub.pyi .gitignore .editorconfig docs/agents.rst a/description/b.txt
""")


@pytest.mark.parametrize("path", ACTS)
def test_f33_what_acts_by_existing_is_protected(path):
    """F33: adding a file that tools pick up by its name alone is never harmless, in any case."""
    assert protected_by(path)
    assert protected_by(path.upper())


@pytest.mark.parametrize("path", ORDINARY)
def test_ordinary_files_are_not_protected(path):
    """Sources, tests and documents stay open to agents."""
    assert protected_by(path) == ""


def test_folding_does_not_get_around_protection():
    """Ignorable code points, full-width letters and trailing dots are folded before the patterns look."""
    for path in [
        ".g\u200cithub/workflows/x",
        ".\uff47ithub/x.yml",
        ".github./x",
        "sub/.g\u200cithub/x",
        "a/CLAUDE\ufeff.md",
        "\uff4dakefile",
        "CONFTEST.PY",
    ]:
        assert protected_by(path), path


def test_policy_adds_and_lifts():
    """A policy's own patterns beat `unprotected`, which beats the defaults."""
    assert protected_by("docs/x.md", ["docs/"]) == "docs/"
    assert protected_by("package.json", [], ["package.json"]) == ""
    assert protected_by("package.json", ["package.json"], ["package.json"]) == "package.json"
    assert protected_by("Makefile", [], ["package.json"]) == "Makefile"


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("*.md", ["a.md", "x/b.md", "x.md/y"], ["a.mdx", "md"]),
        ("docs/", ["docs/a", "x/docs/a/b"], ["docs", "docsx/a"]),
        ("/docs/", ["docs/a"], ["x/docs/a"]),
        ("docs/*.md", ["docs/a.md"], ["x/docs/a.md", "docs/x/a.md"]),
        ("docs/**", ["docs/a", "docs/a/b"], ["docs", "x/docs/a"]),
        ("**/gen/*.py", ["gen/a.py", "x/y/gen/a.py"], ["gen/x/a.py"]),
        ("a/**/z", ["a/z", "a/b/c/z"], ["a", "b/a/z"]),
        ("[ab]?.py", ["a1.py", "x/b2.py"], ["c1.py", "a.py"]),
        ("[!a].py", ["b.py"], ["a.py"]),
        ("a.b", ["a.b"], ["axb"]),
        ("**", ["a", "b/c"], []),
        ("DOCS/É.md", ["docs/e\u0301.md"], ["docs/e.md"]),
    ],
)
def test_patterns_are_those_of_gitignore(pattern, inside, outside):
    """Names float, slashes anchor, a final slash asks for a folder, and what lies below a match matches."""
    assert [path for path in inside if not matches(path, [pattern])] == []
    assert [path for path in outside if matches(path, [pattern])] == []


def test_branch_patterns_match_whole_names():
    """A base pattern never matches part of a branch's name, nor another case."""
    assert branch_glob("main").fullmatch("main")
    assert not branch_glob("main").fullmatch("feature/main")
    assert not branch_glob("main").fullmatch("Main")
    assert branch_glob("release/*").fullmatch("release/1")
    assert not branch_glob("release/*").fullmatch("release/1/2")


def test_a_senseless_pattern_is_an_error():
    """A pattern that cannot be read must not silently match nothing."""
    with pytest.raises(ValueError, match="not a pattern"):
        glob("[z-a]")


@pytest.mark.parametrize(
    ("command", "scripts"),
    [
        ("pytest -q tests/", set()),
        ("pytest tests", set()),
        ("make test", set()),
        ("ruff check src tests", set()),
        ("./run-tests", {"/run-tests"}),
        ("ci/check --fast", {"/ci/check"}),
        ("bash -e ci/check", {"/ci/check"}),
        ("sh build", {"/build"}),
        (". ./env && true", {"/env"}),
        ("sh -c 'tools/go fast'", {"/tools/go"}),
        ("true; scripts/lint.sh | tee log", {"/scripts/lint.sh"}),
        ("X=1 ./x/y", {"/x/y"}),
        ("timeout 10s ./go", {"/go"}),
        ("python3 tools/check.py --config=cfg/a.toml", {"/tools/check.py", "/cfg/a.toml"}),
        ("one\n./two", {"/two"}),
        ("cd sub && ./go", {"**/go"}),
        ("/usr/bin/env python3 ~/x.py https://x.y/z.sh", set()),
        ("echo 'open ./a.sh", {"/a.sh"}),
        ("./a[1].sh", {"/a[[]1].sh"}),
        ("", set()),
    ],
)
def test_scripts_that_commands_name(command, scripts):
    """Whatever a command of the configuration runs from the repository is named, and plain arguments are not."""
    assert scripts_named([command]) == scripts


def test_a_module_that_would_replace_the_tool_is_protected():
    """`python -m pytest` looks into the repository first, so a new pytest.py there would judge the change."""
    extra = sorted(scripts_named(["python -m pytest -q", "python -m pkg.check"]))
    assert all(protected_by(path, extra) for path in ["pytest.py", "pytest/__main__.py", "pkg/check.py"])
    assert not protected_by("pkg/other.py", extra)


@given(st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=20))
def test_folding_is_idempotent_and_blind_to_case(name):
    """Folding twice is folding once, and a name folds like its lower-case form."""
    assert fold_path(fold_path(name)) == fold_path(name)
    assert fold_path(name.casefold()) == fold_path(name)


@given(st.text("ab.*?[]!/-{}()\\^$| é", max_size=12), st.text("ab./-é", max_size=12))
def test_patterns_never_crash_unnamed(pattern, path):
    """Any text is a pattern or a ValueError; matching ends with a plain yes or no."""
    try:
        glob(pattern)
    except ValueError:
        with pytest.raises(ValueError, match="is not a pattern"):
            matches(path, [pattern])
    else:
        assert matches(path, [pattern]) in (True, False)


def test_the_defaults_are_sound():
    """Every default pattern compiles, is listed once, and none swallows everything."""
    assert len(DEFAULT) == len(set(DEFAULT)) > 300
    assert not [pattern for pattern in DEFAULT if glob(pattern, exact=True).fullmatch("some/plain/file.txt")]
