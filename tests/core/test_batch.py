"""The bisection of a red batch, as a pure search."""

from hypothesis import given
from hypothesis import strategies as st

from refinery.batch import Step, green_prefix


@given(st.integers(0, 40), st.integers(0, 40))
def test_f24_the_longest_green_prefix_in_few_questions(size, first_bad):
    """F24: the prefix before the first bad pull, with at most log2 + 2 runs of the checks."""
    steps = [Step(judged=None, parent="", commit=str(number), tree="", result=None) for number in range(size)]
    asked = []

    def passes(step):
        asked.append(step.commit)
        return int(step.commit) < first_bad

    assert green_prefix(steps, passes) == min(size, first_bad)
    assert len(asked) == len(set(asked))
    assert len(asked) <= max(size, 1).bit_length() + 1


def test_an_empty_batch_asks_nothing():
    """Nothing to land, nothing to check."""
    assert green_prefix([], lambda _: 1 / 0) == 0
