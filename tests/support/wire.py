"""An HTTP server for single answers, byte by byte: what a stateful fake does not do, and what a network does."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """One that arrived; header names are in lower case."""

    verb: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    """What to answer. `cut` sends so many bytes of the body and hangs up; `drop` hangs up without a word."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    drop: bool = False


@dataclass
class Wire:
    """A running server: its address, what arrived, and the answers, one after the other or by a function."""

    url: str = ""
    seen: list[Request] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    answer: Callable[[Request], Reply] | None = None
    date: float | None = None  # what its clock says, if not ours

    def next(self, request: Request) -> Reply:
        """The answer to this request: the last of the list stays."""
        self.seen.append(request)
        if self.answer is not None:
            return self.answer(request)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def wire(*replies: Reply, answer: Callable[[Request], Reply] | None = None) -> Iterator[Wire]:
    """A server that gives these answers, at `url` with the path of an Enterprise server's API."""
    made = Wire(replies=list(replies), answer=answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}/api/v3"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(made: Wire) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class names it so)
            pass

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:  # a client that was dropped need not read
                self.close_connection = True

        def _serve(self) -> None:
            url = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(
                self.command,
                url.path.removeprefix("/api/v3"),
                dict(parse_qsl(url.query)),
                {name.lower(): value for name, value in self.headers.items()},
                json.loads(raw) if raw else None,
            )
            self._reply(made.next(request))

        def _reply(self, reply: Reply) -> None:
            self.close_connection = reply.drop or reply.cut is not None
            if reply.drop:
                return
            text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
            body = b"" if reply.body is None else text.encode()
            head = {
                "Date": formatdate(made.date, usegmt=True),
                "Content-Type": "application/json; charset=utf-8",
                "Content-Length": str(len(body)),
                **reply.headers,
            }
            lines = [f"HTTP/1.1 {reply.status} Words", *(f"{name}: {value}" for name, value in head.items())]
            self.wfile.write("\r\n".join([*lines, "", ""]).encode() + body[: reply.cut])

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815  (the base class names them so)

    return Handler
