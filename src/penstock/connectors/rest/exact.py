"""Numbers with more digits than a double has. The engine writes JSON's numbers as doubles when it writes them as text, and
text as it is: long numbers are put in quotes before it takes records apart, so that a reject keeps all their digits.
"""

from __future__ import annotations

import re
from typing import Final

_EXACT_DIGITS: Final = 15  # so many decimal digits survive a double (IEEE 754)
_NUMBER: Final = rb"-?[0-9][0-9.]{%d,}(?:[eE][+-]?[0-9]+)?" % _EXACT_DIGITS
_AFTER_A_MARK: Final = re.compile(rb"([:\[,]\s*)(" + _NUMBER + rb")")
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|(' + _NUMBER + rb")|[0-9.eE+-]+", re.DOTALL)


def quoted(page: bytes) -> bytes:
    """The page with long numbers in quotes.

    Fast, and wrong where a text holds what looks like one: a quote inside a text ends it and a number follows, so that
    the page is no JSON any more and its reader fails. Then :func:`quoted_with_care`.
    """
    return _AFTER_A_MARK.sub(rb'\1"\2"', page)


def quoted_with_care(page: bytes) -> bytes:
    """As ``quoted``, text by text and number by number: right for all JSON, and slower."""
    return _TOKEN.sub(lambda token: b'"' + token[0] + b'"' if token[1] else token[0], page)
