"""DuckDB inside this process: what every database of ours is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import duckdb

Setting = str | bool | int | float | list[str]

_EVERYWHERE: Final[Mapping[str, Setting]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "temp_directory": "",  # else a folder where the process stands, or beside the database
    # A COPY that ends with an error waits for good for its writes, where one of them runs on such a thread (DuckDB 2.0.0).
    "async_threads": 0,
}


def connect(
    settings: Mapping[str, Setting], database: Path | str = ":memory:", *, read_only: bool = False
) -> duckdb.DuckDBPyConnection:
    """A connection to be closed by the caller, in UTC, that loads no extension and shows no progress. Raises MemoryError,
    duckdb.Error.
    """
    import duckdb

    try:
        made = duckdb.connect(database, read_only=read_only, config={**_EVERYWHERE, **settings})
        made.execute("SET TimeZone = 'UTC'")
        made.execute("SET enable_progress_bar = false")  # under `python -c` and in notebooks it would go to stdout
    except duckdb.OutOfMemoryException as error:
        raise MemoryError(str(error)) from None
    return made
