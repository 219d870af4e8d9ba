from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from harness import Other, Ran, problem, run

_LEFT = {"id": "int64?", "name": "string?"}
_RIGHT = {"id": "int64?", "city": "string?", "score": "int64"}
_ROWS = [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}, {"id": 2, "name": "c"}, {"id": None, "name": "d"}]
_OTHERS = [
    {"id": 1, "city": "x", "score": 1},
    {"id": 3, "city": "y", "score": 3},
    {"id": None, "city": "z", "score": 0},
]


def _run(step: str, rows: Any = _ROWS, others: Any = _OTHERS) -> Ran:
    return run(f"- join: {step}", _LEFT, rows, {"geo": Other(_RIGHT, others)})


def _tuples(ran: Ran) -> set[tuple[Any, ...]]:
    found = [tuple(row.values()) for row in ran.rows]
    assert len(found) == len(set(found))
    return set(found)


def _problem(step: str) -> tuple[str, str, str | None]:
    found = problem(f"- join: {step}", _LEFT, {"geo": Other(_RIGHT)})
    assert found.at is not None
    return found.code, found.message, found.hint


def test_inner_keeps_pairs_and_null_matches_nothing() -> None:
    ran = _run("{to: geo, on: [id], add: [city]}")
    assert _tuples(ran) == {(1, "a", "x"), (1, "b", "x")}
    assert ran.types == {"id": "int64", "name": "string?", "city": "string?"}  # a null key has no match


def test_left_keeps_every_row_that_comes_in() -> None:
    ran = _run("{to: geo, kind: left, on: [id], add: [city, score]}")
    assert _tuples(ran) == {
        *((1, "a", "x", 1), (1, "b", "x", 1)),
        *((2, "c", None, None), (None, "d", None, None)),
    }
    assert ran.types["score"] == "int64?"  # never null there, but not every row has a match


def test_right_and_full_fill_the_key_of_rows_that_only_the_other_side_has() -> None:
    right = {(1, "a", "x"), (1, "b", "x"), (3, None, "y"), (None, None, "z")}
    assert _tuples(_run("{to: geo, kind: right, on: [id], add: [city]}")) == right
    both = _tuples(_run("{to: geo, kind: full, on: [id], add: [city]}"))
    assert both == right | {(2, "c", None), (None, "d", None)}


def test_an_outer_join_by_an_expression_leaves_the_own_columns_as_they_are() -> None:
    ran = _run("{to: geo, kind: full, on: this.id = geo.id and geo.score > 0, add: {other: id}}")
    assert {(row["id"], row["other"]) for row in ran.rows} == {(1, 1), (2, None), (None, None), (None, 3)}


def test_cross_pairs_all_rows() -> None:
    assert len(_run("{to: geo, kind: cross, add: [city]}").rows) == 12


def test_semi_and_anti_keep_rows_with_and_without_a_match_once() -> None:
    assert _tuples(_run("{to: geo, kind: semi, on: [id]}")) == {(1, "a"), (1, "b")}
    assert _tuples(_run("{to: geo, kind: anti, on: [id]}")) == {(2, "c"), (None, "d")}
    doubled = [*_OTHERS, *_OTHERS]
    assert len(_run("{to: geo, kind: semi, on: [id]}", others=doubled).rows) == 2


@pytest.mark.parametrize(
    ("kind", "rows"), [("inner", 0), ("left", 4), ("right", 0), ("full", 4), ("anti", 4), ("semi", 0)]
)
def test_an_empty_other_side(kind: str, rows: int) -> None:
    add = "" if kind in {"semi", "anti"} else ", add: [city]"
    assert len(_run(f"{{to: geo, kind: {kind}, on: [id]{add}}}", others=[]).rows) == rows


def test_an_empty_input() -> None:
    assert _run("{to: geo, on: [id], add: [city]}", rows=[]).rows == []
    assert len(_run("{to: geo, kind: right, on: [id], add: [city]}", rows=[]).rows) == 3


def test_the_alias_names_the_other_side_and_a_node_joins_itself() -> None:
    ran = run(
        "- join: {to: rows, as: parent, kind: left, on: this.up = parent.id, add: {up_name: name}}",
        {"id": "int64", "up": "int64?", "name": "string"},
        [{"id": 1, "up": None, "name": "root"}, {"id": 2, "up": 1, "name": "leaf"}],
    )
    assert {(row["name"], row["up_name"]) for row in ran.rows} == {("root", None), ("leaf", "root")}
    assert ran.types["up_name"] == "string?"


