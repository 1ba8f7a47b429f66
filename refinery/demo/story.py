"""The demo's story: what each task asks, what the scripted agent does about it, and how it must end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from refinery.core.model import Status
from refinery.core.outcomes import Outcome
from refinery.core.reasons import Code
from refinery.demo.shop import test_of

AGENT: Final = "scripted"
IMPATIENT: Final = "impatient"  # the same program, with a time limit of two seconds
_FOREVER: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What the agent does in one attempt: files written, text appended, lines removed, then how it ends.

    `told` must be in its prompt, or it fails: so the next attempt is seen to learn what went wrong.
    """

    says: str
    told: str = ""
    write: Mapping[str, str] = field(default_factory=dict)
    append: Mapping[str, str] = field(default_factory=dict)
    remove: Mapping[str, str] = field(default_factory=dict)
    result: Mapping[str, str] = field(default_factory=dict)
    sleeps: float = 0.0
    exits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a task must end. `pull` is its state, if it has one; `codes` are what the verdict holds against it.

    `kept` is a file that must be on the task's branch although nothing of it was merged.
    """

    status: Status
    outcome: Outcome | None = Outcome.PUBLISHED
    attempt: int | None = 1
    pull: str | None = None
    codes: frozenset[Code] = frozenset()
    kept: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One task, the agent's steps by attempt, and the end; `shows` says what to look at."""

    id: str
    title: str
    body: str
    shows: str
    end: End
    steps: tuple[Step, ...] = ()
    priority: int = 2
    depends_on: tuple[str, ...] = ()
    agent: str = AGENT


def _merged(attempt: int = 1) -> End:
    return End(status=Status.DONE, attempt=attempt, pull="merged")


def _refused(*codes: Code, attempt: int = 1) -> End:
    return End(status=Status.REVIEW, attempt=attempt, pull="open", codes=frozenset(codes))


_RECEIPT: Final = '''\
"""Receipts."""

from till.basket import Basket
from till.money import shown


def lines(basket: Basket) -> list[str]:
    """One line for each thing, and the total."""
    rows = [f"{count} x {name}  {shown(price * count)}" for name, price, count in basket.lines]
    return [*rows, f"total  {shown(basket.total())}"]
'''
_HEADER: Final = '''

def header(shop: str, width: int = 32) -> str:
    """The shop's name, centred."""
    return shop.center(width).rstrip()
'''
_EXCHANGE: Final = '''\
"""Other people's money."""


def exchanged(amount: int, rate: float) -> int:
    """`amount` cents at `rate`, to the nearest cent."""
    return {how}(amount * rate)
'''
_ROUNDING: Final = '''\
"""Rounding for shops without small coins."""


def rounded(amount: int) -> int:
    """`amount` cents to the nearest five."""
    return amount // 5 * 5
'''
_WORKFLOW: Final = "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps: [{run: make}]\n"

_LANDS: Final = (
    Scene(
        id="receipt",
        title="Print a receipt",
        body="Give `till` a module `receipt` with a function `lines(basket)`.",
        shows="a plain addition, with its tests",
        priority=0,
        steps=(
            Step(
                says="writing till/receipt.py and its test",
                write={
                    "till/receipt.py": _RECEIPT,
                    "tests/test_receipt.py": test_of(
                        "Receipt",
                        'self.assertEqual(lines(Basket()), ["total  0.00"])',
                        "till.basket import Basket\nfrom till.receipt import lines",
                    ),
                },
            ),
        ),
        end=_merged(),
    ),
    Scene(
        id="receipt-header",
        title="Put the shop's name above a receipt",
        body="Add `header(shop)` to `till.receipt`.",
        shows="waits until `receipt` has landed, then grows its file",
        depends_on=("receipt",),
        steps=(
            Step(
                says="adding header() to till/receipt.py",
                append={"till/receipt.py": _HEADER},
                write={
                    "tests/test_header.py": test_of(
                        "Header", 'self.assertEqual(header("Tea", 9), "   Tea")', "till.receipt import header"
                    )
                },
            ),
        ),
        end=_merged(),
    ),
    Scene(
        id="discount",
        title="Discounts by percentage",
        body="A module `discount` with `reduced(amount, percent)`, rounded down to the cent.",
        shows="a plain addition",
        priority=1,
        steps=(
            Step(
                says="writing till/discount.py and its test",
                write={
                    "till/discount.py": (
                        '"""Discounts."""\n\n\ndef reduced(amount: int, percent: int) -> int:\n'
                        '    """`amount` cents less `percent`."""\n    return amount * (100 - percent) // 100\n'
                    ),
                    "tests/test_discount.py": test_of(
                        "Discount", "self.assertEqual(reduced(999, 10), 899)", "till.discount import reduced"
                    ),
                },
            ),
        ),
        end=_merged(),
    ),
    Scene(
        id="changes",
        title="Mention discounts in the list of changes",
        body="One more line in `CHANGES.md`.",
        shows="a file that only grows",
        priority=3,
        steps=(
            Step(says="adding a line to CHANGES.md", append={"CHANGES.md": "- Discounts by percentage.\n"}),
        ),
        end=_merged(),
    ),
    Scene(
        id="vouchers",
        title="Pay with a voucher",
        body="A module `voucher` with `paid(total, voucher)`: what is left to pay, never below zero.",
        shows="the agent crashes once; the second attempt succeeds",
        steps=(
            Step(says="writing till/voucher.py ... connection reset", exits=1),
            Step(
                says="writing till/voucher.py",
                told="agent-failed",
                write={
                    "till/voucher.py": (
                        '"""Vouchers."""\n\n\ndef paid(total: int, voucher: int) -> int:\n'
                        '    """What is left to pay, in cents."""\n    return max(0, total - voucher)\n'
                    )
                },
            ),
        ),
        end=_merged(attempt=2),
    ),
    Scene(
        id="exchange",
        title="Take other currencies",
        body="A module `exchange` with `exchanged(amount, rate)`, to the nearest cent.",
        shows="the checks fail on the first pull; the second attempt repairs it",
        priority=1,
        steps=(
            Step(
                says="writing till/exchange.py and its test",
                write={
                    "till/exchange.py": _EXCHANGE.format(how="int"),
                    "tests/test_exchange.py": test_of(
                        "Exchange",
                        "self.assertEqual(exchanged(335, 1.1), 369)",
                        "till.exchange import exchanged",
                    ),
                },
            ),
            Step(
                says="the prompt says 368 != 369: rounding in till/exchange.py",
                told="368 != 369",
                write={"till/exchange.py": _EXCHANGE.format(how="round")},
            ),
        ),
        end=_merged(attempt=2),
    ),
)

