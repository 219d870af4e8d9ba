"""Logical types of every shape: their spellings, JSON, Arrow and DuckDB; which holds which; values through DuckDB."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import json

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from penstock.errors import ConfigError
from penstock.structs import replace
from penstock.types import (
    Decimal,
    Field,
    Kind,
    List,
    Map,
    Primitive,
    Schema,
    Struct,
    StructField,
    parse_type,
    relaxed,
    spell,
)
from penstock.types.arrow import from_arrow, to_arrow, type_from_arrow
from penstock.types.compatibility import can_hold, diff, widen
from penstock.types.conform import conform
from penstock.types.duckdb import from_duckdb, to_duckdb_text
from penstock.types.logical import fold_case

often = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
seldom = settings(often, max_examples=30)

NAMES = st.sampled_from(["a", "b", "A b", 'a"; DROP TABLE x;--', "select", "ÄÖ", "it's", "x,y", "<z>", "?"]) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6
)
NUMBERS = [Primitive(kind) for kind in Kind if "int" in kind.value and kind is not Kind.INTERVAL]
NUMBERS += [Primitive(Kind.FLOAT32), Primitive(Kind.FLOAT64)]


@st.composite
def decimals(draw, most=38):
    precision = draw(st.integers(1, most))
    return Decimal(precision, draw(st.integers(0, precision)))


@st.composite
def structs(draw, inner):
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique_by=fold_case))
    return Struct(tuple(StructField(name, draw(inner), draw(st.booleans())) for name in names))


def nested(leaves):
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds(List, inner, st.booleans()) | st.builds(Map, leaves, inner, st.booleans()) | structs(inner)
        ),
        max_leaves=4,
    )


SIMPLE = st.sampled_from([Primitive(kind) for kind in Kind])
TYPES = nested(SIMPLE | decimals())
COMPARED = nested(st.sampled_from(NUMBERS) | decimals(20) | st.sampled_from([Primitive(Kind.STRING)]))
SCHEMAS = st.lists(
    st.builds(Field, NAMES, TYPES, st.booleans(), st.frozensets(st.sampled_from(["pii", "secret"]))),
    max_size=4,
    unique_by=lambda field: field.name,
).map(lambda fields: Schema(tuple(fields)))


# ---------------------------------------------------------------- spellings


@often
@given(TYPES, st.booleans())
def test_a_spelling_is_parsed_to_the_type_it_spells(logical, nullable):
    text = spell(logical, nullable=nullable)
    assert parse_type(text) == (logical, nullable)
    assert spell(parse_type(text)[0], nullable=nullable) == text


@often
@given(
    st.text(max_size=30)
    | st.lists(st.sampled_from([*"<>(),:? \"'[]", "list", "struct", "int64", "a", "9", "decimal"])).map("".join)
)
@example("list<" * 5000)
@example("decimal(" + "9" * 5000)
@example("\0")
@example("\ud800")
def test_any_text_is_a_type_or_a_named_error(text):
    for parse in (parse_type, from_duckdb):
        try:
            parse(text)
        except ConfigError as error:
            assert error.code.startswith("DOC-4")  # noqa: PT017 -- most texts are refused, some are types


# ---------------------------------------------------------------- schemas


@often
@given(SCHEMAS)
def test_a_schema_goes_through_json_unchanged(schema):
    again = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    assert again == schema
    assert diff(schema, again) == ()


@often
@given(SCHEMAS)
def test_relaxing_twice_is_relaxing_once_and_holds_what_was(schema):
    loose = schema.relaxed()
    assert loose.relaxed() == loose
    assert loose.names == schema.names
    assert all(field.nullable for field in loose)
    assert all(can_hold(relaxed(field.type), field.type) for field in schema)


# ---------------------------------------------------------------- Arrow and DuckDB


@often
@given(SCHEMAS)
def test_a_schema_goes_through_arrow_unchanged_but_for_its_labels(schema):
    unlabelled = Schema(tuple(replace(field, labels=frozenset()) for field in schema))
    assert from_arrow(to_arrow(schema)) == unlabelled


@often
@given(TYPES)
def test_a_type_goes_through_arrow_and_through_duckdbs_text(logical):
    assert type_from_arrow(to_arrow(logical)) == logical
    assert from_duckdb(to_duckdb_text(logical)) == relaxed(logical)


@pytest.fixture(scope="module")
def database():
    with contextlib.closing(duckdb.connect()) as connection:
        connection.execute("SET arrow_lossless_conversion = true; SET TimeZone = 'UTC'; SET threads = 1")
        yield connection


@seldom
@given(TYPES)
def test_duckdb_prints_a_type_that_is_read_as_itself(database, logical):
    assume("\x00" not in to_duckdb_text(logical))
    printed = database.execute(f"SELECT typeof(CAST(NULL AS {to_duckdb_text(logical)}))").fetchall()[0][0]
    assert from_duckdb(printed) == relaxed(logical)


# ---------------------------------------------------------------- values


# pyarrow builds no uuid and json inside other values from Python's; tests/unit/types has them.
PLAIN = [Primitive(kind) for kind in Kind if kind not in {Kind.UUID, Kind.JSON}]
VALUES = {
    Kind.STRING: st.text(st.characters(codec="utf-8"), max_size=8),
    Kind.BOOLEAN: st.booleans(),
    Kind.FLOAT32: st.floats(width=32, allow_nan=False),
    Kind.FLOAT64: st.floats(allow_nan=False),
    Kind.DATE: st.dates(),
    Kind.TIME: st.times(),
    Kind.TIMESTAMP: st.datetimes(),
    Kind.TIMESTAMPTZ: st.datetimes(timezones=st.just(dt.UTC)),
    Kind.INTERVAL: st.tuples(
        st.integers(-999, 999), st.integers(-999, 999), st.integers(-(10**9), 10**9).map(lambda count: count * 1000)
    ).map(pa.MonthDayNano),
    Kind.BINARY: st.binary(max_size=8),
}


def values_of(logical):
    match logical:
        case Primitive(kind=kind) if kind in VALUES:
            return VALUES[kind]
        case Primitive(kind=kind):
            bits = int(kind.value.lstrip("uint"))
            low, high = (0, 2**bits - 1) if kind.value.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
            return st.integers(low, high)
        case Decimal(precision=precision, scale=scale):
            most = 10**precision - 1
            exact = decimal.Context(prec=60)
            return st.integers(-most, most).map(lambda digits: decimal.Decimal(digits).scaleb(-scale, exact))
        case List():
            return st.lists(perhaps(logical.element, logical.element_nullable), max_size=3)
        case Map():
            pair = st.tuples(values_of(logical.key), perhaps(logical.value, logical.value_nullable))
            return st.lists(pair, max_size=2, unique_by=lambda entry: repr(entry[0]))
        case Struct(fields=fields):
            return st.fixed_dictionaries({field.name: perhaps(field.type, field.nullable) for field in fields})


def perhaps(logical, nullable):
    return st.none() | values_of(logical) if nullable else values_of(logical)


def mapless_keys(logical) -> bool:
    """Whether every map's key is a type of which DuckDB compares equal only what is equal (not floats, not intervals)."""
    match logical:
        case Map(key=key, value=value):
            loose = {Kind.FLOAT32, Kind.FLOAT64, Kind.INTERVAL}
            return not (isinstance(key, Primitive) and key.kind in loose) and mapless_keys(value)
        case List(element=element):
            return mapless_keys(element)
        case Struct(fields=fields):
            return all(mapless_keys(field.type) for field in fields)
        case _:
            return True


