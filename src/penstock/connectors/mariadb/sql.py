"""Statements, composed: text that is SQL already, names and values quoted here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

if TYPE_CHECKING:
    from collections.abc import Iterable


class Sql(str):
    """Text that is SQL already."""

    __slots__ = ()


def sql(template: LiteralString, *parts: Sql) -> Sql:
    """The template with the parts in its places ``{}``."""
    return Sql(template.format(*parts))


def identifier(*names: str) -> Sql:
    """A name, or several from the outermost on: `` `database`.`table` ``."""
    return Sql(".".join("`" + name.replace("`", "``") + "`" for name in names))


def literal(value: str | int | None) -> Sql:
    """A value. Text as the server reads it while backslashes escape, which our sessions see to."""
    if value is None:
        return Sql("NULL")
    if isinstance(value, int):
        return Sql(value)
    from pymysql.converters import escape_string

    return Sql("'" + escape_string(value) + "'")


def joined(between: LiteralString, parts: Iterable[Sql]) -> Sql:
    return Sql(between.join(parts))


def listed(names: Iterable[str]) -> Sql:
    """Names of columns, with commas between them."""
    return joined(", ", [identifier(name) for name in names])
