"""Evaluates expressions of DuckDB on DuckDB and, lowered, on Spark, and tells where the two do not agree.

They agree where the type is the same, every row's value is (NaN is NaN, -0.0 is not 0.0, 1.10 is not 1.1), and the rows on
which DuckDB raises are those on which Spark raises. A value of DuckDB's that Spark cannot hold, such as an infinite date,
must be an error on Spark. Aggregates are compared group by group, window functions raise for the whole table. For
expressions whose answer is determined by their input: nothing random, and lists in a stated order.
"""

from __future__ import annotations

import itertools
import math
import struct
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pyarrow as pa
from sqlglot import exp, parse_one

from penstock.engines.spark.carried import carried_schema, into_spark
from penstock.engines.spark.types import spark_text
from penstock.errors import DataError
from penstock.structs import Frozen, replace
from penstock.testing.parity.hostile import GROUP
from penstock.trees import call, column, relation, when
from penstock.types import INT64, Field, Schema
from penstock.types.duckdb import read_duckdb, to_duckdb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import duckdb
    from pyspark.sql import DataFrame, SparkSession

    Lower: TypeAlias = Callable[[exp.Expr, Schema], exp.Expr]

ROW: Final = "row_id"
_UNIT: Final = "unit_id"
_AT_ONCE: Final = 50
_TRIED: Final = 3  # of the units that fail on DuckDB
_NEAR: Final = 2**-40  # twelve digits
_NUMBERS: Final = itertools.count(1)
# Rows at hand would be computed while the statement is planned, by other code than that of rows from anywhere else.
_COMPUTED: Final = {
    "spark.sql.optimizer.excludedRules": "org.apache.spark.sql.catalyst.optimizer.ConvertToLocalRelation",
    "spark.sql.timeType.enabled": "true",
}
# An expression that stands twice would be computed once, outside of what catches its errors.
_CAUGHT: Final = {"spark.sql.subexpressionElimination.enabled": "false", "spark.sql.legacy.allowHashOnMapType": "true"}


class DifferenceKind(StrEnum):
    """What the engines do not agree on; ``REFUSED``: Spark does not even plan the lowered expression."""

    REFUSED = "refused"
    TYPE = "type"
    EXTRA_ERROR = "extra error"
    MISSING_ERROR = "missing error"
    VALUE = "value"
    LAST_DIGITS = "last digits"


class Leave(StrEnum):
    """What is told as a difference only where nothing else differs: an error on Spark alone, or the last digits of floats."""

    NOTHING = "nothing"
    ERRORS = "errors"
    LAST_DIGITS = "last digits"


class Difference(Frozen):
    """The first thing that an expression's two answers differ in. ``where``: the row's values, or the group's key."""

    expression: str
    lowered: str
    kind: DifferenceKind
    where: str
    duckdb: str
    spark: str

    def __str__(self) -> str:
        at = f" where {self.where}" if self.where else ""
        return f"{self.kind} of {self.expression} -> {self.lowered}{at}: {self.duckdb} | {self.spark}"


