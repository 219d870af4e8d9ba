from __future__ import annotations

from harness import problem, run

_COLUMNS = {"a": "int64", "b": "string?"}
_ROWS = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_keeps_named_columns_in_that_order() -> None:
    ran = run("- select: [b, a]", _COLUMNS, _ROWS)
    assert ran.rows == [{"b": "x", "a": 1}, {"b": None, "a": 2}]
    assert ran.types == {"b": "string?", "a": "int64"}


def test_computes_new_columns() -> None:
    ran = run("- select: {twice: a * 2, text: {text: a}}", _COLUMNS, _ROWS)
    assert ran.rows == [{"twice": 2, "text": "a"}, {"twice": 4, "text": "a"}]
    assert ran.types == {"twice": "int64", "text": "string"}


def test_an_unknown_column_gets_the_nearest_name() -> None:
    found = problem("- select: [colour]", {"color": "string"})
    assert (found.code, found.hint) == ("CMP-203", 'did you mean "color"?')
