from __future__ import annotations

import pytest
from harness import problem, problems, run

_COLUMNS = {"a": "int64", "b": "string?"}
_ROWS = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_rename_keeps_places_types_and_nullability() -> None:
    ran = run("- rename: {first: a}", _COLUMNS, _ROWS)
    assert ran.rows == [{"first": 1, "b": "x"}, {"first": 2, "b": None}]
    assert ran.types == {"first": "int64", "b": "string?"}


def test_rename_swaps_two_columns() -> None:
    ran = run("- rename: {a: b, b: a}", _COLUMNS, _ROWS)
    assert ran.rows[0] == {"b": 1, "a": "x"}


def test_rename_changes_the_case_of_a_name() -> None:
    assert run("- rename: {A: a}", _COLUMNS, _ROWS).types == {"A": "int64", "b": "string?"}


def test_rename_the_other_way_round_gets_a_hint() -> None:
    found = problem("- rename: {a: first}", _COLUMNS)
    assert (found.code, found.hint) == ("CMP-203", "the map reads new: old; write `first: a`")


def test_rename_of_one_column_twice_is_an_error() -> None:
    assert problem("- rename: {x: a, y: a}", _COLUMNS).code == "CMP-250"


def test_rename_to_a_name_that_is_there_points_at_the_new_name() -> None:
    found = problem("- rename: {b: a}", _COLUMNS)
    assert found.code == "CMP-209"
    assert found.at is not None
    assert found.at.column == 18


def test_a_column_called_columns_can_be_renamed() -> None:
    assert run("- rename: {columns: a}", _COLUMNS, _ROWS).schema.names == ("columns", "b")


@pytest.mark.parametrize("params", ["{}", "[a]", "a", "{x: 1}", "{x: [a]}", "null"])
def test_rename_takes_a_map_of_names(params: str) -> None:
    assert problem(f"- rename: {params}", _COLUMNS).code == "DOC-203"


def test_drop_leaves_the_others() -> None:
    assert run("- drop: [a]", _COLUMNS, _ROWS).rows == [{"b": "x"}, {"b": None}]


def test_drop_takes_a_single_name_in_any_case() -> None:
    assert run("- drop: A", _COLUMNS, _ROWS).schema.names == ("b",)


def test_dropping_every_column_is_an_error() -> None:
    assert problem("- drop: [a, b]", _COLUMNS).code == "CMP-253"


def test_derive_replaces_in_place_and_appends() -> None:
    ran = run("- derive: {c: upper(b), a: a + 1}", _COLUMNS, _ROWS)
    assert ran.rows == [{"a": 2, "b": "x", "c": "X"}, {"a": 3, "b": None, "c": None}]
    assert ran.types == {"a": "int64", "b": "string?", "c": "string?"}


def test_expressions_of_one_derive_see_what_comes_in() -> None:
    ran = run("- derive: {a: a + 1, c: a}", _COLUMNS, _ROWS)
    assert ran.rows[0] == {"a": 2, "b": "x", "c": 1}


def test_a_new_column_of_the_same_derive_gets_a_hint() -> None:
    found = problem("- derive: {c: a, d: c}", _COLUMNS)
    assert (found.code, found.hint) == (
        "CMP-203",
        "the columns of one `derive` do not see each other: use a second one",
    )


def test_derive_the_other_way_round_gets_a_hint() -> None:
    assert problem("- derive: {a: double}", _COLUMNS).hint == "the map reads new: from; write `double: a`"
    assert problem("- derive: {a * 2: double}", _COLUMNS).hint == "the map reads new: from; write `double: a * 2`"


def test_a_bare_word_that_is_no_column_gets_the_hint_about_text() -> None:
    assert problem("- derive: {publisher: EIA}", _COLUMNS).hint == "a text is written {text: EIA} or in SQL quotes"
    assert problem("- filter: b = DE", _COLUMNS).hint == "a text is written 'DE'"


def test_a_star_for_all_columns_gets_the_hint_what_keeps_them() -> None:
    assert problem("- select: ['*', {c: b}]", _COLUMNS).hint == "`derive` keeps all columns, and `sql` takes `select *`"


def test_constants_are_values_of_their_own_types() -> None:
    ran = run("- derive: {i: 1, f: 1.5, t: true, x: null, s: {text: it's}, q: \"'sql'\"}", {"a": "int64"}, [{"a": 0}])
    assert ran.rows == [{"a": 0, "i": 1, "f": pytest.approx(1.5), "t": True, "x": None, "s": "it's", "q": "sql"}]
    assert ran.types["x"] == "string?"
    assert ran.types["i"] == "int32"


def test_all_errors_of_a_step_are_told_at_once() -> None:
    found = problems("- derive: {x: nope + 1, y: sum(a), z: lowr(b), w: 'a +'}", _COLUMNS)
    assert [item.code for item in found] == ["CMP-203", "CMP-208", "CMP-205", "CMP-207"]


def test_wide_integers_are_told_as_what_they_are() -> None:
    ran = run("- derive: {big: 99999999999999999999, n: a::hugeint}", {"a": "int64"}, [{"a": 5}])
    assert (ran.types["big"], ran.types["n"]) == ("decimal(38,0)", "decimal(38,0)?")
    assert str(ran.table.schema.field("n").type) == "decimal128(38, 0)"
