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
