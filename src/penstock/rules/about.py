"""What a rule is about, as the document says it: its columns, and what it holds them against."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from penstock.fields import ExpressionText, Params, duration_text
from penstock.rules.params import AcrossRowsParams, RuleParams, TableRuleParams
from penstock.secret import MASK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.rules.params import AnyRuleParams

_LONGEST: Final = 200  # characters of one setting: a set of values may have thousands, and every epoch keeps it
_COMMON: Final = frozenset(
    {*RuleParams.model_fields, *TableRuleParams.model_fields, *AcrossRowsParams.model_fields} - {"column", "columns"}
)
# The settings that name columns and nodes; any other one may hold a value.
_NAMES: Final = (
    "column",
    "columns",
    "left",
    "right",
    "to",
    "on",
    "of",
    "country_column",
    "partition_by",
    "metric",
    "op",
)

__all__ = ["about", "columns_named", "told_of"]


def about(params: AnyRuleParams) -> tuple[tuple[str, str], ...]:
    """The settings of the rule's own that the document gives, each as a text, the columns first; long ones only begin."""
    return tuple((name, _beginning(_text(value))) for name, value in _said(params))


def columns_named(params: AnyRuleParams) -> frozenset[str]:
    """What may be columns of the rule's place."""
    found: set[str] = set()
    for name, value in _said(params):
        if name in _NAMES:
            found |= {value} if isinstance(value, str) else set(value) if isinstance(value, tuple) else set()
    return frozenset(found)


def told_of(found: tuple[tuple[str, str], ...], *, masked: bool) -> Mapping[str, str]:
    """What is kept of it; ``masked``: only which columns it is about."""
    return {name: MASK if masked and name not in _NAMES else value for name, value in found}


def _said(params: Params) -> Iterator[tuple[str, object]]:
    given = {
        field.alias or name: getattr(params, name)
        for name, field in type(params).model_fields.items()
        if name in params.model_fields_set and name not in _COMMON and getattr(params, name) is not None
    }
    first = [name for name in _NAMES if name in given]
    for name in (*first, *(name for name in given if name not in first)):
        yield name, given[name]


def _text(value: object) -> str:
    match value:
        case str():
            return str(value)
        case ExpressionText():
            return " ".join(value.sql.split())
        case timedelta():
            return duration_text(value)
        case Decimal():
            return f"{(value * 100).normalize():f} %"  # a share is the one decimal that documents have
        case Params():
            return f"{{{', '.join(f'{name}: {_text(one)}' for name, one in _said(value))}}}"
        case dict():
            return f"{{{', '.join(f'{name}: {_text(one)}' for name, one in value.items())}}}"
        case list() | tuple():
            return f"{', '.join(map(_text, value))}"
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)


def _beginning(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
