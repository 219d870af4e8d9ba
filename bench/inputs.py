"""The inputs, made once into bench/.data: a table of 16 columns like TPC-H's lineitem, as CSV, NDJSON and Parquet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent
DATA: Final = ROOT / ".data"

COLUMNS: Final = {
    "l_orderkey": "BIGINT",
    "l_partkey": "BIGINT",
    "l_suppkey": "BIGINT",
    "l_linenumber": "BIGINT",
    "l_quantity": "BIGINT",
    "l_extendedprice": "DECIMAL(12,2)",
    "l_discount": "DECIMAL(4,2)",
    "l_tax": "DECIMAL(4,2)",
    "l_returnflag": "VARCHAR",
    "l_linestatus": "VARCHAR",
    "l_shipdate": "DATE",
    "l_commitdate": "DATE",
    "l_receiptdate": "DATE",
    "l_shipinstruct": "VARCHAR",
    "l_shipmode": "VARCHAR",
    "l_comment": "VARCHAR",
}
_TYPES: Final = {"BIGINT": "int64", "VARCHAR": "string", "DATE": "date"}
SCHEMA: Final = "{" + ", ".join(f'{name}: "{_TYPES.get(kind, kind.lower())}?"' for name, kind in COLUMNS.items()) + "}"
DUCKDB_COLUMNS: Final = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items()) + "}"

_ROWS: Final = """
    select i // 4 as l_orderkey, (i * 7919) % 200000 as l_partkey, (i * 104729) % 10000 as l_suppkey,
           i % 4 + 1 as l_linenumber, (i * 31) % 50 + 1 as l_quantity,
           (((i * 7919) % 9000000) / 100.0 + 900)::decimal(12,2) as l_extendedprice,
           ((i % 11) / 100.0)::decimal(4,2) as l_discount, ((i % 9) / 100.0)::decimal(4,2) as l_tax,
           ['A', 'N', 'R'][(i * 17) % 3 + 1] as l_returnflag, ['O', 'F'][(i * 13) % 2 + 1] as l_linestatus,
           date '1992-01-01' + ((i * 37) % 2500)::int as l_shipdate,
           date '1992-02-01' + ((i * 41) % 2500)::int as l_commitdate,
           date '1992-01-15' + ((i * 43) % 2500)::int as l_receiptdate,
           ['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'][(i * 19) % 4 + 1] as l_shipinstruct,
           ['AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB', 'REG AIR'][(i * 23) % 7 + 1] as l_shipmode,
           'carefully ' || md5(i::varchar)[1:16] as l_comment
    from range(?) r(i)
"""


def lineitem(rows: int, ending: str) -> Path:
    """``csv``, ``ndjson``, ``parquet``, or ``keyed``: CSV with a unique key in front."""
    path = DATA / f"li-{rows}.{ending}"
    if not path.exists():
        DATA.mkdir(exist_ok=True)
        # In a process of its own: the peak memory of what is measured counts from its parent's.
        subprocess.run(
            [sys.executable, "-m", "bench.inputs", str(rows), ending, str(path)], cwd=ROOT.parent, check=True
        )
    return path


def _write(rows: int, ending: str, path: Path) -> None:
    import duckdb

    options = {
        "csv": "(header)",
        "ndjson": "(format json)",
        "parquet": "(format parquet)",
        "keyed": "(format csv, header)",
    }[ending]
    columns = "row_number() over () - 1 as l_key, *" if ending == "keyed" else "*"
    part = path.with_suffix(".part")
    with duckdb.connect() as connection:
        connection.execute(f"copy (select {columns} from ({_ROWS})) to '{part}' {options}", [rows])
    part.rename(path)


def changes(rows: int) -> Path:
    """Parquet, a tenth as many rows as ``lineitem``: every 20th of them with another quantity, and as many new ones."""
    path = DATA / f"li-{rows}-changes.parquet"
    if not path.exists():
        import duckdb

        source = lineitem(rows, "parquet")
        number = "(l_orderkey * 4 + l_linenumber - 1)"
        part = path.with_suffix(".part")
        with duckdb.connect() as connection:
            connection.execute(f"""
                copy (
                    select * replace (l_quantity + 1 as l_quantity) from '{source}' where {number} % 20 = 0
                    union all
                    select * replace (l_orderkey + {rows} as l_orderkey) from '{source}' where {number} % 20 = 1
                ) to '{part}' (format parquet)
            """)
        part.rename(path)
    return path


def with_bad_records(rows: int) -> Path:
    """NDJSON with one line in a hundred cut in half."""
    path = DATA / f"li-{rows}-bad.ndjson"
    if not path.exists():
        part = path.with_suffix(".part")
        with lineitem(rows, "ndjson").open("rb") as lines, part.open("wb") as out:
            for number, line in enumerate(lines):
                out.write(line if number % 100 else line[: len(line) // 2] + b"\n")
        part.rename(path)
    return path


def peers() -> Path | None:
    """The interpreter of the peers' own environment, made once from bench/peers.lock; None where that fails."""
    folder = DATA / "peers"
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    uv = Path(sys.executable).with_name("uv")
    try:
        subprocess.run([uv, "venv", "--quiet", "--clear", folder], check=True)
        lock = ["--require-hashes", "--compile-bytecode", "-r", ROOT / "peers.lock"]
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *lock], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"the peers could not be installed, and are left out: {error}")
        return None
    (folder / "ready").touch()
    return python


if __name__ == "__main__":
    _write(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
