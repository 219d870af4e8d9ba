"""A ``schema:`` of a document: inline columns, or a file in Avro's or JSON Schema's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.document.schema_files import read_schema_file
from penstock.document.template import text_of
from penstock.document.tree import Mapping, Scalar, Sequence, is_null
from penstock.errors import ConfigError, Problem
from penstock.secret import Secret
from penstock.structs import replace
from penstock.types import Field, Schema, is_unclosed, parse_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.document.tree import Node
    from penstock.errors import Location

_LABELS: Final = frozenset({"labels", "label", "tags", "tag"})


def read_contract(node: Node, read_file: Callable[[str], bytes]) -> tuple[Schema, tuple[Problem, ...]]:
    """The schema, in the order of the document, and warnings (DOC-222). Raises ConfigError DOC-220 (form), DOC-221 (file), DOC-400.. (types)."""
    if isinstance(node, Mapping) and tuple(node.entries) == ("columns",):
        columns = node.entries["columns"].value
        if isinstance(columns, Mapping) and columns.entries:
            return _inline(columns), ()
    if isinstance(node, Mapping) and tuple(node.entries) == ("file",):
        path = node.entries["file"].value
        if isinstance(path, Scalar) and isinstance(path.value, str):
            return read_schema_file(path.value, read_file, path.at)
    raise ConfigError(
        "DOC-220",
        "a schema is {columns: {name: type}} or {file: path}",
        at=node.at,
        hint='write `schema: {columns: {day: date, price: "decimal(12,4)?"}}`',
    )


def column_places(node: Node | None) -> dict[str, Location]:
    """Where the names of an inline schema's columns stand."""
    columns = node.get("columns") if isinstance(node, Mapping) else None
    return {name: entry.key.at for name, entry in columns.entries.items()} if isinstance(columns, Mapping) else {}


def _inline(columns: Mapping) -> Schema:
    fields: list[Field] = []
    problems: list[Problem] = []
    is_cut = False  # an unquoted type at a comma of its own: what follows it is no column
    for name, entry in columns.entries.items():
        if is_cut and is_null(entry.value):
            continue
        if isinstance(entry.value, Mapping | Sequence):
            problems.append(_no_type(name, entry.value))
            continue
        is_cut = is_unclosed(_text(entry.value))
        try:
            kind, nullable = parse_type(_text(entry.value), at=entry.value.at)
            fields.append(Field(name, kind, nullable=nullable))
        except ConfigError as error:
            problems.extend(replace(problem, at=problem.at or entry.key.at) for problem in error.problems)
    if problems:
        raise ConfigError.of(problems)
    return Schema(tuple(fields))


def _no_type(name: str, value: Mapping | Sequence) -> Problem:
    """What others write beside a column's type has a place of its own here."""
    keys = {key.lower() for key in value.entries} if isinstance(value, Mapping) else set()
    if keys & _LABELS or name.lower() in _LABELS:
        column = name if name.lower() not in _LABELS else "email"
        hint = f"labels stand beside `schema`, by column: `labels: {{{column}: [pii]}}`"
    else:
        hint = f'write its type alone: `{name}: int64`, or `{name}: "int64?"` where it may be null'
    return Problem("DOC-400", f'the type of the column "{name}" is no text', at=value.at, hint=hint)


def _text(node: Node) -> str:
    if not isinstance(node, Scalar) or isinstance(node.value, Secret):
        return ""
    return text_of(node.value) if node.replacements else node.text
