"""Placeholders in SQL are values: nothing that stands in one can become SQL."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import duckdb
import pytest
import sqlglot
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from penstock.document.loader import load
from penstock.document.sql_text import as_sql
from penstock.document.template import Values, fill
from penstock.document.tree import Mapping, offset_location
from penstock.document.validation import Owner, located, validate
from penstock.errors import ConfigError
from penstock.fields import Expression, Located, Params
from penstock.secret import Secret


class NoSecrets:
    def get(self, name):
        return Secret("hunter2") if name == "token" else None

    def names(self):
        return ()


def scalar(sql, **params):
    tree = fill(load("sql: |-\n" + "".join(f"  {line}\n" for line in sql.split("\n"))), Values({}, NoSecrets(), params))
    assert isinstance(tree, Mapping)
    return tree.get("sql")


@pytest.mark.parametrize(
    ("sql", "value", "expected"),
    [
        ("a > ${param.x}", 5, "a > 5"),
        ("a >${param.x}", 5, "a >5"),
        ("a - ${param.x}", -5, "a - (-5)"),
        ("a -${param.x}", Decimal("-1.50"), "a -(-1.50)"),
        ("a = ${param.x}", "it's", "a = 'it''s'"),
        ("a = ${param.x}", True, "a = TRUE"),
        ("a > ${param.x}", date(2024, 1, 2), "a > CAST('2024-01-02' AS DATE)"),
        ("a > ${param.x}", datetime(2024, 1, 2, tzinfo=UTC), "a > CAST('2024-01-02T00:00:00+00:00' AS TIMESTAMPTZ)"),
        ("a > ${param.x}", datetime(2024, 1, 2), "a > CAST('2024-01-02T00:00:00' AS TIMESTAMP)"),  # noqa: DTZ001
        ("a > ${param.x}", time(1, 2), "a > CAST('01:02:00' AS TIME)"),
        ("a > ${param.x}", float("inf"), "a > CAST('inf' AS DOUBLE)"),
        ("a like '%${param.x}%'", "o'c", "a like '%o''c%'"),
        ("a like 'it''s ${param.x}'", "o'c", "a like 'it''s o''c'"),
        ('"col ${param.x}"', 'a"b', '"col a""b"'),
        ("a = '$${param.x}' and b = ${param.x}", 1, "a = '${param.x}' and b = 1"),
        ("E${param.x}", "\\", "E '\\'"),
        ("'a'${param.x}'b'", "x", "'a' 'x' 'b'"),
        ("name'${param.x}'", "x", "name'x'"),
        ("a -- it's\n= ${param.x}", "b", "a -- it's\n= 'b'"),
        ("a /* it's */ = ${param.x}", "b", "a /* it's */ = 'b'"),
        ("a = $$it's$$ || ${param.x}", "b", "a = $$it's$$ || 'b'"),
        ("a = $t$it's $$ $t$ || ${param.x}", "b", "a = $t$it's $$ $t$ || 'b'"),
        ("a = E'it\\'s' || ${param.x}", "b", "a = E'it\\'s' || 'b'"),
    ],
)
def test_a_placeholder_in_sql_is_a_literal(sql, value, expected):
    assert as_sql(scalar(sql, x=value)).value == expected


def test_a_null_alone_is_null():
    assert as_sql(scalar("${param.x}", x=None)).value == "NULL"


@pytest.mark.parametrize(
    "sql", ["a -- ${param.x}", "a /* ${param.x} */", "E'${param.x}'", "$$${param.x}$$ $$", "$t$ ${param.x} $t$"]
)
def test_a_placeholder_without_quoting_is_refused_at_its_place(sql):
    if sql.startswith("$$$"):
        sql = "a = $$ ${param.x} $$"
    with pytest.raises(ConfigError) as caught:
        as_sql(scalar(sql, x="y"))
    assert caught.value.code == "DOC-157"
    at = caught.value.problems[0].at
    assert at.source[at.column - 1 : at.end_column - 1] == "${param.x}"


def test_places_in_sql_text_are_those_of_the_document():
    written = as_sql(scalar("select ${param.x},\n  ${param.x} wrong", x="it's"))
    at = offset_location(written, written.value.index("wrong"), 5)
    assert (at.line, at.column, at.end_column) == (3, 16, 21)


def test_a_secret_is_never_written_as_sql():
    found = as_sql(scalar("a = ${secret.token}"))
    assert isinstance(found.value, Secret)


@settings(max_examples=80, deadline=None)
@given(st.text(st.sampled_from("a'\"\\;-/*$ \n{}E"), max_size=12), st.sampled_from(["code", "string", "name"]))
@example("'; drop table x; --", "string")
@example("\\'; drop table x; --", "code")
def test_no_value_ends_the_literal_it_stands_in(value, where):
    quoted = {"code": "${param.x}", "string": "'a${param.x}b'", "name": '"a${param.x}b"'}[where]
    sql = as_sql(scalar(f"select {quoted} as z", x=value)).value
    (tree,) = sqlglot.parse(sql, dialect="duckdb")
    assert [type(part) for part in tree.selects] == [exp.Alias]
    inner = tree.selects[0].this
    expected = value if where == "code" else f"a{value}b"
    assert inner.name == expected
    if where != "name":
        assert duckdb.sql(sql).fetchall() == [(expected,)]


class Model(Params):
    expression: Expression | None = None
    port: int | None = None
    flag: bool | None = None
    text: str | None = None


def model(text, **params):
    values = Values({"PORT": "8080", "FLAG": "true"}, NoSecrets(), params)
    return validate(Model, fill(load(text), values), Owner("it"))


def test_the_field_types_what_takes_a_placeholders_place():
    found, problems = model(
        "port: ${env.PORT}\nflag: ${env.FLAG}\ntext: ${param.n}\nexpression: day >= ${param.day}\n",
        n=5,
        day=date(2024, 1, 2),
    )
    assert problems == []
    assert (found.port, found.flag, found.text) == (8080, True, "5")
    assert found.expression.sql == "day >= CAST('2024-01-02' AS DATE)"
    at = found.expression.place(0, 3)
    assert (at.line, at.column, at.end_column) == (4, 13, 16)


def test_a_placeholder_alone_in_an_expression_is_a_value_not_a_column():
    found, _ = model("expression: ${param.x}", x="price; drop")
    assert found.expression.sql == "'price; drop'"


def test_what_has_no_quoting_is_a_problem_of_the_document():
    found, problems = model("expression: |\n  a -- ${param.x}\n", x="b")
    assert found is None
    assert [p.code for p in problems] == ["DOC-157"]


def test_a_secret_cannot_stand_in_a_plain_field_or_an_expression():
    for name in ("text", "expression"):
        found, problems = model(f"{name}: ${{secret.token}}")
        assert found is None
        assert "hunter2" not in str(problems)


def test_located_texts_without_placeholders_are_themselves_in_sql():
    text = located(load("a: b"))["a"]
    assert isinstance(text, Located)
    assert text.for_sql() is text
