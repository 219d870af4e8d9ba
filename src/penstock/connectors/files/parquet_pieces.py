"""Pieces of Parquet files: cut between row groups, read by a database of our own, which looks into those groups alone."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.api import Batches, Chunk
from penstock.connectors.database import open_database
from penstock.connectors.files.listing import Place
from penstock.errors import DataError
from penstock.trees import call, column, file_names, identifier
from penstock.types.duckdb import to_duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from penstock.connectors.api import Allowance, Position
    from penstock.connectors.files.listing import FoundFile
    from penstock.connectors.files.pieces import Budget
    from penstock.types import Schema

_NUMBER: Final = "file_row_number"
_BATCH_ROWS: Final = 65_536


def divide_parquet(file: FoundFile, start: Place, budget: Budget, allowance: Allowance) -> Place | None:
    """As ``pieces.Divide``, by whole row groups. Raises DataError SRC-140."""
    end = 0
    groups = _row_groups(file, allowance)
    for number, (rows, size) in enumerate(groups, start=1):
        end += rows
        if end <= start.at:
            continue
        budget.take(rows, size)
        if budget.is_spent:
            return Place(end, end) if number < len(groups) else None
    return None


def _row_groups(file: FoundFile, allowance: Allowance) -> Sequence[tuple[int, int]]:
    """Rows and bytes of each that has any, in their order."""
    import duckdb

    footer = exp.Table(this=call("parquet_metadata", file_names([file.place])))
    rows, size = column("row_group_num_rows"), exp.Sum(this=column("total_compressed_size"))
    query = exp.select(call("any_value", rows), exp.cast(size, "bigint")).from_(footer)
    query = query.where(exp.GT(this=rows, expression=exp.Literal.number(0)))
    query = query.group_by("row_group_id").order_by("row_group_id")
    with closing(open_database(allowance, folders=[file.path.parent])) as database:
        try:
            return database.execute(query.sql(dialect="duckdb")).fetchall()
        except duckdb.Error as error:
            raise _broken(file, error) from None


def rows_of_pieces(
    files: Sequence[FoundFile],
    wanted: Schema,
    held: Mapping[str, Schema],
    *,
    position: Position,
    allowance: Allowance,
) -> Batches:
    """The rows of files of which some are wanted in part; ``held`` has each file's columns by its name."""

    def chunks() -> Iterator[Chunk]:
        for file in files:
            yield from _rows_of(file, wanted, held[file.name], position=position, allowance=allowance)

    return Batches(wanted, chunks)


def _rows_of(
    file: FoundFile, wanted: Schema, held: Schema, *, position: Position, allowance: Allowance
) -> Iterator[Chunk]:
    """Raises DataError SRC-140 where the file breaks off."""
    import duckdb
    import pyarrow as pa

    from penstock.types.conform import conform

    with closing(open_database(allowance, folders=[file.path.parent], threads=2, lossless=True)) as database:
        try:
            found = database.sql(_query(file, wanted, held).sql(dialect="duckdb")).to_arrow_reader(_BATCH_ROWS)
            for batch in found:
                yield Chunk(conform(batch.rename_columns(wanted.names), wanted), position)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise _broken(file, error) from None


def _query(file: FoundFile, wanted: Schema, held: Schema) -> exp.Select:
    values = [exp.cast(column(item.name) if item.name in held else exp.null(), to_duckdb(item.type)) for item in wanted]
    columns = [exp.alias_(value, identifier(f"c{place}")) for place, value in enumerate(values)]
    reader = call("read_parquet", file_names([file.place]), file_row_number=exp.true())
    query = exp.select(*columns).from_(exp.Table(this=reader))
    number, piece = column(_NUMBER), file.piece
    if piece is None:
        return query
    query = query.where(exp.GTE(this=number, expression=exp.Literal.number(piece.start.at)))
    return (
        query
        if piece.end is None
        else query.where(exp.LT(this=number.copy(), expression=exp.Literal.number(piece.end.at)))
    )


def _broken(file: FoundFile, error: Exception) -> DataError:
    detail = str(error).partition("\n")[0].partition("Error: ")[2][:300]
    return DataError("SRC-140", f'"{file.name}" is no Parquet file, or is broken', detail=detail)
