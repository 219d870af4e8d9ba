"""The main example from its publishers to its tables, through the command line: what it says of itself is so.

It runs four times in one folder: an edition, the same again, then (some of its rejects are repaired and sent again) the next
month, and a revision of it, whose file has other columns.
"""

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable

OIL_PRICES = Path(__file__).parents[2] / "examples" / "oil-prices"
sys.path.insert(0, str(OIL_PRICES))
import demo  # noqa: E402 -- the example is no package

pytestmark = pytest.mark.timeout(900)  # the first test waits for all runs

KEY = "a-key-for-the-simulator"
PIPELINE = demo.PIPELINE
REPAIR = (PIPELINE, demo.GROUP, "--set", demo.REPAIR)
JUNE = demo.UNTIL_JUNE
EDITIONS = (demo.UNTIL_MAY, demo.UNTIL_MAY, replace(JUNE, revision=1), JUNE)


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


def played(folder, edition):
    with demo.publishers(folder, edition, KEY) as url:
        told = penstock(folder, "run", PIPELINE, url=url)
    return look(folder, told)


def look(folder, told):
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


@dataclass(frozen=True)
class History:
    """The four runs, and what lay there before and after the repair between the second and the third of them."""

    runs: list[Played]
    tried: dict
    repaired: Played


@pytest.fixture(scope="module")
def history(folder):
    first = [played(folder, edition) for edition in EDITIONS[:2]]
    with demo.publishers(folder, demo.UNTIL_MAY, KEY) as url:
        tried = penstock(folder, "rejects", "try", *REPAIR, url=url)
        assert look(folder, tried) == replace(first[1], told=tried)
        repaired = look(folder, penstock(folder, "rejects", "replay", *REPAIR, url=url))
    return History([*first, *(played(folder, edition) for edition in EDITIONS[2:])], tried, repaired)


@pytest.fixture(scope="module")
def runs(history):
    return history.runs


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
        "eia": (85_897, 85_897, 0, 0, 0),
        "opec": (5_411, 5_411, 0, 0, 0),
        "iea": (149_184, 149_184, 0, 0, 0),
        "ice": (181_331, 181_312, 0, 0, 19),
        "eia_prices.filter": (85_897, 18_993, 66_904, 0, 0),
        "iea_prices.filter": (149_184, 50_929, 98_255, 0, 0),
        "iea_prices.aggregate": (50_929, 8_169, 0, 0, 0),
        "prices.union": (213_884, 213_884, 0, 0, 0),
        "lake.one_per_key": (1_712, 856, 0, 856, 0),
        "lake": (213_028, 213_028, 0, 0, 0),
        "lake.table": (213_028, 213_028, 0, 0, 0),
        "nearest.filter": (213_028, 47_629, 165_399, 0, 0),
        "serving_prices": (47_629, 47_629, 0, 0, 0),
    }
    assert {node: figures[node] for node in expected} == expected
    assert sum(balance[name]["in"] for name in ("eia", "opec", "iea", "ice")) >= 300_000
    assert runs[0].told["guarantee"] == "exactly_once"
    assert runs[0].told["status"] == "done"


def test_what_arrived_broken_is_set_aside_by_its_cause(folder, runs):
    told = runs[0].told
    assert told["rejects"]["total"] == sum(found["rejected"] for found in told["balance"].values()) == 20
    by_node = {found["node"] for found in told["rejects"]["by_cause"]}
    assert by_node == {"ice", "ice_prices.cast.check"}
    assert {"node": "ice", "cause": "bad_value", "column": "SETTLEMENT PRICE", "rows": 14} in told["rejects"][
        "by_cause"
    ]
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
    (found,) = (row for row in runs[-1].serving["spread"] if row[:2] == (publisher, day))
    assert [Decimal(str(value)) for value in found[2:]] == [Decimal(price) for price in prices]


def test_moving_averages_reach_over_the_whole_table(runs):
    (found,) = (row for row in runs[-1].serving["prices"] if (row[0], *row[2:4]) == ("EIA", "brent", "2024-06-28"))
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


