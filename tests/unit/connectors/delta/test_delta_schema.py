"""Delta's types as logical types, and back."""

from __future__ import annotations

import json

import pytest

from penstock.connectors.delta.schema import from_delta, redefined, stored_schema, to_delta
from penstock.errors import ConfigError
from penstock.testing import data
from penstock.types import Schema


@pytest.mark.parametrize("spelled", [kind for kind in data.TYPES if kind not in ("time", "interval")])
def test_what_delta_keeps_comes_back_as_it_is_kept(spelled: str) -> None:
    kept = stored_schema(Schema.of({"x": f"{spelled}?"})).relaxed()
    assert from_delta(to_delta(kept)) == kept


@pytest.mark.parametrize(
    ("came", "kept"),
    [("uint8", "int16"), ("uint32", "int64"), ("uint64", "decimal(20,0)"), ("uuid", "string"), ("json", "string")],
)
def test_what_delta_lacks_is_kept_in_the_next_larger_type(came: str, kept: str) -> None:
    assert stored_schema(Schema.of({"a": came, "b": f"list<{came}>"})) == Schema.of({"a": kept, "b": f"list<{kept}>"})


@pytest.mark.parametrize("spelled", ["time", "interval", "list<time>", "map<string, interval>", "struct<a: time>"])
def test_what_delta_cannot_keep_is_refused_by_name(spelled: str) -> None:
    with pytest.raises(ConfigError) as caught:
        stored_schema(Schema.of({"ok": "int64", 'a"b': spelled}))
    assert caught.value.code == "SNK-110"
    assert 'a"b' in str(caught.value)


def test_a_type_that_no_logical_type_stands_for_is_refused_by_name() -> None:
    text = json.dumps({"fields": [{"name": "v", "type": "variant", "nullable": True, "metadata": {}}]})
    with pytest.raises(ConfigError) as caught:
        from_delta(text)
    assert caught.value.code == "SRC-253"
    assert '"v"' in str(caught.value)


def test_widening_keeps_what_else_the_table_says_of_its_columns() -> None:
    before = {
        "type": "struct",
        "fields": [{"name": "a", "type": "integer", "nullable": False, "metadata": {"comment": "kept"}}],
    }
    after = json.loads(redefined(json.dumps(before), Schema.of({"a": "int64"})))
    assert after["fields"] == [{"name": "a", "type": "long", "nullable": False, "metadata": {"comment": "kept"}}]
    others = json.loads(redefined(json.dumps(before), Schema.of({"b": "string?", "a": "int32?"})))
    assert others["fields"] == [
        {"name": "b", "type": "string", "nullable": True, "metadata": {}},
        {"name": "a", "type": "integer", "nullable": True, "metadata": {"comment": "kept"}},
    ]
