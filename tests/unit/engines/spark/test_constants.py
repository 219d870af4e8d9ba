"""Constants in Spark's words: what both engines read the same way, and what is refused."""

from __future__ import annotations

import pytest

from penstock.engines.spark import constants


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("a.c$", r"(?d)a.c\z"),
        (r"^\s+", "(?d)\\A[\\t\\n\\f\\r ]+"),
        (r"[\s\p{Z}]", r"(?d)[\t\n\f\r \p{Z}]"),
        ("(?s)a.b", "(?d)(?s:a.b)"),
        ("(?i)ok", "(?d)(?:[oO][kK\u212a])"),
        ("(?i)[r-t1-3.]", "(?d)(?:[r-tR-T\u017f1-3.])"),
        ("(?P<year>[0-9]+)", "(?d)(?<year>[0-9]+)"),
        ("[[&~]", r"(?d)[\[\&\~]"),
        ("(?i)[[-]", r"(?d)(?:[\[-])"),
        ("a{2,}}", r"(?d)a{2,}\}"),
    ],
)
def test_a_pattern_in_javas_marks(pattern: str, written: str) -> None:
    assert constants.regexp(pattern) == written


@pytest.mark.parametrize(
    "pattern",
    [
        r"\p{L}",
        r"\x41",
        "(?=a)",
        "(?m)^a",
        "a(?i)b",
        "a++",
        "a{2}+",
        "a{1001}",
        "[[:alpha:]]",
        "[a",
        "(?i)é",
        "(?i)[ -~]",
    ],
)
def test_a_pattern_that_could_mean_something_else_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        constants.regexp(pattern)


@pytest.mark.parametrize("pattern", ["a*", "^", r"\b", "(a|)", "$"])
def test_a_pattern_that_matches_nothing_at_all_is_not_replaced_everywhere(pattern: str) -> None:
    with pytest.raises(ValueError, match="matches an empty text"):
        constants.every_regexp(pattern)


@pytest.mark.parametrize(
    ("text", "written"), [(r"<\1>", "<$1>"), ("$1", r"\$1"), (r"a\\b", r"a\\b"), (r"\0\0", "$0$0")]
)
def test_what_every_match_is_replaced_by(text: str, written: str) -> None:
    assert constants.every_replacement(text) == written


def test_numbers_of_characters() -> None:
    assert constants.character("128512") == "\U0001f600"
    for number in ("0", "-1", "55296", "1114112"):
        with pytest.raises(ValueError, match="no character"):
            constants.character(number)


def test_numbers_below_zero() -> None:
    assert constants.below("-3") == 3
    for number in ("3", "-0", "-1.5"):
        with pytest.raises(ValueError, match="whole number"):
            constants.below(number)


def test_a_pattern_of_ilike_has_letters_of_ascii_only() -> None:
    assert constants.letters("X\\%") == "X\\\\%"
    with pytest.raises(ValueError, match="beyond ASCII"):
        constants.letters("É%")
