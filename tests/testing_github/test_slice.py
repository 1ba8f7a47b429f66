"""The fake's GraphQL schema is a true slice of GitHub's, and every document of ours is valid against GitHub's."""

import ast
import importlib
import re
from pathlib import Path

import graphql
import pytest
from support import schemas

TESTING = Path(__file__).parent.parent.parent / "refinery" / "testing"
SLICE = graphql.build_schema((TESTING / "schema.graphql").read_text(), no_location=True)
NAMED = re.compile(r"^[A-Z]\w*_(QUERY|MUTATION)\b", re.MULTILINE)
WRITERS = [TESTING.parent / place for place in ("forges/github", "tasks", "testing", "cli")]
OURS = {name: kind for name, kind in SLICE.type_map.items() if not name.startswith("__")}


@pytest.fixture(scope="module")
def theirs():
    return schemas.published()


def signature(field):
    """A field's or argument's type and default as SDL writes them."""
    default = field.ast_node.default_value if getattr(field.ast_node, "default_value", None) else None
    return str(field.type), graphql.print_ast(default) if default else None


def is_demanded(argument):
    return graphql.is_non_null_type(argument.type) and signature(argument)[1] is None


def differences(mine, published):
    """Everything in which a type of the slice says another thing than GitHub's of the same name."""
    if type(mine) is not type(published):
        yield f"{mine.name} is another kind of type"
    elif graphql.is_enum_type(mine):
        if set(mine.values) != set(published.values):
            yield f"{mine.name} has other values"
    elif graphql.is_union_type(mine):
        if {each.name for each in mine.types} != {each.name for each in published.types if each.name in OURS}:
            yield f"{mine.name} has other members"
    elif not graphql.is_scalar_type(mine):
        yield from _field_differences(mine, published)


def _field_differences(mine, published):
    shared = {each.name for each in getattr(published, "interfaces", ()) if each.name in OURS}
    if {each.name for each in getattr(mine, "interfaces", ())} != shared:
        yield f"{mine.name} has other interfaces"
    if graphql.is_input_object_type(mine):
        yield from _input_differences(mine.name, mine.fields, published.fields)
        return
    for name, field in mine.fields.items():
        where = f"{mine.name}.{name}"
        if name not in published.fields:
            yield f"{where} does not exist"
        elif str(field.type) != str(published.fields[name].type):
            yield f"{where} is of type {published.fields[name].type}"
        else:
            yield from _input_differences(where, field.args, published.fields[name].args)


def _input_differences(where, mine, published):
    for name, argument in mine.items():
        if name not in published:
            yield f"{where}({name}) does not exist"
        elif signature(argument) != signature(published[name]):
            yield f"{where}({name}) is {signature(published[name])}"
    for name in published.keys() - mine.keys():
        if is_demanded(published[name]):
            yield f"{where}({name}) is missing, and GitHub demands it"


@pytest.mark.network
def test_the_schema_is_a_slice_of_githubs(theirs):
    """Types, fields, arguments, defaults, nullability, enum values, inputs, interfaces and members are GitHub's."""
    assert len(OURS) > 150
    unknown = sorted(OURS.keys() - theirs.type_map.keys())
    wrong = [
        each
        for name, kind in OURS.items()
        if name in theirs.type_map
        for each in differences(kind, theirs.type_map[name])
    ]
    assert unknown + wrong == []


@pytest.mark.network
def test_what_is_newer_is_not_published_yet(theirs):
    """The extension holds only what the pinned package lacks, and joins it without a clash."""
    graphql.assert_valid_schema(schemas.current())
    for node in graphql.parse(schemas.NEWER.read_text()).definitions:
        published = theirs.type_map.get(node.name.value)
        if isinstance(node, graphql.ObjectTypeExtensionNode):
            assert {field.name.value for field in node.fields} & set(published.fields) == set()
        else:
            assert published is None


@pytest.mark.network
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("isDraft: Boolean!", "isDraft: Boolean"),
        ("headRefOid: GitObjectID!", "headOid: GitObjectID!"),
        ("enum StatusState {\n", "enum StatusState {\n  FINE\n"),
        ("union Closer = Commit | PullRequest", "union Closer = Commit"),
        ("  expectedHeadOid: GitObjectID\n", "  expectedHeadOid: String\n"),
        ("followRenames: Boolean = true", "followRenames: Boolean = false"),
        ("type Label implements Node {", "type Label {"),
        ("  refPrefix: String!\n", "  refPrefix: String\n"),
    ],
)
def test_a_difference_is_seen(theirs, before, after):
    """The comparison itself, on slices that say something else."""
    text = (TESTING / "schema.graphql").read_text()
    assert before in text
    bent = graphql.build_schema(text.replace(before, after), no_location=True, assume_valid=True)
    wrong = [
        each
        for name, kind in bent.type_map.items()
        if name in OURS
        for each in differences(kind, theirs.type_map[name])
    ]
    assert wrong


def documents():
    """Every GraphQL document in the code: the constants named so, fragments being parts of them."""
    for folder in WRITERS:
        for path in sorted(folder.rglob("*.py")):
            if NAMED.search(path.read_text()):
                module = importlib.import_module(
                    ".".join(path.relative_to(TESTING.parent.parent).with_suffix("").parts)
                )
                for name, text in vars(module).items():
                    if isinstance(text, str) and name.endswith(("_QUERY", "_MUTATION")):
                        yield pytest.param(text, id=f"{path.stem}.{name}")


@pytest.mark.network
@pytest.mark.parametrize("document", [*documents()])
def test_every_document_is_valid_against_githubs_schema(document):
    """What we ask exists, is asked with the right arguments, and every variable has its type."""
    assert graphql.validate(schemas.current(), graphql.parse(document)) == []


@pytest.mark.network
def test_what_is_newer_can_be_done_without(theirs):
    """A document that asks for what only newer servers know has a plain one beside it, valid on all."""
    found = {each.id: each.values[0] for each in documents()}
    newer = {name for name, text in found.items() if graphql.validate(theirs, graphql.parse(text))}
    assert newer
    for name in newer:
        module, _, constant = name.partition(".")
        assert graphql.validate(theirs, graphql.parse(found[f"{module}.PLAIN_{constant}"])) == []


@pytest.mark.parametrize("document", [*documents()])
def test_every_document_can_be_asked_of_the_fake(document):
    """The slice has everything that we ask."""
    newer = graphql.extend_schema(SLICE, graphql.parse(schemas.NEWER.read_text()))
    assert graphql.validate(newer, graphql.parse(document)) == []


def test_documents_are_found():
    """The search for documents, which would otherwise pass by finding none."""
    found = {each.id for each in documents()}
    assert {"documents.PULLS_QUERY", "documents.REFS_MUTATION"} <= found
    texts = [str(each.values[0]) for each in documents()]
    assert all("query" in text or "mutation" in text for text in texts)
    assert list(_left_out()) == []


def _left_out():
    """Strings that look like an operation and belong to no constant of that name."""
    known = " ".join(str(each.values[0]) for each in documents())
    for folder in WRITERS:
        for path in sorted(folder.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    text = node.value.strip()
                    starts = text.startswith(("query ", "mutation ", "query(", "fragment "))
                    if starts and "{" in text and text not in known:
                        yield f"{path.name}: {text[:40]}"