class Both:
    """Both engines with the same rows. It sets and unsets settings of the session, so nothing else may use it meanwhile."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, session: SparkSession) -> None:
        connection.execute("SET arrow_lossless_conversion = true")
        self._duckdb = _OnDuckDB(connection)
        self._spark = _OnSpark(session)
        self._frames: dict[tuple[int, bool], _Frame] = {}

    def compare(
        self, expression: str, schema: Schema, table: pa.Table, lower: Lower, leave: Leave = Leave.NOTHING
    ) -> Difference | None:
        """One expression over the columns of ``schema`` and ``row_id``, the number of each row from 0.

        ``lower`` is handed the tree and the schema, which has ``row_id`` last, and gives a tree of Spark's; what it raises
        goes through. Raises duckdb.Error where DuckDB's binder refuses the expression.
        """
        return self.compare_many([expression], schema, table, lower, leave)[0]

    def compare_many(
        self, expressions: Sequence[str], schema: Schema, table: pa.Table, lower: Lower, leave: Leave = Leave.NOTHING
    ) -> list[Difference | None]:
        """As ``compare``, in order, with as few of Spark's jobs as will do."""
        return self._compared(expressions, self._frame(schema, table, by_group=False), lower, leave)

    def compare_aggregate(
        self, expression: str, schema: Schema, table: pa.Table, lower: Lower, leave: Leave = Leave.NOTHING
    ) -> Difference | None:
        """One aggregate per group of the column ``group_key``, else as ``compare``."""
        return self.compare_aggregates([expression], schema, table, lower, leave)[0]

    def compare_aggregates(
        self, expressions: Sequence[str], schema: Schema, table: pa.Table, lower: Lower, leave: Leave = Leave.NOTHING
    ) -> list[Difference | None]:
        """As ``compare_aggregate``, in order."""
        return self._compared(expressions, self._frame(schema, table, by_group=True), lower, leave)

    def _frame(self, schema: Schema, table: pa.Table, *, by_group: bool) -> _Frame:
        kept = self._frames.get((id(table), by_group))
        if kept is not None and kept.schema == _with_row(schema):
            return kept
        made = _Frame(_with_row(schema), table, f"parity_{next(_NUMBERS)}", by_group)
        self._duckdb.hold(made)
        self._spark.hold(made)
        self._frames[id(table), by_group] = made
        return made

    def _compared(
        self, expressions: Sequence[str], frame: _Frame, lower: Lower, leave: Leave
    ) -> list[Difference | None]:
        found: list[Difference | None] = []
        for start in range(0, len(expressions), _AT_ONCE):
            asked = [_Asked.of(text, frame.schema, lower) for text in expressions[start : start + _AT_ONCE]]
            wanted = [self._duckdb.answer(one, frame) for one in asked]
            answers = self._spark.answers(asked, frame, [one.failed for one in wanted])
            found += [
                _difference(one, frame, there, answer, leave)
                for one, there, answer in zip(asked, wanted, answers, strict=True)
            ]
        return found


def _with_row(schema: Schema) -> Schema:
    return Schema((*schema, Field(ROW, INT64)))


class _Asked(Frozen):
    tree: exp.Expr
    lowered: exp.Expr

    @classmethod
    def of(cls, text: str, schema: Schema, lower: Lower) -> _Asked:
        tree = parse_one(text, dialect="duckdb")
        return cls(tree, lower(tree.copy(), schema))

    @property
    def is_window(self) -> bool:
        return self.tree.find(exp.Window) is not None


class _Frame:
    """The rows, numbered, each with the unit that its answer counts in: itself, or its group."""

    def __init__(self, schema: Schema, table: pa.Table, name: str, by_group: bool) -> None:  # noqa: FBT001 -- kept
        self.schema = schema
        self.name = name
        self.by_group = by_group
        rows = pa.array(range(table.num_rows), pa.int64())
        self._keys: list[Any] = table.column(GROUP).to_pylist() if by_group else []
        groups = {key: at for at, key in enumerate(dict.fromkeys(self._keys))}
        units = pa.array([groups[key] for key in self._keys], pa.int64()) if by_group else rows
        self.units = tuple(dict.fromkeys(units.to_pylist()))
        self.table = table.append_column(ROW, rows).append_column(
            _UNIT, units
        )  # held: frames are known by its identity
        self.source = table

    def select(self, values: Sequence[exp.Expr], units: Sequence[int] | None = None) -> exp.Select:
        """The unit, and the values as ``v0``, ``v1`` and so on; ``units``: of these alone."""
        named = [exp.alias_(value.copy(), f"v{at}", quoted=True) for at, value in enumerate(values)]
        query = exp.select(column(_UNIT), *named).from_(relation(self.name))
        if units is not None:
            query = query.where(exp.In(this=column(_UNIT), expressions=[exp.Literal.number(unit) for unit in units]))
        return query.group_by(column(_UNIT)) if self.by_group else query

    def where(self, unit: int, tree: exp.Expr) -> str:
        if self.by_group:
            return f"{GROUP} = {self.source.column(GROUP)[self.table.column(_UNIT).index(unit).as_py()]!s}"
        names = dict.fromkeys(part.name for part in tree.find_all(exp.Column) if part.name in self.table.column_names)
        return ", ".join(f"{name} = {_printed(self.table.column(name)[unit])}" for name in names)


class _Answer(Frozen):
    """``values`` by unit, in a form in which equal means identical; ``type`` in Spark's words."""

    type: str
    values: Mapping[int, Any]
    failed: frozenset[int]
    complaint: str = ""


# ---------------------------------------------------------------- DuckDB


