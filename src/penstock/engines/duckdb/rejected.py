"""The rows that a Check refused, as records of the reject store: the row as JSON and every cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.api import REJECT_COLUMNS, SOURCE_ROW
from penstock.engines.duckdb.errors import batches_of
from penstock.engines.duckdb.row_json import json_object
from penstock.errors import DataError, InternalError
from penstock.graph.select import violated
from penstock.trees import call, column, field_of, identifier, is_not_null, struct, text_of

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from penstock.engines.api import RejectStore
    from penstock.engines.duckdb.origin import Origin
    from penstock.graph.nodes import Cause, Check

_ROW: Final = "row"
_FAILS: Final = "fails"
_BATCH_ROWS: Final = 50_000


def rows_of(node: Check, source: exp.Query, origin: Origin | None = None) -> exp.Select:
    """One row per rejected row of ``source``, with the columns of ``REJECT_COLUMNS``, its source's row where ``origin``
    says how it is carried, and whether it fails the run.
    """
    values: dict[str, exp.Expr] = {
        "row": _row(node),
        "causes": call(
            "list_filter",
            exp.Array(expressions=[_record(cause) for cause in node.causes]),
            exp.Lambda(this=is_not_null(exp.column("x")), expressions=[exp.to_identifier("x")]),
        ),
        _FAILS: violated([cause for cause in node.causes if cause.on_fail == "fail"]),
    }
    if origin is not None:
        values["position"] = call("to_json", struct({"source": exp.Literal.string(origin.read.source)}))
        values[SOURCE_ROW[0]] = _source_row(origin)
    names = [name for name, _ in (*REJECT_COLUMNS, SOURCE_ROW)]
    nothing = text_of(exp.null())
    columns = [exp.alias_(values.get(name, nothing.copy()), identifier(name)) for name in (*names, _FAILS)]
    return exp.select(*columns).from_(source.subquery(identifier(_ROW))).where(violated(node.causes))


def _row(node: Check) -> exp.Expr:
    """The row as JSON, without the compiler's own columns."""
    if node.schema is None:
        raise InternalError("INT-900", f"the check {node.id} has no schema")
    names = node.schema.names if node.record is None else node.record
    return json_object({name: (column(name), node.schema[name].type) for name in names})


def _source_row(origin: Origin) -> exp.Expr:
    carried = column(origin.column)
    return json_object({item.name: (field_of(carried, item.name), item.type) for item in origin.schema})


def _record(cause: Cause) -> exp.Expr:
    """A struct of code, column and message where the cause is violated, else null."""
    name = exp.Literal.string(cause.column) if cause.column is not None else exp.null()
    record = struct({"code": exp.Literal.string(cause.code), "column": text_of(name), "message": cause.message})
    return exp.Case(ifs=[exp.If(this=violated([cause]), true=record)])


class Store:
    """Puts rejected rows into the reject store; afterwards says whether one of them ends the run."""

    def __init__(self, rejects: RejectStore, node: Check) -> None:
        self._rejects, self._node = rejects, node
        self._failing = 0
        self._example = ""

    def fill(self, connection: duckdb.DuckDBPyConnection, query: exp.Query) -> int:
        """How many rows; may be called once more where the first call failed."""
        self._failing, rows = 0, 0
        for batch in batches_of(connection.sql(query.sql(dialect="duckdb")), _BATCH_ROWS):
            self._see(batch)
            rows += batch.num_rows
            self._rejects.write(self._node.id, batch.drop_columns([_FAILS]))
        return rows

    def _see(self, batch: pa.RecordBatch) -> None:
        import pyarrow.compute as pc

        failing = batch.filter(batch.column(_FAILS))
        if failing.num_rows and not self._example:
            causes = failing.column("causes")[0].as_py()
            self._example = "; ".join(str(cause["message"]) for cause in causes)
        self._failing += pc.sum(batch.column(_FAILS), min_count=0).as_py()

    def judge(self) -> None:
        """Raises DataError ENG-313 where the document says that such a row fails the run."""
        if self._failing:
            many = "1 row breaks" if self._failing == 1 else f"{self._failing} rows break"
            raise DataError(
                "ENG-313",
                f'{many} what "{self._node.id}" demands',
                at=self._node.at,
                detail=f"the first: {self._example}",
                hint="`penstock rejects show` lists them; `reject` in place of `fail` sets such rows aside",
            )
