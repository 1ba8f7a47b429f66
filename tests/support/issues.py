"""Issues as values: a trusted one that was handed over, to be perturbed one field at a time."""

from dataclasses import replace

from refinery.core.issues import Act, Actor, Event, Issue, Remark

AT = 1_000_000.0
MONA, ANNA, EVE = Actor("mona"), Actor("anna"), Actor("eve")
BOT = Actor("dependabot[bot]", is_bot=True)


def labeled(label="polecat", at=AT, by=MONA, act=Act.LABELED):
    """The label was put on (or taken off)."""
    return Event(act, at, by, label)


def issue(*events, labels=("polecat",), **fields):
    """An open issue of eve's that mona handed over at AT; more `events` came after."""
    given = {
        "number": 12,
        "title": "Add a lamp",
        "body": "It is dark.",
        "node": "I_12",
        "created": "2026-01-01",
    }
    return Issue(**{**given, "events": (labeled(), *events), "labels": labels, **fields})


def remark(body="Use LEDs.", by=MONA, at=AT - 100, **fields):
    """A comment of mona's, made before the label was put on."""
    return Remark(**{"id": "C_1", "by": by, "at": at, "body": body, **fields})


def without_history(given):
    """The same issue, of whose past nothing is known."""
    return replace(given, events=())
