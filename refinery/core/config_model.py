"""Reading YAML into the classes of `core.config`, and writing them again; the only user of pydantic.

A model is made of each class when it is first needed: its fields, with the kinds and bounds that their `Key` names.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, create_model
from pydantic import Field as ModelField

from refinery.core.config import (
    BUILT_IN_AGENTS,
    AgentConfig,
    CheckConfig,
    Key,
    ProjectConfig,
    RequiredCheck,
    UserConfig,
    UserProject,
    from_plain,
)
from refinery.core.config_errors import parse
from refinery.core.config_types import KINDS, Name, Title, slug

_T = TypeVar("_T")
_ANNOTATED: Any = Annotated  # types made at run time are mere values to a type checker
_MAPPING: Any = Mapping
_TUPLE: Any = tuple


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def parse_project(text: str | bytes, source: str) -> ProjectConfig:
    """A project's configuration; `source` names the file in messages.

    Raises:
        ConfigError: every mistake, each with file and line.
    """
    return read(ProjectConfig, text, source)


def parse_user(text: str | bytes, source: str) -> UserConfig:
    """A person's configuration; as `parse_project`."""
    return read(UserConfig, text, source)


def json_schema(kind: type = ProjectConfig) -> dict[str, Any]:
    """The JSON Schema of a configuration file, for editors."""
    schema = _model(kind).model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def render(config: ProjectConfig | UserConfig) -> str:
    """`config` as YAML that parses to the same value; defaults are shown, what is empty is left out."""
    model = _model(type(config)).model_validate(_without_empty(asdict(config)))
    return yaml.dump(
        _without_empty(model.model_dump(mode="json")),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )


def read(kind: type[_T], text: str | bytes, source: str) -> _T:
    """A `ProjectConfig` or `UserConfig` from YAML; as `parse_project`."""
    return from_plain(kind, parse(_model(kind), text, source).model_dump())


def _make(kind: type) -> type[BaseModel]:
    hints = get_type_hints(kind, include_extras=True)
    made: dict[str, Any] = {each.name: _field(each, *get_args(hints[each.name])) for each in fields(kind)}
    return create_model(kind.__name__, __base__=_Section, __doc__=kind.__doc__, **made)


_model: Callable[[type], type[BaseModel]] = cache(_make)


def _field(each: "Field[Any]", hint: Any, key: Key) -> tuple[Any, Any]:
    """The model's type and field for one of the class's; a section's default is the section read from nothing."""
    bounds = {name: getattr(key, name) for name in ("ge", "gt", "le") if getattr(key, name) is not None}
    if is_dataclass(hint) and isinstance(hint, type):
        return _model(hint), ModelField(default_factory=_model(hint), description=key.words)
    kind = (_nested(key.kind) or KINDS[key.kind]) if key.kind else hint
    default = ... if each.default is MISSING and each.default_factory is MISSING else each.default
    if each.default_factory is not MISSING:
        return kind, ModelField(default_factory=each.default_factory, description=key.words, **bounds)
    return kind, ModelField(default=default, description=key.words, **bounds)


def _nested(kind: str) -> Any:
    """The kinds that hold sections, or None."""
    match kind:
        case "agents":
            agent = _ANNOTATED[_model(AgentConfig), BeforeValidator(_with_command)]
            return _ANNOTATED[_MAPPING[Name, agent], AfterValidator(_startable)]
        case "checks":
            return _MAPPING[Title, _ANNOTATED[_model(CheckConfig), BeforeValidator(_with_command)]]
        case "required":
            return _TUPLE[_ANNOTATED[_model(RequiredCheck), BeforeValidator(_with_name)], ...]
        case "projects":
            return _MAPPING[Annotated[str, AfterValidator(slug)], _model(UserProject)]
    return None


def _with_command(value: Any) -> Any:
    return {"command": value} if isinstance(value, str | list) else value


def _with_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _startable(agents: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, agent in agents.items():
        if not agent.command and name not in BUILT_IN_AGENTS:
            raise ValueError(f"the agent {name} needs a command")
    return agents


def _without_empty(value: Any) -> Any:
    """Empty texts, lists and sections are all defaults here; some could not even be written."""
    if not isinstance(value, dict):
        return value
    kept = {key: _without_empty(item) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item not in (None, "", (), [], {})}


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _block(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _block)
