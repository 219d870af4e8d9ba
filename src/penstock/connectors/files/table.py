"""What a sink of files has committed, as a source: one version of the log, its files read by the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.connectors.api import Batches, CsvFormat, Files, Source
from penstock.connectors.files.decoding import decoded
from penstock.errors import ConfigError, DataError, InternalError
from penstock.types.duckdb import to_duckdb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.connectors.api import Allowance, Partition, Position, Rows, ScanRequest
    from penstock.connectors.files.commit.records import Entry, State
    from penstock.connectors.files.commit.target import Target
    from penstock.connectors.files.sink import FileKind
    from penstock.types import LogicalType, Schema


class FileTable(Source):
    """Position: ``{"v": 1, "version": N}``, all rows of version N; version 0 has none. A version can be read until a
    later commit replaces files.
    """

    def __init__(self, target: Target, *, kind: FileKind, named: str, allowance: Allowance) -> None:
        self._target = target
        self._kind = kind
        self._named = named
        self._allowance = allowance

    def describe(self) -> Schema:
        """Raises ConfigError SRC-170 where nothing was ever committed."""
        state = self._target.state()
        return self._schema(state, state.version)

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- a table has one
        return {"v": 1, "version": self._target.state().version}

    def scan(self, request: ScanRequest) -> Rows:
        """Raises ConfigError SRC-172 (a column cannot be read exactly), DataError SRC-110 where files of that version were replaced, are gone, or have another size."""
        if request.after is not None:
            raise InternalError("INT-900", "a sink's table is read in full and was asked for a part")
        version = self._version(request.upto)
        state = self._target.state()
        whole = self._schema(state, version)
        schema = whole if request.columns is None else whole.select(request.columns)
        self._check_readable(schema)
        entries = self._entries(state, version)
        if not entries:
            return Batches(schema, lambda: iter(()))
        files = self._target.read(entries)
        if self._kind.decode is not None:
            decode = self._kind.decode
            parts = [(path, _constants(state, entry, schema)) for path, entry in zip(files, entries, strict=True)]
            position, allowance = request.upto, self._allowance
            return Batches(
                schema, lambda: decoded(decode, parts, schema=schema, position=position, allowance=allowance)
            )
        paths = [str(path) for path in files]
        constants = {path: _constants(state, entry, schema) for path, entry in zip(paths, entries, strict=True)}
        held = {path: state.shapes[entry.shape] for path, entry in zip(paths, entries, strict=True)}
        return Files(
            format=self._kind.form,
            paths=tuple(paths),
            schema=schema,
            bad_values="fail",
            union_by_name=True,
            constants=constants if state.partition_by else {},
            layouts=held if isinstance(self._kind.form, CsvFormat) else {},
        )

    def _schema(self, state: State, version: int) -> Schema:
        schema = state.schema_at(version)
        if schema is None:
            raise ConfigError(
                "SRC-170", f'nothing has been committed to "{self._named}" yet, so that it has no columns'
            )
        return schema

    def _check_readable(self, schema: Schema) -> None:
        for column in schema:
            reason = self._kind.unreadable(column) if self._kind.unreadable else None
            if reason:
                raise ConfigError(
                    "SRC-172",
                    f'column "{column.name}" of "{self._named}" cannot be read back exactly',
                    detail=reason,
                    hint="write Parquet where the rows are to be read again",
                )

    def _version(self, position: Position) -> int:
        match position:
            case {"v": 1, "version": int() as version}:
                return version
        raise ConfigError("SRC-171", "a position was not written by this version of the table of a file sink")

    def _entries(self, state: State, version: int) -> Sequence[Entry]:
        if not state.last_removal <= version <= state.version:
            detail = f"its version is now {state.version}, and version {state.last_removal} replaced files"
            raise DataError("SRC-110", f'version {version} of "{self._named}" can no longer be read', detail=detail)
        return [entry for entry in state.live if entry.version <= version and entry.rows]


def _constants(state: State, entry: Entry, schema: Schema) -> Mapping[str, exp.Expr]:
    """The values of the partition columns that are read; the files do not hold them."""
    values = zip(state.partition_by, entry.partition, strict=True)
    return {name: _literal(value, schema[name].type) for name, value in values if name in schema}


def _literal(value: str | None, logical: LogicalType) -> exp.Expr:
    text = exp.Null() if value is None else exp.Literal.string(value)
    return exp.cast(text, to_duckdb(logical))
