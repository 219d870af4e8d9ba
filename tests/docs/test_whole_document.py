"""The whole document of docs/document.md runs: over a service and a folder that bring something new between two runs."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from deltalake import DeltaTable
from pages import DOCS, Block, blocks
from test_documents import project

from penstock.clock import SystemClock
from penstock.document.assembly import Settings
from penstock.events import Events
from penstock.faults.points import Faults
from penstock.ledger.api import RunStatus
from penstock.service.request import Request
from penstock.service.running import RunResult, run
from penstock.testing.web import Reply, WebServer

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.testing.web import Received

SECRET = {"PENSTOCK_SECRET_EIA_KEY": "not-told"}


def whole() -> Block:
    return next(block for block in blocks(DOCS / "document.md") if block.text.startswith("pipeline: oil_prices"))


def ran(document: Path) -> RunResult:
    result = run(Request(document, Settings(SECRET), SystemClock()), Events(level="error"), Faults())
    assert result.status is RunStatus.DONE, "\n".join(problem.render() for problem in result.problems)
    return result


def prices(folder: Path) -> list[tuple[str, str, str, str]]:
    rows = DeltaTable(folder / "lake" / "prices").to_pyarrow_table().to_pylist()
    return sorted((row["publisher"], row["crude"], str(row["price_date"]), str(row["price_usd"])) for row in rows)


def test_it_runs_and_goes_on_with_what_is_new(tmp_path: Path) -> None:
    days = [
        {"period": f"2024-01-{day:02}", "series": series, "value": value}
        for day in (2, 3)
        for series, value in (("RBRTE", f"77.{day}"), ("RWTC", f"72.{day}"))
    ]
    days.append({"period": "2024-01-03", "series": "RWTC", "value": None})
    days.append({"period": "2024-01-03", "series": "RBRTE", "value": "high"})

    def answer(asked: Received) -> Reply:
        assert dict(asked.query)["api_key"] == "not-told"
        begin, size = (int(dict(asked.query)[name]) for name in ("offset", "length"))
        body = {"response": {"total": len(days), "data": days[begin : begin + size]}}
        return Reply(json.dumps(body).encode(), headers={"Content-Type": "application/json"})

    with WebServer(answer) as server:
        document = project(tmp_path, whole())
        stated = tmp_path / "penstock.yml"
        local = f"base_url: {server.url}\n    allow_private: [127.0.0.0/8]"
        stated.write_text(stated.read_text().replace("base_url: https://api.eia.gov/v2", local), encoding="utf-8")
        first = ran(document)
        assert [problem.code for problem in first.warnings] == ["RUN-117"]  # prices of 2024 are not fresh
        assert [(cause.cause, cause.rows) for cause in first.by_cause()] == [("bad_value", 1)]
        brent = [("EIA", "brent", "2024-01-02", "77.2000"), ("EIA", "brent", "2024-01-03", "77.3000")]
        ice = [("ICE", "brent", "2024-01-02", "76.6969")]
        wti = [("EIA", "wti", "2024-01-02", "72.2000"), ("EIA", "wti", "2024-01-03", "72.3000")]
        assert prices(tmp_path) == [*brent, *wti, *ice]

        days[0]["value"] = "78.2"  # within the lag
        days.append({"period": "2024-01-04", "series": "RWTC", "value": "72.4"})
        late = "trade_date,symbol,settle_gbp,revised_at\n2024-01-03,BRENT,60.00,2024-01-03T18:00:00Z\n"
        (tmp_path / "data" / "ice-2025.csv").write_text(late, encoding="utf-8")
        ran(document)
    ice.append(("ICE", "brent", "2024-01-03", "76.2900"))
    revised = ("EIA", "brent", "2024-01-02", "78.2000")
    assert prices(tmp_path) == [revised, brent[1], *wti, ("EIA", "wti", "2024-01-04", "72.4000"), *ice]
    with closing(sqlite3.connect(tmp_path / "serving.db")) as connection:
        spreads = connection.execute("select price_date, cast(spread_usd as real) from spread order by 1").fetchall()
    assert spreads == [("2024-01-02", 6.0), ("2024-01-03", 5.0)]
