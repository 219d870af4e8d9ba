"""A text with placeholders as SQL: in an expression or a query a placeholder is a value, never a piece of SQL.

Outside quotes it becomes a literal of its type (``period >= ${param.since}`` compares with a date); inside ``'...'`` and
``"..."`` it is part of that text or name, its quotes doubled. No value can end the literal it stands in.
"""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from penstock.document.template import text_of
from penstock.document.tree import Replacement, offset_location
from penstock.errors import ConfigError
from penstock.secret import Secret
from penstock.structs import replace

if TYPE_CHECKING:
    from sqlglot import exp

    from penstock.document.tree import Scalar, Value

_Context: TypeAlias = Literal["code", "string", "name", "closed"]

# What opens a stretch of SQL in which a placeholder means something else, and what closes it.
_TOKEN: Final = re.compile(
    r"(?P<closed>--[^\n]*|/\*.*?(?:\*/|\Z)|[eE]'(?:[^'\\]|\\.|'')*'?|(?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?:(?P=tag)|\Z))"
    r"|(?P<string>'(?:[^']|'')*'?)"
    r"|(?P<name>\"(?:[^\"]|\"\")*\"?)"
    r"|[A-Za-z_]\w*",  # so that the e of a word's end opens no string
    re.DOTALL,
)


def as_sql(scalar: Scalar) -> Scalar:
    """The scalar with its placeholders written as SQL; one without placeholders as it is.

    Raises ConfigError DOC-157 for a placeholder where SQL has no quoting for it: in a comment, ``E'...'`` or ``$$...$$``.
    """
    if not scalar.replacements or isinstance(scalar.value, Secret):
        return scalar
    pieces: list[str] = []
    moved: list[Replacement] = []
    before = length = 0
    contexts = _contexts(scalar)
    for part, context in zip(scalar.replacements, contexts, strict=True):
        text = "$" if _is_escape(scalar, part) else _written(scalar, part, context)
        length += part.start - before
        moved.append(replace(part, value_start=length, value_end=length + len(text)))
        pieces += [scalar.text[before : part.start], text]
        before, length = part.end, length + len(text)
    return replace(scalar, value="".join([*pieces, scalar.text[before:]]), replacements=tuple(moved))


def _is_escape(scalar: Scalar, part: Replacement) -> bool:
    return scalar.text[part.start : part.end] == "$$"


def _written(scalar: Scalar, part: Replacement, context: _Context) -> str:
    match context:
        case "code":
            return _apart(scalar.text, part, literal(part.value).sql("duckdb"))
        case "string":
            return text_of(part.value).replace("'", "''")
        case "name":
            return text_of(part.value).replace('"', '""')
        case "closed":
            raise ConfigError(
                "DOC-157",
                "a placeholder cannot stand inside a comment, E'...' or $$...$$ of SQL",
                at=offset_location(replace(scalar, replacements=()), part.start, part.end - part.start),
                hint="write the placeholder as a value of its own, without quotes",
            )


def _contexts(scalar: Scalar) -> list[_Context]:
    """What kind of SQL stands around each replaced part."""
    # Placeholders are blanked for the scan: nothing inside their braces opens or closes anything.
    blank = re.sub(r"\$\{[^{}\n]*\}", lambda match: " " * len(match[0]), scalar.text).replace("$${", "  {")
    tokens = _TOKEN.finditer(blank)
    token = next(tokens, None)
    found: list[_Context] = []
    for part in scalar.replacements:
        while token is not None and token.end() <= part.start:
            token = next(tokens, None)
        found.append(_kind(token) if token is not None and token.start() <= part.start else "code")
    return found


def _kind(token: re.Match[str]) -> _Context:
    return "closed" if token["closed"] else "string" if token["string"] else "name" if token["name"] else "code"


def _apart(text: str, part: Replacement, sql: str) -> str:
    """With a space where the literal would grow together with its neighbour, such as a quote or a word."""
    left = " " if re.fullmatch(r"[\w'\"$]", text[part.start - 1 : part.start]) else ""
    right = " " if re.fullmatch(r"[\w'\"$]", text[part.end : part.end + 1]) else ""
    return f"{left}{sql}{right}"


def literal(value: Value) -> exp.Expression:
    """A value as a SQL literal of its type."""
    from sqlglot import exp

    match value:
        case None:
            return exp.null()
        case bool():
            return exp.Boolean(this=value)
        case float() if not math.isfinite(value):
            return exp.cast(exp.Literal.string(str(value)), "DOUBLE")
        case int() | float() | Decimal():
            digits = text_of(value)
            number = exp.Literal.number(digits.removeprefix("-"))
            return exp.paren(exp.Neg(this=number)) if digits.startswith("-") else number
        case datetime():
            return exp.cast(exp.Literal.string(text_of(value)), "TIMESTAMPTZ" if value.tzinfo else "TIMESTAMP")
        case date():
            return exp.cast(exp.Literal.string(text_of(value)), "DATE")
        case time():
            return exp.cast(exp.Literal.string(text_of(value)), "TIME")
        case str():
            return exp.Literal.string(value)
        case Secret():
            raise ConfigError("DOC-157", "a secret cannot stand in SQL")
