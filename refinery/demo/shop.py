"""The demo's project: `till`, a small package with tests, as its repository holds it at first."""

from typing import Final

MONEY: Final = '''\
"""Amounts of money, in cents."""


def cents(text: str) -> int:
    """The cents in a text such as `12.50`."""
    whole, _, rest = text.partition(".")
    return int(whole) * 100 + int((rest + "00")[:2])


def shown(amount: int) -> str:
    """`amount` cents as people write them."""
    return f"{amount // 100}.{amount % 100:02d}"
'''

BASKET: Final = '''\
"""What somebody buys."""


class Basket:
    """Lines of name, price in cents, and count."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, int, int]] = []

    def add(self, name: str, price: int, count: int = 1) -> None:
        """Put something in."""
        if count < 1:
            raise ValueError("at least one")
        self.lines.append((name, price, count))

    def total(self) -> int:
        """The price of everything, in cents."""
        return sum(price * count for _, price, count in self.lines)
'''

TEST_MONEY: Final = """\
import unittest

from till.money import cents, shown


class MoneyTest(unittest.TestCase):
    def test_cents(self):
        self.assertEqual([cents("12.50"), cents("3"), cents("0.05")], [1250, 300, 5])

    def test_shown_is_the_way_back(self):
        for amount in (0, 5, 99, 100, 123456):
            self.assertEqual(cents(shown(amount)), amount)
"""

TEST_BASKET: Final = """\
import unittest

from till.basket import Basket


class BasketTest(unittest.TestCase):
    def test_total(self):
        basket = Basket()
        basket.add("tea", 250, 2)
        basket.add("cake", 320)
        self.assertEqual(basket.total(), 820)

    def test_nothing_of_something_is_refused(self):
        with self.assertRaises(ValueError):
            Basket().add("tea", 250, 0)
"""

FILES: Final = {
    "README.md": "# till\n\nPrices, baskets and receipts for a small shop.\n",
    "CHANGES.md": "# Changes\n\n- Baskets have a total.\n",
    ".gitignore": "__pycache__/\n",
    "till/__init__.py": '"""A till for a small shop."""\n',
    "till/money.py": MONEY,
    "till/basket.py": BASKET,
    "tests/__init__.py": "",
    "tests/test_money.py": TEST_MONEY,
    "tests/test_basket.py": TEST_BASKET,
}


def test_of(name: str, check: str, imports: str) -> str:
    """A test module with one test."""
    return (
        f"import unittest\n\nfrom {imports}\n\n\nclass {name}Test(unittest.TestCase):\n"
        f"    def test_it(self):\n        {check}\n"
    )
