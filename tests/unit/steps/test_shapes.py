"""flatten, explode, split, parse_json: columns into other shapes."""

from __future__ import annotations

import pytest
from harness import problem, problems, run

_STRUCT = "struct<city: string?, geo: struct<lat: float64?, lon: float64?>?>?"
_PLACE = {"city": "Oslo", "geo": {"lat": 59.9, "lon": 10.7}}


def test_flatten_opens_every_level_in_place() -> None:
    ran = run("- flatten: {}", {"a": "int64", "s": _STRUCT, "z": "int64"}, [{"a": 1, "s": _PLACE, "z": 2}])
    assert ran.rows == [{"a": 1, "s_city": "Oslo", "s_geo_lat": 59.9, "s_geo_lon": 10.7, "z": 2}]


def test_flatten_stops_at_the_depth() -> None:
    ran = run("- flatten: {columns: [s], separator: '.', depth: 1}", {"s": _STRUCT}, [{"s": _PLACE}])
    assert ran.rows == [{"s.city": "Oslo", "s.geo": {"lat": 59.9, "lon": 10.7}}]


def test_flatten_of_a_null_struct_gives_nulls() -> None:
    rows = [{"s": None}, {"s": {"city": None, "geo": None}}]
    assert run("- flatten: s", {"s": _STRUCT}, rows).rows == [dict.fromkeys(("s_city", "s_geo_lat", "s_geo_lon"))] * 2


@pytest.mark.parametrize(
    ("kind", "hint"), [("int64", None), ("list<int64?>", "use the step `explode`"), ("map<string,int64?>", None)]
)
def test_flatten_takes_structs_only(kind: str, hint: str | None) -> None:
    found = problem("- flatten: s", {"s": kind})
    assert (found.code, found.hint) == ("CMP-256", hint)


_LISTS = {"id": "int64", "tags": "list<string?>?"}
_TAGGED = [{"id": 1, "tags": ["x", None]}, {"id": 2, "tags": []}, {"id": 3, "tags": None}, {"id": 4, "tags": ["y"]}]


def test_explode_gives_a_row_per_element() -> None:
    ran = run("- explode: tags", _LISTS, _TAGGED)
    assert ran.rows == [{"id": 1, "tags": "x"}, {"id": 1, "tags": None}, {"id": 4, "tags": "y"}]
    assert ran.types == {"id": "int64", "tags": "string?"}


def test_explode_tells_places_from_one_on() -> None:
    ran = run("- explode: {column: tags, as: tag, position: place}", _LISTS, _TAGGED)
    assert [(row["tag"], row["place"]) for row in ran.rows] == [("x", 1), (None, 2), ("y", 1)]
    assert ran.types == {"id": "int64", "tag": "string?", "place": "int64"}


def test_explode_keeps_rows_with_nothing_inside_and_tells_them_from_null_elements() -> None:
    ran = run("- explode: {column: tags, as: tag, position: place, keep_empty: true}", _LISTS, _TAGGED)
    found = [(row["id"], row["tag"], row["place"]) for row in ran.rows]
    assert found == [(1, "x", 1), (1, None, 2), (2, None, None), (3, None, None), (4, "y", 1)]
    assert ran.types["place"] == "int64?"


def test_explode_of_structs_can_be_flattened() -> None:
    columns = {"lines": "list<struct<sku: string?, n: int64?>?>?"}
    ran = run("- explode: lines\n- flatten: lines", columns, [{"lines": [{"sku": "a", "n": 1}, None]}])
    assert ran.rows == [{"lines_sku": "a", "lines_n": 1}, {"lines_sku": None, "lines_n": None}]


@pytest.mark.parametrize(
    ("kind", "hint"), [("string", None), ("struct<a: int64?>", "use the step `flatten`"), ("json", None)]
)
def test_explode_takes_lists_only(kind: str, hint: str | None) -> None:
    found = problem("- explode: a", {"a": kind})
    assert (found.code, found.hint) == ("CMP-257", hint)


# ---------------------------------------------------------------- split

_NAMES = {"name": "string?", "z": "int64"}


def _split(params: str, *texts: str | None) -> list[dict[str, object]]:
    rows = [{"name": text, "z": 0} for text in texts]
    made = run(f"- split: {{column: name, {params}}}", _NAMES, rows).rows
    return [{name: value for name, value in row.items() if name != "z"} for row in made]


def test_split_into_columns_keeps_the_rest_in_the_last() -> None:
    assert _split("separator: ' ', into: [first, last]", "Ada King Lovelace", "Ada", "", None) == [
        {"first": "Ada", "last": "King Lovelace"},
        {"first": "Ada", "last": None},
        {"first": "", "last": None},
        {"first": None, "last": None},
    ]


def test_split_drops_the_rest_where_that_is_asked_for() -> None:
    assert _split("separator: ',', into: [a, b], rest: drop, trim: true", "1 , 2 , 3") == [{"a": "1", "b": "2"}]


def test_split_into_a_list() -> None:
    assert _split("separator: '|', as: parts, trim: true", "a | b", None) == [
        {"name": "a | b", "parts": ["a", "b"]},
        {"name": None, "parts": None},
    ]
    assert _split("separator: '|'", "a|b") == [{"name": ["a", "b"]}]


def test_split_keeps_the_text_where_that_is_asked_for() -> None:
    assert _split("separator: '-', into: [a], keep: true", "x-y") == [{"name": "x-y", "a": "x-y"}]


