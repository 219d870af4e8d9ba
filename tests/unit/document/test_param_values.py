"""Parameters: declared, given, typed."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest

from penstock.document.loader import load
from penstock.document.params import read_params
from penstock.document.template import Values
from penstock.secret import Secret


class OneSecret:
    def get(self, name):
        return Secret("hunter2") if name == "s" else None

    def names(self):
        return ("s",)


def params(text, **given):
    return read_params(load(text, "p.yml") if text else None, given, Values({"DAY": "2024-05-06"}, OneSecret(), {}))


def problem(text, **given):
    found = params(text, **given)
    (only,) = found.problems
    return only


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", "", ""),
        ("string", " a ", " a "),
        ("boolean", "true", True),
        ("boolean", "False", False),
        ("int8", "-128", -128),
        ("uint64", "18446744073709551615", 2**64 - 1),
        ("int32", "+5", 5),
        ("float64", "1e3", 1000.0),
        ("float64", "-inf", float("-inf")),
        ("float32", ".5", 0.5),
        ("'decimal(4,2)'", "12.3", Decimal("12.30")),
        ("'decimal(4,2)'", "-99.99", Decimal("-99.99")),
        ("'decimal(38,0)'", "9" * 38, Decimal("9" * 38)),
        ("date", "2024-01-02", date(2024, 1, 2)),
        ("time", "03:04:05.000006", time(3, 4, 5, 6)),
        ("timestamp", "2024-01-02T03:04", datetime(2024, 1, 2, 3, 4)),  # noqa: DTZ001
        ("timestamptz", "2024-01-02T03:04", datetime(2024, 1, 2, 3, 4, tzinfo=UTC)),
        ("timestamptz", "2024-01-02T03:04+00:00", datetime(2024, 1, 2, 3, 4, tzinfo=UTC)),
        ("uuid", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
    ],
)
def test_a_given_text_and_a_default_become_a_value_of_the_type(kind, text, value):
    for found in (params(f"x: {{type: {kind}}}", x=text), params(f"x: {{type: {kind}, default: '{text}'}}")):
        assert found.problems == ()
        assert found.values == {"x": value}
        assert type(found.values["x"]) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("boolean", "yes"),
        ("boolean", "1"),
        ("int8", "128"),
        ("uint8", "-1"),
        ("int32", "1.0"),
        ("int32", "1_000"),
        ("int32", "٣"),
        ("int64", "9" * 5000),
        ("int32", ""),
        ("float64", "1e999"),
        ("float64", "0x10"),
        ("float64", "1_0"),
        ("'decimal(4,2)'", "123.4"),
        ("'decimal(4,2)'", "1.234"),
        ("'decimal(4,2)'", "nan"),
        ("'decimal(4,2)'", "1e9999999"),
        ("date", "2024-02-30"),
        ("date", "01/02/2024"),
        ("date", "2024-01-02T00:00"),
        ("time", "25:00"),
        ("time", "01:00+01:00"),
        ("timestamp", "2024-01-02T00:00Z"),
        ("timestamptz", "noon"),
        ("uuid", "6ba7"),
    ],
)
def test_a_text_that_is_not_of_the_type_is_refused(kind, text):
    given = problem(f"x: {{type: {kind}}}", x=text)
    assert (given.code, given.at) == ("DOC-158", None)
    assert '"x"' in given.message
    assert len(given.message) < 200
    default = problem(f"x: {{type: {kind}, default: '{text}'}}")
    assert (default.code, default.at.line) == ("DOC-158", 1)


def test_what_is_given_goes_before_the_default():
    assert params("x: {type: int32, default: 1}", x="2").values == {"x": 2}


def test_a_default_is_typed_by_its_type_not_by_its_looks():
    found = params(
        "a: {default: 010}\nb: {type: string, default: 1.50}\nc: {type: float64, default: 1}\nd: {default: true}"
    )
    assert found.values == {"a": "010", "b": "1.50", "c": 1.0, "d": "true"}


def test_a_default_may_come_from_the_environment_or_be_a_secret():
    found = params("a: {type: date, default: '${env.DAY}'}\nb: {default: 'x ${secret.s}'}\n")
    assert found.values["a"] == date(2024, 5, 6)
    assert found.values["b"] == Secret("x hunter2")
    assert "hunter2" not in repr(found)
    assert problem("b: {type: date, default: '${secret.s}'}").code == "DOC-158"


def test_null_is_a_default_of_a_nullable_type_only():
    assert params("a: {type: date?, default: null}").values == {"a": None}
    assert problem("a: {type: date, default: null}").code == "DOC-158"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x: {type: int32}", "DOC-161"),
        ("x: {type: date?}", "DOC-161"),
        ("x: int32", "DOC-160"),
        ("x: {type: int32, defualt: 1}", "DOC-160"),
        ("x: {type: [int32], default: 1}", "DOC-160"),
        ("x: {type: int33, default: 1}", "DOC-401"),
        ("x: {type: json, default: '{}'}", "DOC-160"),
        ("x: {type: list<int32>, default: 1}", "DOC-160"),
        ("x: {type: int32, default: [1]}", "DOC-160"),
        ("X: {default: 1}", "DOC-160"),
        ("'a b': {default: 1}", "DOC-160"),
        ("x: {default: '${param.y}'}", "DOC-152"),
        ("x: {default: '${env.NONE}'}", "DOC-153"),
        ("- x", "DOC-203"),
    ],
)
def test_a_wrong_declaration_is_refused(text, code):
    found = params(text)
    assert [p.code for p in found.problems] == [code]
    assert found.problems[0].at is not None
    assert found.values == {}
    assert found.broken == (frozenset() if code == "DOC-203" else set(load(text).entries))


def test_a_parameter_that_is_not_declared_is_refused_with_the_nearest():
    found = problem("since: {type: date, default: 2024-01-01}", sinse="2024-01-01")
    assert (found.code, found.hint, found.detail) == (
        "DOC-159",
        'did you mean "since"?',
        "the document declares since.",
    )
    assert problem(None, x="1").code == "DOC-159"


def test_all_that_is_wrong_is_told_at_once():
    found = params("a: {type: int32, default: x}\nb: {type: nix}\nc: {type: date}\nd: {default: 1}\n", e="1")
    assert sorted(p.code for p in found.problems) == ["DOC-158", "DOC-159", "DOC-161", "DOC-401"]
    assert found.values == {"d": "1"}
    assert found.broken == {"a", "b", "c"}


def test_no_parameters_at_all():
    for text in (None, "null"):
        assert params(text).values == {}
