"""Every text of the columns is a telephone number in the international form of E.164."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from pydantic import Field

from penstock.fields import Names
from penstock.registry import Descriptor
from penstock.rules.params import RuleParams
from penstock.rules.values import unlike
from penstock.steps.collect import each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.rules.api import Scope, Violation

# A country code and what follows it: 15 digits at most (E.164, 6), 7 at least; the first is no 0.
_DIGITS: Final = r"\+[1-9][0-9]{6,14}"
_SEPARATED: Final = r"\+[1-9](?:[ ./-]?\(?[0-9]\)?){6,14}"


class PhoneParams(RuleParams):
    """``phone: [mobile]``."""

    short: ClassVar[str | None] = "columns"

    columns: Names = Field(description="Columns of text.")
    separators: bool = Field(
        default=False,
        description="Whether single spaces, dots, dashes, slashes, and parentheses may stand between digits.",
    )


def make(params: PhoneParams, scope: Scope) -> Sequence[Violation]:
    """One violation per column. Raises ConfigError CMP-203, CMP-371 (not text)."""
    pattern = _SEPARATED if params.separators else _DIGITS
    return each(params.columns, lambda name: unlike(scope, name, pattern, "is no international telephone number"))


PHONE = Descriptor(
    name="phone",
    group="rules",
    dimension="validity",
    summary="Every text of the columns is a telephone number in the international form of E.164.",
    params=PhoneParams,
    make=make,
    example="phone: {columns: [mobile], separators: true}",
    short="columns",
    notes=(
        "Null passes, an empty text does not.",
        "A number is + with 7 to 15 digits; whether it is in use, no rule can tell.",
    ),
)
