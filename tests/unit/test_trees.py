"""Small SQL trees, run by DuckDB."""

from __future__ import annotations

import duckdb
import pytest
from sqlglot import exp

from penstock.trees import call, conjuncts, drop_table, field_of, file_names, struct, text_of, union_all


def value(tree: exp.Expr) -> object:
    [row] = duckdb.sql(exp.select(tree).sql(dialect="duckdb")).fetchall()
    return row[0]


@pytest.mark.parametrize("name", ["a.txt", "a*.txt", "a?b.txt", "[a].txt", "a\\b.txt", "a'b\".txt", "é ü.txt"])
def test_a_file_name_is_no_pattern(tmp_path, name):
    (tmp_path / name).write_text("this", encoding="utf-8")
    (tmp_path / "aXb.txt").write_text("other", encoding="utf-8")
    read = call("read_text", file_names([str(tmp_path / name)]))
    assert duckdb.sql(exp.select("content").from_(exp.Table(this=read)).sql(dialect="duckdb")).fetchall() == [("this",)]


@pytest.mark.parametrize("name", ["a", "A b", 'a"b', "select", "1"])
def test_a_field_is_what_was_put_under_its_name(name):
    made = struct({"other": exp.Literal.number(1), name: exp.Literal.string("x")})
    assert value(field_of(made, name)) == "x"


def test_a_value_as_text_is_what_duckdb_writes():
    assert value(text_of(exp.cast(exp.Literal.string("2024-01-02"), "date"))) == "2024-01-02"
    assert value(text_of(exp.null())) is None


@pytest.mark.parametrize(
    ("condition", "parts"),
    [
        (None, []),
        ("a", ["a"]),
        ("a and b and c", ["a", "b", "c"]),
        ("(a and (b and c)) and (d or e)", ["a", "b", "c", "d OR e"]),
        ("not (a and b)", ["NOT (a AND b)"]),
    ],
)
def test_a_condition_is_taken_apart_at_every_and(condition, parts):
    tree = exp.condition(condition, dialect="duckdb") if condition else None
    assert [part.sql(dialect="duckdb") for part in conjuncts(tree)] == parts


def test_a_table_is_dropped_whether_it_is_there_or_not():
    with duckdb.connect() as connection:
        connection.execute('create table "a b" (x int)')
        for _ in range(2):
            connection.execute(drop_table("a b").sql(dialect="duckdb"))
        assert connection.execute("show tables").fetchall() == []


@pytest.mark.parametrize("many", [1, 2, 3, 7])
def test_a_union_has_all_rows_of_all_parts_in_their_order(many: int) -> None:
    parts = [exp.select(exp.Literal.number(place % 2)) for place in range(many)]
    text = union_all(parts).sql(dialect="duckdb")
    assert text == " UNION ALL ".join(f"SELECT {place % 2}" for place in range(many))


def test_a_union_of_many_parts_is_not_as_deep_as_they_are_many() -> None:
    parts = [exp.select(exp.Literal.number(place)) for place in range(1_000)]
    assert max(node.depth for node in union_all(parts).walk()) < 20
