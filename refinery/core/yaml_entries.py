"""The full reader of front matter: PyYAML's events, turned into top-level entries that know where they stand.

Events, not nodes: PyYAML's C composer recurses and ends the process on deep nesting, resolvers would turn `007` into 7,
and a node does not tell an alias from what it names. Every value is text, a flat list of texts, or `NESTED`.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from refinery.core.frontmatter import NULLS, FrontMatterError, Shape, Value

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST: Final = 32
FIRST_LINE: Final = 2  # the file's line of a header's first line


@dataclass(slots=True)
class Entry:
    """One top-level key. Positions are characters of the header; `style` says how the value is written.

    Styles: `` (plain), `'`, `"`, `|`, `>`, `[` (a flow list), `-` (a block list), `{` (nested), `*` (an alias), and `&`
    for a value with an anchor or a tag. A block list ends where its last item ends.
    """

    key: str
    line: int
    column: int
    key_end: int
    start: int
    end: int
    style: str
    value: Value = None
    list_column: int = 0


@dataclass(slots=True)
class _Frame:
    """A mapping or sequence that is open."""

    is_mapping: bool
    keys: set[str] = field(default_factory=set)
    awaits_value: bool = False


def entries(header: str) -> list[Entry]:
    """The top-level entries of `header`, in order; keys that are not plain text are left out.

    Text or a list between two `---` lines is no front matter, and has no entries.

    Raises:
        FrontMatterError: not YAML, several documents, a key given twice, or nested too deeply; with the file's line.
    """
    reader = _Reader()
    try:
        for event in yaml.parse(header, Loader=_LOADER):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        raise _broken(error) from None
    except yaml.reader.ReaderError as error:
        raise FrontMatterError(f"not valid YAML: {error.reason}", _line_of(header, error.character)) from None
    return reader.entries


def _broken(error: yaml.MarkedYAMLError) -> FrontMatterError:
    """The error in our words. A bracket or quote that never closes is best looked for where it opens."""
    context = error.context or ""
    is_unclosed = "flow" in context or "quoted" in context
    mark = (is_unclosed and error.context_mark) or error.problem_mark or error.context_mark
    words = ", ".join(part for part in (context, error.problem) if part)
    return FrontMatterError(f"not valid YAML: {words}", mark.line + FIRST_LINE if mark else None)


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + FIRST_LINE


def _line_of(header: str, character: Any) -> int | None:
    """The file's line of a forbidden character. PyYAML's two readers give positions in different units, so look."""
    code = character if isinstance(character, int) else ord(character)
    at = header.find(chr(code))
    return header.count("\n", 0, at) + FIRST_LINE if at >= 0 else None


class _Reader:
    """Consumes events one by one; `entries` grows as top-level values end."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._frames: list[_Frame] = []
        self._key: Any = None
        self._open: Entry | None = None
        self._items: list[str] = []
        self._is_nested = False
        self._leaf_end = 0
        self._anchors: dict[str, Value] = {}
        self._documents = 0

    def take(self, event: Any) -> None:
        """Note one event."""
        if isinstance(event, ScalarEvent | AliasEvent):
            self._place(event)
            self._leaf(event)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._place(event)
            self._begin(event)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._end(event)
        elif isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise FrontMatterError("holds a second YAML document", _line(event))

    def _place(self, event: Any) -> None:
        """Note what `event` is to the mapping around it: a key or a value."""
        if not self._frames:
            return
        frame = self._frames[-1]
        if not frame.is_mapping:
            return
        frame.awaits_value = not frame.awaits_value
        if frame.awaits_value:
            self._note_key(frame, event)
        elif len(self._frames) == 1 and self._key is not None:
            self._open = _entry(self._key, event)
            self._items, self._is_nested = [], False

    def _note_key(self, frame: _Frame, event: Any) -> None:
        is_text = isinstance(event, ScalarEvent)
        if is_text and event.value in frame.keys:
            raise FrontMatterError(f"the key `{event.value}` is given twice", _line(event))
        if is_text:
            frame.keys.add(event.value)
        if len(self._frames) == 1:
            self._key = event if is_text else None

    def _leaf(self, event: Any) -> None:
        self._leaf_end = event.end_mark.index
        value = self._value(event)
        anchor = getattr(event, "anchor", None)
        if anchor and isinstance(event, ScalarEvent):
            self._anchors[anchor] = value
        if self._open is None:
            return
        if len(self._frames) == 1:
            self._finish(value)
        elif isinstance(value, str):
            # `[[id|text]]`, unquoted, is a list in a list to YAML and a link to people.
            self._items.append(value if len(self._frames) == 2 else value.partition("|")[0].strip())
        elif value is not None:
            self._is_nested = True

    def _value(self, event: Any) -> Value:
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                raise FrontMatterError(f"the alias `*{event.anchor}` names nothing", _line(event))
            return self._anchors[event.anchor]
        is_plain = not event.style and not event.tag
        text: str = event.value
        return None if is_plain and text in NULLS else text

    def _begin(self, event: Any) -> None:
        if len(self._frames) == _DEEPEST:
            raise FrontMatterError(f"is nested more than {_DEEPEST} deep", _line(event))
        if event.anchor:
            self._anchors[event.anchor] = Shape.NESTED
        is_mapping = isinstance(event, MappingStartEvent)
        self._is_nested |= is_mapping
        self._frames.append(_Frame(is_mapping))

    def _end(self, event: Any) -> None:
        self._frames.pop()
        if event.end_mark.index > event.start_mark.index:  # a flow structure's bracket
            self._leaf_end = event.end_mark.index
        if self._open is not None and len(self._frames) == 1:
            self._finish(Shape.NESTED if self._is_nested else tuple(self._items))

    def _finish(self, value: Value) -> None:
        entry = self._open
        if entry is None:
            return
        entry.value = value
        entry.end = self._leaf_end
        if value is Shape.NESTED and entry.style != "*":
            entry.style = "{"
        self.entries.append(entry)
        self._open = self._key = None


def _entry(key: Any, event: Any) -> Entry:
    """The entry of `key` whose value begins with `event`."""
    return Entry(
        key=key.value,
        line=key.start_mark.line + FIRST_LINE,
        column=key.start_mark.column,
        key_end=key.end_mark.index,
        start=event.start_mark.index,
        end=event.end_mark.index,
        style=_style(event),
        list_column=event.start_mark.column,
    )


def _style(event: Any) -> str:
    if isinstance(event, AliasEvent):
        return "*"
    if event.anchor or event.tag:
        return "&"
    if isinstance(event, ScalarEvent):
        return event.style or ""
    if isinstance(event, SequenceStartEvent):
        return "[" if event.flow_style else "-"
    return "{"
