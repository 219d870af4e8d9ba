"""Systems that are down or slow, met by everything that speaks to them: breaker, tries and bulkhead in real runs."""

from __future__ import annotations

import threading
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from penstock.connectors.http.client import HttpClient
from penstock.connectors.http.config import HttpConnection
from penstock.connectors.http.messages import Request as HttpRequest
from penstock.connectors.mariadb.params import MariadbConnection
from penstock.connectors.mariadb.pool import Connections as MariadbConnections
from penstock.connectors.postgres.params import PostgresConnection
from penstock.connectors.postgres.pool import Connections as PostgresConnections
from penstock.connectors.resilience.parallel import in_order
from penstock.connectors.resilience.ward import Wards
from penstock.document.assembly import Settings
from penstock.errors import TransientError
from penstock.events import Events
from penstock.faults.points import Faults
from penstock.service.documents import run_document
from penstock.service.request import Request
from penstock.testing.clock import FakeClock
from penstock.testing.web import Reply, WebServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.connectors.resilience.cancel import Cancellation
    from penstock.testing.servers import MariadbServer, PostgresServer
    from penstock.testing.web import Received

TABLES = 6


def clients(base: str, number: int, clock: FakeClock, **said: Any) -> list[HttpClient]:
    """As many sources over one connection have them."""
    wards, settings = Wards(), {"base_url": base, "allow_private": ["127.0.0.1"], **said}
    return [
        HttpClient(HttpConnection.model_validate(settings), clock=clock, random=Random(n), wards=wards)
        for n in range(number)
    ]


def code(call: Callable[[], object]) -> str:
    with pytest.raises(TransientError) as caught:
        call()
    return caught.value.code


# ---------------------------------------------------------------- over HTTP


def test_a_service_that_fails_is_left_alone_by_all_that_share_its_connection_and_found_again() -> None:
    clock, well = FakeClock(), threading.Event()

    def answer(_: Received) -> Reply:
        return Reply(b"ok") if well.is_set() else Reply(status=500)

    said = {"retries": {"attempts": 3}, "breaker": {"failures": 2, "rest": "60 s"}}
    with WebServer(answer) as server:
        made = clients(server.url, 4, clock, **said)
        codes = [code(lambda client=client: client.send(HttpRequest("/x"))) for client in made]
        assert codes == ["NET-120", "NET-120", "NET-160", "NET-160"]
        assert len(server.received) == 6
        well.set()
        clock.advance(60)
        assert [client.send(HttpRequest("/x")).body for client in made] == [b"ok"] * 4
        for client in made:
            client.close()


def test_a_service_that_is_gone_is_left_alone() -> None:
    with WebServer(lambda _: Reply()) as server:
        url = server.url
    (client,) = clients(url, 1, FakeClock(), retries={"attempts": 2}, breaker={"failures": 1})
    assert [code(lambda: client.send(HttpRequest("/x"))) for _ in range(2)] == ["NET-110", "NET-160"]
    client.close()


@pytest.mark.parametrize(
    ("reply", "failure"), [(Reply(status=503), "busy"), (Reply(status=502), "error"), (Reply(b"0123", cut=2), "broken")]
)
def test_how_often_a_request_is_sent_is_said_by_how_it_failed(reply: Reply, failure: str) -> None:
    with WebServer(lambda _: reply) as server:
        (client,) = clients(server.url, 1, FakeClock(), retries={"attempts": 2, "attempts_by": {failure: 4}})
        code(lambda: client.send(HttpRequest("/x")))
        assert len(server.received) == 4
        client.close()


def test_no_more_requests_are_under_way_than_the_bulkhead_has_places() -> None:
    lock, now, most = threading.Lock(), [0], [0]
    both = threading.Barrier(2, timeout=20)

    def answer(_: Received) -> Reply:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        both.wait()  # two are under way, or the test ends here
        with lock:
            now[0] -= 1
        return Reply(b"ok")

    from penstock.clock import SystemClock

    with WebServer(answer) as server:
        wards = Wards()
        said = {"base_url": server.url, "allow_private": ["127.0.0.1"], "bulkhead": {"concurrent": 2}}
        made = [HttpClient(HttpConnection.model_validate(said), clock=SystemClock(), wards=wards) for _ in range(2)]

        def fetch(number: int, cancellation: Cancellation) -> bytes:
            return made[number % 2].send(HttpRequest("/x"), cancellation).body

        assert list(in_order(fetch, range(12), concurrency=6)) == [b"ok"] * 12
        for client in made:
            client.close()
    assert most == [2]


