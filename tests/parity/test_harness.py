"""The harness finds a planted difference of each kind, and none where there is none."""

from contextlib import closing

import duckdb
import pytest
from sqlglot import parse_one

from penstock.testing import native
from penstock.testing.parity import hostile
from penstock.testing.parity.row_by_row import Both, DifferenceKind
from penstock.types import Schema

# PySpark leaves a socket open for each result that is fetched.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]

COLUMNS = Schema.of({"n": "int32?", "m": "int64?", "d": "float64?", "x": "decimal(4,2)?", "s": "string?"})
ROWS = hostile.hostile(COLUMNS)
GROUPED = hostile.grouped_schema(COLUMNS)
GROUPS = hostile.grouped(COLUMNS)


@pytest.fixture(scope="module")
def both(spark):
    with closing(native.connection()) as connection:
        yield Both(connection, spark)


def planted(text):
    return lambda _tree, _schema: parse_one(text, dialect="spark")


def as_it_is(tree, _schema):
    return tree


@pytest.mark.parametrize(
    ("expression", "lowered", "kind"),
    [
        ("n", "CAST(n AS BIGINT)", DifferenceKind.TYPE),
        ("x", "CAST(x AS DECIMAL(5, 2))", DifferenceKind.TYPE),
        ("[n]", "ARRAY(m)", DifferenceKind.TYPE),
        ("{'a': n}", "NAMED_STRUCT('b', n)", DifferenceKind.TYPE),
        ("NULL", "NULL", DifferenceKind.TYPE),
        ("n", "CASE WHEN n = 7 THEN 8 ELSE n END", DifferenceKind.VALUE),
        ("d", "d + 0.0D", DifferenceKind.VALUE),
        ("[d]", "ARRAY(d + 0.0D)", DifferenceKind.VALUE),
        ("d", "nullif(d, double('NaN'))", DifferenceKind.VALUE),
        ("s", "trim(s)", DifferenceKind.VALUE),
        ("CAST(s AS INTEGER)", "TRY_CAST(s AS INT)", DifferenceKind.MISSING_ERROR),
        ("n + 1", "try_add(n, 1)", DifferenceKind.MISSING_ERROR),
        ("TRY_CAST(s AS INTEGER)", "CAST(s AS INT)", DifferenceKind.EXTRA_ERROR),
        ("n", "CASE WHEN n = 7 THEN CAST(raise_error('no') AS INT) ELSE n END", DifferenceKind.EXTRA_ERROR),
        ("n", "no_such_function(n)", DifferenceKind.REFUSED),
        ("CAST('infinity' AS DATE)", "DATE '9999-12-31'", DifferenceKind.MISSING_ERROR),
    ],
)
def test_finds_what_differs(both, expression, lowered, kind):
    found = both.compare(expression, COLUMNS, ROWS, planted(lowered))
    assert found is not None
    assert found.kind == kind, str(found)


def test_names_the_first_row_that_differs(both):
    found = both.compare("n", COLUMNS, ROWS, planted("CASE WHEN n = 7 THEN 8 ELSE n END"))
    assert (found.where, found.duckdb, found.spark) == ("n = 7", "7", "8")
    found = both.compare("n + 1", COLUMNS, ROWS, planted("try_add(n, 1)"))
    assert found.where == "n = 2147483647"
    assert "Overflow" in found.duckdb
    found = both.compare("d", COLUMNS, ROWS, planted("d + 0.0D"))
    assert (found.where, found.duckdb, found.spark) == ("d = -0.0", "-0.0", "0.0")


def test_rows_on_which_both_raise_are_no_difference(both):
    assert both.compare("n + 1", COLUMNS, ROWS, as_it_is) is None
    assert both.compare("CAST('infinity' AS DATE)", COLUMNS, ROWS, planted("CAST(raise_error('no') AS DATE)")) is None
    assert both.compare("CAST('x' AS INTEGER)", COLUMNS, ROWS, planted("CAST('x' AS INT)")) is None


def test_many_are_told_apart_where_some_fail_or_differ_or_are_refused(both):
    pairs = {
        "n": "n",
        "n + 1": "n + 1",
        "n + 2": "try_add(n, 2)",
        "d": "d",
        "-d": "-d",
        "m": "m * 1",
        "m + 1": "m + 1",
        "s": "reverse(s)",
    }
    lowered = lambda tree, _schema: parse_one(pairs[tree.sql(dialect="duckdb")], dialect="spark")  # noqa: E731
    expected = [None, None, DifferenceKind.MISSING_ERROR, None, None, None, None, DifferenceKind.VALUE]
    found = both.compare_many(list(pairs), COLUMNS, ROWS, lowered)
    assert [one and one.kind for one in found] == expected
    pairs["n"] = "no_such_function(n)"
    found = both.compare_many(list(pairs), COLUMNS, ROWS, lowered)
    assert [one and one.kind for one in found] == [DifferenceKind.REFUSED, *expected[1:]]


def test_what_duckdb_does_not_know_is_the_tests_own_mistake(both):
    with pytest.raises(duckdb.CatalogException):
        both.compare("no_such_function(n)", COLUMNS, ROWS, as_it_is)


def test_windows_are_compared_row_by_row(both):
    window = "sum(n) OVER (PARTITION BY n % 2 ORDER BY row_id)"
    exact = window.replace("sum(n)", "sum(CAST(n AS DECIMAL(38,0)))")
    assert both.compare(window, COLUMNS, ROWS, planted(exact)) is None
    other = both.compare(window, COLUMNS, ROWS, planted(exact.replace("row_id", "row_id DESC")))
    assert other.kind == DifferenceKind.VALUE
    failing = "n + 1 + lag(n) OVER (ORDER BY row_id) * 0"
    assert both.compare(failing, COLUMNS, ROWS, as_it_is) is None
    assert both.compare(failing, COLUMNS, ROWS, planted("n")).kind == DifferenceKind.MISSING_ERROR


@pytest.mark.parametrize(
    ("expression", "lowered", "kind", "where"),
    [
        ("sum(n)", "sum(CAST(n AS DECIMAL(38,0)))", None, ""),
        ("max(n) + 1", "max(n) + 1", None, ""),
        ("max(d)", "max(d)", None, ""),
        ("sum(n)", "sum(n)", DifferenceKind.TYPE, ""),
        ("sum(n)", "sum(DISTINCT CAST(n AS DECIMAL(38,0)))", DifferenceKind.VALUE, "group_key = plain"),
        ("count(n)", "count(*)", DifferenceKind.VALUE, "group_key = nulls"),
        ("max(n) + 1", "try_add(max(n), 1)", DifferenceKind.MISSING_ERROR, "group_key = every"),
        ("max(n)", "max(n) + CAST(0 / (count(n) - 5) AS INT)", DifferenceKind.EXTRA_ERROR, "group_key = plain"),
    ],
)
def test_aggregates_are_compared_by_group(both, expression, lowered, kind, where):
    found = both.compare_aggregate(expression, GROUPED, GROUPS, planted(lowered))
    assert (found and found.kind) == kind, str(found)
    assert not where or found.where == where


def test_the_settings_of_the_session_are_as_they_were(both, spark):
    names = ("spark.sql.optimizer.excludedRules", "spark.sql.subexpressionElimination.enabled")
    before = [spark.conf.get(name, None) for name in names]
    both.compare("n + 1", COLUMNS, ROWS, as_it_is)
    assert [spark.conf.get(name, None) for name in names] == before
