"""The shape of the code: what imports what, how long things are, and that rules stay pure (docs/design.md)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "refinery"
FILES = sorted(ROOT.rglob("*.py"))

# From left to right; a module imports only from its own place or what stands to its left.
PLACES = [
    {"core"},
    {"ports"},
    {"machine", "tasks", "forges", "agents"},
    {"services"},
    {"wiring", "supervisor", "connect", "swarm_board", "swarm_child", "swarm_fleet"},
    {"cli", "app", "action", "mcp", "testing", "demo"},
]
MACHINE = set(
    """
    home configured process running strays guard stop git git_credentials boxed mirror skeleton source trees history
    pool inventory attempt containment worktree aside carry lfs scan snapshot overlay predictions
    """.split()  # noqa: SIM905  (a list of words is easier to read and to add to)
)
SERVICES = set(
    """
    lease worker merger batch reconciler queue budget transcript notify report project
    checks judging landing publish working wording result_file prompting looping overview events supervised admission
    refill
    """.split()  # noqa: SIM905  (as above)
)
IMPURE = set(
    """
    os io subprocess time socket shutil tempfile threading multiprocessing asyncio signal select ssl http urllib.request
    random secrets uuid getpass platform logging git click rich platformdirs importlib fcntl pickle glob sqlite3 ctypes
    """.split()  # noqa: SIM905  (as above)
)
IMPURE_CALLS = set(
    """
    open print input exec eval now utcnow today read_text read_bytes write_text write_bytes exists is_file is_dir
    iterdir rglob stat lstat mkdir unlink touch
    """.split()  # noqa: SIM905  (as above)
)


def name_of(path):
    return ".".join(("refinery", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def place(module):
    """The number of a module's place, or None for what anybody may import."""
    head = [*module.split("."), ""][1]
    if head in ("", "errors", "__main__", "__version__"):
        return None
    group = "machine" if head in MACHINE else "services" if head in SERVICES else head
    found = [number for number, groups in enumerate(PLACES) if group in groups]
    assert found, f"{module} has no place: name it in tests/test_structure.py, or move it"
    return found[0]


def imports(tree):
    """The modules that a file imports anywhere in it, typing-only imports included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "refinery")


def wrong_imports(path, tree):
    """The imports of a file that point to the right, or from services into adapters."""
    mine = place(name_of(path))
    for module in imports(tree):
        if not module.startswith("refinery") or mine is None:
            continue
        theirs = place(module)
        adapters = module.split(".")[1:2] in (["tasks"], ["forges"], ["agents"])
        if theirs is not None and (theirs > mine or (adapters and mine == 3)):
            yield f"{name_of(path)} imports {module}"


def impurities(tree):
    """What a pure module must not do: import what reaches out, or call it."""
    for module in imports(tree):
        if module in IMPURE or module.split(".")[0] in IMPURE:
            yield f"imports {module}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if called in IMPURE_CALLS:
                yield f"line {node.lineno}: calls {called}"


def functions(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.end_lineno - node.lineno + 1


@pytest.fixture(scope="module")
def trees():
    return {path: ast.parse(path.read_text()) for path in FILES}


def test_imports_point_to_the_left(trees):
    """Rules know no machine, services know no adapter, and nothing below the wiring knows the command line."""
    assert [wrong for path, tree in trees.items() for wrong in wrong_imports(path, tree)] == []


def test_rules_are_pure(trees):
    """`core` and the Protocols do no I/O and read no clock, no chance and no environment."""
    pure = {path: tree for path, tree in trees.items() if place(name_of(path)) in (0, 1)}
    assert len(pure) > 10
    assert [f"{name_of(path)}: {what}" for path, tree in pure.items() for what in impurities(tree)] == []


def test_only_one_module_knows_each_library(trees):
    """Each external tool is wrapped once."""
    seams = {
        "git": {"refinery.git"},
        "pydantic": {f"refinery.core.config_{part}" for part in ("model", "types", "errors")},
    }
    for library, allowed in seams.items():
        users = {
            name_of(path)
            for path, tree in trees.items()
            for module in imports(tree)
            if module.split(".")[0] == library
        }
        assert users <= allowed


def test_modules_are_short(trees):
    """Past 400 lines a module is two modules."""
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in trees}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_functions_are_short(trees):
    """Seventeen lines on average, and never more than fifty."""
    lengths = [
        (length, f"{name_of(path)}.{name}")
        for path, tree in trees.items()
        for name, length in functions(tree)
    ]
    assert [entry for entry in lengths if entry[0] > 50] == []
    assert sum(length for length, _ in lengths) / len(lengths) <= 17


@pytest.mark.parametrize(
    ("file", "text", "wrong"),
    [
        ("core/x.py", "from refinery.git import Git", True),
        ("core/x.py", "import refinery.home", True),
        ("core/x.py", "def f():\n    from refinery import home", True),
        ("core/x.py", "from refinery.core.text import width\nfrom refinery.errors import UsageError", False),
        ("worker.py", "from refinery.forges.git.refs import Refs", True),
        ("worker.py", "from refinery import wiring", True),
        ("worker.py", "from refinery.home import Home\nfrom refinery.lease import Lease", False),
        ("home.py", "from refinery.cli import output", True),
        ("cli/run.py", "from refinery.worker import work\nfrom refinery import __version__", False),
    ],
)
def test_a_wrong_import_is_seen(file, text, wrong):
    """The rule itself, on files that do not exist."""
    assert bool(list(wrong_imports(ROOT / file, ast.parse(text)))) is wrong


@pytest.mark.parametrize(
    "text",
    ["import os", "from urllib.request import urlopen", "open('x')", "datetime.now()", "path.read_text()"],
)
def test_an_impurity_is_seen(text):
    """As above."""
    assert list(impurities(ast.parse(text)))
