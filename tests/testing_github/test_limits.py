"""Quota, ETags and the clock."""

from email.utils import parsedate_to_datetime

import pytest

NAME = "acme/widgets"
REPO = f"/repos/{NAME}"


def used(answer):
    return int(answer.headers["x-ratelimit-used"])


def test_a_304_costs_nothing(hub, api):
    """As long as nothing changed, for the same token and `Accept`."""
    first = api("GET", f"{REPO}/issues")
    tag = {"If-None-Match": first.headers["etag"]}
    again = api("GET", f"{REPO}/issues", headers=tag)
    assert (again.status_code, again.content, used(again)) == (304, b"", used(first))
    assert not hub.requests[-1].charged
    other = {**tag, "Accept": "application/vnd.github.raw+json"}
    assert api("GET", f"{REPO}/issues", headers=other).status_code == 200
    assert api.as_token(hub.token("mona"))("GET", f"{REPO}/issues", headers=tag).status_code == 200
    hub.open_issue(NAME, "x", by="mona")
    assert api("GET", f"{REPO}/issues", headers=tag).status_code == 200


def test_every_identity_has_its_hour(hub, api):
    """5,000 for a person, over all their tokens; 1,000 for a job; asking is free; it ends with the hour."""
    start = used(api("GET", REPO))
    assert used(api.as_token(hub.token("mona"))("GET", REPO)) == start + 1
    job = api.as_token(hub.actions_token(NAME))("GET", REPO)
    assert (used(job), job.headers["x-ratelimit-limit"]) == (1, "1000")
    shown = api("GET", "/rate_limit", status=200)["resources"]
    assert (shown["core"]["used"], shown["core"]["limit"], shown["graphql"]["used"]) == (start + 1, 5000, 0)
    hub.clock.advance(3601)
    assert used(api("GET", REPO)) == 1


def test_who_has_used_up_the_hour_is_refused(hub, api):
    """403 with 0 remaining and the time when it goes on."""
    hub.limits.most["core"] = 2
    codes = [api("GET", REPO).status_code for _ in range(3)]
    refused = api("GET", REPO)
    assert codes == [200, 200, 403]
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert refused.json()["message"].startswith("API rate limit exceeded")
    hub.clock.advance(float(refused.headers["x-ratelimit-reset"]) - hub.clock.now())
    api("GET", REPO, status=200)


@pytest.mark.parametrize("is_strict", [True, False])
def test_secondary_limits(hub, api, is_strict):
    """80 new comments a minute; counted always, enforced on demand."""
    hub.open_issue(NAME, "x", by="mona")
    hub.clock.freeze()
    hub.limits.is_strict = is_strict
    answers = [api("POST", f"{REPO}/issues/1/comments", json={"body": "hi"}) for _ in range(82)]
    codes = [answer.status_code for answer in answers]
    assert codes == [201] * 80 + [403 if is_strict else 201] * 2
    assert hub.limits.busiest[1] == (80 if is_strict else 82)
    if is_strict:
        assert answers[-1].headers["retry-after"] == "60"
        hub.clock.advance(61)
        assert api("POST", f"{REPO}/issues/1/comments", json={"body": "hi"}).status_code == 201


def test_time_is_stepped_by_hand(hub, api):
    """The Date header and every instant follow the fake's clock."""
    hub.clock.freeze(1_800_000_000.0)
    answer = api("POST", f"{REPO}/issues", json={"title": "x"})
    assert parsedate_to_datetime(answer.headers["date"]).timestamp() == 1_800_000_000
    assert answer.json()["created_at"] == "2027-01-15T08:00:00Z"
    hub.clock.advance(90)
    hub.edit(NAME, 1, by="mona", body="new")
    assert api("GET", f"{REPO}/issues/1", status=200)["updated_at"] == "2027-01-15T08:01:30Z"
