"""A shop whose rows are rejected for several reasons, for tests of ``rejects``."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

FILE = "pipelines/shop.yml"
DOCUMENT = """\
pipeline: shop
sources:
  raw:
    type: csv
    path: data/sold-*.csv
    incremental: files
    schema: {columns: {id: int64, shop: string, price: "decimal(10,2)?", at: date}}
transforms:
  clean:
    from: raw
    steps:
      - filter: shop <> 'closed'
      - derive: {cents: "(price * 100)::int64"}
    rules:
      - range: {column: price, min: 0, max: 100}
      - not_null: [shop]
sinks:
  out: {from: clean, type: sqlite, path: out.db, table: t, mode: append}
run: {memory: 256 MiB, threads: 1}
"""
ROWS = """\
id,shop,price,at
1,a,1.50,2024-01-01
2,b,"2,50",2024-01-02
3,b,many,2024-01-03
4,c,500,2024-01-03
5,c,"3,10",yesterday
"""
COMMA = "price = replace(price, ',', '.')"


@pytest.fixture
def shop(project: Path) -> Path:
    (project / FILE).write_text(DOCUMENT, encoding="utf-8")
    (project / "data" / "sold-1.csv").write_text(ROWS, encoding="utf-8")
    return project


def changed(shop: Path, *changes: tuple[str, str]) -> None:
    text = (shop / FILE).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (shop / FILE).write_text(text, encoding="utf-8")


def sold(shop: Path, columns: str = "id, price", table: str = "t") -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(shop / "out.db")) as connection:
        return connection.execute(f"select {columns} from {table} order by 1").fetchall()


def groups(penstock: Callable[..., Said], *options: str) -> dict[str, int]:
    found = penstock("rejects", "list", *options, "--json").json["by_cause"]
    return {one["group"]: one["rows"] for one in found}
