"""What a step gets to build its nodes with. A step is one file: parameters, descriptor, ``make(params, scope)``.

``make`` adds nodes through the scope, each of which is typed at once against its inputs (so that a step may look at the
schema it got and at what it made), and returns the id of its last node. It is a pure function: it sees no file, no clock
and no driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlglot import exp

    from penstock.errors import Location
    from penstock.fields import ExpressionText, Located, NamedExpression
    from penstock.graph import Node
    from penstock.graph.nodes import Column, SortKey
    from penstock.types import LogicalType, Schema

Allows = Literal["scalar", "aggregate", "window"]


class Scope(Protocol):
    """One step's view of the graph under construction. All errors are located ConfigErrors with CMP codes."""

    @property
    def input(self) -> str:
        """The id of the node whose rows come in."""
        ...

    @property
    def members(self) -> tuple[str, ...]:
        """The ids of the nodes under ``from`` where this is the first step of a transform; else just the input's.

        Several of them are united by name when ``input`` is asked for.
        """
        ...

    @property
    def schema(self) -> Schema:
        """The columns that come in, typed, in order; names are unique also when case is ignored."""
        ...

    @property
    def at(self) -> Location | None:
        """Where the step stands in the document."""
        ...

    @property
    def seed(self) -> int:
        """A number that is the same for this step in every run of this epoch."""
        ...

    def node_id(self, part: str = "") -> str:
        """A new unique id, ``transform.step`` or ``transform.step.part``; the last node of a step takes no part."""
        ...

    def add(self, node: Node, text: Located | None = None) -> str:
        """Type the node and put it into the graph; its id. Raises with the place of the expression that is wrong, or
        of the part of ``text``, which the whole node was made of.
        """
        ...

    def schema_of(self, node_id: str) -> Schema:
        """The columns of a node that was added or resolved."""
        ...

    def resolve(self, name: str) -> str:
        """The id of the node that a document's name (source, transform, sink) stands for; unknown: the nearest name."""
        ...

    def expression(
        self, text: ExpressionText, *, allows: Allows = "scalar", schemas: dict[str, Schema] | None = None
    ) -> exp.Expr:
        """Parse and check: columns exist (exact name, else a unique match ignoring case, which is then corrected), no
        subquery, no aggregate or window unless allowed ("window" allows both). ``schemas`` by alias for a join; else
        the scope's own. The tree's column identifiers are quoted.
        """
        ...

    def expressions(self, columns: Sequence[NamedExpression], *, allows: Allows = "scalar") -> tuple[Column, ...]:
        """Each of them, named; duplicate names (also by case) are an error."""
        ...

    def sort_keys(self, texts: Sequence[ExpressionText]) -> tuple[SortKey, ...]:
        """``a``, ``b desc nulls first``; nulls come last unless said."""
        ...

    def column(self, name: str) -> exp.Column:
        """An existing column of the input, or the error with the nearest name."""
        ...

    def carried(self, schema: Schema | None = None, *, without: Sequence[str] = ()) -> tuple[Column, ...]:
        """Every column of the schema (default: the input's) as itself, but for these."""
        ...

    def type(self, text: str) -> tuple[LogicalType, bool]:
        """A type of the document and whether it is marked nullable."""
        ...

    def type_of(self, tree: exp.Expr, schemas: dict[str, Schema] | None = None) -> LogicalType | None:
        """The type of a checked expression over the input (``schemas`` by alias for a join); None where the engine
        refuses it: adding its node will say why.
        """
        ...

    def query(self, text: Located) -> exp.Query:
        """One SELECT by its syntax tree that reads the table ``this`` and nothing else."""
        ...

    def distinct(self, key: str, value: exp.Expr, *, most: int) -> tuple[str | None, ...]:
        """The distinct values of an expression over the input, as DuckDB writes them as text, sorted, null last: found
        by a first read, the answer kept under ``key`` (the step's last node). Leaves the step while they are not known.
        More than ``most`` of them are cut off after one more.
        """
        ...

    def fail(
        self, code: str, message: str, *, at: object = None, detail: str | None = None, hint: str | None = None
    ) -> NoReturn:
        """Record a problem (all of a document are shown at once) and leave this step; ``at`` is a Location, a Located
        text or an ExpressionText; default the step's own place. Never returns.
        """
        ...


__all__ = ["Allows", "Scope"]
