"""The simulator of publishers keeps what its README promises: counts, shapes, broken rows, and what new data changes."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from datetime import date, datetime
from functools import cache
from pathlib import Path
from random import Random
from xml.etree import ElementTree as ET

import pytest
from publishers.__main__ import main
from publishers.contracts import brent_expiry, gasoil_expiry, wti_expiry
from publishers.edition import Edition
from publishers.eia_api import answer
from publishers.ice_files import BROKEN, Breakage, corrected_by
from publishers.market import market
from publishers.opec import BASKET_PATH, NAMESPACE
from publishers.publications import REGISTER_PATH, Publications, publish, write_files
from publishers.trading_days import american_holidays, easter, exchange_holidays, london_holidays

pytestmark = pytest.mark.slow

OIL_PRICES = Path(__file__).parents[3] / "examples" / "oil-prices"
EARLY = Edition(through=date(2013, 3, 14))
KEYS = frozenset({"demo-key"})
REMEMBERED_LOWS = {("RWTC", "2020-04-20"): -36.98}


@pytest.fixture(scope="module")
def published() -> Publications:
    return publish(Edition())


@pytest.fixture(scope="module")
def early() -> Publications:
    return publish(EARLY)


@pytest.fixture(scope="module")
def revised() -> Publications:
    return publish(Edition(revision=2))


def ask(publications: Publications, key: str | None = "demo-key", **query: str):
    found = answer({name: [value] for name, value in query.items()}, key, KEYS, publications.observations)
    return found.status, json.loads(found.body)


def page(publications: Publications, **query: str):
    status, body = ask(publications, **{"frequency": "daily", "data[0]": "value", **query})
    assert status == 200
    return body["response"]


def settlements(content: bytes) -> list[dict[str, str]]:
    """Rows that are CSV records of the header, in the order of the file; the others are left out."""
    lines = content.decode("utf-8", errors="replace").splitlines()
    header, *rows = csv.reader(lines, strict=False)
    return [dict(zip(header, row, strict=True)) for row in rows if len(row) == len(header)]


def register(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode()), delimiter=";"))


@cache
def as_day(text: str) -> date:
    return datetime.strptime(text, "%d-%b-%Y" if "-" in text else "%m/%d/%Y").date()  # noqa: DTZ007 - a day only


# Totals


def test_all_publishers_together_send_more_than_300_000_rows(published):
    assert published.rows.total >= 300_000
    assert published.rows.total == published.rows.eia + published.rows.opec + published.rows.iea + published.rows.ice


def test_rows_are_counted_as_they_stand_in_the_publications(published):
    files = published.files
    ice = [content for path, content in files.items() if path.startswith("/ice/")]
    assert published.rows.opec == len(ET.fromstring(files[BASKET_PATH]))
    assert published.rows.iea == len(register(files[REGISTER_PATH]))
    assert published.rows.ice == sum(len(content.splitlines()) - 1 for content in ice)
    assert published.rows.eia == len(published.observations)


# The same edition is the same bytes

DIGEST = """
import hashlib, sys
from datetime import date
from publishers.edition import Edition
from publishers.publications import publish
made = publish(Edition(seed=int(sys.argv[1]), through=date(2006, 6, 30), revision=1))
digest = hashlib.sha256(repr(made.observations).encode())
for path, content in made.files.items():
    digest.update(path.encode() + content)