class _OnDuckDB:
    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def hold(self, frame: _Frame) -> None:
        self._connection.register(frame.name, frame.table)

    def answer(self, asked: _Asked, frame: _Frame) -> _Answer:
        bound = self._connection.sql(frame.select([asked.tree]).sql(dialect="duckdb"))
        found = read_duckdb(str(bound.types[1]))
        tree = exp.Cast(this=asked.tree.copy(), to=to_duckdb(found.type)) if found.differs else asked.tree
        schema = Schema((Field(_UNIT, INT64), Field("v0", found.type)))
        run = _Runs(lambda units: self._values(frame.select([tree], units), schema), _errors_of_duckdb())
        if asked.is_window or frame.by_group:
            values, failed = run.whole(frame.units, divisible=not asked.is_window)
        else:
            values, failed = self._by_row(run, frame, tree)
        return _Answer(spark_text(found.type), values, failed, run.complaint)

    def _by_row(self, run: _Runs, frame: _Frame, tree: exp.Expr) -> tuple[dict[int, Any], frozenset[int]]:
        """TRY finds the rows that fail, which leaves few to be found in halves: values that Spark cannot hold."""
        values, failed = run.whole(frame.units, divisible=False)
        if not failed:
            return values, failed
        fails = exp.Is(
            this=call("try", exp.Is(this=exp.Paren(this=tree.copy()), expression=exp.Null())), expression=exp.Null()
        )
        query = frame.select([exp.Paren(this=fails)]).sql(dialect="duckdb")
        failing = {unit for unit, fails in self._connection.sql(query).fetchall() if fails}
        values, more = run.whole([unit for unit in frame.units if unit not in failing], divisible=True)
        return values, more | failing

    def _values(self, query: exp.Select, schema: Schema) -> dict[int, Any]:
        """Raises DataError for a value that Spark cannot hold."""
        table = self._connection.sql(query.sql(dialect="duckdb")).to_arrow_table()
        carried = [into_spark(batch, schema) for batch in table.to_batches()]
        return _by_unit(pa.Table.from_batches(carried, schema=carried_schema(schema)))


def _errors_of_duckdb() -> tuple[type[Exception], ...]:
    import duckdb

    return (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError, duckdb.OperationalError, DataError)


class _Runs:
    """Asks for all units, and where that fails for halves of them, until those that fail are known."""

    def __init__(self, ask: Callable[[Sequence[int]], dict[int, Any]], errors: tuple[type[Exception], ...]) -> None:
        self._ask = ask
        self._errors = errors
        self.complaint = ""

    def whole(self, units: Sequence[int], *, divisible: bool) -> tuple[dict[int, Any], frozenset[int]]:
        try:
            return self._ask(units), frozenset()
        except self._errors as error:
            self.complaint = self.complaint or _first_line(error)
            if len(units) <= 1 or not divisible:
                return {}, frozenset(units)
        middle = len(units) // 2
        values, failed = self.whole(units[:middle], divisible=True)
        more, others = self.whole(units[middle:], divisible=True)
        return values | more, failed | others


# ---------------------------------------------------------------- Spark


