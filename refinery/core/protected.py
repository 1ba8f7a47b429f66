"""Paths that act merely by existing, so that adding one is never harmless (F33).

The list is wide on purpose: a path that is protected in vain waits for a person, a path that is missed runs code.
"""

import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from refinery.core.paths import ancestors, fold_path, glob

_OWN: Final = """
/refinery.yml /refinery.yaml .worktreeinclude
"""
_FORGE: Final = """
/.*/ .github/ .gitea/ .forgejo/ .gitlab/ .circleci/ .buildkite/ .woodpecker/ CODEOWNERS .gitlab-ci.yml
.travis.yml .drone.yml .drone.star .woodpecker.yml .cirrus.yml .cirrus.star appveyor.yml .appveyor.yml
azure-pipelines*.yml azure-pipelines*.yaml bitbucket-pipelines.yml Jenkinsfile* *.jenkinsfile cloudbuild*.yml
cloudbuild*.yaml buildspec*.yml wercker.yml codecov.yml .codecov.yml action.yml action.yaml renovate.json*
.renovaterc* dependabot.yml .mergify.yml mergify.yml .kodiak.toml bors.toml
"""
_GIT: Final = """
.gitattributes .gitmodules .gitconfig .lfsconfig .githooks/ githooks/ git-hooks/ .husky/ /hooks/ **/hooks/*.sh
pre-commit pre-push pre-receive post-checkout post-merge post-receive commit-msg prepare-commit-msg post-commit
.pre-commit-config.yaml .pre-commit-hooks.yaml lefthook.y*ml .lefthook.y*ml lefthook-local.y*ml .lintstagedrc*
"""
_AGENTS: Final = """
AGENTS.md AGENT.md AGENTS.*.md CLAUDE.md CLAUDE.*.md GEMINI.md QWEN.md CRUSH.md WARP.md CODEX.md COPILOT.md
SKILL.md copilot-instructions.md *.instructions.md *.prompt.md *.mdc .cursorrules .windsurfrules .clinerules
.clinerules/ .roorules .goosehints .rules .cursorignore .aiderignore .geminiignore .claude/ .cursor/ .gemini/
.codex/ .qwen/ .windsurf/ .roo/ .continue/ .junie/ .kiro/ .amazonq/ .opencode/ .agents/ .agent/ .mcp.json
mcp.json opencode.json* .aider*
"""
_PYTHON: Final = """
pyproject.toml setup.py setup.cfg requirements*.txt requirements*.in /requirements/ **/requirements/*.txt
constraints*.txt Pipfile Pipfile.lock poetry.lock poetry.toml uv.lock uv.toml pdm.lock pdm.toml pylock*.toml
environment*.y*ml conda-lock.yml meta.yaml pixi.toml pixi.lock MANIFEST.in hatch.toml hatch_build.py
build_backend.py versioneer.py conftest.py pytest.ini .pytest.ini tox.ini tox.toml noxfile.py dodo.py fabfile.py
.coveragerc mypy.ini .mypy.ini ruff.toml .ruff.toml .flake8 pylintrc .pylintrc pyrightconfig.json .pdbrc
.python-version *.pth sitecustomize.py usercustomize.py *.egg-link *.egg-info *.egg-info/ *.dist-info/ *.pyc
*.pyo *.pyd __pycache__/
"""
_JAVASCRIPT: Final = """
package.json package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml pnpm-workspace.yaml bun.lock
bun.lockb bunfig.toml deno.json* deno.lock lerna.json nx.json turbo.json rush.json .npmrc .yarnrc* .pnpmfile.cjs
.pnp.* .nvmrc .node-version node_modules/ tsconfig*.json jsconfig*.json binding.gyp *.gyp *.gypi gulpfile.*
Gruntfile.* Jakefile* *.config.js *.config.cjs *.config.mjs *.config.ts *.config.cts *.config.mts *.config.json
*.conf.js *.workspace.ts .babelrc* .eslintrc* .prettierrc* .stylelintrc* .mocharc* .swcrc .nycrc* .c8rc*
jest.setup.* vitest.setup.* .jestrc*
"""
_NATIVE: Final = """
Makefile GNUmakefile BSDmakefile Makefile.* *.mk *.mak CMakeLists.txt *.cmake CMake*Presets.json meson.build
meson.options meson_options.txt *.ninja configure configure.ac configure.in *.m4 Makefile.am autogen.sh
bootstrap.sh SConstruct SConscript wscript conanfile.* vcpkg*.json BUILD BUILD.bazel WORKSPACE WORKSPACE.*
MODULE.bazel* *.bzl .bazelrc .bazelversion BUCK .buckconfig Justfile .justfile *.just Taskfile.* Earthfile
Tiltfile Procfile* Rakefile Cargo.toml Cargo.lock .cargo/ build.rs rust-toolchain* clippy.toml .clippy.toml
rustfmt.toml go.mod go.sum go.work go.work.sum tools.go magefile.go magefiles/ .golangci.* build.zig
build.zig.zon *.rockspec dune dune-project dune-workspace *.opam *.cabal cabal.project* stack.yaml
stack.yaml.lock Setup.hs Setup.lhs
"""
_MANAGED: Final = """
pom.xml .mvn/ mvnw* build.gradle* settings.gradle* *.gradle *.gradle.kts gradle.properties gradlew*
gradle/wrapper/ buildSrc/ libs.versions.toml gradle.lockfile ivy.xml build.xml build.sbt *.sbt
project/build.properties **/META-INF/services/ project.clj deps.edn bb.edn shadow-cljs.edn *.csproj *.fsproj
*.vbproj *.vcxproj *.proj *.sln *.slnx *.props *.targets packages.lock.json packages.config nuget.config
global.json paket.* *.cake build.cake Gemfile Gemfile.lock *.gemspec gems.rb gems.locked *.rake .rspec
.ruby-version **/config/initializers/ composer.json composer.lock auth.json phpunit*.xml* .htaccess .user.ini
mix.exs mix.lock rebar.config* rebar.lock erlang.mk pubspec.yaml pubspec.lock pubspec_overrides.yaml
Package.swift Package.resolved Podfile Podfile.lock Cartfile* *.podspec *.xcodeproj/ *.xcworkspace/ *.xcconfig
DESCRIPTION NAMESPACE renv.lock .Rprofile Project.toml Manifest.toml JuliaProject.toml cpanfile* Makefile.PL
Build.PL *.nix flake.lock elm.json spago.* shard.yml shard.lock
"""
_DEPLOYED: Final = """
Dockerfile* *.dockerfile Containerfile* docker-compose*.y*ml compose*.y*ml .dockerignore docker-bake.*
Vagrantfile *.tf *.tf.json *.tfvars *.hcl .terraform.lock.hcl ansible.cfg Chart.yaml Chart.lock helmfile.y*ml
kustomization.y*ml skaffold.y*ml serverless.y*ml netlify.toml vercel.json fly.toml wrangler.* app.yaml app.json
firebase.json now.json migrations/ **/db/migrate/ alembic/ alembic.ini flyway/ *.prisma schema.rb structure.sql
.env .env.* .envrc .tool-versions mise.toml .mise.toml *.service *.timer crontab .bashrc .bash_profile .profile
.zshrc .zshenv .inputrc .gdbinit .lldbinit .exrc .vimrc .nvimrc .nvim.lua .irbrc .pryrc
"""

