"""Every text of the columns has the form of an absolute http or https URL."""

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

_LABEL: Final = r"[\p{L}\p{N}_](?:[\p{L}\p{M}\p{N}_-]*[\p{L}\p{M}\p{N}_])?"
_HOST: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\])"
_PATTERN: Final = rf"(?i:https?)://(?:[^\s/?#@]*@)?{_HOST}(?::[0-9]{{1,5}})?(?:[/?#][^\s\pC]*)?"


class UrlParams(RuleParams):
    """``url: [homepage]``."""

    short: ClassVar[str | None] = "columns"

    columns: Names = Field(description="Columns of text.")


def make(params: UrlParams, scope: Scope) -> Sequence[Violation]:
    """One violation per column. Raises ConfigError CMP-203, CMP-371 (not text)."""
    return each(params.columns, lambda name: unlike(scope, name, _PATTERN, "is no URL"))


URL = Descriptor(
    name="url",
    group="rules",
    dimension="validity",
    summary="Every text of the columns has the form of an absolute http or https URL.",
    params=UrlParams,
    make=make,
    example="url: [homepage]",
    short="columns",
    notes=(
        "Null passes, an empty text does not.",
        "White space and control characters are written as %XX in a URL; letters of any script are taken.",
    ),
)
