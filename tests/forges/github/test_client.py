"""The client of GitHub's API, over real HTTP: what is repeated and what is not, and what every failure means."""

import os
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest
from support.wire import Reply, wire

from refinery.errors import ForgeUnavailableError
from refinery.forges.github import client as module
from refinery.forges.github import transport
from refinery.forges.github.client import Client
from refinery.forges.github.credentials import FixedToken
from refinery.forges.github.errors import (
    AnswerLostError,
    RejectedError,
)

SECRET = "test-token-0123456789-of-nobody"  # noqa: S105  (opens nothing)
TOKEN = FixedToken(SECRET, "the test")
SLUG = "/repos/acme/widgets"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Tries follow each other at once."""
    monkeypatch.setattr(module, "_PAUSES", (0.001, 0.001, 0.001))


def client_of(hub, **options):
    return Client(hub.url, TOKEN, **options)


def test_every_request_says_who_asks_and_in_which_version():
    """One constant Accept, the API's version, our name, and the token as a header alone."""
    with wire(Reply(200, {})) as hub, client_of(hub) as client:
        client.get("/x", "issues", params={"a": "b c"})
        request = hub.seen[0]
        assert request.query == {"a": "b c"}
        assert request.headers["authorization"] == f"Bearer {SECRET}"
        assert request.headers["accept"] == "application/vnd.github+json"
        assert request.headers["x-github-api-version"] == "2022-11-28"
        assert request.headers["user-agent"].startswith("refinery/")


