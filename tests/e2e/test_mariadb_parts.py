"""A table of a real MariaDB, read in parts by a key: of one state whatever is written meanwhile, or not at all."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pytest

import mariadb_tables as tables
from penstock.connectors.api import Partition, Pipe, ScanRequest
from penstock.connectors.mariadb.params import MariadbSourceParams
from penstock.connectors.mariadb.source import MariadbSource
from penstock.errors import ConfigError
from penstock.testing.delivery import pull

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.testing.servers import MariadbServer

pytestmark = pytest.mark.server
ROWS = 2_000


@pytest.fixture
def url(mariadb_server: MariadbServer, mariadb_database: str) -> str:
    mariadb_server.sql(
        "CREATE TABLE accounts (id int PRIMARY KEY, amount int);"
        f"INSERT INTO accounts SELECT seq, 0 FROM seq_1_to_{ROWS}",
        database=mariadb_database,
    )
    return mariadb_server.url(mariadb_database)


def source(folder: Path, url: str, **keys: Any) -> MariadbSource:
    given = {"type": "mariadb", "connection": url, "table": "accounts", "split_by": "id", "parallel": 4, **keys}
    return MariadbSource(MariadbSourceParams.model_validate(given), tables.context(folder))


def rows_of(made: MariadbSource) -> Pipe:
    part = Partition()
    return made.scan(ScanRequest(part, None, made.latest(part)))


def test_parts_are_of_one_state(url: str, tmp_path: Path) -> None:
    stop = threading.Event()

    def move() -> None:
        """From the first part to the last and back, one transaction each."""
        with closing(tables.connect(url)) as connection:
            amount = 1
            while not stop.is_set():
                tables.execute(connection, "BEGIN")
                for key, change in ((1, amount), (ROWS, -amount)):
                    tables.execute(connection, "UPDATE accounts SET amount = amount + %s WHERE id = %s", (change, key))
                tables.execute(connection, "COMMIT")
                amount = -amount if amount != 1 else 1

    writer = threading.Thread(target=move)
    writer.start()
    made = source(tmp_path, url)
    try:
        for _ in range(5):
            table, _ = pull(rows_of(made), changes=True)
            assert table.num_rows == ROWS
            assert pc.sum(table.column("amount")).as_py() == 0
    finally:
        stop.set()
        writer.join()
        made.close()


def test_each_part_has_a_pipe_of_its_own(url: str, tmp_path: Path) -> None:
    made = source(tmp_path, url)
    pipe = rows_of(made)
    counted = []
    for end in pipe.open():
        with os.fdopen(end, "rb") as file:
            counted.append(file.read().count(b"\n"))
    pipe.finish()
    made.close()
    assert len(counted) == 4
    assert sum(counted) == ROWS
    assert all(abs(rows - ROWS // 4) < 2 for rows in counted)


def test_who_may_not_lock_the_table_is_told_so(
    url: str, mariadb_server: MariadbServer, mariadb_database: str, tmp_path: Path
) -> None:
    mariadb_server.sql(f"CREATE OR REPLACE USER 'reader'@'%'; GRANT SELECT ON {mariadb_database}.* TO 'reader'@'%'")
    made = source(tmp_path, url.replace("root@", "reader@"))
    with pytest.raises(ConfigError) as caught:
        rows_of(made).open()
    assert caught.value.code == "SRC-237"
    whole = source(tmp_path, url.replace("root@", "reader@"), parallel=1)
    assert pull(rows_of(whole))[0].num_rows == ROWS
    made.close()
    whole.close()


@pytest.mark.parametrize(("key", "said"), [("ids", 'did you mean "id"'), ("name", "cannot split a read")])
def test_a_column_that_cannot_split(key: str, said: str, url: str, tmp_path: Path) -> None:
    with closing(tables.connect(url)) as connection:
        tables.execute(connection, "ALTER TABLE accounts ADD name varchar(9)")
    made = source(tmp_path, url, split_by=key)
    with pytest.raises(ConfigError, match=said) as caught:
        rows_of(made)
    assert caught.value.code == "SRC-394"
    made.close()
