"""What sinks of database servers check of the table that they write to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.commits import compare, policy_of
from penstock.errors import ConfigError
from penstock.structs import Frozen
from penstock.types.compatibility import can_hold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from penstock.connectors.api import Context, Preparation
    from penstock.connectors.commits import Objection
    from penstock.connectors.params import SinkParams
    from penstock.types import Field, Schema


def compared(
    standing: Schema | None,
    rows: Schema,
    *,
    params: SinkParams,
    context: Context,
    generated: Collection[str],
    objection: Objection,
    most: int,
) -> Preparation:
    """What has to change in a table of these columns, ``generated`` ones among them, so that it takes the rows.

    Errors as ``compare``; ConfigError SNK-110 also for a column that the table computes.
    """

    def refused(field: Field) -> str | None:
        return "the table computes it itself" if field.name in generated else objection(field)

    return compare(
        standing,
        rows,
        policy=policy_of(params, context),
        needed=(*params.keys, *((params.order_by,) if params.order_by else ())),
        objection=refused,
        most=most,
        sink=context.name,
    )


class Refreshed(Frozen):
    """What a full refresh makes of a table's columns: those of the rows, and what the database fills itself.

    ``held`` are the table's columns as what they take of the rows, ``lasting`` the names of those that stay whatever the
    rows bring.
    """

    held: Schema
    lasting: Collection[str]
    rows: Schema

    @property
    def standing(self) -> Schema:
        """The columns that must be among the rows', or go."""
        return self.held.without(name for name in self.lasting if name not in self.rows)

    @property
    def going(self) -> list[str]:
        return [name for name in self.standing.names if name not in self.rows]

    @property
    def changing(self) -> list[Field]:
        """The columns of the rows whose values the table's own would not take."""
        return [
            column
            for column in self.rows
            if column.name in self.held and not can_hold(self.held[column.name].type, column.type)
        ]

    @property
    def coming(self) -> list[Field]:
        return [column for column in self.rows if column.name not in self.held]


def check_brought(needed: Iterable[str], rows: Schema, *, code: str, sink: str) -> None:
    """``needed`` are the columns that neither may be null nor fill themselves. Raises ConfigError ``code``."""
    for name in needed:
        if name not in rows:
            raise ConfigError(
                code,
                f'sink "{sink}" needs column "{name}", which may not be null in its table',
                hint="bring the column, or give it a default in the database",
            )
