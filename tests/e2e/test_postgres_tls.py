"""Encrypted connections: what is asked for is what is used, and the data is the same."""

from __future__ import annotations

import ipaddress
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import postgres_tables as tables
from penstock.connectors.api import ScanRequest
from penstock.connectors.postgres.params import PostgresSourceParams
from penstock.connectors.postgres.source import PostgresSource
from penstock.errors import ConfigError
from penstock.testing.delivery import pull
from penstock.testing.servers import PostgresServer, Unavailable, find_postgres, postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A certificate for 127.0.0.1 and its key, where the server's account reads them."""
    made = Path(tempfile.mkdtemp(prefix="penstock-tls-"))
    made.chmod(0o755)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "penstock test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    (made / "server.crt").write_bytes(certificate.public_bytes(form))
    private = key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (made / "server.key").write_bytes(private)
    (made / "server.key").chmod(0o600)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[PostgresServer]:
    installation = find_postgres()
    if isinstance(installation, Unavailable):
        pytest.skip(installation.reason)
    if installation.account is not None:
        shutil.chown(folder / "server.key", installation.account)
    settings = {
        "ssl": "on",
        "ssl_cert_file": str(folder / "server.crt"),
        "ssl_key_file": str(folder / "server.key"),
    }
    with postgres(installation, settings=settings) as started:
        started.sql("CREATE TABLE t AS SELECT i AS id, repeat('x', 100) AS name FROM generate_series(1, 5000) i")
        yield started


def source_of(server: PostgresServer, tmp_path: Path, **keys: object) -> PostgresSource:
    connection = {"host": "127.0.0.1", "port": server.port, "database": "postgres", "user": "postgres", **keys}
    params = PostgresSourceParams.model_validate({"type": "postgres", "connection": connection, "table": "t"})
    return PostgresSource(params, tables.context(tmp_path))


@pytest.mark.parametrize(
    ("mode", "encrypted"), [("verify-full", True), ("require", True), ("prefer", True), ("disable", False)]
)
def test_rows_arrive_as_the_connection_asks(
    server: PostgresServer, folder: Path, tmp_path: Path, mode: str, *, encrypted: bool
) -> None:
    keys = {"sslrootcert": str(folder / "server.crt")} if mode == "verify-full" else {}
    source = source_of(server, tmp_path, sslmode=mode, **keys)
    table, _ = pull(source.scan(ScanRequest(source.partitions()[0], None, {"v": 1})))
    assert sorted(table.column("id").to_pylist()) == list(range(1, 5001))
    with source._connections.connection("looking") as connection:
        assert connection.pgconn.ssl_in_use is encrypted
    source.close()


def test_a_server_that_cannot_be_verified_is_refused(server: PostgresServer, tmp_path: Path) -> None:
    source = source_of(server, tmp_path, sslmode="verify-full", sslrootcert=str(tmp_path / "missing.crt"))
    with pytest.raises(ConfigError) as caught:
        source.describe()
    assert caught.value.code == "SRC-202"
