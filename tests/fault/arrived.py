"""The rows that have come to a sink of Parquet files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from pathlib import Path


def rows_of(folder: Path, name: str = "one") -> list[Any]:
    parts = sorted((folder / "out" / name).glob("*.parquet"))
    if not parts:
        return []
    connection = duckdb.connect()
    return connection.execute("select k from read_parquet(?) order by k", [list(map(str, parts))]).fetchall()


def keys(rows: list[Any]) -> list[int]:
    return [row[0] for row in rows]
