"""Write docs/verbs.md and docs/configuration.md from the program itself: `python docs/generate.py`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from refinery.cli.common import Settings
from refinery.cli.root import VERBS, root
from refinery.core.config import ProjectConfig, UserConfig
from refinery.core.config_model import json_schema
from refinery.core.text import format_duration, format_size

FOLDER = Path(__file__).parent
_NOTE = "Made by `docs/generate.py`; a test fails when it is not current.\n"
_COMMON = {"home", "projects", "verbose", "no_color", "trace_api", "version", "help"}
_COMMANDS = "a command, or a list of them"
_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}


def verbs() -> str:
    """The page of all verbs."""
    parts = [f"# Verbs\n\n{_NOTE}"]
    parts.append(
        "Every verb takes these, before and after its name; `polecat` is the same program as `refinery`.\n\n"
        + "\n".join(_rows(root, common=True))
        + "\n"
    )
    with click.Context(root, info_name="refinery", obj=Settings()) as context:
        for name in VERBS:
            command = root.get_command(context, name)
            assert command is not None  # noqa: S101  (every name in VERBS has a module)
            parts += _verb(context, name, command)
    return "\n".join(parts)


def configuration() -> str:
    """The page of both configuration files."""
    parts = [f"# Configuration\n\n{_NOTE}"]
    parts.append(
        "Durations are written `90s`, `15m`, `4h`, `2d`; sizes `100MB`, `2GiB`. A command is a text, run by `sh -c`, "
        "or a list, started as it is.\nUnknown keys are errors, and all mistakes are listed at once: "
        "`refinery config validate`. The same as JSON Schema: `refinery config schema`.\n"
    )
    for title, kind, words in (
        (
            "The project: `.github/refinery.yml` or `refinery.yml`",
            ProjectConfig,
            "Read from the base branch, never from the branch that is judged.",
        ),
        ("The person: `config.yml` in the home folder", UserConfig, "`refinery init` writes `projects:`."),
    ):
        schema = json_schema(kind)
        parts.append(f"## {title}\n\n{words}\n\n" + "\n".join(_keys(schema, schema, "")) + "\n")
    return "\n".join(parts)


def _verb(context: click.Context, path: str, command: click.Command) -> Iterator[str]:
    with click.Context(command, parent=context, info_name=path.rpartition(" ")[2]) as own:
        if isinstance(command, click.Group):
            for name, child in command.commands.items():
                yield from _verb(own, f"{path} {name}", child)
            return
        usage = " ".join(["refinery", path, *command.collect_usage_pieces(own)])
        yield f"## {path}\n\n    {usage}\n"
        yield _paragraphs(command.help or "")
        rows = list(_rows(command, common=False))
        if rows:
            yield "\n".join(rows) + "\n"


def _rows(command: click.Command, *, common: bool) -> Iterator[str]:
    """A line for each option: the common ones, or the command's own."""
    yield "| option | |"
    yield "|---|---|"
    found = 0
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden and (param.name in _COMMON) is common:
            found += 1
            names = ", ".join(param.opts)
            value = "" if param.is_flag or param.count else f" {_metavar(param)}"
            default = (
                f" Default: {param.default}." if param.show_default and param.default is not None else ""
            )
            yield f"| `{names}{value}` | {(param.help or '').strip()}{default} |".replace("||", "|")
    if not found:
        yield "| | none of its own |"


def _metavar(param: click.Option) -> str:
    if isinstance(param.type, click.Choice):
        return "\\|".join(map(str, param.type.choices))
    if isinstance(param.type, click.IntRange):
        return f"{param.type.min}..{param.type.max}"
    return param.metavar or param.type.name.upper()


def _paragraphs(text: str) -> str:
    paragraphs = (" ".join(part.split()) for part in text.replace("\b", "").split("\n\n"))
    return "\n\n".join(paragraphs) + "\n"


def _keys(schema: dict[str, Any], part: dict[str, Any], path: str) -> Iterator[str]:
    """A table row for each key below `part`, sections before their keys."""
    if not path:
        yield "| key | value | default | |"
        yield "|---|---|---|---|"
    required = part.get("required", ())
    for name, value in part.get("properties", {}).items():
        key = f"{path}{name}"
        section = _section(schema, value)
        default = "**required**" if name in required else _default(value)
        words = value.get("description", "")
        if section is None:
            yield f"| `{key}` | {_kind(schema, value)} | {default} | {words} |"
            continue
        named, target = section
        yield f"| `{key}{'.NAME' if named else ''}` | {_kind(schema, value)} | | {words} |"
        yield from _keys(schema, target, f"{key}.NAME." if named else f"{key}.")


def _section(schema: dict[str, Any], value: dict[str, Any]) -> tuple[bool, dict[str, Any]] | None:
    """Whether the section is a mapping by name, and its schema; None for a plain value."""
    for is_named, found in ((False, value), (True, value.get("additionalProperties"))):
        target = _resolved(schema, found) if isinstance(found, dict) else None
        if target is not None and target.get("type") == "object" and "properties" in target:
            return is_named, target
    return None


def _resolved(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any] | None:
    """The object that a value is or may be, through references and alternatives."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return _resolved(schema, schema["$defs"][name]) or schema["$defs"][name]
    for each in value.get("anyOf", ()):
        found = _resolved(schema, each)
        if found is not None and "properties" in found:
            return found
    return value if "properties" in value else None


def _kind(schema: dict[str, Any], value: dict[str, Any]) -> str:
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if "anyOf" in value:
        kinds = [_kind(schema, each) for each in value["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds)).replace("text or list of text or list of text", _COMMANDS)
    if "$ref" in value or value.get("type") == "object":
        return "section"
    if value.get("type") == "array":
        return f"list of {_kind(schema, value.get('items', {}))}"
    if "examples" in value:
        return " ".join(f"`{each}`" for each in value["examples"])
    return _TYPES.get(str(value.get("type")), "")


def _default(value: dict[str, Any]) -> str:
    default = value.get("default")
    if default in (None, "", [], {}, ()):
        return ""
    if "90s" in value.get("examples", ()):
        return f"`{format_duration(default)}`"
    if "100MB" in value.get("examples", ()):
        return f"`{format_size(default)}`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


PAGES = {"verbs.md": verbs, "configuration.md": configuration}

if __name__ == "__main__":
    for page, make in PAGES.items():
        (FOLDER / page).write_text(make(), encoding="utf-8")
    sys.exit()
