"""Reading a document imports no driver, no engine, and nothing for secrets until one is needed."""

import subprocess
import sys

HEAVY = (
    "duckdb",
    "pyarrow",
    "sqlglot",
    "sqlalchemy",
    "cryptography",
    "jsonschema",
    "deltalake",
    "psycopg",
    "rich",
    "typer",
)


def test_reading_a_document_imports_no_driver(tmp_path):
    (tmp_path / "p.yml").write_text("pipeline: p\nrun: {threads: 1}\n")
    program = (
        "import sys; from pathlib import Path\n"
        "from penstock.document.assembly import Settings, load\n"
        f"load(Path({str(tmp_path / 'p.yml')!r}), Settings({{}}))\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
