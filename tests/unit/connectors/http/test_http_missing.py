import sys

import pytest

from penstock.connectors.http.curl import require
from penstock.errors import ConfigError


def test_a_missing_library_is_named_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycurl", None)
    with pytest.raises(ConfigError, match=r"penstock\[rest\]") as caught:
        require()
    assert caught.value.code == "NET-141"


def test_descriptors_import_no_driver():
    import subprocess

    code = (
        "import penstock.connectors.rest.source, penstock.connectors.rest.sink, sys;"
        "print([m for m in ('pycurl','duckdb','pyarrow','certifi','orjson','tenacity','idna') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
