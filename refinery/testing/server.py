"""The wire: aiohttp on TCP and a unix socket, in one thread of its own; each request is handled in a worker thread."""

import asyncio
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from aiohttp import web

from refinery.testing.api import Answer, Api, Came
from refinery.testing.faults import Fault
from refinery.testing.http_git import HttpGit, is_git

_MOST: Final = 512 * 1024 * 1024
_LONGEST_SOCKET: Final = 100  # bytes: a unix socket's address has 108 on Linux, 104 on macOS
_WORKERS: Final = 128  # slow requests wait in one each


class Server:
    """Serves an API and its repositories; `start` and `stop` from any thread."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.api = api
        self.git = HttpGit(api)
        self.port = 0
        self.socket = folder / "github.sock"
        self._short: tempfile.TemporaryDirectory[str] | None = None
        self._loop = asyncio.new_event_loop()
        self._workers = ThreadPoolExecutor(_WORKERS, "fake-github")
        self._ready = threading.Event()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._serve, name="fake-github", daemon=True)
        self._runner: web.AppRunner | None = None

    def start(self, port: int = 0) -> None:
        """Listen on `port` (0: a free one), and return when it does.

        Raises:
            OSError: the port is taken.
        """
        self.port = port
        if len(str(self.socket).encode()) > _LONGEST_SOCKET:
            self._short = tempfile.TemporaryDirectory(prefix="fake-github-")
            self.socket = Path(self._short.name) / "github.sock"
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Close every connection and the thread."""
        self.api.faults.clear()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._workers.shutdown()
        self.socket.unlink(missing_ok=True)
        if self._short is not None:
            self._short.cleanup()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._open())
            self._ready.set()
            self._loop.run_forever()
        except OSError as error:
            self._failure = error
        finally:
            if self._runner is not None:
                self._loop.run_until_complete(self._runner.cleanup())
            self._loop.close()
            self._ready.set()

    async def _open(self) -> None:
        app = web.Application(client_max_size=_MOST)
        app.router.add_route("*", "/{rest:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=1024).start()
        self.port = self._runner.addresses[0][1]
        self.api.origin = f"http://127.0.0.1:{self.port}"
        await web.UnixSite(self._runner, str(self.socket)).start()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            raw = await request.read()
        except ConnectionResetError:  # whoever asked has died
            return _hang_up(request)
        came = Came(request.method, request.path, request.raw_path, request.query, request.headers, raw)
        of_git = is_git(came.path)
        words = "" if of_git else raw.decode("utf-8", "replace")
        fault = self.api.faults.struck(came.method, came.raw_path, words)
        if fault is not None and fault.kind == "drop":
            if not of_git:
                self.api.dropped(came)
            return _hang_up(request)
        if fault is not None and fault.kind == "slow":
            fault.entered.set()
            await self._loop.run_in_executor(self._workers, fault.released.wait)
        work: Callable[[Came, Fault | None], Answer] = self.git.answer if of_git else self.api.answer
        answer = await self._loop.run_in_executor(self._workers, work, came, fault)
        if fault is not None and fault.kind == "drop-after":
            return _hang_up(request)
        if fault is not None and fault.kind == "truncate":
            return await _cut_off(request, answer)
        headers = dict(answer.headers)
        if not of_git and answer.body:
            headers["content-type"] = "application/json; charset=utf-8"
        return web.Response(status=answer.status, body=answer.body, headers=headers)


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _cut_off(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Announce the whole body, send half of it, and hang up."""
    cut = web.StreamResponse(status=answer.status, headers={"content-length": str(len(answer.body))})
    cut.content_type = "application/json"
    await cut.prepare(request)
    await cut.write(answer.body[: len(answer.body) // 2])
    if request.transport is not None:
        request.transport.abort()
    return cut
