"""The token on its way to git: who gets it, and who does not (F35)."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from machine import git
from support.repos import bare
from support.server import allow_push, serve
from support.wire import Reply, wire

from refinery.errors import ForgeUnavailableError, UsageError
from refinery.forges.git.by_url import UrlRefs
from refinery.forges.git.refs import RefUpdate
from refinery.forges.github.client import Client
from refinery.forges.github.credentials import FixedToken
from refinery.git import Signature
from refinery.git_credentials import GitCredentials, way_out
from refinery.mirror import Mirror
from refinery.process import ProcessSpec, child_environment, run

TOKEN = "test-token-of-nobody-0123456789"  # noqa: S105  (opens a repository of this test alone)
WHO = Signature("A", "a@example.org", 1_700_000_000)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


class Place:
    """A repository behind a password, and a mirror of it whose credentials have it."""

    def __init__(self, root: Path, base: str) -> None:
        self.base = base
        self.url = f"{base}/acme/widgets.git"
        self.asked = 0
        self.mirror = Mirror.create(
            root / "mirror.git", self.url, is_url=True, credentials=GitCredentials(base, self.token)
        )
        self.refs = UrlRefs(self.url, self.mirror)

    def token(self) -> str:
        self.asked += 1
        return TOKEN


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home folder of a person, with the token where a person would have it."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    way_out.cache_clear()
    return folder


@pytest.fixture
def seen():
    """Command lines and environments of all processes below this one, at each request of git's."""
    return []


def family() -> list[int]:
    """Every process below this one."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int(re.sub(r".*\) ", "", (path / "stat").read_text()).split()[1])
        except OSError:
            continue
    below = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return sorted(below - {os.getpid()})


def look(path: str) -> list[str]:
    texts = [path]
    for pid in family():
        for name in ("cmdline", "environ"):
            try:
                texts.append(Path(f"/proc/{pid}/{name}").read_bytes().decode("utf-8", "replace"))
            except OSError:
                continue
    return texts


@pytest.fixture
def place(tmp_path, home, seen):  # noqa: ARG001  (before anything reads the configuration)
    repo = bare(tmp_path / "srv" / "acme" / "widgets.git", {"README.md": "hello\n"})
    allow_push(repo)
    with serve(tmp_path / "srv", TOKEN, lambda path: seen.append(look(path))) as base:
        yield Place(tmp_path, base)


def work(place: Place) -> None:
    """Everything that the forge does by git: fetch, list, read, create and move refs."""
    place.mirror.fetch(place.url, is_url=True)
    assert place.mirror.default_branch(place.url, is_url=True) == "main"
    ref = "refs/refinery/claims/a"
    one = place.refs.commit("one", [], WHO)
    place.refs.transact([RefUpdate(ref, None, one)])
    place.refs.transact([RefUpdate(ref, one, place.refs.commit("two", [one], WHO))])
    tip = place.refs.tip(ref)
    assert tip is not None
    assert tip.message == "two"
    assert {row.ref for row in place.refs.rows()} == {"refs/heads/main", ref}


def test_git_gets_the_token_and_nobody_sees_it(place, seen, home):
    """F35: while git talks to the forge, no command line and no environment below us holds the token, nor a file."""
    work(place)
    assert place.asked >= 6
    assert any("git-receive-pack" in texts[0] for texts in seen)
    assert any("remote-http" in text for texts in seen for text in texts)
    for texts in seen:
        assert len(texts) > 3, "no process was looked at"
        assert [text for text in texts if TOKEN in text] == []
    kept = [path for path in place.mirror.path.parent.rglob("*") if path.is_file()]
    assert [path for path in kept if TOKEN.encode() in path.read_bytes()] == []
    assert not any(home.iterdir())


def test_f35_an_agent_that_looks_around_finds_no_token(place, tmp_path):
    """All that the agent's environment holds, and all that it can read of other processes, while git is at work."""
    found = []

    def agent(_: str) -> None:
        script = "env; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; true"
        spec = ProcessSpec(argv=("sh", "-c", script), cwd=tmp_path, env=child_environment(os.environ))
        output: list[bytes] = []
        run(spec, on_output=output.append)
        found.append(b"".join(output))

    with serve(tmp_path / "srv", TOKEN, agent) as base:
        refs = UrlRefs(
            f"{base}/acme/widgets.git", replace(place.mirror, credentials=GitCredentials(base, place.token))
        )
        assert refs.rows()
    assert found
    assert all(b"PATH=" in text and TOKEN.encode() not in text for text in found)


def hostile(home: Path, place: Place, elsewhere: str) -> None:
    """Every setting by which a configuration could send us, or the token, elsewhere."""
    helper = f"!f() {{ cat >> {home}/stolen; }}; f"
    settings = {
        f"url.{elsewhere}/.insteadOf": f"{place.base}/",
        f"url.{elsewhere}/x/.pushInsteadOf": f"{place.base}/",
        "credential.helper": helper,
        f"credential.{place.base}/acme.helper": helper,
        f"credential.{place.base}.username": "somebody",
        "http.extraHeader": "X-Evil: yes",
        f"http.{place.base}/.proxySSLCert": "/x",
        "http.cookieFile": f"{home}/cookies",
        "core.sshCommand": f"touch {home}/stolen",
        "core.askPass": f"{home}/ask",
        "core.hooksPath": f"{home}/hooks",
    }
    for name, value in settings.items():
        git(home, "config", "--file", str(home / ".gitconfig"), "--add", name, value)
    (home / "git").mkdir()
    (home / "git" / "config").write_bytes((home / ".gitconfig").read_bytes())
    host = place.base.removeprefix("http://").partition(":")[0]
    (home / ".netrc").write_text(f"machine {host} login somebody password wrong\n")
    (home / "hooks").mkdir()
    for program in (home / "ask", home / "hooks" / "pre-push"):
        program.write_text(f"#!/bin/sh\ntouch {home}/stolen\n")
        program.chmod(0o755)


def test_a_hostile_configuration_diverts_nothing(place, home, monkeypatch):
    """F32, F35: neither `insteadOf` nor helpers, headers, hooks or a `.netrc` of anybody's take part."""
    with wire(Reply(200, "evil")) as elsewhere:
        hostile(home, place, elsewhere.url)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
        work(place)
        assert elsewhere.seen == []
    assert not (home / "stolen").exists()


def test_a_repository_around_us_has_no_say(place, tmp_path, monkeypatch):
    """The current folder may be a clone with a configuration of its own."""
    clone = tmp_path / "around"
    clone.mkdir()
    git(clone, "init", "--quiet")
    with wire(Reply(200, "evil")) as elsewhere:
        for name, value in {
            "http.proxy": elsewhere.url,
            f"url.{elsewhere.url}/.insteadOf": place.base,
        }.items():
            git(clone, "config", name, value)
        monkeypatch.chdir(clone)
        work(place)
        assert elsewhere.seen == []


def test_the_helper_answers_for_one_server_alone(place, home, monkeypatch):
    """Another port is another server: it asks for a password, and gets none; no person is asked for one."""
    ask = home / "ask"
    ask.write_text(f"#!/bin/sh\ntouch {home}/asked\n")
    ask.chmod(0o755)
    monkeypatch.setenv("SSH_ASKPASS", str(ask))
    with wire(Reply(401, None, {"WWW-Authenticate": 'Basic realm="x"'})) as other:
        url = other.url.replace("/api/v3", "/acme/widgets.git")
        with pytest.raises(ForgeUnavailableError):
            place.mirror.fetch(url, is_url=True)
        assert other.seen
        assert all("authorization" not in each.headers for each in other.seen)
    assert not (home / "asked").exists()


def test_a_redirect_is_not_followed(place):
    """To wherever it points; a renamed repository is said to be one."""
    with wire(Reply(200, "evil")) as elsewhere:
        moved = Reply(
            301, None, {"Location": f"{elsewhere.url}/acme/widgets.git/info/refs?service=git-upload-pack"}
        )
        with wire(moved) as hub:
            base = hub.url.removesuffix("/api/v3")
            mirror = replace(place.mirror, credentials=GitCredentials(base, place.token))
            with pytest.raises(UsageError, match="has moved") as raised:
                mirror.fetch(f"{base}/acme/widgets.git", is_url=True)
            assert "renamed" in raised.value.remedy
        assert elsewhere.seen == []


def test_a_wrong_token_ends_the_command(place):
    """It does not try for ever, and is not shown."""
    mirror = replace(place.mirror, credentials=GitCredentials(place.base, lambda: "wrong"))
    with pytest.raises(ForgeUnavailableError) as raised:
        mirror.fetch(place.url, is_url=True)
    assert "wrong" not in raised.value.message


def test_the_way_out_is_taken_from_the_person(place, home):
    """Proxy and certificates of this machine, and no other setting; a proxy's password is on no command line."""
    with wire(Reply(407)) as proxy:
        address = proxy.url.replace("//", "//me:pw@").removesuffix("/api/v3")
        for name, value in {"http.proxy": address, "http.sslVerify": "false"}.items():
            git(home, "config", "--file", str(home / ".gitconfig"), name, value)
        url = "http://nowhere.invalid/acme/widgets.git"
        credentials = GitCredentials("http://nowhere.invalid", place.token)
        assert way_out(credentials.origin) == {"http.proxy": address}
        with pytest.raises(ForgeUnavailableError):
            replace(place.mirror, credentials=credentials).fetch(url, is_url=True)
        assert proxy.seen
        assert "me:pw" not in " ".join(credentials.settings(9))


def test_what_stays_on_this_machine_goes_through_no_proxy(place, monkeypatch):
    """A proxy knows another loopback than ours."""
    with wire(Reply(502)) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/api/v3"))
        work(place)
        with wire(Reply(200, {"a": 1})) as hub, Client(hub.url, FixedToken("x", "y")) as client:
            assert client.get("/x", "issues").body == {"a": 1}
        assert proxy.seen == []


def test_a_token_that_cannot_be_had_starts_no_git(place, seen):
    """The reason reaches the caller as it is."""

    def none() -> str:
        raise UsageError("no token today")

    mirror = replace(place.mirror, credentials=GitCredentials(place.base, none))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(UsageError, match="no token today"):
        mirror.fetch(place.url, is_url=True)
    assert seen == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_commands_that_stay_here_have_neither_token_nor_pipe(place, monkeypatch):
    """F35: credentials are for the network alone, and our own variables are empty for every git of ours."""
    assert place.mirror.git().credentials is None
    monkeypatch.setenv("REFINERY_APP_KEY", TOKEN)
    env = subprocess.run(
        ["env"],
        env={**os.environ, **place.mirror.git().environment()},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert TOKEN not in env
