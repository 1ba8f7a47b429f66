"""Where GitHub is, who we are there, and how long a token is good for."""

import time
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.wire import Reply, wire

from refinery.errors import RefineryError, UsageError
from refinery.forges.github.address import PUBLIC, git_url, normalise_api_url, parse_slug, web_url
from refinery.forges.github.app_auth import AppInstallation
from refinery.forges.github.auth import find_api_url, find_credentials
from refinery.forges.github.client import Client
from refinery.forges.github.credentials import FixedToken, KeptToken
from refinery.forges.github.errors import LoginError

SLUG = "acme/widgets"


@pytest.mark.parametrize(
    ("typed", "api", "git"),
    [
        ("", PUBLIC, "https://github.com"),
        ("github.com", PUBLIC, "https://github.com"),
        ("https://www.github.com/", PUBLIC, "https://github.com"),
        ("https://api.github.com/", PUBLIC, "https://github.com"),
        ("ghe.corp.example", "https://ghe.corp.example/api/v3", "https://ghe.corp.example"),
        ("https://GHE.corp.example/", "https://ghe.corp.example/api/v3", "https://ghe.corp.example"),
        ("https://ghe.corp.example/api/v3", "https://ghe.corp.example/api/v3", "https://ghe.corp.example"),
        ("https://ghe.corp.example/api/v3/", "https://ghe.corp.example/api/v3", "https://ghe.corp.example"),
        (
            "https://ghe.corp.example/api/graphql",
            "https://ghe.corp.example/api/v3",
            "https://ghe.corp.example",
        ),
        ("https://ghe.corp.example:443/api", "https://ghe.corp.example/api/v3", "https://ghe.corp.example"),
        (
            "https://ghe.corp.example:8443",
            "https://ghe.corp.example:8443/api/v3",
            "https://ghe.corp.example:8443",
        ),
        ("https://acme.ghe.com", "https://api.acme.ghe.com", "https://acme.ghe.com"),
        ("https://api.acme.ghe.com/", "https://api.acme.ghe.com", "https://acme.ghe.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/v3", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/api/v3", "http://[::1]:8080/api/v3", "http://[::1]:8080"),
    ],
)
def test_any_spelling_of_a_server_becomes_its_api(typed, api, git):
    """With and without /api/v3; the result stays what it is; git's address follows from it."""
    assert normalise_api_url(typed) == api
    assert normalise_api_url(api) == api
    assert web_url(api) == git
    assert git_url(api, SLUG) == f"{git}/{SLUG}.git"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("https://github.example/acme/widgets/x", "not the address"),
        ("ftp://ghe.corp.example", "not the address"),
        ("https://", "not the address"),
        ("https://ghe corp", "not the address"),
        ("https://ghe.corp.example:99999", "not a URL"),
        ("https://me:secret@ghe.corp.example", "not the address"),
        ("https://ghe.corp.example/?a=b", "not the address"),
        ("http://ghe.corp.example", "unencrypted"),
        ("http://127.0.0.1.example", "unencrypted"),
    ],
)
def test_what_is_no_such_address_is_refused(typed, words):
    """Before a token is sent anywhere; a password in it is not shown."""
    with pytest.raises(UsageError, match=words) as raised:
        normalise_api_url(typed)
    assert raised.value.remedy
    assert "secret" not in raised.value.message


def test_the_name_of_a_repository_is_owner_and_name():
    """Nothing else ends up in a path of the API."""
    assert parse_slug("acme/wid.gets_1") == ("acme", "wid.gets_1")
    for wrong in ("acme", "acme/", "/x", "a/b/c", "acme/..", "-a/b", "a/b?c", "a b/c", "ac\nme/x"):
        with pytest.raises(UsageError):
            parse_slug(wrong)


def gh(folder: Path, script: str) -> str:
    """A `gh` program; returns the PATH that has it."""
    program = folder / "bin" / "gh"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{program.parent}:/usr/bin:/bin"


def found(environ, api_url=PUBLIC, **options):
    return find_credentials(environ, api_url=api_url, slug=SLUG, **options)


