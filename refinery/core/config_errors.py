"""From a model's complaints to lines that a person can mend: `file:line: key: what (did you mean …?)`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from refinery.core.config_yaml import Document, Mistake, Path, dotted, load
from refinery.core.text import closest, did_you_mean
from refinery.errors import ConfigError

_T = TypeVar("_T", bound=BaseModel)
_WORDS: Final = {
    "missing": "is missing",
    "int_parsing": "must be a whole number, not {input!r}",
    "int_from_float": "must be a whole number, not {input!r}",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number, not {input!r}",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false, not {input!r}",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "tuple_type": "must be a list",
    "mapping_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of keys to values",
    "literal_error": "must be {expected}, not {input!r}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "value_error": "{error}",
}


def parse(model: type[_T], text: str | bytes, source: str) -> _T:
    """`text` as a `model`. Raises ConfigError with every mistake of form and content at once, in the file's order."""
    document = load(text)
    mistakes = list(document.mistakes)
    broken = any(not mistake.key for mistake in mistakes)
    result: _T | None = None
    try:
        result = model.model_validate(_without_nulls(document.value))
    except ValidationError as error:
        if not broken:
            mistakes += [_mistake(model, document, detail) for detail in error.errors(include_url=False)]
    if result is None or mistakes:
        raise ConfigError(_message(mistakes, source), remedy=_REMEDY)
    return result


_REMEDY: Final = "mend these lines; `refinery config schema` prints every key that exists"


def _message(mistakes: Sequence[Mistake], source: str) -> str:
    lines = []
    for mistake in sorted(set(mistakes), key=lambda mistake: mistake.line):
        key = f"{mistake.key}: " if mistake.key else ""
        lines.append(f"{source}:{mistake.line}: {key}{mistake.what}")
    return "\n".join(lines)


def _without_nulls(value: Any) -> Any:
    """A key without a value counts as left out, so that its default holds."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _mistake(model: type[BaseModel], document: Document, detail: ErrorDetails) -> Mistake:
    path = tuple(part for part in detail["loc"] if part != "[key]")
    if detail["type"] == "extra_forbidden":
        return Mistake(document.line(path), dotted(path), _unknown(model, path))
    context = {"error": "", "expected": "", **(detail.get("ctx") or {}), "input": detail["input"]}
    template = _WORDS.get(detail["type"], detail["msg"].replace("{", "{{").replace("}", "}}"))
    what = template.format_map(context)
    if detail["type"] == "literal_error":
        what += _suggest(str(detail["input"]), [word.strip("'") for word in _words(context["expected"])])
    return Mistake(document.line(path), dotted(path), what)


def _words(expected: str) -> list[str]:
    return expected.replace(" or ", ", ").split(", ")


def _unknown(model: type[BaseModel], path: Path) -> str:
    known = _fields_at(model, path[:-1])
    word = str(path[-1])
    if closest(word, known):
        return "is not a known key" + _suggest(word, known)
    home = next((name for name, field in model.model_fields.items() if word in _fields(field.annotation)), "")
    if home and len(path) == 1:
        return f"is not a known key (did you mean {home}.{word}?)"
    return f"is not a known key (known here: {', '.join(known)})"


def _suggest(word: str, known: Sequence[str]) -> str:
    hint = did_you_mean(word, known)
    return f" ({hint})" if hint else ""


def _fields_at(model: type[BaseModel], path: Path) -> list[str]:
    """The keys that may stand at `path`."""
    kind: Any = model
    for part in path:
        kind = _bare(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(part)].annotation
        else:
            kind = get_args(kind)[1 if issubclass(get_origin(kind), Mapping) else 0]
    return _fields(kind)


def _fields(kind: Any) -> list[str]:
    kind = _bare(kind)
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind
