"""Columns in order: looking up, deriving, JSON, fingerprint."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from penstock.errors import ConfigError
from penstock.types import INT64, STRING, Decimal, Field, Schema

ORDERS = Schema.of({"id": "int64", "amount": "decimal(12,4)?", "Note": "string?"})


def code_of(caught):
    return caught.value.code


def test_columns_keep_their_order_and_their_marks():
    assert ORDERS.names == ("id", "amount", "Note")
    assert [field.spelling for field in ORDERS] == ["int64", "decimal(12,4)?", "string?"]
    assert ORDERS["amount"] == Field("amount", Decimal(12, 4), nullable=True)
    assert len(ORDERS) == 3
    assert str(ORDERS["id"]) == "id: int64"


def test_lookups_are_exact():
    assert "Note" in ORDERS
    assert "note" not in ORDERS
    assert ORDERS.get("note") is None
    assert ORDERS.index("Note") == 2
    with pytest.raises(ConfigError) as caught:
        ORDERS["note"]
    assert code_of(caught) == "DOC-411"
    assert caught.value.problems[0].hint == 'did you mean "Note"?'


def test_a_lookup_in_no_columns_says_so():
    with pytest.raises(ConfigError) as caught:
        Schema()["x"]
    assert caught.value.problems[0].detail == "there are no columns at all."


def test_a_repeated_name_is_refused_and_a_name_in_other_case_is_not():
    with pytest.raises(ConfigError) as caught:
        Schema((Field("a", INT64), Field("a", STRING)))
    assert code_of(caught) == "DOC-410"
    both = Schema((Field("a", INT64), Field("A", STRING), Field("ä", STRING), Field("Ä", STRING)))
    assert both.case_collisions() == (("a", "A"),)


@pytest.mark.parametrize("name", ["", "a\0", "\udfff"])
def test_an_impossible_name_is_refused(name):
    with pytest.raises(ConfigError) as caught:
        Field(name, INT64)
    assert code_of(caught) == "DOC-404"


def test_select_and_without_refuse_what_is_not_there():
    assert ORDERS.select(["Note", "id"]).names == ("Note", "id")
    assert ORDERS.without(["id"]).names == ("amount", "Note")
    for derive in (ORDERS.select, ORDERS.without):
        with pytest.raises(ConfigError) as caught:
            derive(["nope"])
        assert code_of(caught) == "DOC-411"
    with pytest.raises(ConfigError) as caught:
        ORDERS.select(["id", "id"])
    assert code_of(caught) == "DOC-410"


def test_rename_swaps_names_and_refuses_collisions():
    assert ORDERS.rename({"id": "Note", "Note": "id"}).names == ("Note", "amount", "id")
    with pytest.raises(ConfigError) as caught:
        ORDERS.rename({"id": "Note"})
    assert code_of(caught) == "DOC-410"
    with pytest.raises(ConfigError) as caught:
        ORDERS.rename({"nope": "x"})
    assert code_of(caught) == "DOC-411"


def test_with_fields_replaces_in_place_and_appends():
    changed = ORDERS.with_fields([Field("id", STRING), Field("new", INT64)])
    assert changed.names == ("id", "amount", "Note", "new")
    assert changed["id"].type == STRING


def test_labels_are_added_to_those_that_are_there():
    labelled = ORDERS.with_labels({"Note": ["pii"]}).with_labels({"Note": ["secret"]})
    assert labelled["Note"].labels == {"pii", "secret"}
    with pytest.raises(ConfigError) as caught:
        ORDERS.with_labels({"nope": ["pii"]})
    assert code_of(caught) == "DOC-411"


def test_relaxed_makes_everything_nullable():
    strict = Schema.of({"a": "list<int64>"})
    assert strict.relaxed() == Schema.of({"a": "list<int64?>?"})


def test_json_round_trip_is_what_plan_prints():
    labelled = ORDERS.with_labels({"Note": ["pii", "a"]})
    assert labelled.to_json()[2] == {"name": "Note", "type": "string", "nullable": True, "labels": ["a", "pii"]}
    assert Schema.from_json(json.loads(json.dumps(labelled.to_json()))) == labelled


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "{}",
        '"[]"',
        "[1]",
        '[{"name": "a"}]',
        '[{"name": "a", "type": "int64", "nullable": 1, "labels": []}]',
        '[{"name": "a", "type": "int64?", "nullable": true, "labels": []}]',
        '[{"name": "a", "type": "int64", "nullable": true, "labels": [1]}]',
        '[{"name": "a", "type": "int64", "nullable": true, "labels": [], "more": 1}]',
    ],
)
def test_other_json_is_refused(text):
    with pytest.raises(ConfigError) as caught:
        Schema.from_json(json.loads(text))
    assert code_of(caught) == "DOC-412"


def test_importing_the_types_imports_no_driver():
    program = (
        "import sys, penstock.types, penstock.types.compatibility\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'duckdb', 'pyarrow', 'sqlglot', 'pydantic'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