def test_the_first_credentials_count(tmp_path):
    """In the documented order, and an empty variable is none."""
    (tmp_path / "one").write_text("token-one\n")
    (tmp_path / "two").write_text("  token-two")
    environ = {
        "REFINERY_GITHUB_TOKEN_FILE": str(tmp_path / "one"),
        "GH_TOKEN": "token-three",
        "GITHUB_TOKEN": "token-four",
        "PATH": gh(tmp_path, 'test "$*" = "auth token --hostname github.com" && echo token-five'),
    }
    expected = [
        ("REFINERY_GITHUB_TOKEN_FILE", "token-one", f"a token from the file {tmp_path}/one"),
        ("GH_TOKEN", "token-three", "a token from GH_TOKEN"),
        ("GITHUB_TOKEN", "token-four", "a token from GITHUB_TOKEN"),
        ("PATH", "token-five", "a token from `gh auth token --hostname github.com`"),
    ]
    assert found(environ, token_file=str(tmp_path / "two")).token() == "token-one"
    for name, token, words in expected:
        credentials = found(environ)
        assert (credentials.token(), credentials.secrets, credentials.describe()) == (token, (token,), words)
        environ[name] = ""
    assert found(environ, token_file=str(tmp_path / "two")).token() == "token-two"
    with pytest.raises(LoginError, match=r"no credentials for github\.com") as raised:
        found(environ)
    assert "gh auth login" in raised.value.remedy


def test_a_gh_that_is_logged_out_is_no_credentials(tmp_path):
    """Nor one that hangs up; a new login is found when the old token is refused."""
    (tmp_path / "token").write_text("one")
    environ = {"PATH": gh(tmp_path, f'echo x >> {tmp_path}/calls; cat "{tmp_path}/token"')}
    credentials = found(environ)
    assert (credentials.token(), credentials.renew()) == ("one", False)
    (tmp_path / "token").write_text("two")
    assert (credentials.renew(), credentials.token(), credentials.secrets) == (True, "two", ("one", "two"))
    assert (tmp_path / "calls").read_text().count("x") == 3
    gh(tmp_path, "exit 1")
    with pytest.raises(LoginError):
        found(environ)


def test_another_server_has_variables_of_its_own(tmp_path):
    """A token that is meant for github.com comes second there."""
    environ = {"GITHUB_TOKEN": "public", "GH_ENTERPRISE_TOKEN": "private", "PATH": str(tmp_path)}
    assert found(environ).token() == "public"
    assert found(environ, "https://ghe.example/api/v3").token() == "private"
    assert find_api_url({"GITHUB_API_URL": "https://ghe.example/api/v3"}) == "https://ghe.example/api/v3"
    assert find_api_url({"GITHUB_API_URL": "https://ghe.example/api/v3"}, "github.com") == PUBLIC
    assert find_api_url({}) == PUBLIC


@pytest.mark.parametrize(
    ("text", "words"), [("", "is empty"), ("a b", "more than a token"), ("a\nb", "more than")]
)
def test_a_file_that_holds_no_token_is_said_so(tmp_path, text, words):
    """A newline in a header, or in a line to git, would be another one."""
    (tmp_path / "file").write_text(text)
    with pytest.raises(LoginError, match=words):
        found({}, token_file=str(tmp_path / "file"))
    with pytest.raises(UsageError, match="cannot be read"):
        found({}, token_file=str(tmp_path / "nowhere"))


def test_a_token_that_was_exchanged_is_read_again(tmp_path):
    """GitHub refuses the old one; the request is sent again with the new one, and both stay secret."""
    path = tmp_path / "token"
    path.write_text("old-token")
    credentials = found({}, token_file=str(path))

    def answer(request):
        good = request.headers["authorization"] == "Bearer new-token"
        return Reply(200, {"a": 1}) if good else Reply(401, {"message": "Bad credentials"})

    with wire(answer=answer) as hub, Client(hub.url, credentials) as client:
        with pytest.raises(LoginError):
            client.get("/x", "issues")
        assert len(hub.seen) == 1
        path.write_text("new-token")
        assert client.send("POST", "/x", {"b": 1}, "label").body == {"a": 1}
        assert [each.body for each in hub.seen[1:]] == [{"b": 1}] * 2
    assert credentials.secrets == ("old-token", "new-token")


def test_f35_credentials_do_not_show_themselves():
    """Not in a traceback's values either."""
    for each in (FixedToken("secret-value", "x"), KeptToken(lambda: "secret-value", "x")):
        assert "secret-value" not in f"{each!r} {each} {each.describe()}"


@pytest.fixture(scope="module")
def key():
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = made.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


