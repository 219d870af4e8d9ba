"""The main example from its publishers to its tables, through the command line: what it says of itself is so.

It runs four times in one folder: an edition, the same again, and the two after it.
"""

import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable

OIL_PRICES = Path(__file__).parents[2] / "examples" / "oil-prices"
sys.path.insert(0, str(OIL_PRICES))
import demo  # noqa: E402 -- the example is no package

KEY = "a-key-for-the-simulator"
PIPELINE = "pipelines/oil_prices.yml"
EDITIONS = (0, 0, 1, 2)


@dataclass(frozen=True)
class Played:
    """What one run told, and what lay there afterwards."""

    told: dict
    version: int
    data_files: frozenset[str]
    serving: dict[str, set]
    monthly: set

    @property
    def lake(self):
        return self.told["epochs"][0]["sinks"]["lake"]


def penstock(folder, *words, url=""):
    environment = {**os.environ, "PUBLISHERS_URL": url, "PENSTOCK_SECRET_EIA_KEY": KEY, "NO_COLOR": "1"}
    done = subprocess.run(
        [demo.PENSTOCK, *words, "--json"], cwd=folder, env=environment, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    assert KEY not in done.stdout.decode() + done.stderr.decode()
    return json.loads(done.stdout)


def played(folder, revision):
    with demo.publishers(folder, revision, KEY) as url:
        told = penstock(folder, "run", PIPELINE, url=url)
    with sqlite3.connect(folder / "out" / "serving.db") as connection:
        serving = {name: set(connection.execute(f"select * from {name}").fetchall()) for name in ("prices", "spread")}
    connection.close()
    monthly = duckdb.connect().execute("select * from read_parquet(?)", [str(folder / "out/monthly.parquet")])
    lake = folder / "lake" / "prices"
    files = frozenset(str(path.relative_to(lake)) for path in lake.rglob("*.parquet") if "_delta_log" not in str(path))
    return Played(told, DeltaTable(str(lake)).version(), files, serving, set(monthly.fetchall()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("oil")
    demo.project(folder)
    return folder


@pytest.fixture(scope="module")
def runs(folder):
    return [played(folder, revision) for revision in EDITIONS]


def lake_at(folder, version):
    prices = DeltaTable(str(folder / "lake" / "prices"), version=version).to_pyarrow_table()
    query = "select publisher, crude, contract, price_date, price_usd, revised_at::varchar from prices"
    connection = duckdb.connect()
    connection.register("prices", prices)
    return {row[:4]: row[4:] for row in connection.execute(query).fetchall()}


def test_every_row_of_the_publishers_is_accounted_for(runs):
    balance = runs[0].told["balance"]
    figures = {
        node: tuple(found[key] for key in ("in", "out", "filtered", "deduplicated", "rejected"))
        for node, found in balance.items()
    }
    expected = {
        "eia": (86_117, 86_117, 0, 0, 0),
        "opec": (5_431, 5_431, 0, 0, 0),
        "iea": (149_760, 149_760, 0, 0, 0),
        "ice": (182_057, 182_050, 0, 0, 7),
        "eia_prices.filter": (86_117, 19_033, 67_084, 0, 0),
        "iea_prices.filter": (149_760, 51_057, 98_703, 0, 0),
        "iea_prices.aggregate": (51_057, 8_190, 0, 0, 0),
        "prices.union": (214_703, 214_703, 0, 0, 0),
        "prices.deduplicate": (214_703, 213_841, 0, 862, 0),
        "lake": (213_841, 213_841, 0, 0, 0),
        "lake.table": (213_841, 213_841, 0, 0, 0),
        "nearest.filter": (213_841, 47_771, 166_070, 0, 0),
        "serving_prices": (47_771, 47_771, 0, 0, 0),
    }
    assert {node: figures[node] for node in expected} == expected
    assert sum(balance[name]["in"] for name in ("eia", "opec", "iea", "ice")) >= 300_000
    assert runs[0].told["guarantee"] == "exactly_once"
    assert runs[0].told["status"] == "done"


def test_what_arrived_broken_is_set_aside_by_its_cause(folder, runs):
    told = runs[0].told
    assert told["rejects"]["total"] == sum(found["rejected"] for found in told["balance"].values()) == 8
    by_node = {found["node"] for found in told["rejects"]["by_cause"]}
    assert by_node == {"ice", "ice_prices.cast.check"}
    assert {"node": "ice", "cause": "bad_value", "column": "SETTLEMENT PRICE", "rows": 2} in told["rejects"]["by_cause"]
    (day,) = (found for found in told["rejects"]["by_cause"] if found["node"] == "ice_prices.cast.check")
    assert (day["column"], day["rows"]) == ("price_date", 1)
    listed = penstock(folder, "rejects", "list", "--run", told["run_id"])
    assert "31-Feb-2008" in json.dumps(penstock(folder, "rejects", "show", "--run", told["run_id"]))
    assert listed


PUBLISHED = [  # brent, wti, what is between them
    ("EIA", "2020-04-20", ["20.3900", "-36.9800", "57.3700"]),
    ("ICE", "2020-04-20", ["20.4731", "-37.6300", "58.1031"]),
    ("ICE", "2024-06-28", ["82.0740", "79.5900", "2.4840"]),
    ("EIA", "2024-06-28", ["82.6000", "80.1500", "2.4500"]),
]


@pytest.mark.parametrize(("publisher", "day", "prices"), PUBLISHED)
def test_the_published_values_of_known_days(runs, publisher, day, prices):
    (found,) = (row for row in runs[0].serving["spread"] if row[:2] == (publisher, day))
    assert [Decimal(str(value)) for value in found[2:]] == [Decimal(price) for price in prices]


def test_moving_averages_reach_over_the_whole_table(runs):
    (found,) = (row for row in runs[0].serving["prices"] if (row[0], *row[2:4]) == ("EIA", "brent", "2024-06-28"))
    assert [round(float(value), 3) for value in found[5:8]] == [82.6, 82.288, 82.46]


def test_every_pair_of_days_has_its_spread(folder, runs):
    prices = {(row[0], row[3], row[2]): row[5] for row in runs[0].serving["prices"]}
    days = {(publisher, day) for publisher, day, crude in prices if crude == "brent"}
    days &= {(publisher, day) for publisher, day, crude in prices if crude == "wti"}
    assert {row[:2] for row in runs[0].serving["spread"]} == days
    assert len(days) == len(runs[0].serving["spread"])


def test_the_lake_is_cut_by_region_and_crude(folder, runs):
    table = DeltaTable(str(folder / "lake" / "prices"), version=runs[0].version)
    assert table.metadata().partition_columns == ["region", "crude"]
    assert len({path.split("/", 2)[1] for path in table.file_uris()}) > 0
    assert len({"/".join(path.rsplit("/", 3)[1:3]) for path in table.file_uris()}) == 23


def test_a_second_run_adds_nothing(folder, runs):
    first, second = runs[:2]
    assert (second.lake["inserted"], second.lake["updated"], second.lake["unchanged"]) == (0, 0, 213_841)
    assert second.data_files == first.data_files
    assert second.serving == first.serving
    assert second.monthly == first.monthly
    assert lake_at(folder, second.version) == lake_at(folder, first.version)


@pytest.mark.parametrize("number", [2, 3])
def test_a_revision_changes_what_it_revises_and_nothing_else(folder, runs, number):
    before, after = runs[number - 1 : number + 1]
    keys = sent_again(folder, EDITIONS[number])
    old, new = lake_at(folder, before.version), lake_at(folder, after.version)
    inserted, updated = new.keys() - old.keys(), {key for key in old.keys() & new.keys() if old[key] != new[key]}
    assert inserted | updated == keys
    assert old.keys() <= new.keys()
    assert (after.lake["inserted"], after.lake["updated"]) == (len(inserted), len(updated))
    assert after.lake["unchanged"] == len(old) - len(updated)
    assert len(inserted) == (8 if number == 2 else 0)
    touched = {(publisher, crude, str(day)[:7]) for publisher, crude, _, day in keys}
    months = {(row[0], row[2], str(row[3])[:7]) for row in before.monthly ^ after.monthly}
    assert months
    # The first return of the next month looks back at the last price of the revised one.
    following = {(publisher, crude, next_month(month)) for publisher, crude, month in touched}
    assert months <= touched | following


def next_month(month):
    year, number = map(int, month.split("-"))
    return f"{year + number // 12}-{number % 12 + 1:02}"


def sent_again(folder, revision):
    """The keys of the lake in ICE's revision file, read with nothing of Penstock."""
    query = """
        select 'ICE', s.crude, r."STRIP",
               coalesce(try_strptime(r."TRADE DATE", '%d-%b-%Y'), try_strptime(r."TRADE DATE", '%m/%d/%Y'))::date
        from read_csv(?, all_varchar = true) r
        join read_csv(?, all_varchar = true) s on s.publisher = 'ICE' and s.symbol = r."CONTRACT"
    """
    files = [str(folder / f"data/ice/ice-revision-{revision:03}.csv"), str(folder / "data/reference/symbols.csv")]
    return set(duckdb.connect().execute(query, files).fetchall())


# ---------------------------------------------------------------- real prices

REAL = os.environ.get("PENSTOCK_TEST_DATA")
REAL_PIPELINE = """
pipeline: real_prices
sources:
  brent: {type: csv, path: "%s/brent-daily.csv", schema: {columns: {Date: date, Price: "decimal(9,4)"}}}
  wti: {type: csv, path: "%s/wti-daily.csv", schema: {columns: {Date: date, Price: "decimal(9,4)"}}}
transforms:
  brent_prices: {from: brent, steps: [{select: {crude: {text: brent}, day: Date, usd: Price}}]}
  wti_prices: {from: wti, steps: [{select: {crude: {text: wti}, day: Date, usd: Price}}]}
  prices: {from: [brent_prices, wti_prices]}
  averages:
    from: lake
    steps:
      - window:
          partition_by: [crude]
          order_by: [day]
          frame: range between interval 6 days preceding and current row
          columns: {week: "round(avg(usd), 4)"}
  spread:
    sql: |
      select b.day, b.usd - w.usd as spread
      from lake b join lake w using (day)
      where b.crude = 'brent' and w.crude = 'wti'
sinks:
  lake: {from: prices, type: delta, path: lake, mode: merge, keys: [crude, day]}
  averaged: {from: averages, type: parquet, path: averages.parquet, mode: overwrite}
  spreads: {from: spread, type: sqlite, path: serving.db, table: spreads, mode: overwrite}
run: {guarantee: exactly_once}
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A folder where the pipeline ran twice over real prices, and what each run told."""
    if REAL is None:
        pytest.skip("PENSTOCK_TEST_DATA names no folder of real price series")
    folder = tmp_path_factory.mktemp("real")
    (folder / "real.yml").write_text(REAL_PIPELINE % (REAL, REAL), encoding="utf-8")
    return folder, [penstock(folder, "run", "real.yml", "--allow-path", REAL) for _ in range(2)]


# As the U.S. Energy Information Administration published them.
KNOWN_DAYS = [
    ("wti", "1986-01-02", "25.56"),
    ("brent", "1987-05-20", "18.63"),
    ("wti", "2008-07-14", "145.16"),
    ("wti", "2020-04-20", "-36.98"),
    ("brent", "2020-04-20", "17.36"),
    ("brent", "2020-04-21", "9.12"),
]


@pytest.mark.parametrize(("crude", "day", "price"), KNOWN_DAYS)
def test_real_prices_of_known_days(real, crude, day, price):
    folder, _ = real
    query = "select usd from lake where crude = ? and day = ?::date"
    connection = duckdb.connect()
    connection.register("lake", DeltaTable(str(folder / "lake")).to_pyarrow_table())
    assert connection.execute(query, [crude, day]).fetchall() == [(Decimal(price),)]


def test_real_prices_are_loaded_once_and_to_the_row(real):
    _, (first, second) = real
    rows = {
        name: len(Path(REAL, f"{name}-daily.csv").read_text(encoding="utf-8").splitlines()) - 1
        for name in ("brent", "wti")
    }
    assert {name: first["balance"][name]["out"] for name in rows} == rows
    assert first["rejects"]["total"] == 0
    assert first["epochs"][0]["sinks"]["lake"]["inserted"] == sum(rows.values())
    lake = second["epochs"][0]["sinks"]["lake"]
    assert (lake["inserted"], lake["updated"], lake["unchanged"]) == (0, 0, sum(rows.values()))


def test_the_day_the_price_went_below_zero(real):
    folder, _ = real
    with sqlite3.connect(folder / "serving.db") as connection:
        (spread,) = connection.execute("select spread from spreads where day = '2020-04-20'").fetchone()
    connection.close()
    assert Decimal(str(spread)) == Decimal("54.34")
    averages = duckdb.connect().execute(
        "select week from read_parquet(?) where crude = 'wti' and day = date '2020-04-24'",
        [str(folder / "averages.parquet")],
    )
    (week,) = averages.fetchone()
    assert round(week, 4) == round((-36.98 + 8.91 + 13.64 + 15.06 + 15.99) / 5, 4)
