"""The paths of the gates, each with its floor and the peers that can do the work."""

from __future__ import annotations

import shutil
import subprocess
import textwrap
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.harness import Case, Command, penstock, python
from bench.inputs import DATA, DUCKDB_COLUMNS, ROOT, SCHEMA, changes, lineitem, peers, with_bad_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

PROGRAMS = ROOT / "programs"
PAGES, RECORDS = 1_000, 1_000
PANDAS_NDJSON_ROWS = 2_000_000  # which take pandas 7 GB


def workplace(name: str, document: str, *, allow: str = "") -> Path:
    """A fresh project with one pipeline, p.yml; ``allow`` is a further folder that its paths may name."""
    folder = DATA / "work" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "p.yml").write_text(textwrap.dedent(document), encoding="utf-8")
    if allow:
        (folder / "penstock.yml").write_text(
            f"project: bench\nconnections: {{data: {{type: files, root: {allow}}}}}\n", encoding="utf-8"
        )
    return folder


def ours(folder: Path, before: Callable[[], None] | None = None) -> Command:
    return Command(penstock("--quiet", "run", "p.yml"), folder, before=before)


def emptied(folder: Path, *names: str) -> Callable[[], None]:
    def empty() -> None:
        for name in names:
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).unlink(missing_ok=True) if (folder / name).is_file() else None
        (folder / "out").mkdir(exist_ok=True)

    return empty


