"""Small SQLGlot trees in DuckDB's dialect, of which every room builds larger ones. What is handed in is copied."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from sqlglot import exp
from sqlglot.errors import ParseError

from penstock.types.duckdb import to_duckdb_text
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from sqlglot.errors import SqlglotError

    from penstock.types import LogicalType

# Ids of columns: name, id, and those of what is within (a list's "element", a map's "key" and "value", a struct's fields).
FieldIds: TypeAlias = "tuple[tuple[str, int, FieldIds], ...]"

_WILD: Final = frozenset("*?[")
# In a pattern alone, so only beside one of these, a backslash is more than itself.
_LITERAL: Final = {"*": "[*]", "?": "[?]", "[": "[[]", "\\": "\\\\"}


def complaint(error: SqlglotError) -> str:
    """What the parser says of a text, in a few words and without the classes of its own that it names."""
    first = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
    words = str(first.get("description") or "a quote or a comment is not closed").splitlines()[0].strip().rstrip(".")
    if words.startswith("Required keyword"):
        return "something is missing here"
    return re.sub(r" (?:but got|for) <.*", "", words)


def identifier(name: str) -> exp.Identifier:
    """A quoted name: any text is safe in it."""
    return exp.Identifier(this=name, quoted=True)


def column(name: str, table: str | None = None) -> exp.Column:
    """A reference to a column by its exact name."""
    return exp.Column(this=identifier(name), table=identifier(table) if table else None)


def relation(name: str) -> exp.Table:
    """A reference to a relation by its exact name."""
    return exp.Table(this=identifier(name))


def unused_name(wanted: str, taken: Iterable[str]) -> str:
    """``wanted``, longer where one of the names is that already (the case of letters does not count)."""
    known = {fold_case(name) for name in taken}
    while fold_case(wanted) in known:
        wanted += "_"
    return wanted


def call(function: str, *arguments: exp.Expr, **options: exp.Expr) -> exp.Anonymous:
    """A function of DuckDB by its own name: ``function(argument, option = value)``."""
    given = [exp.EQ(this=exp.to_identifier(name), expression=value.copy()) for name, value in options.items()]
    return exp.Anonymous(this=function, expressions=[*(argument.copy() for argument in arguments), *given])


def texts(values: Iterable[str]) -> exp.Array:
    """A list of constants."""
    return exp.Array(expressions=[exp.Literal.string(value) for value in values])


def file_names(paths: Iterable[str]) -> exp.Array:
    """What DuckDB's readers take for files: each path as a pattern that matches it alone."""
    return texts(file_patterns(paths))


def file_patterns(paths: Iterable[str]) -> list[str]:
    """As ``file_names``, as values."""
    return [_pattern(path) for path in paths]


def set_variable(name: str) -> exp.Set:
    """``SET VARIABLE name = ?``."""
    value = exp.EQ(this=exp.Column(this=identifier(name)), expression=exp.Placeholder())
    return exp.Set(expressions=[exp.SetItem(this=value, kind="VARIABLE")])


def variable(name: str, first: int, last: int) -> exp.Anonymous:
    """Of the list that it was set to last, the values from one place to another, counted from 1."""
    held = call("getvariable", exp.Literal.string(name))
    return call("list_slice", held, exp.Literal.number(first), exp.Literal.number(last))


def _pattern(path: str) -> str:
    return "".join(_LITERAL.get(mark, mark) for mark in path) if _WILD & set(path) else path


def allowed_folders(folders: Iterable[Path]) -> list[str]:
    """DuckDB's ``allowed_directories``, for files in them that are named by :func:`file_names`: patterns must lie in one."""
    return list(dict.fromkeys(text for folder in map(str, folders) for text in (folder, _pattern(folder))))