FAILURES = {
    "dropped": Reply(drop=True),
    "502": Reply(502, "<html>bad gateway</html>"),
    "503": Reply(503, {"message": "unavailable"}),
    "truncated": Reply(200, {"long": "x" * 1000}, cut=100),
    "half of a text": Reply(200, '{"long": "x'),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_read_is_tried_again(failure):
    """Twice no answer, then one."""
    with wire(failure, failure, Reply(200, {"a": 1})) as hub, client_of(hub) as client:
        assert client.get("/x", "issues").body == {"a": 1}
        assert (client.usage.sent, client.usage.count("issues").retried) == (3, 2)


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_read_is_not_tried_for_ever(failure):
    """Four times, and then nobody knows (F6)."""
    with wire(failure) as hub, client_of(hub) as client:
        with pytest.raises(ForgeUnavailableError) as raised:
            client.get("/x", "issues")
        assert not isinstance(raised.value, AnswerLostError)
        assert len(hub.seen) == 4


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_f4_a_write_whose_answer_was_lost_is_not_repeated(failure):
    """It may have happened: the caller is told so, and reads back."""
    with wire(failure) as hub, client_of(hub) as client:
        with pytest.raises(AnswerLostError, match="may or may not"):
            client.send("POST", SLUG + "/git/refs", {"ref": "r"}, "claim")
        with pytest.raises(AnswerLostError):
            client.graphql("mutation M { a }", {}, "delete")
        assert len(hub.seen) == 2


def test_a_query_of_graphql_is_a_read():
    """It is tried again, although it is a POST."""
    with wire(FAILURES["502"], Reply(200, {"data": {"a": 1}})) as hub, client_of(hub) as client:
        assert client.graphql("query Q { a }", {"n": 1}, "pulls") == {"a": 1}
        assert [each.path for each in hub.seen] == ["/api/graphql"] * 2
        assert hub.seen[0].body == {"query": "query Q { a }", "variables": {"n": 1}}


def test_a_write_that_was_never_sent_is_tried_again_and_says_so():
    """A refused connection reached nobody: not `AnswerLostError`, and nothing to read back."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}", TOKEN) as client:
        with pytest.raises(ForgeUnavailableError, match="cannot be reached") as raised:
            client.send("POST", "/x", {}, "claim")
        assert not isinstance(raised.value, AnswerLostError)
        assert raised.value.remedy
        assert client.usage.count("claim").sent == 4


def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(monkeypatch):
    """A server that accepts and says nothing: a read has failed, a write may have happened."""
    monkeypatch.setattr(transport, "_TIMEOUT", (0.1, 0.1))
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Client(f"http://127.0.0.1:{server.getsockname()[1]}", TOKEN) as client,
    ):
        with pytest.raises(AnswerLostError):
            client.send("POST", "/x", {}, "claim")
        with pytest.raises(ForgeUnavailableError, match="did not answer in full"):
            client.get("/x", "issues")
        assert (client.usage.count("claim").sent, client.usage.count("issues").sent) == (1, 4)


def test_f23_an_unchanged_answer_costs_nothing_and_is_remembered():
    """By path and query; a changed one replaces it."""
    first = Reply(200, [1], {"ETag": '"one"', "Link": ""})
    replies = (first, Reply(304), Reply(200, [2], {"ETag": '"two"'}), Reply(304))
    with wire(*replies) as hub, client_of(hub) as client:
        answers = [client.get("/x", "issues", params={"p": "1"}) for _ in range(4)]
        assert [(each.status, each.body) for each in answers] == [
            (200, [1]),
            (304, [1]),
            (200, [2]),
            (304, [2]),
        ]
        asked = [each.headers.get("if-none-match") for each in hub.seen]
        assert asked == [None, '"one"', '"one"', '"two"']
        assert (client.usage.sent, client.usage.charged) == (4, 2)
        client.get("/x", "issues", params={"p": "2"})
        assert hub.seen[-1].headers.get("if-none-match") is None


def paged(request):
    page = int(request.query.get("page", "1"))
    etag = f'"{page}"'
    if request.headers.get("if-none-match") == etag:
        return Reply(304)
    link = f'<http://{request.headers["host"]}/api/v3/x?per_page=100&page={page + 1}>; rel="next"'
    items = [page * 10, page * 10 + 1]
    body = items if page < 3 else {"total_count": 6, "things": items}
    return Reply(200, body, {"ETag": etag, **({"Link": link} if page < 3 else {})})


def test_all_pages_of_a_listing_are_read():
    """Also where a page is an object around its list, and for nothing the second time."""
    with wire(answer=paged) as hub, client_of(hub) as client:
        for _ in range(2):
            assert client.pages("/x", "issues") == [10, 11, 20, 21, 30, 31]
        assert hub.seen[0].query == {"per_page": "100"}
        assert (client.usage.sent, client.usage.charged) == (6, 3)


def test_f35_a_link_to_another_server_is_not_followed():
    """The token goes to the API's own host alone, whatever an answer says."""
    link = {"Link": '<http://127.0.0.1:9/api/v3/x?page=2>; rel="next"'}
    moved = Reply(307, None, {"Location": "http://127.0.0.1:9/api/v3/x"})
    for reply in (Reply(200, [1], link), moved):
        with wire(reply) as hub, client_of(hub) as client:
            with pytest.raises(ForgeUnavailableError, match=r"points to 127\.0\.0\.1:9"):
                client.pages("/x", "issues")
            assert len(hub.seen) == 1


def test_a_listing_that_is_none_is_an_error():
    """A page of something else is not an empty page."""
    for body in ({"message": "hello"}, "words", {"a": [], "b": []}):
        with wire(Reply(200, body)) as hub, client_of(hub) as client:
            with pytest.raises(ForgeUnavailableError):
                client.pages("/x", "issues")
            assert hub.seen


def renamed(status):
    def answer(request):
        if request.path.startswith(SLUG):
            where = request.path.replace(SLUG, "/api/v3/repositories/7")
            query = "?a=b" if request.query else ""
            return Reply(
                status, {"message": "Moved"}, {"Location": f"http://{request.headers['host']}{where}{query}"}
            )
        return Reply(200, {"path": request.path, "verb": request.verb, "query": request.query})

    return answer


@pytest.mark.parametrize("status", [301, 307])
def test_f12_a_renamed_repository_is_found_again(status):
    """Reads with their query and writes with their body go to the new place, after that without a detour."""
    with wire(answer=renamed(status)) as hub, client_of(hub) as client:
        assert client.get(SLUG + "/issues", "issues", params={"a": "b"}).body["query"] == {"a": "b"}
        assert (
            client.send("POST", SLUG + "/labels", {"name": "x"}, "label").body["path"]
            == "/repositories/7/labels"
        )
        assert [each.path for each in hub.seen][1:] == ["/repositories/7/issues", "/repositories/7/labels"]
        assert hub.seen[-1].body == {"name": "x"}
        assert client.renamed == {SLUG: "/repositories/7"}


def test_f12_a_write_finds_the_new_place_too():
    """GitHub did nothing with a request that it sends elsewhere: sending it there is no repetition."""
    with wire(answer=renamed(307)) as hub, client_of(hub) as client:
        assert client.send("PATCH", SLUG + "/issues/1", {"a": 1}, "label").body["verb"] == "PATCH"
        assert [each.body for each in hub.seen] == [{"a": 1}] * 2


def test_a_circle_of_redirects_ends():
    """As no answer."""

    def answer(request):
        return Reply(302, None, {"Location": f"http://{request.headers['host']}/api/v3{request.path}"})

    with wire(answer=answer) as hub, client_of(hub) as client:
        with pytest.raises(ForgeUnavailableError, match="from one place to another"):
            client.get("/x", "issues")
        assert len(hub.seen) == 4


def test_the_clock_is_githubs():
    """Claims are judged by one clock: this machine's may be wrong."""
    with wire(Reply(200, {})) as hub, client_of(hub) as client:
        assert abs(client.now() - time.time()) < 5
        hub.date = 1_700_000_000.0
        client.get("/x", "issues")
        assert abs(client.now() - hub.date) < 5


def test_what_was_asked_is_counted_and_traced():
    """By purpose; each line has verb, path, status, purpose, what is left and the time, and no body and no token."""
    left = {"x-ratelimit-remaining": "41", "x-ratelimit-limit": "60", "x-ratelimit-reset": "1"}
    seen = []
    with wire(Reply(200, {"token": SECRET}, left), Reply(drop=True)) as hub, client_of(hub) as client:
        client.trace(seen.append)
        client.get("/x", "issues", params={"q": "secret"})
        with pytest.raises(AnswerLostError):
            client.send("POST", "/y", {"body": SECRET}, "comment")
        assert [(each.verb, each.path, each.status, each.purpose, each.left) for each in seen] == [
            ("GET", "/x", 200, "issues", 41),
            ("POST", "/y", 0, "comment", None),
        ]
        assert "GET    200" in str(seen[0])
        assert SECRET not in "".join(map(str, seen))
        assert client.usage.quotas["core"].remaining == 41
        assert {name: count.sent for name, count in client.usage.purposes.items()} == {
            "issues": 1,
            "comment": 1,
        }


def test_f35_no_error_holds_the_token():
    """Even where GitHub, or something in between, sends it back."""
    echo = Reply(403, {"message": f"no access with {SECRET}", "errors": [SECRET]})
    for reply in (
        echo,
        Reply(502, f"proxy saw {SECRET}"),
        Reply(422, {"message": SECRET, "errors": [SECRET]}),
    ):
        with wire(reply) as hub, client_of(hub) as client:
            for act in (lambda: client.get("/x", "issues"), lambda: client.send("POST", "/x", {}, "label")):
                with pytest.raises((RejectedError, ForgeUnavailableError)) as raised:
                    act()
                error = raised.value
                assert SECRET not in f"{error} {error.message} {error.remedy} {error!r}"
                assert SECRET not in f"{getattr(error, 'words', '')} {getattr(error, 'errors', '')}"


def test_a_name_that_cannot_be_resolved_is_said_so():
    """No network, or a mistyped host."""
    with Client("https://nowhere.invalid/api/v3", TOKEN) as client:
        with pytest.raises(ForgeUnavailableError) as raised:
            client.get("/x", "issues")
        assert "nowhere.invalid" in raised.value.message
        assert "network" in raised.value.remedy or "PROXY" in raised.value.remedy


def certificate(folder):
    """A certificate that nobody trusts, for this machine."""
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


def test_an_untrusted_certificate_is_said_so_and_nothing_is_sent(tmp_path):
    """One try, no token on the way, and a remedy for servers with certificates of their own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(tmp_path))
    got = []

    def serve(server):
        connection, _ = server.accept()
        with connection:
            try:
                with context.wrap_socket(connection, server_side=True) as secured:
                    got.append(secured.recv(1000))
            except OSError:
                got.append(b"")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        with (
            Client(f"https://localhost:{server.getsockname()[1]}/api/v3", TOKEN) as client,
            pytest.raises(ForgeUnavailableError, match="no trusted connection") as raised,
        ):
            client.send("POST", "/x", {}, "label")
        thread.join()
    assert not isinstance(raised.value, AnswerLostError)
    assert "REQUESTS_CA_BUNDLE" in raised.value.remedy
    assert got == [b""]


def test_projects_without_github_never_import_its_libraries():
    """They cost a quarter of a second."""
    code = "import sys, refinery.cli, refinery.wiring; print([m for m in ('github', 'requests') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"
