"""Where the rows that are wanted begin, as a service takes it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from penstock.connectors.api import Since
from penstock.connectors.incremental import Incremental, Sending
from penstock.connectors.rest.since import asked
from penstock.types import parse_type


@pytest.mark.parametrize(
    ("kind", "value", "form", "sent"),
    [
        ("date", "2024-01-31", None, "2024-01-31"),
        ("date", "2024-01-31", "%d.%m.%Y", "31.01.2024"),
        ("date", "2024-01-31", "seconds", 1_706_659_200),
        ("timestamp", "2024-01-31 05:06:07.5", None, "2024-01-31T05:06:07.500000"),
        ("timestamp", "2024-01-31 05:06:07.5", "date", "2024-01-31"),
        ("timestamp", "2024-01-31 05:06:07.5", "seconds", 1_706_677_567),
        ("timestamp", "2024-01-31 05:06:07.5", "milliseconds", 1_706_677_567_500),
        ("timestamp", "1969-12-31 23:59:59.5", "seconds", -1),
        ("timestamptz", "2024-01-31 01:00:00+02", None, "2024-01-30T23:00:00Z"),
        ("timestamptz", "2024-01-31 01:00:00+02", "%Y%m%d", "20240130"),
        ("int64", "17", None, 17),
        ("decimal(9,2)", "1.50", None, "1.50"),
        ("string", "x&y=z", None, "x&y=z"),
    ],
)
def test_values_are_sent_in_the_services_form(kind: str, value: str, form: str | None, sent: str | int) -> None:
    found = asked(Since(value, parse_type(kind)[0]), Sending(body="since", format=form))
    assert found is not None
    assert (found.place, found.name, found.value) == ("body", "since", sent)


@pytest.mark.parametrize("value", ["0044-03-15 (BC)", "infinity", "12024-01-01"])
def test_what_has_no_form_is_not_sent(value: str) -> None:
    assert asked(Since(value, parse_type("timestamp")[0]), Sending(query="since")) is None


@pytest.mark.parametrize("keys", [{}, {"query": "a", "body": "b"}, {"query": "a", "format": "iso"}, {"query": ""}])
def test_a_parameter_is_one(keys: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Sending.model_validate(keys)


def test_only_a_cursor_is_sent() -> None:
    with pytest.raises(ValidationError, match="with a `cursor` only"):
        Incremental.model_validate({"files": {}, "send": {"query": "a"}})
