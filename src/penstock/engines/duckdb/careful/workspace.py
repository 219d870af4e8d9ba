"""A private database beside the session's: of a careful read, and of what measures rows that a statement goes through."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock import embedded
from penstock.errors import InternalError
from penstock.structs import Mutable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb


class Workspace(Mutable):
    """What it may use: a folder that is present and private, threads, memory. Not for two reads at a time."""

    scratch: Path
    threads: int = 1
    memory_bytes: int = 512 * 2**20
    _database: duckdb.DuckDBPyConnection | None = None

    @property
    def database(self) -> duckdb.DuckDBPyConnection:
        """The one of the read that is going on."""
        if self._database is None:
            raise InternalError("INT-900", "a careful read is used outside its block")
        return self._database

    @contextmanager
    def opened(self) -> Iterator[None]:
        self._database = self.connect(self.threads)
        try:
            yield
        finally:
            self._database.close()
            self._database = None

    def connect(self, threads: int, *, optimizes: bool = False) -> duckdb.DuckDBPyConnection:
        """A database of its own, which runs nothing but statements of ours."""
        made = embedded.connect(
            {
                "threads": threads,
                "memory_limit": f"{self.memory_bytes}B",
                "temp_directory": str(self.scratch),
            }
        )
        if optimizes:
            return made
        # The first would parse JSON twice, the second compute for all rows what a CASE asks of few.
        made.execute("SET disabled_optimizers = 'filter_pushdown,common_subexpressions'")
        return made