def parquet_columns(columns: Mapping[str, LogicalType], ids: Mapping[str, int]) -> exp.Anonymous:
    """``read_parquet``'s ``schema``: columns by name, or where there are ``ids`` by these, with exactly these types; one that
    a file lacks is null there.
    """

    def entry(name: str, kind: LogicalType) -> exp.Struct:
        kind_text = exp.Literal.string(to_duckdb_text(kind))
        return struct({"name": exp.Literal.string(name), "type": kind_text, "default_value": exp.null()})

    keys = exp.Array(expressions=[exp.Literal.number(ids[name]) for name in columns]) if ids else texts(columns)
    return call("map", keys, exp.Array(expressions=[entry(*item) for item in columns.items()]))


def text_of(value: exp.Expr) -> exp.Cast:
    """The value as DuckDB writes it."""
    return exp.Cast(this=value.copy(), to=exp.DataType.build("text"))


def struct(values: Mapping[str, exp.Expr]) -> exp.Struct:
    """One value with these fields, in this order."""
    fields = values.items()
    return exp.Struct(
        expressions=[exp.PropertyEQ(this=identifier(name), expression=value.copy()) for name, value in fields]
    )


def field_ids(ids: FieldIds, own: int | None = None) -> exp.Struct:
    """``field_ids`` of a COPY statement that writes Parquet; ``own`` is the id of what they are within."""
    entries: dict[str, exp.Expr] = {} if own is None else {"__duckdb_field_id": exp.Literal.number(own)}
    for name, number, within in ids:
        entries[name] = field_ids(within, number) if within else exp.Literal.number(number)
    return struct(entries)


def field_of(value: exp.Expr, name: str) -> exp.StructExtract:
    """The field of a struct by its exact name."""
    return exp.StructExtract(this=value.copy(), expression=exp.Literal.string(name))


def is_null(value: exp.Expr) -> exp.Is:
    """True or false, never null."""
    return exp.Is(this=value.copy(), expression=exp.null())


def is_not_null(value: exp.Expr) -> exp.Not:
    """True or false, never null."""
    return exp.Not(this=is_null(value))


def matches(value: exp.Expr, pattern: str) -> exp.Anonymous:
    """Whether the whole of a text is what the pattern (RE2) says; null for null."""
    return call("regexp_full_match", value, exp.Literal.string(pattern))


def when(condition: exp.Expr, value: exp.Expr) -> exp.Case:
    """The value where the condition is true, else null."""
    return exp.Case(ifs=[exp.If(this=condition.copy(), true=value.copy())])


def conjuncts(condition: exp.Expr | None) -> list[exp.Expr]:
    """The parts of a condition that must all be true, from left to right, none of them an AND; they are not copied."""
    if condition is None:
        return []
    inner = condition.unnest()
    return [part for side in inner.flatten() for part in conjuncts(side)] if isinstance(inner, exp.And) else [inner]


def create_table(name: str, query: exp.Query) -> exp.Create:
    """``CREATE TABLE name AS query``."""
    return exp.Create(this=relation(name), kind="TABLE", expression=query)


def union_all(parts: Sequence[exp.Query]) -> exp.Query:
    """All rows of all of them, by the place of the columns. A balanced tree: a chain of a thousand would be a thousand levels
    deep. Takes the parts themselves, no copies.
    """
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return exp.Union(this=union_all(parts[:middle]), expression=union_all(parts[middle:]), distinct=False)


def draws(query: exp.Expr) -> bool:
    """Whether it takes numbers from a sequence."""
    return any(found.name.lower() == "nextval" for found in query.find_all(exp.Anonymous))


def create_sequence(name: str) -> exp.Create:
    """``CREATE OR REPLACE SEQUENCE name``: it gives 1, 2, 3, ..."""
    return exp.Create(this=relation(name), kind="SEQUENCE", replace=True)


def drop_table(name: str) -> exp.Drop:
    """``DROP TABLE IF EXISTS name``."""
    return exp.Drop(tables=[relation(name)], kind="TABLE", exists=True)


def copy_option(name: str, value: exp.Expr | str | bool | int) -> exp.CopyParameter:  # noqa: FBT001 -- an option's value
    """``NAME value`` of a COPY statement."""
    return exp.CopyParameter(
        this=exp.var(name), expression=value.copy() if isinstance(value, exp.Expr) else exp.convert(value)
    )
