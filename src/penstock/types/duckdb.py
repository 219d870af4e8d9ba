"""Logical types as DuckDB's types: trees for statements that we build, and the text that DuckDB prints.

DuckDB knows no nullability inside a type: what comes back from it is nullable throughout (``relaxed``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn, assert_never

from sqlglot import exp

from penstock.errors import ConfigError
from penstock.structs import Frozen
from penstock.types.logical import (
    BINARY,
    BOOLEAN,
    DATE,
    FLOAT32,
    FLOAT64,
    INT8,
    INT16,
    INT32,
    INT64,
    INTERVAL,
    JSON,
    MAX_DEPTH,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    UUID,
    Decimal,
    Kind,
    List,
    LogicalType,
    Map,
    Primitive,
    Struct,
    StructField,
    fold_case,
)
from penstock.types.tokens import Cursor, Sort, tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIALECT: Final = "duckdb"

_PRIMITIVES: Final[dict[Kind, exp.DType]] = {
    Kind.STRING: exp.DType.TEXT,
    Kind.BOOLEAN: exp.DType.BOOLEAN,
    Kind.INT8: exp.DType.TINYINT,
    Kind.INT16: exp.DType.SMALLINT,
    Kind.INT32: exp.DType.INT,
    Kind.INT64: exp.DType.BIGINT,
    Kind.UINT8: exp.DType.UTINYINT,
    Kind.UINT16: exp.DType.USMALLINT,
    Kind.UINT32: exp.DType.UINT,
    Kind.UINT64: exp.DType.UBIGINT,
    Kind.FLOAT32: exp.DType.FLOAT,
    Kind.FLOAT64: exp.DType.DOUBLE,
    Kind.DATE: exp.DType.DATE,
    Kind.TIME: exp.DType.TIME,
    Kind.TIMESTAMP: exp.DType.TIMESTAMP,
    Kind.TIMESTAMPTZ: exp.DType.TIMESTAMPTZ,
    Kind.INTERVAL: exp.DType.INTERVAL,
    Kind.UUID: exp.DType.UUID,
    Kind.BINARY: exp.DType.VARBINARY,
    Kind.JSON: exp.DType.JSON,
}

# As DuckDB 2 prints them, and the aliases that people write; what follows WITH TIME ZONE is handled by the parser.
_NAMES: Final[dict[str, LogicalType]] = {
    **dict.fromkeys(("VARCHAR", "TEXT", "STRING", "CHAR", "BPCHAR"), STRING),
    **dict.fromkeys(("BOOLEAN", "BOOL", "LOGICAL"), BOOLEAN),
    **dict.fromkeys(("TINYINT", "INT1"), INT8),
    **dict.fromkeys(("SMALLINT", "INT2", "SHORT"), INT16),
    **dict.fromkeys(("INTEGER", "INT", "INT4", "SIGNED"), INT32),
    **dict.fromkeys(("BIGINT", "INT8", "LONG"), INT64),
    "UTINYINT": UINT8,
    "USMALLINT": UINT16,
    "UINTEGER": UINT32,
    "UBIGINT": UINT64,
    **dict.fromkeys(("HUGEINT", "UHUGEINT", "INT128", "UINT128"), Decimal(38, 0)),
    **dict.fromkeys(("FLOAT", "REAL", "FLOAT4"), FLOAT32),
    **dict.fromkeys(("DOUBLE", "FLOAT8"), FLOAT64),
    "DATE": DATE,
    **dict.fromkeys(("TIME", "TIME_NS"), TIME),
    **dict.fromkeys(("TIMESTAMP", "DATETIME", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_US"), TIMESTAMP),
    "TIMESTAMP_NS": TIMESTAMP,
    **dict.fromkeys(("TIMESTAMPTZ", "TIMESTAMPTZ_NS"), TIMESTAMPTZ),
    "INTERVAL": INTERVAL,
    "UUID": UUID,
    **dict.fromkeys(("BLOB", "BYTEA", "BINARY", "VARBINARY"), BINARY),
    **dict.fromkeys(("JSON", "VARIANT"), JSON),
    "GEOMETRY": BINARY,
    **dict.fromkeys(("TIMETZ", "BIT", "BITSTRING", "BIGNUM", "ENUM", "NULL"), STRING),
}
_DIFFERING: Final = frozenset(
    {
        *("TIMESTAMP_NS", "TIMESTAMPTZ_NS", "TIME_NS", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMETZ"),
        *("HUGEINT", "UHUGEINT", "INT128", "UINT128", "BIGNUM", "VARIANT", "GEOMETRY"),
        *("BIT", "BITSTRING", "ENUM", "NULL"),
    }
)
_ZONED: Final[dict[str, LogicalType]] = {"TIME": STRING, "TIMESTAMP": TIMESTAMPTZ}


def to_duckdb(logical: LogicalType) -> exp.DataType:
    """The type as a tree in DuckDB's dialect, for casts and column definitions.

    Raises ConfigError DOC-408 for a struct whose field names differ in case only: DuckDB takes them for one.
    """
    match logical:
        case Primitive():
            return exp.DataType(this=_PRIMITIVES[logical.kind], nested=False)
        case Decimal():
            numbers = (logical.precision, logical.scale)
            parameters = [exp.DataTypeParam(this=exp.Literal.number(number)) for number in numbers]
            return exp.DataType(this=exp.DType.DECIMAL, expressions=parameters, nested=False)
        case List():
            return exp.DataType(this=exp.DType.ARRAY, expressions=[to_duckdb(logical.element)], nested=True)
        case Map():
            inner = [to_duckdb(logical.key), to_duckdb(logical.value)]
            return exp.DataType(this=exp.DType.MAP, expressions=inner, nested=True)
        case Struct():
            _check_case(field.name for field in logical.fields)
            return exp.DataType(
                this=exp.DType.STRUCT, expressions=[_definition(field) for field in logical.fields], nested=True
            )
        case _:
            assert_never(logical)


def to_duckdb_text(logical: LogicalType) -> str:
    """The type as DuckDB's SQL text. Errors as ``to_duckdb``."""
    return to_duckdb(logical).sql(dialect=_DIALECT)


