"""YAML as configuration reads it: every scalar stays the text that was typed, and every path knows its line.

Strings first: `on`, `no`, `007` and `12:30` are names until the model asks for a truth value or a number. Duplicate
keys, tags, several documents and values that contain themselves are mistakes, collected instead of stopping at one.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import yaml

Path = tuple[str | int, ...]
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_PLAIN_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq", "merge", "value")
)
_MOST: Final = 20_000  # values in one file; aliases can repeat without end


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: its line (from 1), the dotted key (empty for the file), and what is wrong."""

    line: int
    key: str
    what: str


@dataclass(slots=True)
class Document:
    """A parsed file: plain values, the line of each path, and the mistakes of form."""

    value: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    count: int = 0

    def line(self, path: Path) -> int:
        """The line of `path`, or of its nearest parent that is written down."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 1


def load(text: str | bytes) -> Document:
    """Parse one YAML mapping. Nothing is raised: mistakes are in the document."""
    document = Document()
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        # The C loader ends the process on deep nesting; this one raises RecursionError, and the files are small.
        root = yaml.compose(decoded, Loader=yaml.SafeLoader)
        if root is not None and not (isinstance(root, yaml.ScalarNode) and root.value == ""):
            _root(document, root)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        document.mistakes.append(Mistake(line, "", "is not UTF-8 text"))
    except yaml.MarkedYAMLError as error:
        document.mistakes.append(_broken(error))
    except yaml.reader.ReaderError as error:
        line = decoded[: error.position].count("\n") + 1
        document.mistakes.append(Mistake(line, "", "holds a character that YAML does not allow"))
    except RecursionError:
        document.mistakes.append(Mistake(1, "", "is nested too deeply"))
    return document


def dotted(path: Path) -> str:
    """`path` as people write it: `checks.tests` or `verify[0]`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def _broken(error: yaml.MarkedYAMLError) -> Mistake:
    mark = error.problem_mark or error.context_mark
    words = ", ".join(part for part in (error.context, error.problem) if part)
    if r"\t" in (error.problem or ""):
        words = "a tab cannot indent YAML: use spaces"
    return Mistake(mark.line + 1 if mark else 1, "", f"not valid YAML: {words}")


def _root(document: Document, root: yaml.Node) -> None:
    if isinstance(root, yaml.MappingNode):
        document.value = _mapping(document, root, (), ())
    else:
        document.mistakes.append(Mistake(root.start_mark.line + 1, "", "must be a mapping of keys to values"))


def _build(document: Document, node: yaml.Node, path: Path, inside: tuple[int, ...]) -> Any:
    document.count += 1
    if document.count == _MOST:
        _mistake(document, node, (), f"holds more than {_MOST} values")
    if document.count >= _MOST:
        return None
    if id(node) in inside:
        return _mistake(document, node, path, "contains itself")
    if node.tag not in _PLAIN_TAGS:
        _mistake(document, node, path, f"the tag {node.tag} is not used here")
    if isinstance(node, yaml.MappingNode):
        return _mapping(document, node, path, (*inside, id(node)))
    if isinstance(node, yaml.SequenceNode):
        return _sequence(document, node, path, (*inside, id(node)))
    is_null = isinstance(node, yaml.ScalarNode) and node.style is None and node.value in _NULLS
    return None if is_null else node.value


def _mapping(
    document: Document, node: yaml.MappingNode, path: Path, inside: tuple[int, ...]
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            _mistake(document, key_node, path, "a key must be a single word")
            continue
        here = (*path, key_node.value)
        if key_node.value in result:
            _mistake(document, key_node, here, f"is given twice, first in line {document.lines[here]}")
            continue
        document.lines[here] = key_node.start_mark.line + 1
        result[key_node.value] = _build(document, value_node, here, inside)
    return result


def _sequence(document: Document, node: yaml.SequenceNode, path: Path, inside: tuple[int, ...]) -> list[Any]:
    result = []
    for index, item in enumerate(node.value):
        here = (*path, index)
        document.lines[here] = item.start_mark.line + 1
        result.append(_build(document, item, here, inside))
    return result


def _mistake(document: Document, node: yaml.Node, path: Path, what: str) -> None:
    document.mistakes.append(Mistake(node.start_mark.line + 1, dotted(path), what))
