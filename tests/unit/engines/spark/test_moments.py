"""Constants of dates, spans of time and zones in Spark's words."""

from __future__ import annotations

import re

import pytest
import sqlglot

from penstock.engines.spark import constants
from penstock.engines.spark.portable import constant, is_constant


@pytest.mark.parametrize(
    ("said", "months", "days", "microseconds"),
    [
        ("INTERVAL 1 DAY", 0, 1, 0),
        ("INTERVAL '15' MINUTES", 0, 0, 900_000_000),
        ("INTERVAL '2 years 1 month 3 days 4 hours'", 25, 3, 14_400_000_000),
        ("INTERVAL '-90 minutes'", 0, 0, -5_400_000_000),
        ("INTERVAL (-1) MONTH", -1, 0, 0),
        ("INTERVAL 1 QUARTER", 3, 0, 0),
        ("INTERVAL '3 weeks 5 milliseconds'", 0, 21, 5000),
    ],
)
def test_a_span_is_months_days_and_microseconds(said: str, months: int, days: int, microseconds: int) -> None:
    written = constant("interval", sqlglot.parse_one(said, dialect="duckdb"))

    assert written is not None
    assert written.name == f"{months} months {days} days {microseconds} microseconds"


@pytest.mark.parametrize("said", ["1.5 days", "1 fortnight", "1 day ago", "01:30:00", "", "3000000000 days", "7"])
def test_a_span_that_is_not_known_to_be_the_same_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="engines"):
        constants.interval(said)


def test_a_span_of_months_and_days_is_not_added_to_a_moment_with_a_zone() -> None:
    assert constants.even_interval("14 days") == "0 months 14 days 0 microseconds"
    with pytest.raises(ValueError, match="not of several"):
        constants.even_interval("1 month 1 day")


def test_an_interval_of_a_column_is_no_constant() -> None:
    assert not is_constant(sqlglot.parse_one("INTERVAL (b) DAY", dialect="duckdb"))
    assert is_constant(sqlglot.parse_one("INTERVAL 1 DAY", dialect="duckdb"))


def test_a_width_is_of_a_fixed_length() -> None:
    assert constants.even_width("15 minutes") == 900_000_000
    with pytest.raises(ValueError, match="width"):
        constants.even_width("1 month")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("%Y-%m-%d %H:%M:%S.%f", "yyyy-MM-dd HH:mm:ss.SSSSSS"),
        ("%Y%m%dT%H%M%SZ", "yyyyMMdd'T'HHmmss'Z'"),
        ("100%% o'clock", "'100'%' o''clock'"),
        ("%-d.%-m.%y", "d.M.yy"),
    ],
)
def test_a_pattern_is_said_as_spark_says_it(pattern: str, said: str) -> None:
    assert constants.moment_pattern(pattern) == said


@pytest.mark.parametrize("pattern", ["%U", "%x", "%-y", "100%", ""])
def test_a_pattern_that_is_not_known_to_be_the_same_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="engines"):
        constants.moment_pattern(pattern)


def test_a_zone_is_written_as_it_is_named() -> None:
    assert constants.zone("europe/berlin") == "Europe/Berlin"
    with pytest.raises(ValueError, match="zone"):
        constants.zone("+02:00")


@pytest.mark.parametrize(
    ("pattern", "text", "read"),
    [
        ("%Y-%m-%d", " 2024-2-09\n", ("2024", "2", "09", "", "", "")),
        ("%d.%m.%Y, %H:%M:%S", "1.2.24,  7:5:9", ("24", "2", "1", "7", "5", "9")),
        ("%Y%m%d", "20240209", ("2024", "02", "09", "", "", "")),
        ("%d-%b-%Y", "29-FEB-2024", ("2024", "FEB", "29", "", "", "")),
        ("%Y-%m", "2024-2", ("2024", "2", "", "", "", "")),
        ("%H:%M %m/%d/%Y", "10:30 2/9/2024", ("2024", "2", "9", "10", "30", "")),
    ],
)
def test_a_text_is_read_by_a_pattern_into_year_to_second(pattern: str, text: str, read: tuple[str, ...]) -> None:
    expression = re.sub(r"\\z", r"\\Z", constants.reading_pattern(pattern))  # as Python says the end of a text

    assert (found := re.match(expression, text)) is not None
    assert found.groups() == read


@pytest.mark.parametrize("text", ["2024-02-091", "x2024-02-09", "2024-02-09x", "2024/02/09", "02024-02-09"])
def test_a_text_that_a_pattern_does_not_fit_is_not_read(text: str) -> None:
    assert re.match(re.sub(r"\\z", r"\\Z", constants.reading_pattern("%Y-%m-%d")), text) is None


@pytest.mark.parametrize(
    "pattern",
    ["%Y", "%b %d", "%m %b %Y", "%Y-%m-%d %H", "%Y-%m-%d %Y", "%Y-%m-%d %S", "%Y-%m-%d at %H:%M", "%Y-%m-%d %"],
)
def test_a_pattern_that_is_not_known_to_read_the_same_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="read the same"):
        constants.reading_pattern(pattern)


def test_a_width_for_dates_is_of_whole_days() -> None:
    assert constants.whole_days("1 week") == 7
    with pytest.raises(ValueError, match="whole days"):
        constants.whole_days("36 hours")


def test_months_are_a_width_of_their_own() -> None:
    assert constants.months("1 quarter") == 3
    with pytest.raises(ValueError, match="months"):
        constants.months("1 month 1 day")
