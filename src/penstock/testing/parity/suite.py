"""Runs cases on both engines and sorts what comes of them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.engines.api import BindError
from penstock.engines.spark.refusal import UnportableError
from penstock.structs import Mutable, field
from penstock.testing.parity.cases import rows_of
from penstock.testing.parity.row_by_row import ROW, DifferenceKind, Leave
from penstock.trees import identifier, relation
from penstock.types import INT64, Field, Schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from penstock.engines.api import Engine
    from penstock.engines.spark.lowering import Lowering
    from penstock.testing.parity.cases import Case, Over
    from penstock.testing.parity.row_by_row import Both, Difference


_LEFT: Final = MappingProxyType(
    {Leave.ERRORS: DifferenceKind.EXTRA_ERROR, Leave.LAST_DIGITS: DifferenceKind.LAST_DIGITS}
)


class Comparison(Mutable):
    """What came of many cases: how many were the same, what differed, what differed as the allow-list says it may (by what),
    and what was refused by name.
    """

    equal: int = 0
    differences: list[Difference] = field(default_factory=list)
    left: dict[Leave, list[Difference]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class Suite:
    """Both engines over the rows of all kinds of cases; ``engine`` types expressions."""

    def __init__(self, both: Both, engine: Engine, lowering: Lowering) -> None:
        self._both, self._engine, self._lowering = both, engine, lowering
        self._rows: dict[Over, tuple[Schema, pa.Table]] = {}

    def compare(self, cases: Iterable[Case]) -> Comparison:
        """What DuckDB does not take is left out."""
        found = Comparison()
        waiting: dict[tuple[Over, Leave], list[str]] = {}
        for case in cases:
            if self._is_asked(case, found):
                waiting.setdefault((case.over, case.leave), []).append(str(case))
        for (over, leave), texts in waiting.items():
            compare = self._both.compare_aggregates if over == "groups" else self._both.compare_many
            for one in compare(texts, *self._of(over), self._lower, leave):
                if one is None:
                    found.equal += 1
                elif one.kind is _LEFT.get(leave):
                    found.left.setdefault(leave, []).append(one)
                else:
                    found.differences.append(one)
        return found

    def _of(self, over: Over) -> tuple[Schema, pa.Table]:
        if over not in self._rows:
            self._rows[over] = rows_of(over)
        return self._rows[over]

    def _is_asked(self, case: Case, found: Comparison) -> bool:
        schema = Schema((*self._of(case.over)[0], Field(ROW, INT64)))
        select = exp.Select(expressions=[exp.Alias(this=case.expression.copy(), alias=identifier("value"))])
        try:
            self._engine.schema_of(select.from_(relation("hostile rows")), {"hostile rows": schema})
        except BindError:
            return False
        try:
            self._lower(case.expression, schema)
        except UnportableError as error:
            found.refused[str(case)] = str(error)
            return False
        return True

    def _lower(self, tree: exp.Expr, schema: Schema) -> exp.Expr:
        return self._lowering.expression(tree, {"": schema})


__all__ = ["Comparison", "Suite"]