class AppServer:
    """Answers as GitHub does for App 7, installed on acme/widgets; its clock is `ahead` of ours."""

    def __init__(self, public: str, ahead: float = 0.0) -> None:
        self.public, self.ahead, self.lifetime, self.made, self.revoked = public, ahead, 3600, 0, False
        self.lost = 0

    def __call__(self, request):
        token = request.headers["authorization"].removeprefix("Bearer ")
        if token.startswith("installation-"):
            good = token == f"installation-{self.made}" and not self.revoked
            return Reply(200, {"you": token}) if good else Reply(401, {"message": "Bad credentials"})
        claims = jwt.decode(
            token, self.public, algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False}
        )
        now = time.time() + self.ahead
        if claims["iss"] != "7" or not claims["iat"] <= now < claims["exp"] <= now + 600:
            return Reply(401, {"message": "'Expiration time' claim ('exp') is too far in the future"})
        if request.path == f"/repos/{SLUG}/installation":
            return Reply(200, {"id": 11})
        if request.path != "/app/installations/11/access_tokens":
            return Reply(404, {"message": "Not Found"})
        assert request.body == {"repositories": ["widgets"]}
        self.made, self.revoked = self.made + 1, False
        if self.lost:
            self.lost -= 1
            return Reply(drop=True)
        until = datetime.fromtimestamp(now + self.lifetime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Reply(201, {"token": f"installation-{self.made}", "expires_at": until})


def asked(hub):
    """How often a token was asked for."""
    return sum(each.path.endswith("/access_tokens") for each in hub.seen)


def test_an_app_is_found_where_it_is_installed(key, tmp_path):
    """Its token is for one repository, kept while it is good, and everything is secret."""
    (tmp_path / "key.pem").write_text(key[0])
    by_file = {"REFINERY_APP_ID": "7", "REFINERY_APP_KEY_FILE": str(tmp_path / "key.pem")}
    by_value = {"REFINERY_APP_ID": "7", "REFINERY_APP_KEY": key[0].replace("\n", "\\n"), "GH_TOKEN": "x"}
    with wire(answer=AppServer(key[1])) as hub:
        for number, environ in enumerate((by_file, by_value), 1):
            credentials = find_credentials(environ, api_url=hub.url, slug=SLUG)
            assert not hub.seen or number > 1
            with Client(hub.url, credentials) as client:
                assert [client.get("/x", "issues").body for _ in range(2)] == [
                    {"you": f"installation-{number}"}
                ] * 2
            assert asked(hub) == number
            assert credentials.describe() == f"the GitHub App 7 as installed on {SLUG}"
            assert credentials.secrets[1:] == (f"installation-{number}",)
            credentials.close()


def test_a_token_of_an_app_is_renewed_before_it_ends(key):
    """Five minutes before; and once when GitHub refuses it earlier."""
    app = AppServer(key[1])
    with wire(answer=app) as hub:
        credentials = AppInstallation(hub.url, "7", key[0], SLUG)
        with Client(hub.url, credentials) as client:
            app.lifetime = 299
            client.get("/x", "issues")
            app.lifetime = 330
            assert client.get("/x", "issues").body == {"you": "installation-2"}
            assert client.get("/x", "issues").body == {"you": "installation-2"}
            app.revoked = True
            assert client.send("POST", "/x", {}, "label").body == {"you": "installation-3"}
            assert asked(hub) == 3
        credentials.close()


def test_an_app_survives_a_lost_token_and_a_wrong_clock(key):
    """A token that got lost is asked for again; GitHub's clock is taken where ours is refused."""
    app = AppServer(key[1], ahead=-5000)
    app.lost = 2
    with wire(answer=app) as hub:
        hub.date = time.time() - 5000
        credentials = AppInstallation(hub.url, "7", key[0], SLUG)
        assert credentials.token() == "installation-3"
        credentials.close()


def test_an_app_that_cannot_be_used_is_said_so(key):
    """Not installed, half configured, a key that is none: each with its remedy, and never the key."""
    with wire(answer=AppServer(key[1])) as hub:
        elsewhere = AppInstallation(hub.url, "7", key[0], "acme/other")
        with pytest.raises(LoginError, match="cannot be used on acme/other") as raised:
            elsewhere.token()
        assert "install it" in raised.value.remedy
        elsewhere.close()
    for environ in ({"REFINERY_APP_ID": "7"}, {"REFINERY_APP_KEY": "x"}):
        with pytest.raises(UsageError, match="half of a GitHub App"):
            found(environ)
    for wrong in ("nonsense", key[1]):
        with pytest.raises(RefineryError, match="private key of the GitHub App 7") as refused:
            found({"REFINERY_APP_ID": "7", "REFINERY_APP_KEY": wrong})
        assert wrong not in str(refused.value)