print(digest.hexdigest())
"""


def digest(seed: str, hash_seed: str) -> str:
    command = [sys.executable, "-c", DIGEST, seed]
    environment = {**os.environ, "PYTHONPATH": str(OIL_PRICES), "PYTHONHASHSEED": hash_seed}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def test_one_seed_is_the_same_bytes_in_every_process_and_another_seed_is_not():
    assert digest("1986", "1") == digest("1986", "2") != digest("7", "1")


# EIA


def test_pages_together_are_all_rows_once_and_in_order(published):
    total = int(page(published, length="1")["total"])
    offsets = range(0, total, 5000)
    pages = [page(published, offset=str(offset), length="5000")["data"] for offset in offsets]
    rows = [(row["period"], row["series"]) for rows in pages for row in rows]
    assert [len(rows) for rows in pages] == [5000] * (len(offsets) - 1) + [total - 5000 * (len(offsets) - 1)]
    assert len(set(rows)) == len(rows) == total == published.rows.eia
    assert [period for period, _ in rows] == sorted(period for period, _ in rows)


def test_a_page_behind_the_last_row_is_empty_and_still_tells_the_total(published):
    behind = page(published, offset="10000000")
    assert behind["data"] == []
    assert behind["total"] == str(published.rows.eia)


@pytest.mark.parametrize("length", [{"length": "9000"}, {}])
def test_more_than_5000_rows_are_never_sent_and_the_answer_warns(published, length):
    capped = page(published, **length)
    assert len(capped["data"]) == 5000
    assert capped["warnings"][0]["warning"] == "incomplete return"


def test_a_page_of_the_asked_length_carries_no_warning(published):
    assert "warnings" not in page(published, length="5000")


def test_a_row_has_the_fields_of_the_real_route_and_text_for_figures(published):
    first = page(published, length="1", **{"facets[series][]": "RWTC", "start": "2024-01-02"})
    assert isinstance(first["total"], str)
    assert first["dateFormat"] == "YYYY-MM-DD"
    row = first["data"][0]
    assert re.fullmatch(r"\d{2}\.\d{2}", row.pop("value"))
    assert row == {
        "period": "2024-01-02",
        "duoarea": "YCUOK",
        "area-name": "NA",
        "product": "EPCWTI",
        "product-name": "WTI Crude Oil",
        "process": "PF4",
        "process-name": "Spot Price FOB",
        "series": "RWTC",
        "series-description": "Cushing, OK WTI Spot Price FOB (Dollars per Barrel)",
        "units": "$/BBL",
    }


def test_without_data_the_rows_have_no_value(published):
    _, body = ask(published, length="1")
    assert {"value", "units"}.isdisjoint(body["response"]["data"][0])


def test_start_and_end_are_both_included(published):
    rows = page(published, start="2024-01-02", end="2024-01-03", **{"facets[product][]": "EPCBRENT"})["data"]
    assert [(row["period"], row["series"]) for row in rows] == [("2024-01-02", "RBRTE"), ("2024-01-03", "RBRTE")]


def test_newest_first_turns_the_order_around(published):
    query = {"sort[0][column]": "period", "sort[0][direction]": "desc", "length": "1", "facets[series][]": "RWTC"}
    assert page(published, **query)["data"][0]["period"] == "2024-06-28"


def test_the_request_is_echoed_with_its_key(published):
    _, body = ask(published, api_key="demo-key", length="0")
    assert body["request"]["params"] == {"api_key": ["demo-key"], "length": ["0"]}


@pytest.mark.parametrize(
    ("key", "code"), [(None, "API_KEY_MISSING"), ("", "API_KEY_MISSING"), ("demo-Key", "API_KEY_INVALID")]
)
def test_without_a_right_key_the_answer_is_403_in_eias_shape(early, key, code):
    status, body = ask(early, key)
    assert status == 403
    assert body["error"]["code"] == code
    assert set(body) == {"error"}
    assert "demo" not in body["error"]["message"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frequency", "hourly"),
        ("data[0]", "price"),
        ("start", "2024-13-01"),
        ("end", "yesterday"),
        ("offset", "-1"),
        ("offset", "٣"),
        ("length", "5k"),
        ("facets[series][]", 'RWTC"; DROP TABLE x;--'),
        ("sort[0][column]", "value"),
        ("sort[0][direction]", "up"),
    ],
)
def test_a_wrong_parameter_is_400_and_named(early, name, value):
    status, body = ask(early, **{name: value})
    assert status == 400
    assert body["code"] == 400
    assert value in body["error"]


def test_some_values_are_null_and_only_the_remembered_day_is_negative(published):
    values = {(row.series.code, row.period): row.value for row in published.observations}
    lows = {key: float(value) for key, value in values.items() if value is not None and float(value) <= 0}
    assert 50 <= sum(value is None for value in values.values()) <= 300
    assert lows == REMEMBERED_LOWS


def test_eia_has_no_rows_on_new_yorks_holidays(published):
    periods = {row.period for row in published.observations}
    assert periods.isdisjoint({"2024-07-04", "2024-01-15", "2023-11-23", "2024-03-29", "2024-06-29"})
    assert {"2024-03-28", "2024-06-28"} <= periods


# OPEC, IEA, reference data


def test_the_basket_is_attributes_in_opecs_namespace(published):
    root = ET.fromstring(published.files[BASKET_PATH])
    days = [element.attrib["data"] for element in root]
    assert {element.tag for element in root} == {f"{{{NAMESPACE}}}BasketList"}
    assert {tuple(element.attrib) for element in root} == {("data", "val")}
    assert days == sorted(set(days))
    assert days[0] == "2003-01-02"
    assert all(float(element.attrib["val"]) > 5 for element in root)


def test_a_quarter_of_volumes_is_the_sum_of_what_its_months_reported(published):
    quarters = checked = 0
    pending: list[float] = []
    for row in register(published.files[REGISTER_PATH]):
        if row["FLOW"] != "IMPVOL":
            continue
        if "Q" in row["TIME"]:
            quarters += 1
            checked += bool(pending)
            assert row["VALUE"] == ".." if not pending else abs(float(row["VALUE"]) - sum(pending)) < 0.01
            pending = []
        elif row["VALUE"] not in {"..", "x", "c"}:
            pending.append(float(row["VALUE"]))
    assert quarters > 10_000
    assert checked > 0.9 * quarters


def test_the_register_marks_what_is_missing_as_iea_does(published):
    rows = register(published.files[REGISTER_PATH])
    unread = Counter(row["VALUE"] for row in rows if not re.fullmatch(r"\d+\.\d{3}", row["VALUE"]))
    assert set(unread) == {"..", "x", "c"}
    assert {row["FLAG CODES"] for row in rows} == {"", "E"}
    assert {row["MEASURE"] for row in rows} == {"USD/bbl", "USD/t", "GBP/t", "kbbl", "kt"}
    assert {"Dec-2009", "2010-01", "1Q1992", "2Q2024"} <= {row["TIME"] for row in rows}


def test_every_symbol_of_a_publisher_is_a_known_crude(published):
    def column(path: str, *names: str) -> list[tuple[str, ...]]:
        rows = csv.DictReader(io.StringIO(published.files[path].decode()))
        return [tuple(row[name] for name in names) for row in rows]

    crudes = column("/reference/grades.csv", "crude")
    symbols = column("/reference/symbols.csv", "publisher", "symbol")
    assert len(set(crudes)) == len(crudes)
    assert len(set(symbols)) == len(symbols)
    assert set(column("/reference/symbols.csv", "crude")) <= set(crudes)
    register_crudes = {("IEA", row["CRUDE"]) for row in register(published.files[REGISTER_PATH])}
    crude_series = {("EIA", row.series.code) for row in published.observations if row.series.is_crude}
    assert register_crudes | crude_series | {("ICE", "B"), ("ICE", "T"), ("ICE", "G"), ("OPEC", "ORB")} >= set(symbols)
    assert register_crudes | crude_series <= set(symbols)


def test_exchange_rates_have_no_weekends_and_no_bank_holidays(published):
    rows = csv.DictReader(io.StringIO(published.files["/reference/gbp_usd.csv"].decode()))
    days = {date.fromisoformat(row["day"]): float(row["usd"]) for row in rows}
    assert all(day.weekday() < 5 for day in days)
    assert not {date(2024, 4, 1), date(2023, 12, 26), date(2022, 1, 3)} & set(days)
    assert all(1 < usd < 2.3 for usd in days.values())


# ICE


def test_broken_rows_stand_exactly_where_the_readme_says(published):
    table = re.findall(
        r"^\| (ice-\S+) \| (\d+) \| (.+) \|$", (OIL_PRICES / "publishers/README.md").read_text(), re.MULTILINE
    )
    promised = [(file, int(line)) for file, line, _ in table]
    assert [(row.file, row.line) for row in published.broken] == promised
    assert {row.breakage for row in published.broken} == set(Breakage)
    for row in published.broken:
        assert published.files[f"/ice/{row.file}"].splitlines()[row.line - 1] == row.text


def is_whole(line: bytes) -> bool:
    """Checks one line by itself, without anything of the simulator."""
    try:
        [fields] = csv.reader([line.decode("utf-8")], strict=True)
        assert len(fields) == 14
        as_day(fields[0])
        as_day(fields[9])
        float(fields[7])
        float(fields[8])
        datetime.fromisoformat(fields[13])
    except (ValueError, AssertionError, csv.Error):
        return False
    return True


def test_every_other_row_of_ice_is_whole(published):
    bad = [
        (path.removeprefix("/ice/"), number)
        for path, content in published.files.items()
        if path.startswith("/ice/")
        for number, line in enumerate(content.splitlines()[1:], start=2)
        if not is_whole(line)
    ]
    assert bad == [(row.file, row.line) for row in published.broken]
    assert len(bad) == sum(len(of_year) for of_year in BROKEN.values()) == 20


@pytest.mark.parametrize("breakage", Breakage)
def test_a_malformed_row_is_no_record_of_the_header_and_a_bad_value_is_one(published, breakage):
    for row in published.broken:
        if row.breakage is breakage:
            try:
                [fields] = csv.reader([row.text.decode()], strict=True)
                is_record = len(fields) == 14
            except (ValueError, csv.Error):
                is_record = False
            assert is_record is not breakage.is_malformed


def test_the_last_file_is_truncated_only_once_its_year_is_closed(published):
    still_open = publish(Edition(through=date(2012, 12, 28)))
    assert still_open.files["/ice/ice-settlements-2012.csv"].endswith(b"Z\n")
    assert published.files["/ice/ice-settlements-2012.csv"].endswith(b'31-Dec-2012,"Amste')


def test_ice_sends_rows_twice_and_corrections_after_the_first_price(published):
    seen: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for row in settlements(published.files["/ice/ice-settlements-2023.csv"]):
        key = (row["TRADE DATE"], row["CONTRACT"], row["STRIP"])
        seen.setdefault(key, []).append((row["REVISED AT"], row["SETTLEMENT PRICE"]))
    repeated = [sent for sent in seen.values() if len(sent) == 2 and sent[0] == sent[1]]
    corrected = [sent for sent in seen.values() if len(sent) == 2 and sent[0][0] < sent[1][0]]
    assert all(first[1] != second[1] for first, second in corrected)
    assert len(repeated) > 5
    assert len(corrected) > 5
    assert len(repeated) + len(corrected) == sum(len(sent) > 1 for sent in seen.values())


def test_ice_has_gaps(published):
    per_day = Counter(
        (row["TRADE DATE"], row["CONTRACT"]) for row in settlements(published.files["/ice/ice-settlements-2016.csv"])
    )
    assert any(count < 12 for count in per_day.values())
    assert not {as_day(day) for day, _ in per_day} & {date(2016, 1, 1), date(2016, 3, 25)}


def test_the_may_contract_of_2020_settled_below_zero_and_nothing_else_did(published):
    low = [
        (path, line.split(b",")[3], line.split(b",")[7])
        for path, content in published.files.items()
        if path.startswith("/ice/")
        for line in re.findall(rb"^.*,F,,-.*$", content, re.MULTILINE)
    ]
    assert low == [("/ice/ice-settlements-2020.csv", b"May20", b"-3763.00000")]


def test_no_strip_settles_after_its_expiry(published):
    rows = settlements(published.files["/ice/ice-settlements-2024.csv"])
    assert all(as_day(row["TRADE DATE"]) <= as_day(row["EXPIRATION DATE"]) for row in rows)


# New data


def changed_paths(before: Publications, after: Publications) -> set[str]:
    return {path for path, content in after.files.items() if before.files.get(path) != content}


def test_a_revision_adds_its_files_and_changes_no_other_byte(published, revised):
    assert revised.observations == published.observations
    assert changed_paths(published, revised) == {"/ice/ice-revision-001.csv", "/ice/ice-revision-002.csv"}


def test_the_first_revision_sends_the_broken_rows_again_as_they_were_meant(revised):
    rows = settlements(revised.files["/ice/ice-revision-001.csv"])[: len(revised.broken)]
    for row, broken in zip(rows, revised.broken, strict=True):
        assert as_day(row["TRADE DATE"]) == broken.meant.day
        assert (row["CONTRACT"], row["STRIP"]) == (broken.meant.contract.symbol, broken.meant.strip.label)
        assert float(row["SETTLEMENT PRICE"]) == broken.meant.price


def test_a_revision_gives_settlements_of_2023_another_price_and_a_later_stamp(published, revised):
    first = {
        (row["TRADE DATE"], row["CONTRACT"], row["STRIP"]): row
        for row in reversed(settlements(published.files["/ice/ice-settlements-2023.csv"]))
    }
    for number, resent in ((1, len(revised.broken)), (2, 0)):
        rows = settlements(revised.files[f"/ice/ice-revision-{number:03d}.csv"])[resent:]
        keys = [(row["TRADE DATE"], row["CONTRACT"], row["STRIP"]) for row in rows]
        assert 10 < len(set(keys)) == len(keys)
        assert all(row["REVISED AT"] == f"2024-07-0{number + 1}T06:00:00Z" for row in rows)
        assert all(
            first[key]["SETTLEMENT PRICE"] != row["SETTLEMENT PRICE"] for key, row in zip(keys, rows, strict=True)
        )


def test_a_correction_is_another_price_even_where_a_share_of_it_is_less_than_a_tick(published):
    meant = published.broken[0].meant._replace(price=0.01)
    assert corrected_by(meant, Random(1)).price != meant.price


def test_a_later_day_only_adds_rows_to_what_was_published(early, published):
    added = {"/ice/ice-settlements-2013.csv", BASKET_PATH, REGISTER_PATH, "/reference/gbp_usd.csv"}
    later_years = {f"/ice/ice-settlements-{year}.csv" for year in range(2014, 2025)}
    assert changed_paths(early, published) == added | later_years
    assert published.observations[: len(early.observations)] == early.observations
    for path in ("/ice/ice-settlements-2013.csv", "/reference/gbp_usd.csv"):
        assert published.files[path].startswith(early.files[path])
    assert published.files[BASKET_PATH].startswith(early.files[BASKET_PATH].removesuffix(b"</Basket>\n"))


def test_a_later_day_changes_in_the_register_only_what_late_countries_left_open(early, published):
    later = {tuple(row.values())[:5]: row["VALUE"] for row in register(published.files[REGISTER_PATH])}
    changed = {
        (row["COUNTRY"], row["TIME"], row["VALUE"])
        for row in register(early.files[REGISTER_PATH])
        if later[tuple(row.values())[:5]] != row["VALUE"]
    }
    late = ("Greece", "New Zealand", "Republic of Türkiye")
    assert changed == {(country, "2013-02", "..") for country in late}


def test_edition_before_the_first_day_is_refused(capsys):
    assert main(["--through", "1985-12-31", "--no-serve"]) == 2
    assert "the series begin on 1986-01-02" in capsys.readouterr().err
    assert main(["--revision", "-1", "--no-serve"]) == 2


# Files and server


def test_files_that_did_not_change_are_not_touched(early, tmp_path):
    write_files(early, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    write_files(publish(Edition(through=date(2013, 3, 15))), tmp_path)
    touched = {path.name for path, moment in before.items() if path.stat().st_mtime_ns != moment}
    assert touched == {"ice-settlements-2013.csv", "basketDayArchives.xml", "gbp_usd.csv"}
    assert {path.suffix for path in before} == {".csv", ".xml"}
    assert len(before) == len(early.files)


def test_the_process_serves_on_loopback_until_it_is_told_to_stop(tmp_path):
    port_file, data = tmp_path / "port", tmp_path / "data"
    command = [sys.executable, "-m", "publishers", "--through", "1990-01-31", "--api-key", "demo-key"]
    command += ["--port-file", str(port_file), "--data", str(data)]
    with subprocess.Popen(command, cwd=OIL_PRICES, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = json.loads(process.stdout.readline())
            url = f"{said['url']}/v2/petroleum/pri/spt/data/?frequency=daily&data%5B0%5D=value&length=2"
            by_header = urllib.request.Request(url, headers={"X-Api-Key": "demo-key"})
            with (
                urllib.request.urlopen(f"{url}&api_key=demo-key", timeout=10) as page,
                urllib.request.urlopen(by_header, timeout=10) as same,
            ):
                assert json.load(page)["response"] == json.load(same)["response"]
            with urllib.request.urlopen(f"{said['url']}/reference/grades.csv", timeout=10) as file:
                assert file.read() == (data / "reference/grades.csv").read_bytes()
            for path, status in ((f"{url}&api_key=", 403), (f"{said['url']}/../etc/passwd", 404)):
                with pytest.raises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(path, timeout=10)
                refused.value.close()
                assert refused.value.code == status
            assert said["url"] == f"http://127.0.0.1:{port_file.read_text().strip()}"
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


# The calendar and the market


@pytest.mark.parametrize("sunday", [date(2000, 4, 23), date(2024, 3, 31), date(2025, 4, 20), date(2038, 4, 25)])
def test_easter(sunday):
    assert easter(sunday.year) == sunday


def test_last_trading_days_are_those_of_the_real_contracts():
    assert wti_expiry(2020, 5) == date(2020, 4, 21)
    assert wti_expiry(2024, 8) == date(2024, 7, 22)
    assert brent_expiry(2024, 8) == date(2024, 6, 28)
    assert gasoil_expiry(2024, 7) == date(2024, 7, 11)


def test_holidays_on_weekends_are_kept_on_a_weekday():
    assert date(2021, 7, 5) in american_holidays(2021)
    assert {date(2021, 12, 27), date(2021, 12, 28)} <= london_holidays(2021)
    assert date(2024, 12, 25) in exchange_holidays(2024)


@pytest.mark.parametrize(
    ("year", "low", "high"), [(1986, 12, 17), (1998, 11, 15), (2012, 105, 118), (2020, 37, 46), (2022, 94, 108)]
)
def test_a_years_average_of_brent_is_near_what_everybody_remembers(year, low, high):
    seen = market(1986, date(2024, 6, 30))
    prices = [price for day, price in zip(seen.days, seen.brent, strict=True) if day.year == year]
    assert low < sum(prices) / len(prices) < high
