"""What knowing the connectors costs."""

from __future__ import annotations

import subprocess
import sys


def test_the_descriptors_import_no_driver() -> None:
    program = (
        "import sys, penstock.connectors.iceberg.sink, penstock.connectors.iceberg.source;"
        "print([name for name in ('duckdb', 'pyarrow', 'sqlglot', 'pyiceberg', 'sqlalchemy') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
