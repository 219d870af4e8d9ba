"""Values that the parameters of tables of files have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator


def _in_utc(value: object) -> object:
    """ISO 8601 text without a zone is UTC (document.md)."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError('takes a time in ISO 8601, such as "2024-01-31T12:00:00Z"') from None
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_in_utc), AfterValidator(lambda value: value.astimezone(UTC))]