class _OnSpark:
    def __init__(self, session: SparkSession) -> None:
        self._session = session

    def hold(self, frame: _Frame) -> None:
        from pyspark.sql.types import DataType, StructField, StructType

        schema = Schema((*frame.schema, Field(_UNIT, INT64)))
        rows = [into_spark(batch, schema) for batch in frame.table.combine_chunks().to_batches()]
        fields = [StructField(field.name, DataType.fromDDL(spark_text(field.type))) for field in schema]
        with self._settings(_COMPUTED):
            data = pa.Table.from_batches(rows, schema=carried_schema(schema))
            self._session.createDataFrame(data, StructType(fields)).createOrReplaceTempView(frame.name)

    def answers(
        self, asked: Sequence[_Asked], frame: _Frame, expected: Sequence[frozenset[int]]
    ) -> list[_Answer | str]:
        """In one job, if that succeeds; a text is Spark's refusal to plan. ``expected``: for each, the units that fail on DuckDB."""
        with self._settings(_COMPUTED):
            try:
                planned = self._sql(frame.select([one.lowered for one in asked]))
            except _errors_of_spark() as error:
                if len(asked) == 1:
                    return [_first_line(error)]
                return self._one_by_one(asked, frame, expected)
            try:
                return [*self._succeeded(planned, [frozenset()] * len(asked))]
            except _errors_of_spark() as error:
                return self._with_failures(asked, frame, planned, _first_line(error), expected)

    def _one_by_one(
        self, asked: Sequence[_Asked], frame: _Frame, expected: Sequence[frozenset[int]]
    ) -> list[_Answer | str]:
        pairs = zip(asked, expected, strict=True)
        return [answer for one, failing in pairs for answer in self.answers([one], frame, [failing])]

    def _succeeded(self, planned: DataFrame, failed: Sequence[frozenset[int]]) -> list[_Answer]:
        table, types = planned.toArrow(), _types(planned)
        units = table.column(_UNIT).to_pylist()
        answers = []
        for at, lost in enumerate(failed):
            values = zip(units, _plain(table.column(at + 1)), strict=True)
            answers.append(_Answer(types[at], {unit: value for unit, value in values if unit not in lost}, lost))
        return answers

    def _with_failures(
        self,
        asked: Sequence[_Asked],
        frame: _Frame,
        planned: DataFrame,
        complaint: str,
        expected: Sequence[frozenset[int]],
    ) -> list[_Answer | str]:
        """A job tells which rows fail, another the values of the others. An aggregate fails before anything can catch it,
        so that its groups are asked for in halves; a window function fails for all rows.
        """
        if not frame.by_group and not any(one.is_window for one in asked):
            with suppress(*_errors_of_spark()), self._settings(_CAUGHT):  # what cannot be caught is found in halves
                return self._caught([one.lowered for one in asked], frame, complaint)
        if len(asked) > 1:
            return self._one_by_one(asked, frame, expected)
        return [self._halved(asked[0], frame, _types(planned)[0], expected[0])]

    def _caught(self, values: Sequence[exp.Expr], frame: _Frame, complaint: str) -> list[_Answer | str]:
        failed = self._failing(values, frame)
        guarded = [_guarded(value, lost) for value, lost in zip(values, failed, strict=True)]
        answers = self._succeeded(self._sql(frame.select(guarded)), failed)
        return [replace(answer, complaint=complaint) for answer in answers]

    def _failing(self, values: Sequence[exp.Expr], frame: _Frame) -> list[frozenset[int]]:
        table = self._sql(frame.select([_fails(value) for value in values])).toArrow()
        units = table.column(_UNIT).to_pylist()
        flags = [table.column(at + 1).to_pylist() for at in range(len(values))]
        return [frozenset(unit for unit, fails in zip(units, one, strict=True) if fails) for one in flags]

    def _halved(self, asked: _Asked, frame: _Frame, kind: str, expected: frozenset[int]) -> _Answer:
        """Of the units that fail on DuckDB some are tried, one by one, and the others are taken for failing; the rest is asked
        for together, and where that fails in halves.
        """

        def ask(units: Sequence[int]) -> dict[int, Any]:
            return _by_unit(self._sql(frame.select([asked.lowered], units)).toArrow())

        run = _Runs(ask, _errors_of_spark())
        if asked.is_window:
            return _Answer(kind, *run.whole(frame.units, divisible=False), run.complaint)
        values: dict[int, Any] = {}
        failed = set(expected)
        for unit in sorted(expected)[:: max(1, len(expected) // _TRIED)]:
            some, _ = run.whole([unit], divisible=False)
            values |= some
            failed -= some.keys()
        others, more = run.whole([unit for unit in frame.units if unit not in expected], divisible=True)
        return _Answer(kind, values | others, frozenset(failed | more), run.complaint)

    def _sql(self, query: exp.Select) -> DataFrame:
        return self._session.sql(query.sql(dialect="spark"))

    @contextmanager
    def _settings(self, wanted: Mapping[str, str]) -> Iterator[None]:
        before = {name: self._session.conf.get(name, None) for name in wanted}
        for name, value in wanted.items():
            self._session.conf.set(name, value)
        try:
            yield
        finally:
            for name, old in before.items():
                if old is None:
                    self._session.conf.unset(name)
                else:
                    self._session.conf.set(name, old)


def _errors_of_spark() -> tuple[type[Exception], ...]:
    """Some of Java's own come as they are: a moment that has no number, say."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    return (PySparkException, Py4JJavaError)


def _types(planned: DataFrame) -> list[str]:
    return [field.dataType.simpleString() for field in planned.schema.fields[1:]]


def _fails(value: exp.Expr) -> exp.Expr:
    """Whether the value cannot be computed: its hash is never null, and ``try_to_binary`` is null for an error in what it is
    given, wherever that arises.
    """
    hashed = exp.cast(call("xxhash64", value.copy()), exp.DType.TEXT)
    return exp.Is(this=call("try_to_binary", hashed, exp.Literal.string("utf-8")), expression=exp.Null())


def _guarded(value: exp.Expr, failed: frozenset[int]) -> exp.Expr:
    if not failed:
        return value
    numbers = [exp.Literal.number(unit) for unit in sorted(failed)]
    return when(exp.Not(this=exp.In(this=column(_UNIT), expressions=numbers)), value.copy())


# ---------------------------------------------------------------- comparing


def _difference(asked: _Asked, frame: _Frame, duckdb: _Answer, spark: _Answer | str, leave: Leave) -> Difference | None:
    def made(kind: DifferenceKind, one: str, other: str, unit: int | None = None) -> Difference:
        where = "" if unit is None else frame.where(unit, asked.tree)
        texts = asked.tree.sql(dialect="duckdb"), asked.lowered.sql(dialect="spark")
        return Difference(*texts, kind, where, one[:300], other[:300])

    if isinstance(spark, str):
        return made(DifferenceKind.REFUSED, duckdb.type, spark)
    wanted = _spelling(duckdb.type)
    if wanted != spark.type:
        return made(DifferenceKind.TYPE, wanted, spark.type)
    left: Difference | None = None
    for unit in frame.units:
        if unit in duckdb.failed and unit in spark.failed:
            continue
        if unit in spark.failed:
            found = made(DifferenceKind.EXTRA_ERROR, _of(duckdb, unit), spark.complaint, unit)
            if leave is not Leave.ERRORS:
                return found
            left = left or found
        elif unit in duckdb.failed:
            return made(DifferenceKind.MISSING_ERROR, duckdb.complaint, _of(spark, unit), unit)
        elif (one := duckdb.values.get(unit)) != (other := spark.values.get(unit)):
            near = leave is Leave.LAST_DIGITS and _are_near(one, other)
            kind = DifferenceKind.LAST_DIGITS if near else DifferenceKind.VALUE
            found = made(kind, _of(duckdb, unit), _of(spark, unit), unit)
            if not near:
                return found
            left = left or found
    return left


def _are_near(one: Any, other: Any) -> bool:
    """Whether two floats differ in their last digits at most: each is rounded once, and added in any order."""
    return (
        isinstance(one, _Float) and isinstance(other, _Float) and math.isclose(one.number, other.number, rel_tol=_NEAR)
    )


def _spelling(text: str) -> str:
    from pyspark.sql.types import DataType

    return str(DataType.fromDDL(text).simpleString())


def _of(answer: _Answer, unit: int) -> str:
    return repr(answer.values.get(unit))


def _by_unit(table: pa.Table) -> dict[int, Any]:
    return dict(zip(table.column(_UNIT).to_pylist(), _plain(table.column(1)), strict=True))


def _plain(values: pa.ChunkedArray) -> list[Any]:
    """Values in which equal means identical; moments as numbers, for Python has none as far away as the engines."""
    return [_identical(value) for value in values.cast(_counted(values.type)).to_pylist()]


def _counted(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_date(kind):
        return pa.int32()
    if types.is_timestamp(kind) or types.is_time(kind):
        return pa.int64()
    if types.is_map(kind):
        return pa.map_(_counted(kind.key_type), _counted(kind.item_type))
    if types.is_list(kind):
        return pa.list_(pa.field(kind.value_field.name, _counted(kind.value_type)))
    if types.is_struct(kind):
        return pa.struct([pa.field(field.name, _counted(field.type)) for field in kind])
    return kind


class _Float(Frozen):
    """A number by its bits, all of NaN's being one; printed as the number."""

    bits: bytes

    @property
    def number(self) -> float:
        found: float = struct.unpack(">d", self.bits)[0]
        return found

    def __repr__(self) -> str:
        return repr(self.number)


def _identical(value: Any) -> Any:
    match value:
        case float():
            return _Float(struct.pack(">d", value if value == value else float("nan")))  # noqa: PLR0124 -- NaN by definition
        case list() | tuple():
            return [_identical(item) for item in value]
        case dict():
            return [(name, _identical(item)) for name, item in value.items()]
        case _:
            return value


def _printed(value: pa.Scalar) -> str:
    try:
        return repr(value.as_py())[:200]
    except (OverflowError, ValueError):  # a moment that Python does not have
        return str(value)[:200]


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:300]


__all__ = ["ROW", "Both", "Difference", "DifferenceKind", "Leave"]
