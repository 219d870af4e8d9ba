"""stand-in until the real one is merged"""
from sqlglot import exp
from penstock.types import Decimal, Kind, List, Map, Struct

_T = {
    Kind.STRING: "STRING", Kind.BOOLEAN: "BOOLEAN", Kind.INT8: "TINYINT", Kind.INT16: "SMALLINT", Kind.INT32: "INT",
    Kind.INT64: "BIGINT", Kind.UINT8: "SMALLINT", Kind.UINT16: "INT", Kind.UINT32: "BIGINT", Kind.FLOAT32: "FLOAT",
    Kind.FLOAT64: "DOUBLE", Kind.DATE: "DATE", Kind.TIMESTAMP: "TIMESTAMP_NTZ", Kind.TIMESTAMPTZ: "TIMESTAMP",
    Kind.UUID: "STRING", Kind.BINARY: "BINARY", Kind.JSON: "STRING", Kind.TIME: "BIGINT",
}

def to_spark(t):
    if isinstance(t, Decimal):
        return exp.DataType.build(f"DECIMAL({t.precision},{t.scale})", dialect="spark")
    if isinstance(t, List):
        return exp.DataType(this=exp.DType.ARRAY, expressions=[to_spark(t.element)], nested=True)
    if isinstance(t, Map):
        return exp.DataType(this=exp.DType.MAP, expressions=[to_spark(t.key), to_spark(t.value)], nested=True)
    if isinstance(t, Struct):
        fields = [exp.ColumnDef(this=exp.to_identifier(f.name, quoted=True), kind=to_spark(f.type)) for f in t.fields]
        return exp.DataType(this=exp.DType.STRUCT, expressions=fields, nested=True)
    if t.kind is Kind.UINT64:
        return exp.DataType.build("DECIMAL(20,0)", dialect="spark")
    return exp.DataType.build(_T[t.kind], dialect="spark")