_WAITS: Final = (
    Scene(
        id="tidy",
        title="Make baskets shorter",
        body="`till.basket` says more than it needs to.",
        shows="removes lines of the base: a person decides",
        steps=(
            Step(
                says="removing a docstring from till/basket.py",
                remove={"till/basket.py": '"""Put something in."""'},
            ),
        ),
        end=_refused(Code.LINES_REMOVED),
    ),
    Scene(
        id="ci",
        title="Test every push",
        body="Add a workflow.",
        shows="purely additive, but it acts by existing: a person decides",
        priority=3,
        steps=(
            Step(says="writing .github/workflows/test.yml", write={".github/workflows/test.yml": _WORKFLOW}),
        ),
        end=_refused(Code.PROTECTED),
    ),
    Scene(
        id="rounding",
        title="Round to five cents",
        body="A module `rounding` with `rounded(amount)`, to the nearest five.",
        shows="its tests fail on the predicted result, twice",
        steps=(
            Step(
                says="writing till/rounding.py and its test",
                write={
                    "till/rounding.py": _ROUNDING,
                    "tests/test_rounding.py": test_of(
                        "Rounding", "self.assertEqual(rounded(1249), 1250)", "till.rounding import rounded"
                    ),
                },
            ),
            Step(
                says="cannot see why it fails; adding a word to the docstring",
                told="1245 != 1250",
                write={"till/rounding.py": _ROUNDING.replace("nearest five", "nearest five cents")},
            ),
        ),
        end=_refused(Code.CHECK_FAILED, attempt=2),
    ),
)

_STOPS: Final = (
    Scene(
        id="stock",
        title="Count what is left on the shelves",
        body="A module `stock`.",
        shows="the agent hangs: ended by its time limit, its partial work stays on the branch",
        agent=IMPATIENT,
        priority=1,
        steps=(
            Step(
                says="writing the first half of till/stock.py, then thinking for ten minutes",
                write={"till/stock.py": '"""What is left on the shelves."""\n'},
                sleeps=_FOREVER,
            ),
        ),
        end=End(status=Status.FAILED, outcome=Outcome.TIMED_OUT, attempt=2, kept="till/stock.py"),
    ),
    Scene(
        id="spelling",
        title="Correct the spelling in the README",
        body="Where there is anything to correct.",
        shows="changes nothing: no pull, and the task asks a person",
        steps=(Step(says="reading README.md: nothing to correct"),),
        end=End(status=Status.BLOCKED, outcome=Outcome.NO_CHANGES),
    ),
    Scene(
        id="currency",
        title="Show the currency",
        body="Amounts should show their currency.",
        shows="the agent asks a question instead of guessing",
        steps=(
            Step(
                says="it does not say which currency",
                result={"status": "blocked", "question": "Which currency does the shop use?"},
            ),
        ),
        end=End(status=Status.BLOCKED, outcome=Outcome.BLOCKED),
    ),
    Scene(
        id="loyalty",
        title="A card for regular customers",
        body="Every tenth tea is free.",
        shows="depends on a task that does not exist: never started",
        depends_on=("customers",),
        end=End(status=Status.READY, outcome=None, attempt=None),
    ),
)

SCENES: Final = (*_LANDS, *_WAITS, *_STOPS)
