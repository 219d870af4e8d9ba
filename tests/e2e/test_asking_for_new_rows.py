"""A service that is asked for the rows from a cursor's last value on: what it sends, and what the sink has in the end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from penstock.cli.app import execute
from penstock.testing.web import Received, Reply, WebServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENT = """pipeline: prices
sources:
  prices:
    type: rest
    connection: {{base_url: "{url}", allow_private: [127.0.0.1]}}
    path: /prices
    {request}
    records: data
    paginate: {{type: offset, offset: offset, limit: length, size: 3, total: total, in: {place}}}
    schema: {{columns: {{day: {kind}, series: string, value: "int64?"}}}}
    incremental: {{cursor: [day, series], {more}send: {send}}}
sinks:
  out: {{from: prices, type: parquet, path: out{mode}}}
run: {{memory: 256 MiB, threads: 1}}
"""
# What is asked for holds whole days: those of the lag, or of the interval.
DAYS = ", mode: overwrite_partitions, partition_by: [day], scope: epoch"


class Service:
    """A listing by day that knows ``start``: that day and later ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, Any]] = [{"day": f"2024-01-{n:02d}", "series": "a", "value": n} for n in range(1, 9)]
        self.server = WebServer(self.answer)
        self.asked: list[str] = []

    def answer(self, received: Received) -> Reply:
        given = {**dict(received.query), **(json.loads(received.body) if received.body else {})}
        start = str(given.get("start", ""))
        if "offset" in given and int(given["offset"]) == 0:
            self.asked.append(start)
        found = [row for row in self.rows if row["day"] >= start[:10]]
        at, size = int(given.get("offset", 0)), int(given.get("length", 3))
        return Reply(json.dumps({"total": len(found), "data": found[at : at + size]}).encode())

    def run(self, *words: str, **keys: str) -> int:
        plain = {
            "kind": "date",
            "send": "{query: start}",
            "more": "",
            "request": "method: GET",
            "mode": "",
            "place": "query",
        }
        text = DOCUMENT.format(url=self.server.url, **{**plain, **keys})
        (self.folder / "prices.yml").write_text(text, encoding="utf-8")
        self.asked.clear()
        return execute(["run", str(self.folder / "prices.yml"), *words])

    def delivered(self) -> list[tuple[Any, ...]]:
        found = duckdb.connect().execute(f"select day::text, series from '{self.folder}/out/**/*.parquet' order by all")
        return found.fetchall()

    def expected(self) -> list[tuple[str, str]]:
        return sorted((row["day"], row["series"]) for row in self.rows)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "penstock.yml").write_text("project: prices\n", encoding="utf-8")
    made = Service(tmp_path)
    with made.server:
        yield made


def test_later_runs_ask_from_the_last_value_on(service: Service) -> None:
    assert service.run() == 0
    assert service.asked[0] == ""
    assert set(service.asked) == {""}
    # A row that ties with the newest one, one that is new, and one that is behind it and comes in no run.
    service.rows += [{"day": "2024-01-08", "series": "b", "value": 1}, {"day": "2024-01-09", "series": "a", "value": 9}]
    assert service.run() == 0
    assert service.asked == ["", "2024-01-08"]  # what it is, and the rows
    assert service.delivered() == service.expected()
    assert service.run() == 0
    assert service.asked == ["", "2024-01-09"]
    assert service.delivered() == service.expected()


def test_a_lag_asks_from_further_back_and_an_initial_value_from_the_first_time_on(service: Service) -> None:
    keys = {"more": "lag: 3 days, initial: 2024-01-05, ", "mode": f"2{DAYS}"}
    service.folder.joinpath("out").mkdir()
    assert service.run(**keys) == 0
    assert service.asked == ["", "2024-01-05"]
    service.rows += [{"day": "2024-01-06", "series": "b", "value": 1}]
    assert service.run(**keys) == 0
    assert service.asked == ["", "2024-01-05"]
    service.rows += [{"day": "2024-01-20", "series": "a", "value": 1}]
    assert service.run(**keys) == 0
    assert service.run(**keys) == 0
    assert service.asked == ["", "2024-01-17"]


def test_a_full_refresh_asks_for_all(service: Service) -> None:
    assert service.run() == 0
    assert service.run("--full-refresh") == 0
    assert set(service.asked) == {""}
    assert service.delivered() == service.expected()


def test_where_nothing_is_new_the_service_sends_an_empty_page(service: Service) -> None:
    assert service.run() == 0
    rows, service.rows = service.rows, service.rows[:0]
    service.rows = [row for row in rows if row["day"] < "2024-01-08"]  # the last day was taken back
    assert service.run() == 0
    service.rows = rows
    assert service.delivered() == service.expected()


def test_in_a_body_beside_the_documents_own_parameters(service: Service) -> None:
    request = 'method: POST\n    body: {start: "2024-01-03", other: 1}'
    keys = {"request": request, "send": "{body: start}", "place": "body"}
    assert service.run(**keys) == 0
    assert service.asked == ["2024-01-03"]  # the document's, until there is a position
    assert service.run(**keys) == 0
    assert service.asked == ["2024-01-03", "2024-01-08"]


def test_a_text_is_sent_as_it_is(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert service.run(kind="string") == 0
    assert service.run(kind="string") == 0
    assert service.asked == ["", "2024-01-08"]
    assert service.run(kind="string", send="{query: start, format: date}") != 0
    assert "DOC-441" in capsys.readouterr().err


def test_an_interval_is_asked_for_from_its_beginning(service: Service) -> None:
    keys = {"mode": DAYS}
    assert service.run(**keys) == 0
    assert service.run("--from", "2024-01-06", "--to", "2024-01-08", **keys) == 0
    assert service.asked == ["", "2024-01-06"]
    assert service.delivered() == service.expected()