def test_conditions_other_than_equality() -> None:
    ran = _run("{to: geo, kind: left, on: this.id < geo.id, add: [city]}")
    assert _tuples(ran) == {(1, "a", "y"), (1, "b", "y"), (2, "c", "y"), (None, "d", None)}


def test_names_are_found_without_regard_to_case_and_keep_their_own() -> None:
    ran = run("- join: {to: geo, on: [ID], add: [CITY]}", {"Id": "int64"}, [{"Id": 1}], {"geo": Other(_RIGHT, _OTHERS)})
    assert ran.rows == [{"Id": 1, "CITY": "x"}]


def test_hostile_and_reserved_names() -> None:
    name = 'a"; DROP TABLE x;--'
    ran = run(
        "- join: {to: geo, as: select, on: ['a\"; DROP TABLE x;--'], add: {order: group}}",
        {name: "int64"},
        [{name: 1}],
        {"geo": Other({name: "int64", "group": "string"}, [{name: 1, "group": "g"}])},
    )
    assert ran.rows == [{name: 1, "order": "g"}]


def test_nan_equals_nan_as_the_engine_has_it_and_decimals_meet_integers() -> None:
    nan = float("nan")
    ran = run(
        "- join: {to: o, on: [f], add: [n]}",
        {"f": "float64"},
        [{"f": nan}],
        {"o": Other({"f": "float64", "n": "int64"}, [{"f": nan, "n": 1}])},
    )
    assert len(ran.rows) == 1
    ran = run(
        "- join: {to: o, on: [k], kind: full}",
        {"k": "decimal(5,2)?"},
        [{"k": 1}],
        {"o": Other({"k": "int64"}, [{"k": 1}, {"k": 2}])},
    )
    assert sorted(row["k"] for row in ran.rows) == [1, 2]


# ---------------------------------------------------------------- as-of

_DAY = {"day": "date?", "sym": "string?"}
_RATE = {"day": "date?", "sym": "string?", "rate": "int64"}


def _asof(step: str, rates: list[tuple[int | None, str | None, int]], days: list[tuple[int | None, str | None]]) -> Ran:
    rows = [{"day": date(2024, 1, day) if day else None, "sym": sym} for day, sym in days]
    others = [{"day": date(2024, 1, day) if day else None, "sym": sym, "rate": rate} for day, sym, rate in rates]
    return run(f"- join: {step}", _DAY, rows, {"fx": Other(_RATE, others)})


_BY_DAY = '{to: fx, kind: asof, on: "this.day >= fx.day", add: [rate]}'
_BY_BOTH = '{to: fx, kind: asof_left, on: "this.sym = fx.sym and fx.day <= this.day", add: [rate]}'


def test_asof_takes_the_nearest_earlier_row() -> None:
    ran = _asof(
        _BY_DAY, [(2, "a", 20), (4, "a", 40), (None, "a", 99)], [(1, "a"), (2, "a"), (3, "a"), (9, "a"), (None, "a")]
    )
    assert [(row["day"].day, row["rate"]) for row in ran.rows] == [(2, 20), (3, 20), (9, 40)]
    assert ran.types["rate"] == "int64"


def test_asof_left_keeps_rows_without_one_and_keys_must_be_equal() -> None:
    ran = _asof(_BY_BOTH, [(2, "a", 20), (3, "b", 30)], [(1, "a"), (3, "a"), (3, "b"), (3, None), (None, "a")])
    found = sorted((str(row["day"]), str(row["sym"]), row["rate"] or 0) for row in ran.rows)
    assert found == [
        ("2024-01-01", "a", 0),
        ("2024-01-03", "None", 0),
        ("2024-01-03", "a", 20),
        ("2024-01-03", "b", 30),
        ("None", "a", 0),
    ]
    assert ran.types["rate"] == "int64?"


def test_asof_takes_the_same_of_equally_near_rows_in_every_run() -> None:
    rates: list[tuple[int | None, str | None, int]] = [(2, "a", rate) for rate in range(20)]
    found = {_asof(_BY_DAY, order, [(3, "a")]).rows[0]["rate"] for order in (rates, rates[::-1])}
    assert len(found) == 1
    assert _asof(_BY_DAY, rates, [(3, "a")]).counts["result.join.nearest"] == 1