def test_a_separator_is_no_pattern() -> None:
    assert _split("separator: '.', into: [a, b]", "x.y", "xy") == [{"a": "x", "b": "y"}, {"a": "xy", "b": None}]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ("{column: z, separator: x}", "CMP-251"),
        ("{column: name, separator: ''}", "DOC-203"),
        ("{column: name}", "DOC-202"),
        ("{column: name, separator: x, into: [a], as: b}", "DOC-203"),
        ("{column: name, separator: x, into: [z]}", "CMP-209"),
    ],
)
def test_mistakes_of_split(params: str, code: str) -> None:
    assert problem(f"- split: {params}", _NAMES).code == code


# ---------------------------------------------------------------- parse_json


def _parsed(params: str, *texts: str | None) -> tuple[list[object], list[str]]:
    ran = run(f"- parse_json: {params}", {"j": "string?"}, [{"j": text} for text in texts])
    return [row["j"] for row in ran.rows], [item.code for item in ran.rejected]


def test_texts_that_are_no_json_are_rejected() -> None:
    assert _parsed("j", '{"a": 1}', "{a", "", None, "null") == (['{"a": 1}', None, "null"], ["bad_json", "bad_json"])


def test_parsing_what_was_never_null_is_never_null() -> None:
    assert run("- parse_json: j", {"j": "string"}, [{"j": "1"}]).types == {"j": "json"}


def test_a_schema_makes_a_struct_and_ignores_other_keys() -> None:
    good = ['{"id": 1, "x": 2}', '{"id": 2, "note": "n"}', '{"id": 3, "note": null}']
    values, rejected = _parsed("{column: j, schema: {id: int64, note: string?}}", *good)
    assert values == [{"id": 1, "note": None}, {"id": 2, "note": "n"}, {"id": 3, "note": None}]
    assert rejected == []


_MISFITS = [
    ('{"id": "x"}', "bad_value"),
    ('{"id": 99999999999999999999}', "bad_value"),
    ('{"id": {"z": 1}}', "bad_value"),
    ("[1]", "bad_value"),
    ("5", "bad_value"),
    ('{"id": 1, "at": "2024-13-01"}', "bad_value"),
    ('{"id": 1, "lines": [{"n": 1}, {"n": "x"}]}', "bad_value"),
    ('{"id": 1, "lines": 5}', "bad_value"),
    ('{"id": 1, "lines": [5]}', "bad_value"),
    ('{"id": 1, "m": {"k": "x"}}', "bad_value"),
    ('{"id": 1, "geo": {"lat": "north"}}', "bad_value"),
    ("{}", "null_value"),
    ('{"id": null}', "null_value"),
    ('{"ID": 1}', "null_value"),
    ('{"id": 1, "geo": {}}', "null_value"),
    ("nonsense", "bad_json"),
]


def test_another_shape_is_rejected_at_any_depth() -> None:
    kinds = "at: date?, lines: 'list<struct<n: int64?>?>?', m: 'map<string,int64?>?', geo: 'struct<lat: float64>?'"
    step = f"- parse_json: {{column: j, schema: {{id: int64, {kinds}}}}}"
    ran = run(step, {"j": "string?"}, [{"j": text} for text, _ in _MISFITS])
    assert ran.rows == []
    found = {(item.row["j"], item.code) for item in ran.rejected}
    assert [misfit for misfit in _MISFITS if misfit not in found] == []


def test_nulls_and_missing_parts_are_no_misfits() -> None:
    kinds = "lines: 'list<struct<n: int64?>?>?', m: 'map<string,int64?>?', any: json?"
    text = '{"lines": [null, {}, {"n": null}], "m": {"k": null}, "any": [1, "x"]}'
    values, rejected = _parsed(f"{{column: j, schema: {{{kinds}}}}}", text, "null", None)
    assert rejected == []
    assert values[0] == {"lines": [None, {"n": None}, {"n": None}], "m": [("k", None)], "any": '[1,"x"]'}
    assert values[1:] == [None, None]


def test_another_shape_becomes_null_where_that_is_asked_for() -> None:
    params = "{column: j, schema: {id: int64}, on_error: null}"
    assert _parsed(params, '{"id": 1}', '{"id": "x"}', "{", "{}") == ([{"id": 1}, None, None, None], [])


def test_hostile_keys_are_only_keys() -> None:
    params = """{column: j, schema: {'a"; --': int64, "o'k/~": string?}}"""
    values, rejected = _parsed(params, """{"a\\"; --": 1, "o'k/~": "v"}""")
    assert (values, rejected) == ([{'a"; --': 1, "o'k/~": "v"}], [])


def test_json_columns_and_other_targets() -> None:
    ran = run("- parse_json: {column: j, as: k, schema: {a: int64?}}", {"j": "json?"}, [{"j": '{"a": 1}'}])
    assert ran.rows == [{"j": '{"a": 1}', "k": {"a": 1}}]


@pytest.mark.parametrize(
    ("params", "codes"),
    [
        ("n", ["CMP-251"]),
        ("{column: j, schema: {a: int}}", ["DOC-401"]),
        ("{column: j, schema: {}}", ["DOC-203"]),
        ("{column: j, schema: {a: int64, A: int64}}", ["DOC-408"]),
    ],
)
def test_mistakes_of_parse_json(params: str, codes: list[str]) -> None:
    assert [found.code for found in problems(f"- parse_json: {params}", {"j": "string", "n": "int64"})] == codes
