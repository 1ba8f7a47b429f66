"""Front matter, read strings-first: every value stays what was typed (`007`, `12:30`, `on`).

Two readers. `quick` recognises plain `key: value` lines and simple lists by one regular expression; whatever it does
not recognise goes to PyYAML's events (`yaml_entries`). Property: they agree on every text that `quick` accepts.
"""

import re
from enum import Enum
from typing import Final, NamedTuple


class Shape(Enum):
    """A value that is neither text nor a list of texts."""

    NESTED = "nested"


# None: the key is there, its value is empty or a plain `null` or `~`.
Value = str | tuple[str, ...] | Shape | None
Fields = dict[str, Value]

NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
BOM: Final = b"\xef\xbb\xbf"
_UTF_16: Final = (b"\xff\xfe-\0-\0-\0", b"\xfe\xff\0-\0-\0-")
_OPEN: Final = re.compile(r"\ufeff?---[ \t]*(\r?\n)")
_CLOSE: Final = re.compile(r"^(?:---|\.\.\.)[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
_TASK_LIKE: Final = re.compile(r"^(?:id|status)[ \t]*:", re.MULTILINE)
_LOOK_AHEAD: Final = 4000  # characters in which an unclosed front matter is recognised as a task's


class FrontMatterError(ValueError):
    """The front matter cannot be used; `line` is the file's line, counted from 1, where known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class Document(NamedTuple):
    """A Markdown file: `text[start:end]` is what stands between the delimiters, `text[body:]` what follows them."""

    text: str
    start: int
    end: int
    body: int
    eol: str

    @property
    def header(self) -> str:
        """The YAML lines, each with its line ending."""
        return self.text[self.start : self.end]


def split(raw: bytes) -> Document | None:
    """The parts of a file, or None when it does not open with front matter.

    Raises:
        FrontMatterError: it opens with front matter, but is not UTF-8, or a task's front matter has no end.
    """
    if raw[:8].startswith(_UTF_16):
        raise FrontMatterError("is UTF-16 text, not UTF-8", 1)
    if not raw.startswith((b"---", BOM + b"---")):
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise FrontMatterError(f"is not UTF-8 text (byte {raw[error.start]:#04x})", line) from None
    opening = _OPEN.match(text)
    if opening is None:
        return None
    start = opening.end()
    closing = _CLOSE.search(text, start)
    if closing is None:
        if _TASK_LIKE.search(text, start, start + _LOOK_AHEAD):
            raise FrontMatterError("the front matter has no closing line `---`", 1)
        return None
    return Document(text, start, *closing.span(), opening[1])


def load(header: str) -> Fields:
    """The keys and values of a header.

    Raises:
        FrontMatterError: it is not YAML, not a mapping, or has a key twice; with the line.
    """
    fields = quick(header)
    if fields is not None:
        return fields
    from refinery.core import yaml_entries  # noqa: PLC0415 - PyYAML's import is a tenth of a look at 10,000 files

    return {entry.key: entry.value for entry in yaml_entries.entries(header)}


# The quick reader's grammar is a small subset of YAML in which nothing is ambiguous: one line each, no tabs, no
# escapes, and no character that YAML forbids or takes for a line break (U+0085, U+2028, U+2029). No possessive
# quantifiers: with groups inside they are broken in Python 3.11. Every repetition is separated by a character of its
# own, so that a line that does not fit is given up in linear time.
_CONTROL: Final = r"\0-\x1f\x7f-\x9f"
_STRANGE: Final = re.compile(
    "[\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
)  # looked for once, not in every class
_SAFE: Final = rf"[^{_CONTROL} #:]*"
_PLAIN: Final = rf"(?:[\w(/+$]|-(?=\w)){_SAFE}(?:(?::(?=[\w/])| (?=[^ #\r\n])){_SAFE})*"
_QUOTED: Final = rf"""(?:"[^{_CONTROL}"\\]*"|'[^{_CONTROL}']*')"""
_END: Final = rf"(?: +(?:#[^{_CONTROL}]*)?)?\r?\n"
_WORD: Final = r"\w[\w./-]*(?: [\w./-]+)*"
_FLOW: Final = rf"\[ *(?:(?:{_WORD}|{_QUOTED}) *(?:, *(?:{_WORD}|{_QUOTED}) *)*)?\]"
_DASH: Final = rf"- +(?:{_PLAIN}|{_QUOTED}){_END}"
_LINES: Final = re.compile(
    rf"([A-Za-z_][\w-]{{0,99}}):(?: +(?:({_PLAIN})|({_QUOTED}|{_FLOW})){_END}"
    rf"|{_END}((?:{_DASH})+|(?:  {_DASH})+|(?:    {_DASH})+)?)"
    rf"|{_END}|#[^{_CONTROL}]*\r?\n|([\s\S]+)"
)
_WORDS: Final = re.compile(rf"({_WORD})|({_QUOTED})")
_DASHES: Final = re.compile(rf"^ *- +(?:({_PLAIN})|({_QUOTED}))", re.MULTILINE)


def quick(header: str) -> Fields | None:
    """The keys and values of a plain header, or None when only the full YAML reader can tell."""
    if not header.isascii() and _STRANGE.search(header):
        return None
    fields: Fields = {}
    for key, plain, special, dashes, rest in _LINES.findall(header):
        if rest or key in fields:
            return None
        if plain:
            fields[key] = None if plain in NULLS else plain
        elif special:
            fields[key] = _texts(_WORDS.findall(special)) if special[0] == "[" else special[1:-1]
        elif key:
            fields[key] = _texts(_DASHES.findall(dashes)) if dashes else None
    return fields


def _texts(found: list[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(plain or quoted[1:-1] for plain, quoted in found if plain not in NULLS or quoted)
