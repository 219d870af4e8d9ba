"""Where the rows that are wanted begin, as a parameter of requests.

A format that is coarser than the value (the day of a moment, whole seconds) asks from a little earlier: what comes twice
the range of the epoch leaves out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from penstock.structs import Frozen
from penstock.types import DATE, TIMESTAMP, TIMESTAMPTZ
from penstock.types.logical import Kind, Primitive

if TYPE_CHECKING:
    from penstock.connectors.api import Since
    from penstock.connectors.incremental import Sending


class Asked(Frozen):
    """``place``: where the parameter stands. In a body a whole number is one."""

    place: Literal["query", "body"]
    name: str
    value: str | int


def asked(since: Since, sending: Sending) -> Asked | None:
    """None where nothing can be said in that form, such as a day before Christ: then all rows are asked for."""
    try:
        value = _written(since, sending.format)
    except (ValueError, OverflowError):
        return None
    if sending.query is not None:
        return Asked("query", sending.query, value)
    assert sending.body is not None
    return Asked("body", sending.body, value)


def _written(since: Since, form: str | None) -> str | int:
    """Raises ValueError, OverflowError."""
    if since.type not in (DATE, TIMESTAMP, TIMESTAMPTZ):
        whole = isinstance(since.type, Primitive) and since.type.kind in (Kind.INT16, Kind.INT32, Kind.INT64)
        return int(since.value) if whole else since.value
    moment = datetime.fromisoformat(since.value)
    moment = moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    match form:
        case None if since.type == DATE:
            return since.value
        case None:
            text = moment.replace(tzinfo=None).isoformat()
            return f"{text}Z" if since.type == TIMESTAMPTZ else text
        case "date":
            return moment.date().isoformat()
        case "seconds":
            return int(moment.timestamp() // 1)
        case "milliseconds":
            return int(moment.timestamp() * 1000 // 1)
        case _:
            return moment.strftime(form)


__all__ = ["Asked", "asked"]