def test_a_second_run_reads_what_is_new_and_adds_nothing(folder, runs):
    first, second = runs[:2]
    read = {node: second.told["balance"][node]["out"] for node in ("eia", "ice", "opec")}
    assert read == {"eia": 55, "ice": 0, "opec": 5_411}  # a week of EIA, no file of ICE; OPEC has but one
    assert (second.lake["inserted"], second.lake["updated"], second.lake["unchanged"]) == (0, 0, 13_590)
    assert second.data_files == first.data_files
    assert second.serving == first.serving
    assert second.monthly == first.monthly
    assert lake_at(folder, second.version) == lake_at(folder, first.version)


def test_a_repair_is_tried_and_then_the_rows_that_it_saves_are_in_the_lake(folder, history):
    before, after = history.runs[1], history.repaired
    assert (history.tried["rows"], history.tried["saved"]) == (14, 12)
    old, new = lake_at(folder, before.version), lake_at(folder, after.version)
    added = {key: price for key, (price, _) in new.items() if key not in old}
    assert {key: old[key] for key in old} == {key: new[key] for key in old}
    assert added == published_with_separators(folder)
    (brought,) = (row for row in after.serving["prices"] if (row[0], *row[2:4]) == ("ICE", "wti", "2022-06-09"))
    assert Decimal(str(brought[5])) == Decimal("116.57")


def published_with_separators(folder):
    """Key and price of what ICE printed as "11,657.00000" cents, read with nothing of Penstock."""
    text = (folder / "data/ice/ice-settlements-2022.csv").read_text(encoding="utf-8")
    rows = [row for row in csv.DictReader(io.StringIO(text)) if "," in (row["SETTLEMENT PRICE"] or "")]
    return {
        ("ICE", "wti", row["STRIP"], date(2022, 6, 9)): Decimal(row["SETTLEMENT PRICE"].replace(",", "")) / 100
        for row in rows
        if row["TRADE DATE"] == "6/9/2022"
    }


def test_a_month_later_new_days_are_there_and_what_was_revised_is_updated(folder, history):
    before, after = history.repaired, history.runs[2]
    old, new = lake_at(folder, before.version), lake_at(folder, after.version)
    inserted, updated = new.keys() - old.keys(), {key for key in old.keys() & new.keys() if old[key] != new[key]}
    assert old.keys() <= new.keys()
    assert (after.lake["inserted"], after.lake["updated"]) == (len(inserted), len(updated))
    resent = sent_again(folder, 1)
    assert len({key for key in inserted if key[3] <= date(2024, 5, 31)}) == 8  # they had arrived broken
    assert {key for key in inserted if key[3] <= date(2024, 5, 31)} <= resent <= inserted | updated
    assert {key[0] for key in updated - resent} <= {"IEA"}  # countries that had reported late
    assert after.told["news"] == []


def test_a_revision_changes_what_it_revises_and_nothing_else(folder, runs):
    before, after = runs[-2:]
    keys = sent_again(folder, JUNE.revision)
    old, new = lake_at(folder, before.version), lake_at(folder, after.version)
    assert old.keys() == new.keys()
    assert {key for key in old if old[key] != new[key]} == keys
    assert (after.lake["inserted"], after.lake["updated"]) == (0, len(keys))
    assert after.told["balance"]["ice"]["in"] == len(keys)
    touched = {(publisher, crude, str(day)[:7]) for publisher, crude, _, day in keys}
    months = {(row[0], row[2], str(row[3])[:7]) for row in before.monthly ^ after.monthly}
    assert months
    # The first return of the next month looks back at the last price of the revised one.
    following = {(publisher, crude, next_month(month)) for publisher, crude, month in touched}
    assert months <= touched | following


def test_columns_that_a_publisher_changed_are_told_with_what_becomes_of_them(runs):
    assert runs[-1].told["news"] == [
        f'"ice": column "{name}" is new (string?): left out (on_new_column: ignore)'
        for name in ("CHANGE", "OPEN INTEREST")
    ]
    assert runs[-1].told["rejects"]["total"] == 0


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
