"""Text that crosses a boundary: what people and agents wrote, and what must never be shown (F30, F31, F35).

Properties: `clean`, `neutralise`, `redact` and `one_line` are idempotent; no text that `clean` returns holds an HTML
comment, an invisible or a control character; no text that `redact` returns holds a whole secret of four or more
characters. Accepted: text hidden by other means than comments (a collapsed section, a white image) stays.
"""

import base64
import json
import re
from collections.abc import Iterable
from typing import Final, overload
from urllib.parse import quote, quote_plus

MARK: Final = "***"  # shorter than any secret, so that replacing always shrinks and must come to an end
_SHORTEST: Final = 4
_BREAK: Final = "\u200b"  # a zero-width space: keeps the look, ends the meaning

_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_INVISIBLE: Final = re.compile(
    "["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f"  # controls but tab and newline
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners, fillers
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f"  # zero-width, bidi
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # tags and variation selectors
    "]"
)
_NEWLINES: Final = re.compile("\r\n?|[\x85\u2028\u2029]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
# A link definition that points nowhere is the other way to write a comment in Markdown.
_NOWHERE: Final = re.compile(
    r"^ {0,3}\[[^\]\n]{1,999}\]:[ \t]*\n?[ \t]*(?:#|<#?>)"
    r"(?:[ \t]*\n?[ \t]*(?:\((?:[^()\n]|\n(?!\n))*\)|\"(?:[^\"\n]|\n(?!\n))*\"|'(?:[^'\n]|\n(?!\n))*'))?[ \t]*$",
    re.MULTILINE,
)


def visible(text: str) -> str:
    r"""`text` without terminal sequences, control, zero-width and bidi characters; newlines become `\n`."""
    text = _INVISIBLE.sub("", _NEWLINES.sub("\n", _ANSI.sub("", text)))
    return _SURROGATES.sub("\ufffd", text)


def clean(text: str) -> str:
    """What a reader of the rendered page saw of `text`: `visible`, without hidden comments (F30).

    A comment becomes a space, so that what stood around it cannot join into another one.
    """
    return _NOWHERE.sub("", _COMMENT.sub(" ", visible(text)))


def one_line(text: str, limit: int = 100) -> str:
    """`text` cleaned, on one line, of at most `limit` characters: for titles and subjects."""
    words = " ".join(clean(text).split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def fence(text: str, delimiter: str) -> str:
    """`text` between two lines that only the caller knows, so that nothing inside can end it (F31).

    Raises:
        ValueError: the delimiter is shorter than 16 characters or holds other than letters and digits.
    """
    if not re.fullmatch(r"[A-Za-z0-9]{16,}", delimiter):
        raise ValueError("a delimiter needs 16 or more random letters and digits")
    while delimiter in text:
        text = text.replace(delimiter, "")
    return f"<<<{delimiter}\n{text.rstrip()}\n{delimiter}>>>\n"


_MENTION: Final = re.compile(r"(?<![A-Za-z0-9])@(?=[A-Za-z0-9])")
_CLOSING: Final = re.compile(
    r"\b(close[sd]?|fix(?:e[sd])?|resolve[sd]?)\b"
    r"(?=[^\w#]{0,12}(?:#\d|GH-\d|[\w.-]+/[\w.-]+#\d|https?://\S+/(?:issues|pull)/\d))",
    re.IGNORECASE,
)
_COMMAND: Final = re.compile(r"^(\s*):(?=:)", re.MULTILINE)
_OLD_COMMAND: Final = re.compile(r"#(?=#\[)")
_TRAILER: Final = re.compile(
    r"^[ \t]*(?=(?:Refinery-[\w-]*|skip-checks)[ \t]*:)", re.IGNORECASE | re.MULTILINE
)
_SKIP: Final = re.compile(
    r"\[(?=(?:skip ci|ci skip|no ci|skip actions|actions skip)\])|\*\*\*(?=NO_CI\*\*\*)", re.IGNORECASE
)


def neutralise(text: str) -> str:
    """Agent-written `text` for a pull or comment: it reads the same, but notifies, closes and commands nobody.

    Breaks @mentions, closing keywords before an issue (`Fixes #1`), workflow commands (`::error`), skip-CI words and
    trailers that only Refinery writes; hidden comments go, so that no marker of ours can be forged.
    """
    text = _MENTION.sub("@" + _BREAK, clean(text))
    text = _CLOSING.sub(lambda found: found[0][0] + _BREAK + found[0][1:], text)
    text = _COMMAND.sub(r"\1:" + _BREAK, text)
    text = _OLD_COMMAND.sub("#" + _BREAK, text)
    text = _SKIP.sub(lambda found: found[0] + _BREAK, text)
    return _TRAILER.sub("> ", text)


def public_line(text: str, limit: int = 100) -> str:
    """Agent-written `text` as a title: `one_line`, then `neutralise`, whose breaks `one_line` would take out again."""
    return neutralise(one_line(text, limit))


_SHAPES: Final = re.compile(
    r"gh[pousr]_[A-Za-z0-9_.-]{16,}"
    r"|github_pat_[A-Za-z0-9_]{20,}"
    r"|sk-ant-[A-Za-z0-9_-]{10,}"
    r"|(?<![A-Za-z0-9])sk-(?:proj-|svcacct-|admin-|or-v1-)[A-Za-z0-9_-]{16,}"
    r"|(?<![A-Za-z0-9])sk-[A-Za-z0-9]{20,}"
    r"|(?<![A-Za-z0-9])(?:AKIA|ASIA)[0-9A-Z]{16}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}"
    r"|AIza[0-9A-Za-z_-]{35}|glpat-[A-Za-z0-9_.-]{20,}|npm_[A-Za-z0-9]{36}|pypi-AgEI[A-Za-z0-9_-]{40,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
    r"|-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_LOGIN: Final = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
_HEADER: Final = re.compile(
    r"(authorization:\s*(?:bearer|basic|token)\s+)(?!\*\*\*)[^\s\"',;]+", re.IGNORECASE
)
_KEY_BEGIN: Final = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_KEY_END: Final = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY-----")


class Redactor:
    """Removes known secret values, their encoded forms, and whatever is shaped like a secret.

    `line` is for streams cut at newlines: secrets of several lines are recognised by each of their lines, and a
    private key is hidden from its first to its last line.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._exact = re.compile("|".join(map(re.escape, longest_first))) if forms else None
        self._inside_key = False

    def text(self, text: str) -> str:
        """`text` with each secret replaced by `***`, repeated until none is left whole."""
        before = None
        while text != before:
            before = text
            if self._exact is not None:
                text = self._exact.sub(MARK, text)
            text = _LOGIN.sub(MARK, _SHAPES.sub(MARK, text))
            text = _HEADER.sub(r"\1" + MARK, text)
        return text

    def line(self, line: str) -> str:
        """The next line of a stream, redacted; its line ending is kept."""
        if self._inside_key:
            end = _KEY_END.search(line)
            if end is None:
                return ""
            self._inside_key = False
            line = line[end.end() :]
        opened = [found.end() for found in _KEY_BEGIN.finditer(line)]
        if opened and _KEY_END.search(line, opened[-1]) is None:
            self._inside_key = True
        ending = line[len(line.rstrip("\r\n")) :]
        return self.text(line.rstrip("\r\n")) + ending


@overload
def redact(text: str, secrets: Iterable[str] = ()) -> str: ...
@overload
def redact(text: bytes, secrets: Iterable[str] = ()) -> bytes: ...
def redact(text: str | bytes, secrets: Iterable[str] = ()) -> str | bytes:
    """`text` without the values in `secrets` (four or more characters) and without anything shaped like one (F35)."""
    redactor = Redactor(secrets)
    if isinstance(text, bytes):
        decoded = text.decode("utf-8", "surrogateescape")
        return redactor.text(decoded).encode("utf-8", "surrogateescape")
    return redactor.text(text)


def _forms(secret: str) -> set[str]:
    """`secret` as it may appear: itself, its lines, URL-encoded, JSON-escaped, and inside base64 at any offset."""
    whole = {
        secret,
        secret.strip(),
        *(line.strip() for line in secret.splitlines() if len(line.strip()) >= 8),
    }
    forms: set[str] = set()
    for value in whole:
        raw = value.encode("utf-8", "surrogateescape")
        escaped = quote(raw, safe="")
        lower = re.sub("%..", lambda found: found[0].lower(), escaped)
        forms |= {value, escaped, lower, quote(raw), quote_plus(raw), json.dumps(value)[1:-1]}
        forms.add(json.dumps(value, ensure_ascii=False)[1:-1])
        forms |= {form for form in _base64_forms(raw) if len(form) >= 8}
    return {form for form in forms if len(form) >= _SHORTEST}


def _base64_forms(raw: bytes) -> set[str]:
    """The characters that `raw` alone decides in a base64 text, for each of the three places it may begin at."""
    forms = set()
    for offset in range(3):
        padded = b"\0" * offset + raw
        decided = slice(-(-offset * 8 // 6), len(padded) * 8 // 6)
        forms.add(base64.b64encode(padded).decode()[decided])
        forms.add(base64.urlsafe_b64encode(padded).decode()[decided])
    return forms
