"""JSON texts of the reject store, read without losing a digit."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.connectors.api import Json


def read_json(text: str) -> Json:
    """What the text says; a number that a double does not hold is text, and so is what Python cannot read."""
    try:
        found: Json = json.loads(text, parse_float=_number)
    except ValueError:  # an integer of more digits than Python reads
        return text
    return found


def _number(text: str) -> float | str:
    number = float(text)
    return number if Decimal(repr(number)) == Decimal(text) else text