def peer_command(folder: Path, *arguments: str) -> Command | None:
    interpreter = peers()
    if interpreter is None:
        return None
    settings = {
        "DLT_DATA_DIR": str(folder / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
    }
    return Command([str(interpreter), *arguments], folder, settings, emptied(folder, "out", "dlt"))


def with_peers(commands: dict[str, Command], found: Mapping[str, Command | None]) -> dict[str, Command]:
    return commands | {name: command for name, command in found.items() if command is not None}


# ---------------------------------------------------------------- files


def files(rows: int) -> Iterator[Case]:
    documents = {
        "csv-parquet": ("csv", "", "a"),
        "csv-aggregate": (
            "csv",
            """
            transforms:
              x:
                from: a
                steps:
                  - filter: l_quantity > 10
                  - aggregate:
                      by: [l_shipmode, l_returnflag]
                      measures: {n: count(*), revenue: sum(l_extendedprice * (1 - l_discount))}
            """,
            "x",
        ),
        "ndjson-parquet": ("ndjson", "", "a"),
        "ndjson-parquet-bad": ("ndjson", "", "a"),
    }
    names = {
        "csv-parquet": ("CSV to Parquet", 1.20, 1.08),
        "csv-aggregate": ("CSV, filter, derive, aggregate", 1.25, 1.10),
        "ndjson-parquet": ("NDJSON to Parquet", 1.25, 1.10),
        "ndjson-parquet-bad": ("NDJSON with 1 % bad records to Parquet", 2.2, 2.2),
    }
    used = {
        "csv-aggregate": '{l_quantity: "int64?", l_extendedprice: "decimal(12,2)?", l_discount: "decimal(4,2)?", l_shipmode: "string?", l_returnflag: "string?"}'
    }
    for kind, (ending, transforms, last) in documents.items():
        source = with_bad_records(rows) if kind.endswith("bad") else lineitem(rows, ending)
        schema = used.get(kind, SCHEMA)
        document = (
            f"pipeline: bench\nsources:\n  a: {{type: {ending}, path: {source}, schema: {{columns: {schema}}}}}\n"
            + textwrap.dedent(transforms)
            + f"\nsinks:\n  one: {{from: {last}, type: parquet, path: out/one.parquet, mode: overwrite}}\n"
        )
        folder = workplace(kind, document, allow=str(DATA))
        target = str(folder / "out" / "floor.parquet")
        program = python(str(PROGRAMS / "floor_files.py"), kind, str(source), target, DUCKDB_COLUMNS)
        commands = {
            "floor": Command(program, folder, before=emptied(folder, "out")),
            "penstock": ours(folder, emptied(folder, "out", ".penstock")),
        }
        plain = kind.removesuffix("-bad")
        able = [] if kind.endswith("bad") else ["polars", "pandas", "dlt-arrow"]
        if kind == "csv-aggregate":
            able = ["polars", "pandas"]
        if kind == "ndjson-parquet" and rows > PANDAS_NDJSON_ROWS:
            able.remove("pandas")
        found = {
            peer: peer_command(
                folder, str(PROGRAMS / "peer_files.py"), peer, plain, str(source), str(folder / "out" / "peer.parquet")
            )
            for peer in able
        }
        title, gate, goal = names[kind]
        claims = {
            "polars": "lazy, streaming sink",
            "pandas": "pyarrow engine",
            "dlt-arrow": "Arrow batches, Parquet loader files",
        }
        yield Case(f"{title}, {rows:,} rows", gate, goal, "bare DuckDB, typed", with_peers(commands, found), claims)


RULES = """
    rules:
      - not_null: [l_orderkey, l_partkey]
      - range: {column: l_quantity, min: 0, max: 100}
      - range: {column: l_tax, min: 0, max: 1}
      - in_set: {column: l_returnflag, values: [A, N, R]}
      - pattern: {column: l_shipmode, pattern: "[A-Z ]{2,10}"}
      - length: {column: l_comment, max: 200}
      - expression: l_discount <= 0.5
      - row_count: {min: 1}
      - null_share: {columns: [l_comment, l_quantity], max: 1 %}
      - distinct_count: {column: l_shipmode, max: 10}
"""


def rules(rows: int) -> Iterator[Case]:
    """The same copy with and without rules, none of which a row violates."""
    commands = {}
    for name, demanded in (("floor", "\n"), ("penstock", RULES)):
        document = (
            f"pipeline: {name}\nsources:\n"
            f"  a: {{type: csv, path: {lineitem(rows, 'csv')}, schema: {{columns: {SCHEMA}}}}}\n"
            f"transforms:\n  x:\n    from: a{demanded}"
            "sinks:\n  one: {from: x, type: parquet, path: out/one.parquet, mode: overwrite}\n"
        )
        folder = workplace(f"rules-{name}", document, allow=str(DATA))
        commands[name] = ours(folder, emptied(folder, "out", ".penstock"))
    yield Case(f"CSV to Parquet with 10 rules, {rows:,} rows", 1.35, 1.20, "the same without rules", commands)


def small() -> Iterator[Case]:
    folder = workplace("small", "")
    (folder / "a.csv").write_text("k,v\n" + "".join(f"{n},v{n}\n" for n in range(1_000)), encoding="utf-8")
    (folder / "p.yml").write_text(
        "pipeline: small\nsources: {a: {type: csv, path: a.csv, schema: {columns: {k: int64, v: string}}}}\n"
        "sinks: {one: {from: a, type: parquet, path: out/one.parquet, mode: overwrite}}\n",
        encoding="utf-8",
    )
    program = python(str(PROGRAMS / "floor_small.py"), str(folder / "a.csv"), str(folder / "out" / "floor.parquet"))
    commands = {
        "floor": Command(program, folder, before=emptied(folder, "out")),
        "penstock": ours(folder, emptied(folder, "out", ".penstock")),
    }
    yield Case("a run of 1,000 rows, whole process", 4.0, 2.0, "Python and DuckDB", commands)
    commands |= {"penstock": _nothing_new(folder / "a.csv")}
    yield Case("an incremental run with nothing new, whole process", 4.0, 2.5, "Python and DuckDB", commands)


def _nothing_new(source: Path) -> Command:
    folder = workplace("nothing-new", "")
    shutil.copy2(source, folder / "a.csv")
    (folder / "p.yml").write_text(
        "pipeline: small\n"
        "sources: {a: {type: csv, path: a.csv, incremental: files, schema: {columns: {k: int64, v: string}}}}\n"
        "sinks: {one: {from: a, type: parquet, path: out, mode: append}}\n",
        encoding="utf-8",
    )
    command = ours(folder)
    subprocess.run(command.argv, cwd=folder, check=True)
    return command


# ---------------------------------------------------------------- delta


def delta(rows: int) -> Iterator[Case]:
    source, part = lineitem(rows, "parquet"), changes(rows)
    document = """
        pipeline: bench
        sources: {{a: {{type: parquet, path: {source}}}}}
        sinks: {{one: {{from: a, type: delta, path: out/table, {mode}}}}}
    """
    for kind, gate, goal, mode in (
        ("append", 2.2, 1.5, "mode: append"),
        ("merge", 1.8, 1.2, "mode: merge, keys: [l_orderkey, l_linenumber]"),
    ):
        used = source if kind == "append" else part
        folder = workplace(f"delta-{kind}", document.format(source=used, mode=mode), allow=str(DATA))
        seed = folder / "seed"
        if kind == "merge":
            _seed(folder, DELTA_SEED.format(source=source), "seed")
        fresh = emptied(folder, "out", ".penstock")

        def before(
            folder: Path = folder, seed: Path = seed, fresh: Callable[[], None] = fresh, kind: str = kind
        ) -> None:
            fresh()
            if kind == "merge":
                shutil.copytree(seed, folder / "out" / "table")

        target = str(folder / "out" / "floor.parquet")
        arguments = [str(PROGRAMS / "floor_delta.py"), kind, str(used), target, str(source)]
        commands = {
            "floor": Command(python(*arguments), folder, before=fresh),
            "penstock": ours(folder, before),
            "deltalake": Command(
                python(str(PROGRAMS / "peer_delta.py"), kind, str(used), str(folder / "out" / "table")),
                folder,
                before=before,
            ),
        }
        title = (
            f"Delta append, {rows:,} rows"
            if kind == "append"
            else f"Delta merge, {rows // 10:,} (half of them new) into {rows:,} rows"
        )
        floor = "DuckDB's Parquet copy" if kind == "append" else "DuckDB's anti-join rewrite"
        yield Case(title, gate, goal, floor, commands)


DELTA_SEED = (
    "pipeline: seed\nsources: {{a: {{type: parquet, path: {source}}}}}\n"
    "sinks: {{one: {{from: a, type: delta, path: seed, mode: overwrite}}}}\n"
)


def _seed(folder: Path, document: str, written: str) -> None:
    """A table as Penstock writes it, with files whose row groups two cores can read at once as those of the floor;
    ``written`` is the folder where it lies, and ``seed`` has it then.
    """
    (folder / "seed.yml").write_text(document, encoding="utf-8")
    subprocess.run(penstock("--quiet", "run", "seed.yml"), cwd=folder, check=True)
    if written != "seed":
        shutil.copytree(folder / written, folder / "seed")


# ---------------------------------------------------------------- iceberg


def iceberg(rows: int) -> Iterator[Case]:
    source, part = lineitem(rows, "parquet"), changes(rows)
    place = "type: iceberg, connection: {path: out/catalog.db, warehouse: out/lake}, table: oil.prices"
    document = (
        f"pipeline: NAME\nsources: {{a: {{type: parquet, path: SOURCE}}}}\nsinks: {{one: {{from: a, {place}, MODE}}}}\n"
    )

    def written(name: str, path: Path, mode: str) -> str:
        return document.replace("NAME", name).replace("SOURCE", str(path)).replace("MODE", mode)

    append = workplace("iceberg-append", written("bench", source, "mode: append"), allow=str(DATA))
    fresh = emptied(append, "out", ".penstock")
    floor = python(str(PROGRAMS / "floor_iceberg.py"), "append", str(source), str(append / "out"))
    commands = {"floor": Command(floor, append, before=fresh), "penstock": ours(append, fresh)}
    yield Case(f"Iceberg append, {rows:,} rows", 3.5, 3.5, "pyiceberg's append", commands)

    keys = "mode: merge, keys: [l_orderkey, l_linenumber]"
    upsert = workplace("iceberg-upsert", written("bench", part, keys), allow=str(DATA))
    _seed(upsert, written("seed", source, "mode: overwrite"), "out")

    def restored() -> None:
        """Where it was: Iceberg names its files by absolute paths."""
        emptied(upsert, "out", ".penstock")()
        shutil.copytree(upsert / "seed", upsert / "out", dirs_exist_ok=True)

    floor = python(str(PROGRAMS / "floor_iceberg.py"), "upsert", str(part), str(upsert / "out"), str(source))
    commands = {"floor": Command(floor, upsert, before=restored), "penstock": ours(upsert, restored)}
    title = f"Iceberg upsert, {rows // 10:,} (half of them new) into {rows:,} rows"
    yield Case(title, 3.0, 3.0, "DuckDB's anti-join rewrite, committed by pyiceberg", commands)


# ---------------------------------------------------------------- rest


def rest() -> Iterator[Case]:
    with _pages() as port:
        document = f"""
            pipeline: bench
            sources:
              a:
                type: rest
                connection: {{base_url: "http://127.0.0.1:{port}", allow_private: [127.0.0.0/8]}}
                path: /rows
                paginate: {{type: offset, offset: offset, limit: limit, size: {RECORDS}, total: total}}
                records: data
                schema: {{columns: {{id: int64, day: date, crude: string, price: float64}}}}
            sinks: {{one: {{from: a, type: parquet, path: out/one.parquet, mode: overwrite}}}}
        """
        folder = workplace("rest", document)
        numbers = [str(port), str(PAGES), str(RECORDS)]
        commands = {
            "floor": Command(python(str(PROGRAMS / "floor_rest.py"), *numbers), folder, before=emptied(folder, "out")),
            "penstock": ours(folder, emptied(folder, "out", ".penstock")),
        }
        target = str(folder / "out" / "peer.parquet")
        found = {
            peer: peer_command(folder, str(PROGRAMS / "peer_rest.py"), peer, *numbers, target)
            for peer in ("requests-pandas", "dlt-rest")
        }
        claims = {"dlt-rest": "rest_api source as it comes"}
        title = f"REST, {PAGES:,} pages of {RECORDS:,} records to Parquet"
        yield Case(title, 6.0, 4.5, "draining the bytes over four connections", with_peers(commands, found), claims)


@contextmanager
def _pages() -> Iterator[int]:
    port_file = DATA / "pages.port"
    port_file.unlink(missing_ok=True)
    server = subprocess.Popen(python(str(PROGRAMS / "pages.py"), str(PAGES), str(RECORDS), str(port_file)))
    try:
        while not port_file.exists() or not port_file.read_text(encoding="ascii"):
            if server.poll() is not None:
                raise SystemExit("the pages' server did not start")
            time.sleep(0.05)
        yield int(port_file.read_text(encoding="ascii"))
    finally:
        server.kill()
        server.wait()


# ---------------------------------------------------------------- postgres


def postgres(rows: int) -> Iterator[Case]:
    from penstock.testing import servers

    installation = servers.find_postgres()
    if isinstance(installation, servers.Unavailable):
        print(f"PostgreSQL is left out: {installation.reason}")
        return
    source = lineitem(rows, "keyed")
    with servers.postgres(installation) as server:
        url = server.url()
        columns = _postgres_columns()
        server.sql(f"create table li ({columns})")
        _shell("in", url.replace("postgres://", "postgresql://"), str(source), table="li")
        yield _postgres_out(rows, url)
        yield _postgres_in(rows, url, source, server, columns)
        yield _postgres_upsert(rows, url, source, server, columns)


def _postgres_out(rows: int, url: str) -> Case:
    document = f"""
        pipeline: bench
        sources: {{a: {{type: postgres, connection: "{url}", table: li}}}}
        sinks: {{one: {{from: a, type: parquet, path: out/one.parquet, mode: overwrite}}}}
    """
    folder = workplace("postgres-out", document)
    commands = {
        "floor": Command(["bash", str(PROGRAMS / "floor_postgres.sh"), "out", url], folder),
        "penstock": ours(folder, emptied(folder, "out", ".penstock")),
    }
    target = str(folder / "out" / "peer.parquet")
    found = {
        peer: peer_command(folder, str(PROGRAMS / "peer_postgres.py"), peer, url, target)
        for peer in ("connectorx", "dlt-connectorx")
    }
    return Case(
        f"PostgreSQL to Parquet, {rows:,} rows", 1.6, 1.25, "\\copy binary to nothing", with_peers(commands, found)
    )


def _postgres_in(rows: int, url: str, source: Path, server: object, columns: str) -> Case:
    document = f"""
        pipeline: bench
        sources: {{a: {{type: csv, path: {source}, schema: {{columns: {_keyed_schema()}}}}}}}
        sinks: {{one: {{from: a, type: postgres, connection: "{url}", table: target, mode: append}}}}
    """
    folder = workplace("postgres-in", document, allow=str(DATA))

    def before() -> None:
        emptied(folder, "out", ".penstock")()
        server.sql(f"drop table if exists target, _penstock_commits cascade; create table target ({columns})")  # type: ignore[attr-defined]

    commands = {
        "floor": Command(["bash", str(PROGRAMS / "floor_postgres.sh"), "in", url, str(source)], folder, before=before),
        "penstock": ours(folder, before),
    }
    return Case(f"CSV to PostgreSQL, {rows:,} rows appended", 1.3, 0.9, "\\copy", commands)


def _postgres_upsert(rows: int, url: str, source: Path, server: object, columns: str) -> Case:
    document = f"""
        pipeline: bench
        sources: {{a: {{type: csv, path: {source}, schema: {{columns: {_keyed_schema()}}}}}}}
        sinks: {{one: {{from: a, type: postgres, connection: "{url}", table: target, mode: merge, keys: [l_key]}}}}
    """
    folder = workplace("postgres-upsert", document, allow=str(DATA))

    def before() -> None:
        emptied(folder, "out", ".penstock")()
        # Half of the rows sent are there already, with other values.
        server.sql(  # type: ignore[attr-defined]
            f"drop table if exists target, _penstock_commits cascade; create table target ({columns}, primary key (l_key));"
            "insert into target select * from li; update target set l_quantity = l_quantity + 1;"
            f"update target set l_key = l_key + {rows} where l_key >= {rows // 2}"
        )
        server.sql("vacuum analyze target")  # type: ignore[attr-defined]

    commands = {
        "floor": Command(
            ["bash", str(PROGRAMS / "floor_postgres.sh"), "upsert", url, str(source)], folder, before=before
        ),
        "penstock": ours(folder, before),
    }
    floor = "COPY into an unlogged table, DELETE and INSERT"
    return Case(f"upsert of {rows:,} into {rows:,} rows, PostgreSQL", 1.3, 1.1, floor, commands)


def _keyed_schema() -> str:
    return "{l_key: int64, " + SCHEMA[1:]


def _postgres_columns() -> str:
    from bench.inputs import COLUMNS

    kinds = {"VARCHAR": "text"}
    return ", ".join(["l_key bigint", *(f"{name} {kinds.get(kind, kind)}" for name, kind in COLUMNS.items())])


def _shell(act: str, url: str, source: str, *, table: str) -> None:
    program = (
        (PROGRAMS / "floor_postgres.sh").read_text(encoding="utf-8").replace("\\\\copy target", f"\\\\copy {table}")
    )
    subprocess.run(["bash", "-c", program, "bash", act, url, source], check=True)


# ---------------------------------------------------------------- epochs

EPOCHS = 100


def epochs() -> Iterator[tuple[str, Command]]:
    """One epoch and many, over as many files of a row: what an epoch costs by itself. The floor does what makes an epoch
    durable, in the same databases: a row for the plan, rows with a marker, a row for the seal.
    """
    folder = workplace("epochs", "")
    (folder / "in").mkdir()
    for number in range(EPOCHS):
        (folder / "in" / f"{number:03}.csv").write_text(f"k,v\n{number},v{number}\n", encoding="utf-8")
    source = '{type: csv, path: "in/*.csv", incremental: files, schema: {columns: {k: int64, v: string}}}'
    sink = "{from: a, type: sqlite, path: out/out.db, table: t, mode: append}"
    text = f"sources: {{a: {source}}}\nsinks: {{one: {sink}}}\n"
    (folder / "p.yml").write_text(f"pipeline: one\n{text}", encoding="utf-8")
    (folder / "many.yml").write_text(f"pipeline: many\n{text}run: {{epoch: {{rows: 1}}}}\n", encoding="utf-8")
    clean = emptied(folder, "out", ".penstock")
    floor = str(PROGRAMS / "floor_epochs.py")
    yield "floor, one", Command(python(floor, "1"), folder, before=clean)
    yield "floor, many", Command(python(floor, str(EPOCHS)), folder, before=clean)
    yield "penstock, one", ours(folder, clean)
    yield "penstock, many", Command(penstock("--quiet", "run", "many.yml"), folder, before=clean)


# ---------------------------------------------------------------- memory


def memory(rows: int) -> Iterator[tuple[str, Command]]:
    """CSV to Parquet at two sizes: the peak must be flat in the number of rows."""
    for size in (rows, rows * 4):
        source = lineitem(size, "csv")
        document = (
            f"pipeline: bench\nsources:\n  a: {{type: csv, path: {source}, schema: {{columns: {SCHEMA}}}}}\n"
            "sinks:\n  one: {from: a, type: parquet, path: out/one.parquet, mode: overwrite}\nrun: {memory: 400 MiB}\n"
        )
        folder = workplace(f"memory-{size}", document, allow=str(DATA))
        yield f"{size:,} rows", ours(folder, emptied(folder, "out", ".penstock"))


SECTIONS: Mapping[str, Callable[[int], Iterator[Case]]] = {
    "files": files,
    "rules": rules,
    "small": lambda _: small(),
    "delta": lambda rows: delta(max(rows // 5, 1)),
    "iceberg": lambda rows: iceberg(max(rows // 5, 1)),
    "rest": lambda _: rest(),
    "postgres": lambda rows: postgres(max(rows // 5, 1)),
}
