"""Durations, sizes, ages, suggestions and widths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery.core import text


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("4h", 14400),
        ("2d", 172800),
        ("1w", 604800),
        ("1h30m", 5400),
        (" 1 h 30 m ", 5400),
        ("250ms", 0.25),
        ("1.5h", 5400),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_a_duration_is_a_number_with_its_unit(written, seconds):
    """Seconds come out, whatever the unit."""
    assert text.parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "15", "m", "-5m", "5 min", "1e3s", "inf", "nan", "5m3", "5M", "٣m", "1" * 16 + "s"]
)
def test_anything_else_is_no_duration(written):
    """The message quotes what stood there and shows what to write."""
    with pytest.raises(ValueError, match="not a duration: write a number with its unit"):
        text.parse_duration(written)


@given(st.integers(0, 10**11))
def test_durations_survive_being_written(millis):
    """`format_duration` is exact to the millisecond."""
    assert text.parse_duration(text.format_duration(millis / 1000)) == millis / 1000


@pytest.mark.parametrize(
    ("seconds", "said"), [(900, "15m"), (90, "90s"), (0.25, "250ms"), (0, "0s"), (86400, "1d")]
)
def test_a_duration_is_written_in_its_largest_whole_unit(seconds, said):
    """As a person would have typed it."""
    assert text.format_duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.41, "0.4s"),
        (12, "12s"),
        (59.7, "1m"),
        (90, "1m30s"),
        (3600, "1h"),
        (7500, "2h5m"),
        (273600, "3d4h"),
        (-90, "-1m30s"),
    ],
)
def test_people_get_two_units_at_the_most(seconds, said):
    """Nobody wants to read 7,531.218 s."""
    assert text.approximate_duration(seconds) == said


@pytest.mark.parametrize(
    ("written", "count"),
    [
        ("100MB", 10**8),
        ("4GB", 4 * 10**9),
        ("512KiB", 524288),
        ("1.5 kb", 1500),
        ("17B", 17),
        ("0", 0),
        ("2TiB", 2**41),
    ],
)
def test_a_size_is_a_number_with_its_unit(written, count):
    """Decimal and binary units are told apart."""
    assert text.parse_size(written) == count


@pytest.mark.parametrize("written", ["", "4", "4G", "-1MB", "lots", "1e3MB", "4 apples"])
def test_anything_else_is_no_size(written):
    """A bare number or letter could mean two things."""
    with pytest.raises(ValueError, match="not a size"):
        text.parse_size(written)


@given(st.integers(0, 10**14))
def test_sizes_survive_being_written(count):
    """`format_size` is exact."""
    assert text.parse_size(text.format_size(count)) == count


def test_sizes_are_said_roughly():
    """One digit after the point is enough for people."""
    assert [text.approximate_size(n) for n in (17, 1234, 5_600_000, 10**12)] == [
        "17 B",
        "1.2 KB",
        "5.6 MB",
        "1.0 TB",
    ]


def test_a_misspelt_word_gets_a_suggestion():
    """Case does not count, and a far-off word gets none."""
    assert text.did_you_mean("Statsu", ["status", "run"]) == "did you mean status?"
    assert text.did_you_mean("xyzzy", ["status", "run"]) == ""


def test_words_follow_their_number():
    """Singular, plural, irregular, and lists."""
    assert [text.plural(n, "task") for n in (0, 1, 2)] == ["0 tasks", "1 task", "2 tasks"]
    assert text.plural(2, "entry", "entries") == "2 entries"
    assert [text.listing("abc"[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_wide_characters_take_two_columns():
    """Combining and invisible ones take none."""
    assert [text.width(word) for word in ("abc", "日本", "e\u0301", "a\u200bb", "🚀")] == [3, 4, 1, 2, 2]


def test_a_plain_table_is_aligned():
    """By columns on the screen, not by characters."""
    assert text.plain_table([("a", "日本", "x"), ("bcd", "y", "")]) == "a    日本  x\nbcd  y\n"
    assert text.plain_table([]) == ""
