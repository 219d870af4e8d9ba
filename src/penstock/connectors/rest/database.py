"""A small DuckDB of our own, closed to the outside, that parses JSON faster than Python can."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

from penstock.connectors.database import open_database

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb
    import pyarrow as pa

    from penstock.connectors.api import Allowance

PAGES: Final = "pages"  # the relation of pages that queries read
TEXT: Final = "page_text"  # its column: one page per row, JSON
NUMBER: Final = "page_number"  # its column: the page's number in the listing
_MOST_THREADS: Final = 4
_PARTS: Final = 2 * _MOST_THREADS  # a table is handed out to threads by parts


class Database:
    """Runs queries in DuckDB's dialect. Used by one thread at a time; ``close`` is idempotent."""

    def __init__(
        self,
        allowance: Allowance,
        *,
        threads: int = _MOST_THREADS,
        connection: duckdb.DuckDBPyConnection | None = None,
    ) -> None:
        """A new one within ``allowance`` and of at most so many threads, or one that is open already."""
        self._allowance = allowance
        self._connection = connection or open_database(allowance, threads=threads)

    def another(self) -> Database:
        """The same database by a connection of its own, for another thread; to be closed before this one."""
        return Database(self._allowance, connection=self._connection.cursor())

    def rows(self, query: str, relations: Mapping[str, pa.Table]) -> list[tuple[object, ...]]:
        """Raises duckdb.Error as it comes."""
        return self._with(relations).execute(query).fetchall()

    def table(self, query: str, relations: Mapping[str, pa.Table]) -> pa.Table:
        """Raises duckdb.Error as it comes."""
        return self._with(relations).sql(query).to_arrow_table()

    def batches(self, query: str, relations: Mapping[str, pa.Table], rows: int) -> pa.RecordBatchReader:
        """As ``table``, by and by; nothing else may be asked before it is read."""
        return self._with(relations).sql(query).to_arrow_reader(rows)

    def _with(self, relations: Mapping[str, pa.Table]) -> duckdb.DuckDBPyConnection:
        for name, table in relations.items():
            self._connection.register(name, table)
        return self._connection

    def close(self) -> None:
        self._connection.close()


def pages_table(bodies: Sequence[bytes], first_number: int = 1) -> pa.Table:
    """Pages as a relation: PAGES.TEXT and PAGES.NUMBER, in order, each a part of its own; no copy. The bytes must be
    UTF-8.
    """
    import pyarrow as pa

    texts = [_texts(body, array("q", [0, len(body)])) for body in bodies]
    numbers = [pa.array([number], pa.int64()) for number in range(first_number, first_number + len(bodies))]
    return pa.table([pa.chunked_array(texts, pa.large_string()), pa.chunked_array(numbers)], names=[TEXT, NUMBER])


def _texts(content: bytes | memoryview, ends: array[int]) -> pa.LargeStringArray:
    import pyarrow as pa

    return pa.LargeStringArray.from_buffers(len(ends) - 1, pa.py_buffer(ends), pa.py_buffer(content))


def pages_view(content: bytes | memoryview, ends: array[int], first_number: int) -> pa.Table:
    """As ``pages_table``, over bytes that lie one after another: page i is ``content[ends[i]:ends[i + 1]]``; no copy."""
    import pyarrow as pa

    count = len(ends) - 1
    numbers = pa.array(range(first_number, first_number + count), pa.int64())
    table = pa.table([_texts(content, ends), numbers], names=[TEXT, NUMBER])
    return pa.Table.from_batches(table.to_batches(max_chunksize=max(1, -(-count // _PARTS))), schema=table.schema)
