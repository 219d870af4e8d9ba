"""Every text of a column is a postcode of its country, by form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field, field_validator, model_validator
from sqlglot import exp

from penstock.errors import nearest
from penstock.fields import Name
from penstock.registry import Descriptor
from penstock.rules.api import Violation
from penstock.rules.params import RuleParams
from penstock.rules.values import text_column, unlike
from penstock.steps.collect import each
from penstock.steps.rewrite import shown
from penstock.trees import matches

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from penstock.rules.api import Scope

# By ISO 3166 code, as the countries' post offices write them.
PATTERNS: Final[dict[str, str]] = {
    "AT": r"[1-9]\d{3}",
    "AU": r"\d{4}",
    "BE": r"[1-9]\d{3}",
    "BG": r"\d{4}",
    "BR": r"\d{5}-?\d{3}",
    "CA": r"[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] ?\d[ABCEGHJ-NPRSTV-Z]\d",
    "CH": r"[1-9]\d{3}",
    "CN": r"\d{6}",
    "CY": r"\d{4}",
    "CZ": r"\d{3} ?\d{2}",
    "DE": r"\d{5}",
    "DK": r"\d{4}",
    "EE": r"\d{5}",
    "ES": r"(?:0[1-9]|[1-4]\d|5[0-2])\d{3}",
    "FI": r"\d{5}",
    "FR": r"(?:0[1-9]|[1-8]\d|9[0-8])\d{3}",
    "GB": r"GIR ?0AA|[A-PR-UWYZ](?:\d{1,2}|[A-HK-Y]\d|[A-HK-Y]\d\d|\d[A-HJKPS-UW]|[A-HK-Y]\d[ABEHMNPRV-Y]) ?\d[ABD-HJLNP-UW-Z]{2}",
    "GR": r"\d{3} ?\d{2}",
    "HR": r"\d{5}",
    "HU": r"[1-9]\d{3}",
    "IE": r"[AC-FHKNPRTV-Y](?:\d\d|6W) ?[0-9AC-FHKNPRTV-Y]{4}",
    "IN": r"[1-9]\d{2} ?\d{3}",
    "IT": r"\d{5}",
    "JP": r"\d{3}-?\d{4}",
    "KR": r"\d{5}",
    "LT": r"(?:LT-)?\d{5}",
    "LU": r"(?:L-)?[1-9]\d{3}",
    "LV": r"(?:LV-)?\d{4}",
    "MT": r"[A-Z]{3} ?\d{4}",
    "MX": r"\d{5}",
    "NL": r"[1-9]\d{3} ?[A-Z]{2}",
    "NO": r"\d{4}",
    "NZ": r"\d{4}",
    "PL": r"\d{2}-\d{3}",
    "PT": r"[1-9]\d{3}-\d{3}",
    "RO": r"\d{6}",
    "SE": r"[1-9]\d{2} ?\d{2}",
    "SG": r"\d{6}",
    "SI": r"(?:SI-)?[1-9]\d{3}",
    "SK": r"\d{3} ?\d{2}",
    "US": r"\d{5}(?:-\d{4})?",
    "ZA": r"\d{4}",
}


class PostcodeParams(RuleParams):
    """``postcode: {column: zip, country: DE}`` or ``postcode: {column: zip, country_column: country}``."""

    column: Name = Field(description="A column of text.")
    country: Name | None = Field(
        default=None, description=f"The country of all rows by its ISO 3166 code: {', '.join(PATTERNS)}."
    )
    country_column: Name | None = Field(
        default=None, description="A column of text with each row's country; a row of another country passes."
    )

    @field_validator("country")
    @classmethod
    def _is_known(cls, value: str | None) -> str | None:
        if value is not None and value not in PATTERNS:
            near = nearest(value, PATTERNS)
            raise ValueError(f"takes a country whose postcodes are known{f', such as {near}' if near else ''}")
        return value

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.country is None) == (self.country_column is None):
            raise ValueError("takes either country or country_column")
        return self


def make(params: PostcodeParams, scope: Scope) -> Sequence[Violation]:
    """One violation. Raises ConfigError CMP-203, CMP-371 (not text)."""
    if params.country is not None:
        return (unlike(scope, params.column, PATTERNS[params.country], f"is no postcode of {params.country}"),)
    names = (params.column, str(params.country_column))
    column, country = each(names, lambda name: text_column(scope, name))
    ifs = [
        exp.If(this=exp.Literal.string(code), true=exp.Not(this=matches(column, pattern)))
        for code, pattern in PATTERNS.items()
    ]
    violated = exp.Case(this=country, ifs=ifs)
    return (Violation(violated, shown(column.name, column, "is no postcode of its country"), column.name),)


POSTCODE = Descriptor(
    name="postcode",
    group="rules",
    dimension="validity",
    summary="Every text of a column is a postcode of its country, by form.",
    params=PostcodeParams,
    make=make,
    example="postcode: {column: zip, country_column: country}",
    notes=("Null passes, an empty text does not.", "Whether the code is in use, no rule can tell."),
)
