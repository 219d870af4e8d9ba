"""Databases of a connector's own: DuckDB in memory, within the run's limits, closed to the outside, in UTC."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from penstock import embedded
from penstock.trees import allowed_folders

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from penstock.connectors.api import Allowance

_SHARE_OF_MEMORY: Final = 4


def memory_of(allowance: Allowance) -> int:
    """Bytes that one database may take: the engine has the run's memory, and this is a part of as much again."""
    return allowance.memory_bytes // _SHARE_OF_MEMORY


def open_database(
    allowance: Allowance,
    *,
    threads: int = 1,
    folders: Sequence[Path] = (),
    lossless: bool = False,
    ordered: bool = True,
) -> duckdb.DuckDBPyConnection:
    """A connection that runs statements of ours, to be closed by the caller; what was spilled goes with it.

    ``threads``: at most so many of the allowance. ``folders``: where files may be read and written, none anywhere else.
    ``lossless``: Arrow results keep the types that Arrow knows as extensions only (uuid, json). ``ordered`` False: rows may
    come in any order where the statement asks for none.
    """
    made = embedded.connect(
        {
            "threads": min(threads, allowance.threads),
            "memory_limit": f"{memory_of(allowance)}B",
            "temp_directory": "" if allowance.spill is None else str(allowance.spill / f"duckdb-{uuid.uuid4().hex}"),
            "preserve_insertion_order": ordered,
        }
    )
    if allowance.spill_bytes is not None:  # given to `connect` it would be shown, and not be heeded
        made.execute("SET max_temp_directory_size = ?", [f"{allowance.spill_bytes}B"])
    made.execute("SET arrow_lossless_conversion = ?", [lossless])
    made.execute("SET allowed_directories = ?", [allowed_folders(folders)])
    made.execute("SET enable_external_access = false")
    made.execute("SET lock_configuration = true")
    return made
