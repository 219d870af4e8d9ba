"""The main example's API, in a process of its own: EIA's spot prices page by page, spooled, typed, and read again."""

import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc
import pytest

from penstock.clock import SystemClock
from penstock.connectors.api import Context, Contract, Partition, ScanRequest
from penstock.connectors.rest.params import RestSourceParams
from penstock.connectors.rest.source import RestSource
from penstock.errors import ConfigError
from penstock.testing.delivery import pull
from penstock.testing.web import Reply, WebServer
from penstock.types import Schema

OIL_PRICES = Path(__file__).parents[2] / "examples" / "oil-prices"
KEY = "a-key-for-the-simulator"
STATED = {"period": "date", "series": "string", "value": "decimal(12,4)?"}


@pytest.fixture(scope="module")
def publishers(tmp_path_factory):
    """The simulator's URL and how many rows EIA has."""
    port_file = tmp_path_factory.mktemp("publishers") / "port"
    words = [sys.executable, "-m", "publishers", "--api-key", KEY, "--port-file", str(port_file)]
    with subprocess.Popen(
        words, cwd=OIL_PRICES, stdout=subprocess.PIPE, env=os.environ | {"PYTHONHASHSEED": "0"}
    ) as run:
        try:
            announced = json.loads(run.stdout.readline())
            deadline = time.monotonic() + 60
            while not port_file.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            yield announced["url"], announced["rows"]["eia"]
        finally:
            run.terminate()


def eia(url, folder, *, key=KEY, where="query", allow=("127.0.0.1",), **params):
    auth = {"type": "api_key", "in": where, "name": "api_key" if where == "query" else "X-Api-Key", "value": key}
    checked = RestSourceParams.model_validate(
        {
            "type": "rest",
            "connection": {"base_url": f"{url}/v2", "auth": auth, "allow_private": list(allow)},
            "path": "/petroleum/pri/spt/data",
            "query": {"frequency": "daily", "data[0]": "value", "start": "2000-01-01"},
            "paginate": {
                "type": "offset", "offset": "offset", "limit": "length", "size": 5000, "total": "response.total",
            },
            "records": "response.data",
            **params,
        }
    )  # fmt: skip
    return RestSource(checked, Context("eia", Path, folder, SystemClock(), contract=Contract(Schema.of(STATED))))


def read(source, position, columns=None):
    return pull(source.scan(ScanRequest(Partition(), None, position, columns)))


def test_spot_prices_are_spooled_typed_and_read_again_without_the_service(publishers, tmp_path):
    url, rows = publishers
    source = eia(url, tmp_path, query={"frequency": "daily", "data[0]": "value"})
    assert source.describe().names == ("period", "series", "value")
    folder = tmp_path / "spool"
    folder.mkdir()
    position = json.loads(json.dumps(source.spool(Partition(), folder)))
    source.close()
    assert (position["records"], position["pages"]) == (rows, -(-rows // 5000))
    again = eia("http://127.0.0.1:1", tmp_path)
    table, rejected = read(again, position)
    assert (table.num_rows, rejected) == (rows, 0)
    assert Counter(table.column("series").to_pylist())["RBRTE"] > 8000
    on_the_day = pc.equal(table["period"], dt.date(2020, 4, 20))
    crash = table.filter(pc.and_(pc.equal(table["series"], "RWTC"), on_the_day))
    assert crash["value"].to_pylist() == [Decimal("-36.9800")]
    assert read(again, position, ("value", "period"))[0].column_names == ["value", "period"]
    again.close()


def test_a_wrong_key_is_an_error_that_shows_no_key(publishers, tmp_path):
    url, _ = publishers
    for where in ("query", "header"):
        source = eia(url, tmp_path, key="another-key-altogether", where=where)
        with pytest.raises(ConfigError) as caught:
            source.describe()
        source.close()
        assert caught.value.code == "NET-121"
        assert "API_KEY_INVALID" in str(caught.value)
        assert "another-key-altogether" not in str(caught.value)


def test_loopback_must_be_allowed(publishers, tmp_path):
    url, _ = publishers
    source = eia(url, tmp_path, allow=())
    with pytest.raises(ConfigError) as caught:
        source.describe()
    source.close()
    assert caught.value.code == "NET-103"


def test_a_parameter_that_the_service_refuses_is_quoted(publishers, tmp_path):
    url, _ = publishers
    source = eia(url, tmp_path, query={"frequency": "hourly"})
    with pytest.raises(ConfigError, match="Invalid frequency") as caught:
        source.describe()
    source.close()
    assert caught.value.code == "NET-123"


CLI = "from penstock.cli.main import main; main()"
PIPELINE = """
pipeline: eia
sources:
  eia:
    type: rest
    connection:
      base_url: "${env.EIA_URL}/v2"
      allow_private: ["127.0.0.1"]
      auth: {type: api_key, in: query, name: api_key, value: "${secret.EIA_KEY}"}
    path: /petroleum/pri/spt/data
    query: {frequency: daily, "data[0]": value, start: "2023-01-01"}
    paginate: {type: offset, offset: offset, limit: length, size: 1000, total: response.total}
    records: response.data
    schema: {columns: {period: date, series: string, value: "decimal(12,4)?"}}
transforms:
  good: {from: eia, steps: [{filter: value is not null}]}
sinks:
  kept: {from: good, type: parquet, path: kept/, mode: overwrite}
  told:
    from: good
    type: rest
    connection: {base_url: "${env.HOOK_URL}", allow_private: ["127.0.0.1"]}
    path: /prices
    records: prices
    keys: [series, period]
"""


def test_a_pipeline_from_a_service_to_a_file_and_a_service_runs_again_and_again(publishers, tmp_path):
    url, _ = publishers
    (tmp_path / "eia.yml").write_text(PIPELINE)
    told = []

    def take(got):
        told.append((got.header("idempotency-key"), len(json.loads(got.body)["prices"])))
        return Reply(status=201)

    with WebServer(take) as hook:
        environment = os.environ | {"EIA_URL": url, "HOOK_URL": hook.url, "PENSTOCK_SECRET_EIA_KEY": KEY}
        for epoch in (1, 2):
            done = subprocess.run(
                [sys.executable, "-c", CLI, "run", "eia.yml", "--json"],
                cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=100,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            outcome = json.loads(done.stdout)
            sinks = outcome["epochs"][0]["sinks"]
            assert sinks["kept"]["rows"] == sinks["told"]["rows"] == sum(count for _, count in told) // epoch > 1000
            assert KEY not in done.stdout + done.stderr
    assert len({key for key, _ in told}) == len(told)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in left if KEY.encode() in path.read_bytes() or path.suffix == ".spool"]
