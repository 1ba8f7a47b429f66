"""Changing front matter byte by byte: only the values that change, and never without proof.

Each change is tried in the old quoting style first, then plain, then double-quoted; the first spelling counts whose
result reads back as the old entries with just this value changed. What cannot be proven so is refused.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from refinery.core.frontmatter import Document, FrontMatterError, Value, split
from refinery.core.yaml_entries import Entry, entries

Change = str | tuple[str, ...]
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_BARE_ITEM: Final = re.compile(r"\w[\w./-]*(?: [\w./-]+)*")
_COMMENT: Final = re.compile(r"(?:^|\s)#", re.MULTILINE)
_COLON: Final = re.compile(r"[ \t]*:")
_REFUSED: Final = {
    "{": "holds a nested structure",
    "*": "is a YAML alias",
    "&": "carries a YAML anchor or tag",
    "|": "is a block of text",
    ">": "is a block of text",
}


def edit(raw: bytes, changes: Mapping[str, Change]) -> bytes:
    """The file with the keys in `changes` set, and every other byte as it was. A missing key is added at the end.

    A text is written for a text, a tuple as a list. Equal values are left as they are spelled.

    Raises:
        FrontMatterError: the file does not parse, or a value cannot be replaced without touching something else.
    """
    document = split(raw)
    if document is None:
        raise FrontMatterError("has no front matter", 1)
    header = document.header
    for key, value in changes.items():
        _refuse_broken_text(key, value)
        header = _set(header, key, value, document.eol)
    if header == document.header:
        return raw
    return _joined(document, header)


def _joined(document: Document, header: str) -> bytes:
    return (document.text[: document.start] + header + document.text[document.end :]).encode()


def _refuse_broken_text(key: str, value: Change) -> None:
    try:
        "".join(value).encode()
    except UnicodeEncodeError:
        raise FrontMatterError(f"`{key}` cannot hold text that is not Unicode") from None


def _set(header: str, key: str, value: Change, eol: str) -> str:
    found = entries(header)
    before = {entry.key: entry.value for entry in found}
    old = before.get(key)
    if key in before and (old == value or (old is None and not value)):
        return header
    after = {**before, key: value}
    candidates = _replaced(header, _entry(found, key), value, eol) if key in before else None
    for candidate in candidates or _added(header, found, key, value, eol):
        if _reads_as(candidate, after):
            return candidate
    line = next((entry.line for entry in found if entry.key == key), None)
    raise FrontMatterError(f"`{key}` cannot be changed without touching something else", line)


def _entry(found: list[Entry], key: str) -> Entry:
    return next(entry for entry in found if entry.key == key)


def _reads_as(header: str, wanted: Mapping[str, Value]) -> bool:
    try:
        return {entry.key: entry.value for entry in entries(header)} == wanted
    except FrontMatterError:
        return False


def _replaced(header: str, entry: Entry, value: Change, eol: str) -> Iterator[str]:
    """`header` with the entry's value replaced, in each spelling worth trying."""
    if entry.style in _REFUSED:
        raise FrontMatterError(f"`{entry.key}` {_REFUSED[entry.style]}; change it by hand", entry.line)
    if isinstance(entry.value, tuple) and isinstance(value, str):
        raise FrontMatterError(f"`{entry.key}` holds a list; give a list, or change it by hand", entry.line)
    start, lead = entry.start, ""
    colon = _COLON.match(header, entry.key_end)
    if colon is not None and (entry.style == "-" or entry.start == colon.end()):
        start, lead = colon.end(), " "
    if isinstance(entry.value, tuple) and _COMMENT.search(header, start, entry.end):
        raise FrontMatterError(f"`{entry.key}` holds a list with comments; change it by hand", entry.line)
    if entry.style == "-" and value:
        yield header[:start] + _block(value, entry.list_column, eol) + header[entry.end :]
    for spelled in _spellings(value, entry.style):
        yield header[:start] + lead + spelled + header[entry.end :]


def _added(header: str, found: list[Entry], key: str, value: Change, eol: str) -> Iterator[str]:
    """`header` with one more line at its end, indented as the other keys are."""
    if not _KEY.fullmatch(key):
        raise FrontMatterError(f"`{key}` is not a key that can be added")
    indent = " " * (found[0].column if found else 0)
    for spelled in _spellings(value, ""):
        yield f"{header}{indent}{key}: {spelled}{eol}"


def _spellings(value: Change, style: str) -> Iterator[str]:
    if isinstance(value, tuple):
        yield _flow(value)
        return
    if style == "'":
        yield "'" + value.replace("'", "''") + "'"
    if style != '"' and value:
        yield str(value)
    yield _double(value)


def _item(text: str) -> str:
    """`text` as a YAML value that reads back as itself: plain where that is safe, else in double quotes."""
    is_plain = _BARE_ITEM.fullmatch(text) and entries(f"k: {text}\n")[0].value == text
    return text if is_plain else _double(text)


def _flow(texts: tuple[str, ...]) -> str:
    """`texts` as a YAML list on one line."""
    return "[" + ", ".join(_item(text) for text in texts) + "]"


def _block(texts: Change, column: int, eol: str) -> str:
    return "".join(f"{eol}{' ' * column}- {_item(text)}" for text in texts)


def _double(text: str) -> str:
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    code = ord(char)
    if 0x20 <= code < 0x7F or (
        code >= 0xA0 and code not in (0x2028, 0x2029, 0xFEFF) and not 0xD800 <= code < 0xE000
    ):
        return char
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
