"""REST: webhooks of repositories and Apps, and the log of their deliveries."""

from typing import Any

from refinery.testing import shapes_checks
from refinery.testing.routes import Ask, Reply, paged, route
from refinery.testing.webhooks import Hook, Sent, Webhooks
from refinery.testing.world import ProblemError

_REPO = "/repos/{owner}/{repo}"


def _webhooks(ask: Ask) -> Webhooks:
    if ask.world.webhooks is None:
        raise ProblemError(404, "Not Found")
    return ask.world.webhooks


def _mine(ask: Ask) -> list[Sent]:
    """The App's deliveries, the newest first."""
    if ask.app is None:
        raise ProblemError(401, "A JSON web token could not be decoded")
    return [sent for sent in reversed(_webhooks(ask).log) if sent.hook.app is ask.app]


def _row(sent: Sent) -> dict[str, Any]:
    delivery = sent.delivery
    payload = delivery.payload
    return {
        "id": delivery.id,
        "guid": delivery.guid,
        "delivered_at": delivery.delivered_at,
        "redelivery": delivery.is_redelivery,
        "duration": 0.0,
        "status": "OK" if 200 <= delivery.status_code < 300 else "failed",
        "status_code": delivery.status_code,
        "event": delivery.event,
        "action": delivery.action or None,
        "installation_id": payload.get("installation", {}).get("id"),
        "repository_id": payload.get("repository", {}).get("id"),
        "throttled_at": None,
    }


@route("GET", "/app/hook/deliveries")
def list_deliveries(ask: Ask) -> Reply:
    """What was delivered, and how it was received; in pages by `cursor`."""
    rows = [_row(sent) for sent in _mine(ask)]
    size = min(max(int(ask.query.get("per_page", "30")), 1), 100)
    start = int(ask.query.get("cursor", "0") or 0)
    headers = {}
    if start + size < len(rows):
        query = f"per_page={size}&cursor={start + size}"
        headers["link"] = f'<{ask.url}{ask.path}?{query}>; rel="next"'
    return Reply(200, rows[start : start + size], headers)


def _one(ask: Ask) -> Sent:
    for sent in _mine(ask):
        if str(sent.delivery.id) == ask.parts["delivery"]:
            return sent
    raise ProblemError(404, "Not Found")


@route("GET", "/app/hook/deliveries/{delivery}")
def get_delivery(ask: Ask) -> Reply:
    """One delivery, with what was sent and answered."""
    sent = _one(ask)
    request = {"headers": dict(sent.headers), "payload": sent.delivery.payload}
    return Reply(200, {**_row(sent), "url": sent.hook.url, "request": request, "response": _answered(sent)})


def _answered(sent: Sent) -> dict[str, Any]:
    return {"headers": {}, "payload": sent.answer}


@route("POST", "/app/hook/deliveries/{delivery}/attempts")
def redeliver(ask: Ask) -> Reply:
    """Deliver it again, under the same GUID."""
    _webhooks(ask).redeliver(_one(ask).delivery.id)
    return Reply(202, {})


@route("GET", "/app/hook/config")
def hook_config(ask: Ask) -> Reply:
    """Where the App's deliveries go."""
    for hook in _webhooks(ask).hooks:
        if ask.app is not None and hook.app is ask.app:
            return Reply(200, _config(hook))
    raise ProblemError(404, "Not Found")


def _config(hook: Hook) -> dict[str, Any]:
    return {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": hook.url}


def _shown(hook: Hook, ask: Ask) -> dict[str, Any]:
    name = hook.repository.full_name if hook.repository else ""
    api = f"{ask.url}/repos/{name}/hooks/{hook.id}"
    now = ask.world.clock.stamp()
    return {
        "type": "Repository",
        "id": hook.id,
        "name": "web",
        "active": hook.is_active,
        "events": sorted(hook.events),
        "config": _config(hook),
        "updated_at": now,
        "created_at": now,
        "url": api,
        "test_url": f"{api}/test",
        "ping_url": f"{api}/pings",
        "deliveries_url": f"{api}/deliveries",
        "last_response": {"code": None, "status": "unused", "message": None},
    }


@route("GET", _REPO + "/hooks")
def list_hooks(ask: Ask) -> Reply:
    """A repository's webhooks."""
    repository = ask.repository("admin", "repository_hooks:read")
    mine = [hook for hook in _webhooks(ask).hooks if hook.repository is repository]
    return paged(ask, [_shown(hook, ask) for hook in mine])


@route("POST", _REPO + "/hooks")
def create_hook(ask: Ask) -> Reply:
    """A webhook of a repository."""
    repository = ask.repository("admin", "repository_hooks:write")
    config = ask.body.get("config") or {}
    if not config.get("url"):
        raise ProblemError(422, "Validation Failed", [{"resource": "Hook", "code": "custom", "field": "url"}])
    events = tuple(str(each) for each in ask.body.get("events", ["push"]))
    hook = _webhooks(ask).add(
        str(config["url"]), str(config.get("secret", "")), events, repository=repository
    )
    return Reply(201, _shown(hook, ask))


@route("GET", "/apps/{slug}")
def get_app_by_slug(ask: Ask) -> Reply:
    """A public App."""
    found = ask.world.apps.get(ask.parts["slug"])
    if found is None:
        raise ProblemError(404, "Not Found")
    return Reply(200, shapes_checks.app(found, ask.url))
