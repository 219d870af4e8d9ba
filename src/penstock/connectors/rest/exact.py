"""Numbers with more digits than a double has. The engine's JSON reader takes numbers for doubles on their way to decimals,
and text exactly: so long numbers are put in quotes before it reads them, where a column is a decimal of that width.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from penstock.types.logical import Decimal, children

if TYPE_CHECKING:
    from penstock.types import Schema
    from penstock.types.logical import LogicalType

_EXACT_DIGITS: Final = 15  # so many decimal digits survive a double (IEEE 754)
_NUMBER: Final = rb"-?[0-9][0-9.]{%d,}(?:[eE][+-]?[0-9]+)?" % _EXACT_DIGITS
_AFTER_A_MARK: Final = re.compile(rb"([:\[,]\s*)(" + _NUMBER + rb")")
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|(' + _NUMBER + rb")|[0-9.eE+-]+", re.DOTALL)


def needs_exact_numbers(schema: Schema) -> bool:
    return any(_is_wide(column.type) for column in schema)


def _is_wide(kind: LogicalType) -> bool:
    if isinstance(kind, Decimal):
        return kind.precision > _EXACT_DIGITS
    return any(_is_wide(inner) for inner in children(kind))


def quoted(page: bytes) -> bytes:
    """The page with long numbers in quotes.

    Fast, and wrong where a text holds what looks like one: a quote inside a text ends it and a number follows, so that
    the page is no JSON any more and its reader fails. Then :func:`quoted_with_care`.
    """
    return _AFTER_A_MARK.sub(rb'\1"\2"', page)


def quoted_with_care(page: bytes) -> bytes:
    """As ``quoted``, text by text and number by number: right for all JSON, and slower."""
    return _TOKEN.sub(lambda token: b'"' + token[0] + b'"' if token[1] else token[0], page)