# Here a pattern with a slash at its end is a folder with all below it, and any other is exactly a file: `BUILD` is a
# build script, `src/build/` is not.
DEFAULT: Final[tuple[str, ...]] = tuple(
    dict.fromkeys(
        f"{_OWN}{_FORGE}{_GIT}{_AGENTS}{_PYTHON}{_JAVASCRIPT}{_NATIVE}{_MANAGED}{_DEPLOYED}".split()
    )
)
# `python -m tool` looks into the working directory first: a module there replaces the standard library's.
_SHADOWS: Final = frozenset(sys.stdlib_module_names) - {"test", "antigravity", "this"}
_INTERPRETERS: Final = re.compile(
    r"(python|pypy|ruby|perl|php|lua|node|deno|bun|tsx|ts-node|(ba|da|z|k|fi|a)?sh|source|\.|pwsh)[\d.]*"
)
_SCRIPT: Final = re.compile(
    r".+\.(sh|bash|zsh|fish|py|pyw|rb|pl|php|lua|js|cjs|mjs|ts|cts|mts|ps1|bat|cmd|mk|jar|exs?|r|jl|toml|cfg|ini|ya?ml|json)",
    re.IGNORECASE,
)
_SHELL: Final = re.compile(r"(ba|da|z|k|a)?sh|source|\.")
_PREFIX: Final = re.compile(
    r"[A-Za-z_]\w*=.*|exec|time|env|sudo|nice|nohup|timeout|\d+[smh]?|-.*|uv|poetry|run|hatch|pdm"
)
_PUNCTUATION: Final = ";&|()<>\n"
_MODULE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def protected_by(path: str, extra: Sequence[str] = (), unprotected: Sequence[str] = ()) -> str:
    """The pattern that protects `path` ("" if none): `extra` first, then the defaults less `unprotected`."""
    folded = fold_path(path)
    if pattern := _first(folded, tuple(extra)):
        return pattern
    if _first(folded, tuple(unprotected)):
        return ""
    return _default(folded)


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether any of the gitignore-like `patterns` covers `path`, whatever the case."""
    return bool(_first(fold_path(path), tuple(patterns)))


def scripts_named(commands: Iterable[str]) -> set[str]:
    """Patterns for the files of the repository that shell `commands` would run: at the root, or anywhere after a `cd`.

    A script is a path that a shell or an interpreter is given to run, a command with a slash, a word that ends like
    a script or a configuration file, or the module after `python -m`. Test folders given as arguments are not.
    """
    found: set[str] = set()
    for command in commands:
        before, is_start = "", True
        words = _words(command)
        anchor = "**/" if {"cd", "pushd", "-C"} & set(words) else "/"
        for word in words:
            if not word.strip(_PUNCTUATION):
                before, is_start = "", True
                continue
            found |= {anchor + name.lstrip("/") for name in _named(before, word, is_start=is_start)}
            is_start = is_start and bool(_PREFIX.fullmatch(word))
            before = word if before in ("", "-m") or not word.startswith("-") or word == "-m" else before
    return found


@lru_cache(maxsize=1 << 16)
def _default(folded: str) -> str:
    return _first(folded, DEFAULT, exact=True) or ("a standard module's name" if _shadows(folded) else "")


def _first(folded: str, patterns: tuple[str, ...], *, exact: bool = False) -> str:
    if not patterns or not _any_of(patterns, exact).fullmatch(folded):
        return ""
    return next(pattern for pattern in patterns if glob(pattern, exact=exact).fullmatch(folded))


@lru_cache(maxsize=64)
def _any_of(patterns: tuple[str, ...], exact: bool) -> re.Pattern[str]:
    return re.compile(
        "|".join(f"(?:{glob(pattern, exact=exact).pattern})" for pattern in patterns), re.DOTALL
    )


def _shadows(folded: str) -> bool:
    head, _, rest = folded.partition("/")
    if rest:
        return rest == "__init__.py" and head in _SHADOWS
    return head.endswith(".py") and head.removesuffix(".py") in _SHADOWS


def _words(command: str) -> list[str]:
    lexer = shlex.shlex(command, posix=True, punctuation_chars=_PUNCTUATION)
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:  # an open quote: read it word by word, so that nothing in it is missed
        return re.split(r"[\s\"']+", command)


def _named(before: str, word: str, *, is_start: bool) -> set[str]:
    if re.search(r"\s", word):  # sh -c '…'
        return scripts_named([word])
    if before == "-m":
        return _modules(word) if _MODULE.fullmatch(word) else set()
    value = word.rpartition("=")[2].removeprefix("./")
    if not value or value[0] in "-/~$" or value.endswith("/") or "://" in value:
        return set()
    is_run = is_start or bool(_INTERPRETERS.fullmatch(before.rpartition("/")[2]))
    is_path = "/" in word or bool(_SHELL.fullmatch(before))
    return {value.replace("[", "[[]")} if _SCRIPT.fullmatch(value) or (is_run and is_path) else set()


def _modules(dotted: str) -> set[str]:
    path = dotted.replace(".", "/")
    packages = {f"{folder}/__init__.py" for folder in [*ancestors(path)[1:], path]}
    return packages | {f"{path}.py", f"{path}/__main__.py"}
