"""One expression on two engines: type, values and errors, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from penstock.engines.api import BindError
from penstock.engines.spark.refusal import UnportableError
from penstock.engines.spark.types import spark_text
from penstock.structs import Frozen, Mutable
from penstock.testing.parity.values import GROUP, ID, hostile_schema, make_hostile_rows
from penstock.trees import column, identifier, relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pyspark.sql import SparkSession

    from penstock.engines.api import Engine
    from penstock.engines.spark.lowering import Lowering
    from penstock.testing.parity.cases import Case
    from penstock.types import LogicalType

TABLE: Final = "hostile rows"
_AT_ONCE: Final = 40
_TRIED: Final = 2  # rows of those that fail on DuckDB that are tried on Spark


class Difference(Frozen):
    """How the engines differ: ``kind`` is "type", "value", "error" or "analysis"."""

    case: str
    kind: str
    text: str


class Comparison(Mutable):
    """What came of many cases: how many were the same, what differed, and what was refused by name."""

    equal: int = 0
    differences: list[Difference] = []
    refused: dict[str, str] = {}


class Both:
    """DuckDB and a Spark session over the same hostile rows; ``engine`` types expressions."""

    def __init__(self, session: SparkSession, engine: Engine, lowering: Lowering, scratch: Path) -> None:
        self._spark, self._engine, self._lowering = session, engine, lowering
        self._schema = hostile_schema()
        self._duckdb = duckdb.connect()
        make_hostile_rows(self._duckdb, TABLE)
        path = scratch / "hostile.parquet"
        self._duckdb.execute(f"COPY (FROM \"{TABLE}\") TO '{path}' (FORMAT parquet)")
        rows = session.read.parquet(str(path)).coalesce(1).cache()
        rows.createOrReplaceTempView(TABLE.replace(" ", "_"))
        self._view = TABLE.replace(" ", "_")

    def compare(self, cases: Iterable[Case]) -> Comparison:
        """Runs them all, many in one statement; one that fails there, or differs, is looked at by itself."""
        found = Comparison(0, [], {})
        waiting: dict[str, list[tuple[Case, exp.Expr, dict[Any, Any]]]] = {"rows": [], "groups": [], "window": []}
        for case in cases:
            prepared = self._prepared(case, found)
            if prepared is not None:
                waiting[case.over].append(prepared)
        for over, some in waiting.items():
            for start in range(0, len(some), _AT_ONCE):
                self._together(over, some[start : start + _AT_ONCE], found)
        return found

    # ------------------------------------------------------------ before

    def _prepared(self, case: Case, found: Comparison) -> tuple[Case, exp.Expr, dict[Any, Any]] | None:
        kind = self._type(case)
        if kind is None:
            return None  # DuckDB does not take it
        try:
            lowered = self._lowering.expression(case.expression, {"": self._schema})
        except UnportableError as error:
            found.refused[str(case)] = str(error)
            return None
        wrong = self._wrong_type(case, lowered, kind)
        if wrong is not None:
            found.differences.append(wrong)
            return None
        wanted, failing = self._on_duckdb(case)
        if failing:
            self._failing(case, lowered, wanted, failing, found)
            return None
        return case, lowered, wanted

    def _type(self, case: Case) -> LogicalType | None:
        select = exp.Select(expressions=[exp.Alias(this=case.expression.copy(), alias=identifier("value"))])
        try:
            return self._engine.schema_of(select.from_(relation(TABLE)), {TABLE: self._schema}).fields[0].type
        except BindError:
            return None

    def _wrong_type(self, case: Case, lowered: exp.Expr, kind: LogicalType) -> Difference | None:
        query = exp.Select(expressions=[exp.Alias(this=lowered.copy(), alias=identifier("value"))])
        try:
            given = self._spark.sql(self._spark_text(query)).schema[0].dataType.simpleString()
        except Exception as error:  # noqa: BLE001 -- whatever Spark says of it is the difference
            return Difference(str(case), "analysis", _first_line(error))
        wanted = spark_text(kind).lower().replace(" ", "").replace("`", "")
        return None if given == wanted else Difference(str(case), "type", f"{wanted} on DuckDB, {given} on Spark")

    # ------------------------------------------------------------ on DuckDB

    def _on_duckdb(self, case: Case) -> tuple[dict[Any, Any], list[int]]:
        """The values by row (or group), and the rows that raise an error."""
        try:
            return self._duckdb_values(case, None), []
        except duckdb.Error:
            pass
        values: dict[Any, Any] = {}
        failing: list[int] = []
        ids = [row[0] for row in self._duckdb.execute(f'SELECT {ID} FROM "{TABLE}" ORDER BY {ID}').fetchall()]  # noqa: S608
        for number in ids:
            try:
                values |= self._duckdb_values(case, [number])
            except duckdb.Error:
                failing.append(number)
        return values, failing

    def _duckdb_values(self, case: Case, ids: Sequence[int] | None) -> dict[Any, Any]:
        query = _query(case.over, [case.expression], TABLE, ids)
        return _by_key(self._duckdb.execute(query.sql(dialect="duckdb")).to_arrow_table())[0]

    # ------------------------------------------------------------ on Spark

    def _together(self, over: str, some: Sequence[tuple[Case, exp.Expr, dict[Any, Any]]], found: Comparison) -> None:
        try:
            given = self._spark_values(over, [lowered for _, lowered, _ in some], None)
        except Exception as error:  # noqa: BLE001 -- whatever Spark raises is looked at by itself
            if len(some) == 1:
                found.differences.append(Difference(str(some[0][0]), "error", _first_line(error)))
                return
            middle = len(some) // 2
            self._together(over, some[:middle], found)
            self._together(over, some[middle:], found)
            return
        for (case, _, wanted), values in zip(some, given, strict=True):
            self._judge(case, wanted, values, found)

    def _judge(self, case: Case, wanted: dict[Any, Any], given: dict[Any, Any], found: Comparison) -> None:
        differing = [key for key in wanted if key not in given or wanted[key] != given[key]]
        if not differing and len(wanted) == len(given):
            found.equal += 1
            return
        key = differing[0] if differing else None
        text = f"{len(differing)} rows, the first {key}: {wanted.get(key)!r} on DuckDB, {given.get(key)!r} on Spark"
        found.differences.append(Difference(str(case), "value", text[:400]))

    def _failing(
        self, case: Case, lowered: exp.Expr, wanted: dict[Any, Any], failing: Sequence[int], found: Comparison
    ) -> None:
        """An expression that some rows make fail: the others are as ever, and these fail on Spark as well."""
        if case.over != "rows":
            found.differences.append(Difference(str(case), "error", "it fails on DuckDB"))
            return
        try:
            given = self._spark_values("rows", [lowered], list(wanted))[0]
        except Exception as error:  # noqa: BLE001 -- whatever Spark raises is the difference
            found.differences.append(Difference(str(case), "error", _first_line(error)))
            return
        step = max(1, len(failing) // _TRIED)
        for number in failing[::step][:_TRIED]:
            try:
                value = self._spark_values("rows", [lowered], [number])[0]
            except Exception:  # noqa: BLE001, S112 -- as on DuckDB
                continue
            text = f"row {number} is an error on DuckDB and {value[number]!r} on Spark"
            found.differences.append(Difference(str(case), "error", text[:400]))
            return
        self._judge(case, wanted, given, found)

    def _spark_values(self, over: str, values: Sequence[exp.Expr], ids: Sequence[int] | None) -> list[dict[Any, Any]]:
        query = _query(over, values, self._view, ids)
        return _by_key(self._spark.sql(query.sql(dialect="spark")).toArrow())

    def _spark_text(self, query: exp.Select) -> str:
        return query.from_(relation(self._view)).sql(dialect="spark")


def _query(over: str, values: Sequence[exp.Expr], table: str, ids: Sequence[int] | None) -> exp.Select:
    key = GROUP if over == "groups" else ID
    named = [exp.Alias(this=value.copy(), alias=identifier(f"v{place}")) for place, value in enumerate(values)]
    query = exp.Select(expressions=[column(key), *named]).from_(relation(table))
    if ids is not None:
        query = query.where(exp.In(this=column(ID), expressions=[exp.Literal.number(number) for number in ids]))
    return query.group_by(column(key)) if over == "groups" else query


def _by_key(table: pa.Table) -> list[dict[Any, Any]]:
    """By column of values, the values by the key, which is the first column."""
    keys = table.column(0).to_pylist()
    return [dict(zip(keys, _plain(item), strict=True)) for item in table.columns[1:]]


def _plain(values: pa.ChunkedArray) -> list[Any]:
    """Values that compare as they look: -0.0 is not 0.0, and NaN is NaN; moments are counts."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        return [None if one is None else ("µs", one) for one in pc.cast(values, pa.int64()).to_pylist()]
    if pa.types.is_date(kind):
        return [None if one is None else ("days", one) for one in pc.cast(values, pa.int32()).to_pylist()]
    return [_exact(one) for one in values.to_pylist()]


def _exact(value: Any) -> Any:
    if isinstance(value, list):
        return [_exact(one) for one in value]
    return value if value is None or isinstance(value, str | bool) else (type(value).__name__, repr(value))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__


__all__ = ["Both", "Comparison", "Difference"]
