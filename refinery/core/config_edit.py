"""Writing a project into a person's `config.yml` without touching anything else they wrote there.

Property: every byte outside the inserted or replaced values stays. The caller parses the result again.
"""

import json
import re
from typing import Final

import yaml

_SAFE: Final = re.compile(r"(?:~?/|[A-Za-z0-9])[\w./@+-]*")
_WORDS_TO_QUOTE: Final = frozenset({"null", "Null", "NULL"})


def set_project(text: str, slug: str, values: dict[str, str]) -> str:
    """`text` with `projects.<slug>` holding `values`; other keys of the entry, comments and order are kept.

    Raises:
        ValueError: `text` is no YAML mapping, or `projects` is no mapping, so there is no place to write to.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"not valid YAML: {error}") from error
    projects = _child(root, "projects") if root is not None else None
    if projects is None:
        return _append_section(text, root, _entry(slug, values, 2, newline), newline)
    if isinstance(projects, yaml.ScalarNode) and projects.value in ("", "~", "null"):
        return _fill_empty(text, projects, _entry(slug, values, 2, newline), newline)
    if not isinstance(projects, yaml.MappingNode):
        raise ValueError("`projects` must be a mapping of slugs to projects")  # noqa: TRY004  (as in _child)
    existing = _child(projects, slug)
    if existing is not None:
        return _update(text, existing, values, newline)
    return _insert(text, projects, slug, values, newline)


def _child(node: yaml.Node, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        raise ValueError("the file must be a mapping of keys to values")  # noqa: TRY004  (bad content, not a bad call)
    return next((value for key, value in node.value if key.value == name), None)


def _append_section(text: str, root: yaml.Node | None, entry: str, newline: str) -> str:
    if root is not None and getattr(root, "flow_style", False):
        raise ValueError("the file is one `{…}` mapping: write it with one key in a line")
    gap = "" if not text or text.endswith("\n") else newline
    return f"{text}{gap}projects:{newline}{entry}"


def _fill_empty(text: str, node: yaml.Node, entry: str, newline: str) -> str:
    """`projects:` stands there without a value: the entry goes below its line, and a written null goes away."""
    at, end = node.start_mark.index, node.end_mark.index
    line_end = text.find("\n", end)
    rest = text[end:] if line_end < 0 else text[end : line_end + 1]
    gap = "" if rest.endswith("\n") else newline
    return text[:at] + rest + gap + entry + ("" if line_end < 0 else text[line_end + 1 :])


def _insert(text: str, projects: yaml.MappingNode, slug: str, values: dict[str, str], newline: str) -> str:
    if projects.flow_style:
        flow = ", ".join(f"{name}: {_scalar(value, flow=True)}" for name, value in values.items())
        return _insert_flow(text, projects, f"{slug}: {{{flow}}}")
    indent = projects.value[0][0].start_mark.column
    at = _end_of(text, projects)
    gap = "" if text[:at].endswith("\n") else newline
    return text[:at] + gap + _entry(slug, values, indent, newline) + text[at:]


def _insert_flow(text: str, node: yaml.Node, item: str) -> str:
    close = node.end_mark.index - 1
    before = text[:close].rstrip()
    gap = "" if before.endswith(("{", ",")) else ", "
    return f"{before}{gap}{' ' if before.endswith(',') else ''}{item}{text[close:]}"


def _update(text: str, entry: yaml.Node, values: dict[str, str], newline: str) -> str:
    """Replace values from the last to the first, so that the marks of the earlier ones stay true."""
    if not isinstance(entry, yaml.MappingNode) or not entry.value:
        raise ValueError("the project's entry must be a mapping with `repository` and `tasks`")
    nodes = {key.value: node for key, node in entry.value}
    present = sorted(
        (name for name in values if name in nodes), key=lambda name: -nodes[name].start_mark.index
    )
    added = [name for name in values if name not in nodes]
    first = entry.value[0][0].start_mark
    for name in present:
        node = nodes[name]
        if getattr(node, "value", None) != values[name]:
            new = _scalar(values[name], flow=bool(entry.flow_style))
            text = text[: node.start_mark.index] + new + text[node.end_mark.index :]
    separator = ", " if entry.flow_style else newline + " " * first.column
    new_items = [f"{name}: {_scalar(values[name], flow=bool(entry.flow_style))}{separator}" for name in added]
    return text[: first.index] + "".join(new_items) + text[first.index :]


def _end_of(text: str, node: yaml.Node) -> int:
    """The index just after the line in which `node`'s last value ends: marks of blocks run past comments."""
    while isinstance(node, yaml.MappingNode | yaml.SequenceNode) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        return len(text[: node.end_mark.index].rstrip()) + 1
    end = text.find("\n", node.end_mark.index)
    return len(text) if end < 0 else end + 1


def _entry(slug: str, values: dict[str, str], indent: int, newline: str) -> str:
    lines = [" " * indent + slug + ":"]
    lines += [f"{' ' * (indent + 2)}{name}: {_scalar(value)}" for name, value in values.items()]
    return "".join(line + newline for line in lines)


def _scalar(value: str, *, flow: bool = False) -> str:
    plain = _SAFE.fullmatch(value) and value not in _WORDS_TO_QUOTE and value.isascii()
    return value if plain and not flow else json.dumps(value, ensure_ascii=False)