@pytest.mark.parametrize(
    "on",
    ["this.day = fx.day", "this.day >= fx.day and this.sym > fx.sym", "this.day >= fx.day or this.sym = fx.sym",
     "fx.day > fx.day", "this.day >= fx.day and fx.rate = 1", "this.day - fx.day > 1"],
)  # fmt: skip
def test_asof_takes_one_inequality_between_the_sides(on: str) -> None:
    found = problem(f"- join: {{to: fx, kind: asof, on: {on!r}}}", _DAY, {"fx": Other(_RATE)})
    assert found.code == "CMP-282"


def test_asof_takes_no_list() -> None:
    assert problem("- join: {to: fx, kind: asof, on: [day]}", _DAY, {"fx": Other(_RATE)}).code == "CMP-282"


# ---------------------------------------------------------------- mistakes

_SIDES = "`this.` is before a column of the rows that come in, `g.` before the other node's"
_TWO_NAMES = (
    "`on: [...]` names columns that both have; of two names make an expression: `on: this.name = geo.its_column`"
)


@pytest.mark.parametrize(
    ("step", "code", "hint"),
    [
        ("{to: geo, on: this.name = geo.score}", "CMP-280", "cast one of them in a step before the join"),
        ("{to: geo, on: 'upper(this.name) = geo.score + 1'}", "CMP-280", "cast one of them in a step before the join"),
        ("{to: geo, on: this.id = go.id}", "CMP-281", 'did you mean "geo"?'),
        ("{to: geo, as: g, on: this.id = geo.id}", "CMP-281", _SIDES),
        ("{to: geo, on: orders.name = geo.city}", "CMP-281", "write `this.name`"),
        ("{to: geo, on: this.name = towns.city}", "CMP-281", "write `geo.city`"),
        ("{to: geo}", "CMP-283", "write `on: [column]`"),
        ("{to: geo, on: id}", "CMP-283", "a column that both have is written as a list: `on: [id]`"),
        ("{to: geo, kind: cross, on: [id]}", "CMP-283", "leave out `on`, or the kind"),
        ("{to: geo, kind: anti, on: [id], add: [city]}", "CMP-283", "leave out `add`, or take another kind"),
        ("{to: geo, as: this, on: [id]}", "CMP-284", "give the other node another name with `as:`"),
        ("{to: geo, as: THIS, on: [id]}", "CMP-284", "give the other node another name with `as:`"),
        ("{to: geo, on: [id], add: [id]}", "CMP-285", "give the added one a name of its own: `add: {geo_id: id}`"),
        ("{to: geo, on: [id], add: {NAME: city}}", "CMP-285", "give the added one a name of its own: `add: {geo_city: city}`"),
        ("{to: geo, on: [id], add: [city, {City: city}]}", "CMP-285", "give the added one a name of its own: `add: {geo_city: city}`"),
        ("{to: geo, on: id = this.id}", "CMP-204", None),
        ("{to: geo, on: [id], add: [cty]}", "CMP-203", 'did you mean "city"?'),
        ("{to: geo, on: [idd]}", "CMP-203", 'did you mean "id"?'),
        ("{to: geo, on: [name]}", "CMP-203", _TWO_NAMES),
        ("{to: geos, on: [id]}", "CMP-201", 'did you mean "geo"?'),
        ("{to: result, on: [id]}", "CMP-202", None),
        ("{to: geo, on: sum(this.id) = geo.id}", "CMP-208", "use the step `aggregate`, or `window`"),
        ("{to: geo, kind: outer, on: [id]}", "DOC-203", None),
        ("{to: geo, on: [1]}", "DOC-203", None),
        ("{to: geo, on: [id], add: [[city]]}", "DOC-203", None),
        ("geo", "DOC-203", "`penstock steps join` shows how it is written"),
    ],
)  # fmt: skip
def test_mistakes_have_their_own_code_and_hint(step: str, code: str, hint: str | None) -> None:
    found = _problem(step)
    assert (found[0], found[2]) == (code, hint)


def test_types_that_may_be_compared() -> None:
    left = {"a": "int8", "b": "date", "c": "string", "d": "list<int64?>?"}
    right = {"a": "decimal(9,2)", "b": "timestamptz", "c": "json", "d": "list<float64?>?"}
    for name in left:
        assert run(f"- join: {{to: o, on: [{name}]}}", left, [], {"o": Other(right)}).rows == []
