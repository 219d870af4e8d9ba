"""Types from DuckDB's own binder, over empty relations; its refusals sorted into kinds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.engines.api import BindError, BindKind
from penstock.trees import identifier
from penstock.types import Field, Schema
from penstock.types.duckdb import from_duckdb, to_duckdb

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

_PATTERNS: Final[tuple[tuple[BindKind, re.Pattern[str]], ...]] = (
    ("column", re.compile(r'Referenced column "(?P<subject>.*?)" (?:was )?not found')),
    ("column", re.compile(r'(?:Table|Values list) "[^"]*" does not have a column named "(?P<subject>.*?)"')),
    ("ambiguous", re.compile(r'Ambiguous reference to column name "(?P<subject>.*?)"')),
    ("function", re.compile(r"Function with name (?P<subject>\S+) does not exist")),
    ("function", re.compile(r'Function "(?P<subject>.*?)" (?:is|does)')),
    ("table", re.compile(r"Table with name (?P<subject>.*?) does not exist")),
    ("aggregate", re.compile(r"must appear in the GROUP BY clause|aggregate function calls|cannot contain aggregates")),
    ("aggregate", re.compile(r"WHERE clause cannot contain aggregates|GROUP BY clause cannot contain aggregates")),
    (
        "window",
        re.compile(r"[Ww]indow functions? (?:are|is) not (?:supported|allowed)|cannot contain window functions"),
    ),
    ("comparison", re.compile(r"Cannot compare|Cannot mix values of type")),
    ("type", re.compile(r"No function matches|Could not choose a best candidate|cast", re.IGNORECASE)),
)
# What tells of the machine, the session or the statement, or acts on them: no row depends on it.
_FORBIDDEN: Final = frozenset(
    {
        "current_setting",
        "getenv",
        "getvariable",
        "write_log",
        "parse_duckdb_log_message",
        "vector_type",
        "setseed",
        "sleep_ms",
        "setval",
        "uuidv7",
        "nextval",
        "currval",
        "txid_current",
        "current_connection_id",
        "current_transaction_id",
        "current_query_id",
        "current_query",
        "current_database",
        "current_schema",
        "current_schemas",
        "current_catalog",
        "in_search_path",
        "pg_get_expr",
        "pg_get_viewdef",
    }
)
_CANDIDATE: Final = re.compile(r'Candidate bindings: "(?P<one>[^"]*)"|Did you mean "(?P<two>[^"]*)"')


def schema_of(connection: duckdb.DuckDBPyConnection, query: exp.Query, inputs: Mapping[str, Schema]) -> Schema:
    """The columns of the query; ``inputs`` are its tables by name. Reads nothing. Raises BindError."""
    import duckdb

    _check_functions(query)
    bound = query.copy()
    bound.set("with_", _with_inputs(bound, inputs))
    try:
        relation = connection.sql(bound.sql(dialect="duckdb"))
        described = list(zip(relation.columns, (str(kind) for kind in relation.types), strict=True))
    except duckdb.Error as error:
        raise _bind_error(error) from None
    return Schema(tuple(Field(name, from_duckdb(kind)) for name, kind in described))


def _check_functions(query: exp.Query) -> None:
    for call in query.find_all(exp.Func):
        name = (call.name if isinstance(call, exp.Anonymous) else call.sql_name()).lower()
        if name in _FORBIDDEN:
            raise BindError("forbidden", "it tells of the engine's session, not of the rows", name)


def _with_inputs(query: exp.Query, inputs: Mapping[str, Schema]) -> exp.With:
    own = query.args.get("with_")
    ctes = [
        exp.CTE(this=empty_relation(schema), alias=exp.TableAlias(this=identifier(name)))
        for name, schema in inputs.items()
    ]
    return exp.With(
        expressions=[*ctes, *(own.expressions if own else ())], recursive=bool(own and own.args.get("recursive"))
    )


def empty_relation(schema: Schema) -> exp.Select:
    """``SELECT CAST(NULL AS type) AS name, … WHERE FALSE``."""
    columns = [
        exp.Alias(this=exp.Cast(this=exp.null(), to=to_duckdb(item.type)), alias=identifier(item.name))
        for item in schema
    ]
    return exp.Select(expressions=columns or [exp.null()], where=exp.Where(this=exp.false()))


def _bind_error(error: Exception) -> BindError:
    import duckdb

    text = str(error)
    near = tuple(match["one"] or match["two"] for match in _CANDIDATE.finditer(text))
    words = _first_sentence(text)
    for kind, pattern in _PATTERNS:
        match = pattern.search(text)
        if match is not None:
            return BindError(kind, words, match.groupdict().get("subject"), near)
    return BindError("syntax" if isinstance(error, duckdb.ParserException) else "other", words, None, near)


def _first_sentence(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("LINE ")]
    first = lines[0] if lines else text
    return re.sub(r"^\w+ (?:Error|Exception): ", "", first)
