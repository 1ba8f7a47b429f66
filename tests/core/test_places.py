"""Where code is: GitHub in all its spellings, and everything that is not."""

import pytest

from refinery.core.places import github_name, is_github_slug, may_be_github

HOST = "github.com"


@pytest.mark.parametrize(
    "place",
    [
        "github:acme/widgets",
        "https://github.com/acme/widgets",
        "https://github.com/acme/widgets.git",
        "https://GitHub.com/acme/widgets/",
        "https://mona@github.com/acme/widgets.git",
        "git@github.com:acme/widgets.git",
        "ssh://git@github.com/acme/widgets.git",
        "ssh://git@github.com:22/acme/widgets.git",
    ],
)
def test_a_repository_on_github(place):
    """All that a person may copy from a browser or a clone."""
    assert github_name(place, HOST) == "acme/widgets"
    assert may_be_github(place)


@pytest.mark.parametrize(
    "place",
    [
        "/srv/git/acme/widgets.git",
        "acme/widgets",
        "../acme/widgets",
        "file:///srv/acme/widgets",
        "https://github.com.evil.example/acme/widgets",
        "https://github.com@evil.example/acme/widgets",
        "https://github.com:8443/acme/widgets",
        "https://gitlab.example/acme/widgets",
        "https://github.com/acme",
        "https://github.com/acme/widgets/tree/main",
        "git@evil.example:acme/widgets.git",
        "github:acme",
        "github:acme/../etc",
        "",
    ],
)
def test_not_a_repository_on_github(place):
    """Whose API would never be asked, and to whom no token goes."""
    assert github_name(place, HOST) == ""


def test_a_server_of_ones_own():
    """The configured GitHub's host counts with its port."""
    assert github_name("http://127.0.0.1:8080/acme/widgets.git", "127.0.0.1:8080") == "acme/widgets"
    assert github_name("http://127.0.0.1:8081/acme/widgets.git", "127.0.0.1:8080") == ""
    assert github_name("https://github.com/acme/widgets", "ghe.example") == ""


@pytest.mark.parametrize(
    ("slug", "is_one"),
    [
        ("acme/widgets", True),
        ("aops", False),
        ("a/b/c", False),
        ("/a/b", False),
        ("-a/b", False),
        ("a/", False),
    ],
)
def test_a_slug_that_is_a_repository(slug, is_one):
    """Only `OWNER/NAME` needs no registration."""
    assert is_github_slug(slug) is is_one
