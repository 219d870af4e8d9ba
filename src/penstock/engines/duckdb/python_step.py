"""A Python step: the rows of a table through a function of Arrow batches into another table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.engines.duckdb.errors import translated
from penstock.engines.python_function import apply, load_function
from penstock.trees import create_table, relation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from penstock.engines.duckdb.session import Session
    from penstock.graph.nodes import Python

_BATCH_ROWS: Final = 65_536


def run(session: Session, node: Python, source: str, target: str, folder: Path) -> tuple[int, int]:
    """Rows in and out. The function comes from a module in the project's ``folder`` and runs on the statement's thread, so
    Ctrl-C acts when it returns a batch.

    Raises ConfigError CMP-264 to CMP-268, DataError CMP-269, DOC-413, DOC-414 (engines/python_function.py).
    """
    import pyarrow as pa

    from penstock.types.arrow import to_arrow

    function = load_function(node, folder)
    counted = {"in": 0, "out": 0}
    failed: list[BaseException] = []
    # A connection executes one statement at a time: the rows to read come over another one.
    reading = session.connection.cursor()

    def given(rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            counted["in"] += batch.num_rows
            yield batch

    def batches() -> Iterator[pa.RecordBatch]:
        query = exp.select("*").from_(relation(source)).sql(dialect="duckdb")
        rows = reading.sql(query).to_arrow_reader(_BATCH_ROWS)
        try:
            for result in apply(node, function, given(rows), rows.schema, folder=folder):
                counted["out"] += result.num_rows
                yield result
        except BaseException as error:
            failed.append(error)
            raise

    stream = pa.RecordBatchReader.from_batches(to_arrow(node.declared), batches())
    name = f"{target}_stream"
    session.connection.register(name, stream)
    create = create_table(target, exp.select("*").from_(relation(name)))
    try:
        with translated(f'running the function of "{node.id}"'):
            session.do(lambda: session.connection.execute(create.sql(dialect="duckdb")))
    except BaseException:
        if failed and not isinstance(failed[0], GeneratorExit):
            raise failed[0] from None
        raise
    finally:
        session.connection.unregister(name)
        reading.close()
    return counted["in"], counted["out"]
