"""What is other in a source than what was recorded of it."""

from __future__ import annotations

import pytest

from penstock.service.accepting import Accepted
from penstock.types import Schema

BEFORE = Schema.of({"id": "int64", "day": "date?", "note": "string?"})


@pytest.mark.parametrize(
    ("now", "added", "gone", "changed"),
    [
        (BEFORE, [], [], []),
        (Schema.of({"id": "int64", "day": "date?"}), [], ["note"], []),
        (Schema.of({"id": "int64", "day": "date?", "note": "string?", "vat": "int8"}), ["vat"], [], []),
        (Schema.of({"id": "int64?", "day": "date?", "note": "string?"}), [], [], [("id", "int64", "int64?")]),
        (Schema.of({"id": "string?", "day": "date?", "note": "string?"}), [], [], [("id", "int64", "string?")]),
    ],
)
def test_columns_that_are_other_are_named(now, added, gone, changed):
    found = Accepted("p", "s", BEFORE, now)
    told = found.to_json()
    assert (told["added"], told["gone"]) == (added, gone)
    assert [(item["column"], item["from"], item["to"]) for item in told["changed"]] == changed
    assert found.is_new == bool(added or gone or changed)


def test_columns_in_another_order_are_taken():
    found = Accepted("p", "s", BEFORE, Schema.of({"day": "date?", "id": "int64", "note": "string?"}))
    assert found.is_new
    assert "another order" in str(found.changes[0])


def test_of_a_source_that_was_not_recorded_everything_is_taken():
    found = Accepted("p", "s", None, BEFORE)
    assert found.is_new
    assert found.changes == ()