@st.composite
def columns(draw, types):
    field = draw(st.builds(Field, st.just("it"), types.filter(mapless_keys), st.booleans()))
    return field, draw(st.lists(perhaps(field.type, field.nullable), max_size=4))


def batch_of(field, values):
    return pa.record_batch([pa.array(values, to_arrow(field.type))], schema=to_arrow(Schema((field,))))


@seldom
@given(columns(nested(st.sampled_from(PLAIN) | decimals())))
def test_values_go_through_duckdb_and_come_back_the_same(database, column):
    field, values = column
    batch = batch_of(field, values)
    database.register("given", batch)
    found = database.sql("SELECT * FROM given").to_arrow_table().combine_chunks().to_batches()
    database.unregister("given")
    back = [conform(part, Schema((field,))).column(0).to_pylist() for part in found]
    assert [value for part in back for value in part] == batch.column(0).to_pylist()


@often
@given(columns(COMPARED.filter(lambda logical: "json" not in str(logical))), COMPARED)
def test_a_type_that_holds_another_takes_its_values_without_loss(column, other):
    field, values = column
    wanted = widen(field.type, other) or relaxed(field.type)
    batch = batch_of(field, values)
    held = conform(batch, Schema((replace(field, type=wanted),)))
    held.validate(full=True)
    back = from_python(held.column(0).to_pylist(), field.type)
    assert back == from_python(batch.column(0).to_pylist(), field.type)


def from_python(values, logical):
    """Values with the fields of the type only, every number exact."""
    match logical:
        case Struct(fields=fields):
            return [
                None if value is None else {f.name: from_python([value[f.name]], f.type)[0] for f in fields}
                for value in values
            ]
        case List(element=element):
            return [None if value is None else from_python(value, element) for value in values]
        case Map(key=key, value=inner):
            return [
                None
                if value is None
                else list(
                    zip(from_python([k for k, _ in value], key), from_python([v for _, v in value], inner), strict=True)
                )
                for value in values
            ]
        case _:
            return values


# ---------------------------------------------------------------- holding and widening


@often
@given(COMPARED, COMPARED)
def test_widening_gives_the_same_both_ways_round_and_holds_both(one, other):
    common = widen(one, other)
    assert widen(other, one) == common
    assert widen(one, one) == one
    if common is not None:
        assert can_hold(common, one)
        assert can_hold(common, other)
        assert widen(common, one) == common
    if can_hold(one, other):
        assert common == one


@often
@given(st.tuples(*[st.sampled_from(NUMBERS) | decimals(20)] * 3))
def test_holding_is_transitive(three):
    one, other, third = three
    assert can_hold(one, one)
    if can_hold(one, other) and can_hold(other, third):
        assert can_hold(one, third)


@often
@given(st.tuples(*[st.sampled_from([number for number in NUMBERS if "float" not in str(number)])] * 3))
def test_widening_of_integers_does_not_hang_on_the_order(three):
    one, other, third = three
    left, right = widen(one, other), widen(other, third)
    assert left is not None
    assert right is not None
    assert can_hold(widen(left, third), widen(one, right)) or can_hold(widen(one, right), widen(left, third))
