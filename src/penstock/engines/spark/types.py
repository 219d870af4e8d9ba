"""Logical types as Spark's.

Spark has no unsigned numbers (the next larger signed type holds them), and no type for a UUID or for JSON (texts). A naive
``timestamp`` is TIMESTAMP_NTZ, an instant TIMESTAMP. A time of day is Spark 4.1's TIME(6), which a session has where
``spark.sql.timeType.enabled`` is on. Months, days and microseconds of an ``interval`` are a struct of the three, for Spark's
own intervals are of months alone or of days and microseconds alone. How values get there and back: ``carried``.
"""

from __future__ import annotations

from typing import Final, assert_never

from sqlglot import exp

from penstock.trees import identifier
from penstock.types import Decimal, Kind, List, LogicalType, Map, Primitive, Struct

_PRIMITIVES: Final[dict[Kind, exp.DType]] = {
    Kind.STRING: exp.DType.TEXT,
    Kind.BOOLEAN: exp.DType.BOOLEAN,
    Kind.INT8: exp.DType.TINYINT,
    Kind.INT16: exp.DType.SMALLINT,
    Kind.INT32: exp.DType.INT,
    Kind.INT64: exp.DType.BIGINT,
    Kind.UINT8: exp.DType.SMALLINT,
    Kind.UINT16: exp.DType.INT,
    Kind.UINT32: exp.DType.BIGINT,
    Kind.FLOAT32: exp.DType.FLOAT,
    Kind.FLOAT64: exp.DType.DOUBLE,
    Kind.DATE: exp.DType.DATE,
    Kind.TIMESTAMP: exp.DType.TIMESTAMPNTZ,
    Kind.TIMESTAMPTZ: exp.DType.TIMESTAMPTZ,
    Kind.UUID: exp.DType.TEXT,
    Kind.BINARY: exp.DType.BINARY,
    Kind.JSON: exp.DType.TEXT,
}
_TIME: Final = "TIME(6)"  # SQLGlot's own time is a timestamp in Spark's dialect
_INTERVAL: Final = (("months", exp.DType.INT), ("days", exp.DType.INT), ("microseconds", exp.DType.BIGINT))


def to_spark(logical: LogicalType) -> exp.DataType:
    """The type as a tree in Spark's dialect, for casts and column definitions."""
    match logical:
        case Primitive(kind=Kind.UINT64):
            return _decimal(20, 0)
        case Primitive(kind=Kind.TIME):
            return exp.DataType(this=exp.DType.USERDEFINED, kind=exp.var(_TIME), nested=False)
        case Primitive(kind=Kind.INTERVAL):
            return _struct([(name, exp.DataType(this=kind, nested=False)) for name, kind in _INTERVAL])
        case Primitive():
            return exp.DataType(this=_PRIMITIVES[logical.kind], nested=False)
        case Decimal():
            return _decimal(logical.precision, logical.scale)
        case List():
            return exp.DataType(this=exp.DType.ARRAY, expressions=[to_spark(logical.element)], nested=True)
        case Map():
            inner = [to_spark(logical.key), to_spark(logical.value)]
            return exp.DataType(this=exp.DType.MAP, expressions=inner, nested=True)
        case Struct():
            return _struct([(field.name, to_spark(field.type)) for field in logical.fields])
        case _:
            assert_never(logical)


def spark_text(logical: LogicalType) -> str:
    """The type as Spark's SQL text."""
    return to_spark(logical).sql(dialect="spark")


def _decimal(precision: int, scale: int) -> exp.DataType:
    parameters = [exp.DataTypeParam(this=exp.Literal.number(number)) for number in (precision, scale)]
    return exp.DataType(this=exp.DType.DECIMAL, expressions=parameters, nested=False)


def _struct(fields: list[tuple[str, exp.DataType]]) -> exp.DataType:
    definitions = [exp.ColumnDef(this=identifier(name), kind=kind) for name, kind in fields]
    return exp.DataType(this=exp.DType.STRUCT, expressions=definitions, nested=True)


__all__ = ["spark_text", "to_spark"]