def _definition(field: StructField) -> exp.ColumnDef:
    return exp.ColumnDef(this=exp.to_identifier(field.name, quoted=True), kind=to_duckdb(field.type))


def _check_case(names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(fold_case(name), name)
        if other is not name:
            raise ConfigError(
                "DOC-408",
                f'the struct\'s fields "{other}" and "{name}" differ in case only',
                detail="the engine takes names that differ in case only for one name",
                hint="rename one of them",
            )


class EngineType(Frozen):
    """A type as DuckDB prints it. ``differs``: its values need a cast to ``to_duckdb(type)``, which fails for a value that
    does not fit, but rounds what lies below a microsecond without a word.
    """

    type: LogicalType
    differs: bool


def from_duckdb(text: str) -> LogicalType:
    """The logical type of what DuckDB 2 prints: DESCRIBE, ``str(relation.types[0])``. Every nested place is nullable.

    Errors as :func:`read_duckdb`, which tells more.
    """
    return read_duckdb(text).type


def read_duckdb(text: str) -> EngineType:
    """The logical type of what DuckDB 2 prints, and whether it is just that.

    Wider than the logical type are HUGEINT, UHUGEINT (decimal(38,0)), TIMESTAMP_NS, TIMESTAMPTZ_NS, TIME_NS (these round),
    TIMESTAMP_S, TIMESTAMP_MS. As their text: ENUM, BIT, BIGNUM, TIME WITH TIME ZONE; VARIANT as json; GEOMETRY as binary
    (WKB); fixed-size arrays as lists; "NULL" as string.
    Raises ConfigError DOC-407 for a type without a logical one (UNION, TUPLE, types of extensions) and for text that is
    no type, DOC-403 for one too deep.
    """
    return _Parser(text).parse()


class _Parser:
    """One call of read_duckdb; recursive descent, depth bounded by the types themselves and by a count."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth = 0
        self._differs = False
        self._cursor = Cursor(tokens_of(text, lambda message, _offset, _length: self._refuse(message)))

    def parse(self) -> EngineType:
        logical = self._type()
        if self._cursor.current.sort is not Sort.END:
            self._refuse()
        return EngineType(logical, self._differs)

    def _type(self) -> LogicalType:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ConfigError("DOC-403", f"the type nests deeper than {MAX_DEPTH} levels")
        logical = self._named()
        self._depth -= 1
        while self._cursor.took("["):
            if self._cursor.current.sort is Sort.NUMBER:
                self._cursor.take()
                self._differs = True
            self._expect("]")
            logical = List(logical)
        return logical

    def _named(self) -> LogicalType:
        token = self._cursor.take()
        name = token.text.upper()
        if token.sort is Sort.NAME and name != "NULL":
            self._refuse()
        match name:
            case "STRUCT" | "ROW":
                return self._struct()
            case "MAP":
                return self._map()
            case "DECIMAL" | "NUMERIC" | "DEC":
                return self._decimal()
            case _:
                return self._simple(name)

    def _simple(self, name: str) -> LogicalType:
        logical = _NAMES.get(name)
        if logical is None:
            self._refuse()
        self._differs |= name in _DIFFERING
        if name in _ZONED and self._cursor.at_word("WITH"):
            for word in ("WITH", "TIME", "ZONE"):
                if not self._cursor.at_word(word):
                    self._refuse()
                self._cursor.take()
            self._differs |= name == "TIME"
            return _ZONED[name]
        if self._cursor.at_mark("("):
            self._skip_parameters()
        return logical

    def _skip_parameters(self) -> None:
        """ENUM's values and VARCHAR's length say nothing that a logical type keeps."""
        self._expect("(")
        while self._cursor.take().sort in (Sort.TEXT, Sort.NUMBER):
            if self._cursor.took(")"):
                return
            self._expect(",")
        self._refuse()

    def _decimal(self) -> Decimal:
        if not self._cursor.took("("):
            return Decimal(18, 3)
        precision = self._number()
        scale = self._number() if self._cursor.took(",") else 0
        self._expect(")")
        return Decimal(precision, scale)

    def _number(self) -> int:
        token = self._cursor.take()
        if token.sort is not Sort.NUMBER:
            self._refuse()
        return int(token.text)

    def _map(self) -> Map:
        self._expect("(")
        key = self._type()
        self._expect(",")
        value = self._type()
        self._expect(")")
        return Map(key, value)

    def _struct(self) -> Struct:
        self._expect("(")
        fields = [self._field()]
        while self._cursor.took(","):
            fields.append(self._field())
        self._expect(")")
        return Struct(tuple(fields))

    def _field(self) -> StructField:
        token = self._cursor.take()
        if token.sort not in (Sort.WORD, Sort.NAME):
            self._refuse()
        return StructField(token.text, self._type())

    def _expect(self, mark: str) -> None:
        if not self._cursor.took(mark):
            self._refuse()

    def _refuse(self, detail: str | None = None) -> NoReturn:
        raise ConfigError(
            "DOC-407",
            f'the engine\'s type "{self._text[:200]}" has no type here',
            detail=detail,
            hint="cast it to one of the types of a document, such as json or string",
        )
