import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.testing.servers import PostgresServer, Unavailable, find_postgres

pytestmark = pytest.mark.server

HOLDER = """
import time
from penstock.testing.servers import find_postgres, postgres
with postgres(find_postgres()) as server:
    print(server.sql("SELECT pg_backend_pid()"), server.folder, (server.folder / "data/postmaster.pid").read_text().split()[0], flush=True)
    time.sleep(600)
"""


def test_postgres_answers_over_tcp_and_its_socket(postgres_server: PostgresServer):
    assert postgres_server.sql("SELECT 1 + 1") == "2"
    assert postgres_server.url("x") == f"postgresql://postgres@127.0.0.1:{postgres_server.port}/x"


def test_every_test_gets_a_database_of_its_own(postgres_server: PostgresServer, postgres_database: str):
    assert postgres_server.sql("SELECT current_database()", database=postgres_database) == postgres_database
    assert postgres_server.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"


def test_a_statement_that_fails_says_why(postgres_server: PostgresServer):
    with pytest.raises(RuntimeError, match="does not exist"):
        postgres_server.sql("SELECT * FROM nothing")


def test_what_was_committed_survives_a_crash(postgres_server: PostgresServer, postgres_database: str):
    postgres_server.sql("CREATE TABLE kept AS SELECT 7 AS a; CHECKPOINT", database=postgres_database)
    postgres_server.crash()
    assert not postgres_server.running
    postgres_server.start()
    assert postgres_server.sql("SELECT a FROM kept", database=postgres_database) == "7"


def test_the_server_ends_when_its_owner_is_killed():
    installation = find_postgres()
    if isinstance(installation, Unavailable):
        pytest.skip(installation.reason)
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        backend, folder, postmaster = owner.stdout.readline().split()
        assert backend.isdigit()
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while _alive(int(postmaster)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(int(postmaster))
    subprocess.run(["rm", "-rf", folder], check=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
