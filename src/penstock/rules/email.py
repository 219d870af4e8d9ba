"""Every text of the columns has the form of an email address."""

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

_WORD: Final = r"[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}-]*[\p{L}\p{M}\p{N}])?"
_PATTERN: Final = rf"{_WORD}(?:\.{_WORD})*@{_LABEL}(?:\.{_LABEL})+"


class EmailParams(RuleParams):
    """``email: [contact]``."""

    short: ClassVar[str | None] = "columns"

    columns: Names = Field(description="Columns of text.")


def make(params: EmailParams, scope: Scope) -> Sequence[Violation]:
    """One violation per column. Raises ConfigError CMP-203, CMP-371 (not text)."""
    return each(params.columns, lambda name: unlike(scope, name, _PATTERN, "is no email address"))


EMAIL = Descriptor(
    name="email",
    group="rules",
    dimension="validity",
    summary="Every text of the columns has the form of an email address.",
    params=EmailParams,
    make=make,
    example="email: [contact]",
    short="columns",
    notes=(
        "Null passes, an empty text does not.",
        "Letters of any script are taken; quoted local parts, comments and addresses in brackets are not.",
        "Whether anybody reads what is sent there, no rule can tell.",
    ),
)
