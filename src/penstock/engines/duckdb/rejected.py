"""The rows that a Check refused, as records of the reject store: the row as JSON and every cause."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.api import REJECT_COLUMNS, SOURCE_ROW
from penstock.engines.duckdb.row_json import json_object
from penstock.errors import DataError, InternalError, Problem
from penstock.graph.select import violated
from penstock.trees import call, column, field_of, identifier, is_not_null, struct, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from penstock.engines.api import RejectStore
    from penstock.engines.duckdb.origin import Origin
    from penstock.engines.duckdb.session import Session
    from penstock.graph.nodes import Cause, Check, Note

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
        known = call("to_json", struct({"source": exp.Literal.string(origin.source)}))
        values["position"] = known if origin.read is None else call("coalesce", column(origin.place), text_of(known))
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
    """Puts rejected rows into the reject store; afterwards says whether they end the run."""

    def __init__(self, rejects: RejectStore, node: Check) -> None:
        self._rejects, self._node = rejects, node
        self._failing = 0
        self._example: Sequence[Mapping[str, str]] = ()
        self.by_rule: Counter[str] = Counter()  # of rules of the document: rows that each rejected

    def fill(self, session: Session, query: exp.Query) -> int:
        """How many rows; may be called once more where the first call failed."""
        self._failing, rows = 0, 0
        self.by_rule.clear()
        for batch in session.rows(query, _BATCH_ROWS):
            self._see(batch)
            rows += batch.num_rows
            self._rejects.write(self._node.id, batch.drop_columns([_FAILS]))
        return rows

    def _see(self, batch: pa.RecordBatch) -> None:
        import pyarrow.compute as pc

        failing = batch.filter(batch.column(_FAILS))
        if failing.num_rows and not self._example:
            codes = {cause.code for cause in self._node.causes if cause.on_fail == "fail"}
            self._example = [cause for cause in failing.column("causes")[0].as_py() if cause["code"] in codes]
        self._failing += pc.sum(batch.column(_FAILS), min_count=0).as_py()
        if self._node.rules:
            self.by_rule.update(_rows_by_code(batch))

    def judge(self, into: int) -> None:
        """Raises DataError ENG-313 where the document says that such a row fails the run, ENG-314 where a rule rejected
        more of the ``into`` rows that came in than it says.
        """
        problems = [*self._failed(), *exceeded(self._node, self._node.causes, self.by_rule, into=into)]
        if problems:
            raise DataError.of(problems)

    def _failed(self) -> Iterator[Problem]:
        if self._failing:
            first = self._example[0]["code"]
            many = "1 row breaks" if self._failing == 1 else f"{self._failing:,} rows break"
            yield Problem(
                "ENG-313",
                f'{many} what "{self._node.id}" demands',
                at=next((cause.at for cause in self._node.causes if cause.code == first), None) or self._node.at,
                detail=f"the first: {'; '.join(map(self._told, self._example))}",
                hint="`penstock rejects show` lists them; `reject` in place of `fail` sets such rows aside",
            )

    def _told(self, cause: Mapping[str, str]) -> str:
        """What is said of the cause, without values of columns that have labels."""
        schema = self._node.schema or ()
        hidden = any(item.labels for item in schema if cause["column"] in {None, item.name})
        return cause["code"] if hidden else cause["message"]


def exceeded(node: Check, rules: Sequence[Cause | Note], rows: Mapping[str, int], *, into: int) -> Iterator[Problem]:
    """What is to be said of rules whose threshold is less than the rows, by rule, that violate them."""
    for rule in {rule.code: rule for rule in rules if rule.threshold is not None}.values():
        limit, found = rule.threshold, rows.get(rule.code, 0)
        if limit is None:
            continue
        most = []
        if limit.max_rows is not None and found > limit.max_rows:
            most.append(f"at most {limit.max_rows:,} may")
        if limit.max_share is not None and found > limit.max_share * into:
            most.append(f"at most {(limit.max_share * 100).normalize():f} % of {into:,} may")
        if most:
            many = "1 row violates" if found == 1 else f"{found:,} rows violate"
            yield Problem(
                "ENG-314",
                f'{many} the rule "{rule.code}" of "{node.id}"',
                at=rule.at or node.at,
                detail=f"{', and '.join(most)}.",
                hint="`penstock rejects show` lists what was rejected" if rule.on_fail == "reject" else None,
            )


def _rows_by_code(batch: pa.RecordBatch) -> dict[str, int]:
    """Rows that have a cause of the code; one with two of them counts once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    causes = batch.column("causes")
    codes = pc.struct_field(pc.list_flatten(causes), "code")
    each = pa.table({"row": pc.list_parent_indices(causes), "code": codes}).group_by(["row", "code"]).aggregate([])
    counted = each.group_by(["code"]).aggregate([([], "count_all")])
    return dict(zip(counted.column("code").to_pylist(), counted.column("count_all").to_pylist(), strict=True))