# ---------------------------------------------------------------- databases


@pytest.mark.server
def test_connections_at_work_are_counted_over_all_that_share_a_connection(
    postgres_server: PostgresServer, postgres_database: str
) -> None:
    url, wards, clock = postgres_server.url(postgres_database), Wards(), FakeClock()
    settings = PostgresConnection.model_validate({"url": url, "bulkhead": {"concurrent": 2, "wait": "5 s"}})
    reads, writes = (PostgresConnections(settings, area, clock, wards) for area in ("SRC", "SNK"))
    one, two = reads.take(), writes.take()
    assert code(reads.take) == "NET-161"
    reads.give_back(one)  # idle: it takes no place
    three = writes.take()
    assert code(reads.take) == "NET-161"
    writes.discard(three)
    writes.discard(three)  # twice is once
    writes.give_back(two)
    with reads.connection("testing"), writes.connection("testing"):
        assert code(reads.take) == "NET-161"
    for pool in (reads, writes):
        pool.close()


@pytest.mark.parametrize("make", [PostgresConnections, MariadbConnections])
def test_a_server_that_is_down_is_tried_again_and_then_left_alone(make: type) -> None:
    with WebServer(lambda _: Reply()) as server:
        port = server.port  # of nobody, once this ends
    model = PostgresConnection if make is PostgresConnections else MariadbConnection
    said = {"host": "127.0.0.1", "port": port, "user": "u", "breaker": {"failures": 2}}
    clock = FakeClock()
    pool = make(model.model_validate(said), "SRC", clock, Wards())
    gone = "SRC-201" if make is PostgresConnections else "SRC-231"
    assert [code(pool.take) for _ in range(3)] == [gone, gone, "NET-160"]
    assert len(clock.sleeps) == 4  # three tries each


@pytest.mark.server
@pytest.mark.slow
def test_many_tables_of_a_server_that_goes_away_do_not_each_wait_for_it(
    tmp_path: Path, postgres_server: PostgresServer, postgres_database: str
) -> None:
    tables = [f"t{n}" for n in range(TABLES)]
    for table in tables:
        postgres_server.sql(f"create table {table} as select 1 as n", database=postgres_database)
    waited = {}
    for failures in (5, 1000):
        folder = tmp_path / str(failures)
        folder.mkdir()
        url = postgres_server.url(postgres_database)
        (folder / "penstock.yml").write_text("project: small\n", encoding="utf-8")
        (folder / "copy.yml").write_text(
            f"""pipeline: copy
sources:
  crm: {{type: postgres, connection: {{url: "{url}", breaker: {{failures: {failures}}}}}, tables: [{", ".join(tables)}]}}
sinks: {{out: {{from: crm, type: csv, path: "out/{{table}}", mode: overwrite}}}}
run: {{memory: 256 MiB, threads: 1}}
""",
            encoding="utf-8",
        )
        clock, stopped = FakeClock(), threading.Event()

        def reached(point: str, stopped: threading.Event = stopped) -> None:
            if point == "run.taken" and not stopped.is_set():
                stopped.set()
                postgres_server.stop()

        request = Request(folder / "copy.yml", Settings({}), clock, reached)
        try:
            found = run_document(request, events=Events(level="error"), faults=Reaching(reached))
        finally:
            postgres_server.start()
        codes = [result.error.code for result in found.results if result.error is not None]
        assert len(codes) == TABLES
        waited[failures] = len(clock.sleeps), codes
    assert waited[5][1][-4:] == ["NET-160"] * 4
    assert set(waited[1000][1]) == {"SRC-201"}
    assert waited[5][0] < waited[1000][0] - 4


class Reaching(Faults):
    """Tells a function of every point."""

    def __init__(self, reached: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = reached

    def reached(self, point: str) -> None:
        self._tell(point)


@pytest.mark.server
def test_a_mariadb_server_counts_connections_at_work(mariadb_server: MariadbServer, mariadb_database: str) -> None:
    said = {"url": mariadb_server.url(mariadb_database), "bulkhead": {"concurrent": 1, "wait": "5 s"}}
    pool = MariadbConnections(MariadbConnection.model_validate(said), "SRC", FakeClock(), Wards())
    one = pool.take()
    assert code(pool.take) == "NET-161"
    pool.give_back(one)
    pool.discard(pool.take())
    pool.give_back(pool.take())
    pool.close()
