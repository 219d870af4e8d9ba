"""The ledger on PostgreSQL keeps the promises of every ledger, among many workers and through what happens to a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penstock.connectors.postgres.params import PostgresConnection
from penstock.ledger.postgres import PostgresLedger
from penstock.testing.ledger import LedgerConformance

if TYPE_CHECKING:
    from datetime import timedelta

    from penstock.testing.servers import PostgresServer

pytestmark = pytest.mark.server
SCHEMA = "Penstock's"


class TestPostgresLedger(LedgerConformance):
    @pytest.fixture(autouse=True)
    def _database(self, postgres_server: PostgresServer, postgres_database: str) -> None:
        self.server, self.database = postgres_server, postgres_database

    def open(self) -> PostgresLedger:
        return PostgresLedger.open(PostgresConnection.model_validate(self.server.url(self.database)), SCHEMA)

    def pass_time(self, time: timedelta) -> None:
        earlier = f"expires_at - make_interval(secs => {time.total_seconds()})"
        self.server.sql(f'update "{SCHEMA}".pipelines set expires_at = {earlier}', database=self.database)
