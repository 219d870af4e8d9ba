"""Real servers for tests: the one module that knows how each is found, started and stopped.

Every server listens on loopback (and a socket in its own folder), keeps its data in a temporary folder, and dies with
the process that started it, also where that process is killed.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from email.utils import formatdate
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from penstock.structs import Frozen, Mutable
from penstock.testing.processes import as_account, end, free_port, give_to, output_of, with_us

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOCKED_USER: Final = "locked"
LOCKED_PASSWORD: Final = "correct horse; battery"  # noqa: S105 -- of a throw-away server on loopback
_DEBIAN: Final = Path("/usr/lib/postgresql")
_READY_TIMEOUT_S: Final = 60.0
_ANSWER_TIMEOUT_S: Final = 30.0
_PORT_TRIES: Final = 5
_S3_KEY_ID: Final = "test"
_S3_KEY: Final = "test-key-of-a-throw-away-server"
# Known to everybody: Azurite has this one account.
_AZURITE_ACCOUNT: Final = "devstoreaccount1"
_AZURITE_KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_OF_MYSQL: Final = {
    "local-infile": "ON",
    "mysqlx": "OFF",
    "sync-binlog": "0",
    "innodb-flush-method": "nosync",
    "innodb-doublewrite": "OFF",
}
_FAST: Final = {"fsync": "off", "full_page_writes": "off"}


class Unavailable(Frozen):
    """Why a server cannot be started on this machine; a fixture skips with this reason."""

    reason: str


class PostgresInstallation(Frozen):
    """Where PostgreSQL's programs lie, and the account that must run them (None: the present one)."""

    programs: Path
    account: str | None

    @property
    def version(self) -> str:
        """Such as ``postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)``."""
        return output_of([str(self.programs / "postgres"), "--version"]).strip()


class PostgresServer(Mutable):
    """A running server. Role ``postgres`` needs no password from loopback; role ``locked`` has the password of that
    field and must give it (for tests of authentication).
    """

    port: int
    folder: Path
    installation: PostgresInstallation
    host: str = "127.0.0.1"
    user: str = "postgres"
    locked_user: str = LOCKED_USER
    locked_password: str = LOCKED_PASSWORD
    _process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def url(self, database: str = "postgres") -> str:
        """A connection URL without a password, over TCP."""
        return f"postgresql://{self.user}@{self.host}:{self.port}/{database}"

    def sql(self, statement: str, *, database: str = "postgres") -> str:
        """What psql prints for a statement (unaligned, no header): for set-up and for looking at effects."""
        return output_of(
            [
                str(self.installation.programs / "psql"),
                *("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"),
                *("-h", str(self.folder), "-p", str(self.port), "-U", self.user, "-d", database, "-c", statement),
            ]
        ).rstrip("\n")

    def log(self) -> str:
        """The server's log so far."""
        return (self.folder / "log").read_text(errors="replace")

    def crash(self) -> None:
        """Stop as a power cut of the process would: no shutdown checkpoint, clients are cut off."""
        self._stop(signal.SIGQUIT)

    def stop(self) -> None:
        """Stop quickly and cleanly; running transactions are rolled back. Idempotent."""
        self._stop(signal.SIGINT)

    def start(self, settings: Mapping[str, str] | None = None) -> None:
        """Start on the folder and port it has; returns when it takes connections."""
        values = {
            "listen_addresses": self.host,
            "unix_socket_directories": str(self.folder),
            "max_connections": "60",
            **_FAST,
            **(settings or {}),
        }
        command = [str(self.installation.programs / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)]
        for name, value in values.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- the server's own program, fixed arguments
                as_account(self.installation.account, command), stdout=log, stderr=log, cwd=self.folder
            )
        self._await_ready()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not self._says_ready():
            if not self.running or time.monotonic() > deadline:
                self._stop(signal.SIGKILL)
                raise RuntimeError(f"postgres did not start: {self.log()[-2000:]}")
            time.sleep(0.02)

    def _says_ready(self) -> bool:
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready" and lines[0] == str(self._server_pid())  # noqa: PLR2004 -- the state's line

    def _server_pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def _stop(self, signum: signal.Signals) -> None:
        end(self._process, signum)
        self._process = None


def find_postgres() -> PostgresInstallation | Unavailable:
    """The newest PostgreSQL of Debian's packages, or the one on the PATH."""
    found = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        return Unavailable("PostgreSQL is not installed (apt-get install postgresql)")
    programs = found[-1].parent if found else Path(on_path or "").resolve().parent
    if os.geteuid() != 0:
        return PostgresInstallation(programs, None)
    if shutil.which("setpriv") is None:
        return Unavailable("PostgreSQL refuses to run as root and setpriv (util-linux) is missing")
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        return Unavailable('PostgreSQL refuses to run as root and the account "postgres" is missing')
    return PostgresInstallation(programs, "postgres")


@contextlib.contextmanager
def postgres(
    installation: PostgresInstallation, *, settings: Mapping[str, str] | None = None
) -> Iterator[PostgresServer]:
    """A fresh cluster, started, and removed at the end. ``settings`` are server parameters over the fast defaults
    (no fsync: data need not outlive the machine's power).
    """
    folder = Path(tempfile.mkdtemp(prefix="penstock-pg-"))
    try:
        give_to(installation.account, folder)
        _initialise(installation, folder)
        server = _start_on_free_port(installation, folder, settings or {})
        try:
            server.sql(f"CREATE ROLE {server.locked_user} LOGIN PASSWORD '{server.locked_password}'")
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initialise(installation: PostgresInstallation, folder: Path) -> None:
    data = folder / "data"
    arguments = ["-D", str(data), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    output_of(as_account(installation.account, [str(installation.programs / "initdb"), *arguments]))
    rules = data / "pg_hba.conf"
    rules.write_text(f"host all {LOCKED_USER} 127.0.0.1/32 scram-sha-256\n" + rules.read_text())


def _start_on_free_port(
    installation: PostgresInstallation, folder: Path, settings: Mapping[str, str]
) -> PostgresServer:
    """Another process may take a port between the look and the start: then another one is tried."""
    remaining = _PORT_TRIES
    while True:
        remaining -= 1
        server = PostgresServer(port=free_port(), folder=folder, installation=installation)
        try:
            server.start(settings)
        except RuntimeError:
            if not remaining or "Address already in use" not in server.log():
                raise
        else:
            return server


# ---------------------------------------------------------------- MariaDB


class MariadbInstallation(Frozen):
    """Where the programs of MariaDB, or of MySQL, lie, and the account that must run the server (None: the present one)."""

    server: Path
    account: str | None
    is_mysql: bool = False

    @property
    def version(self) -> str:
        """Such as ``mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)``."""
        return output_of([str(self.server), "--version"]).strip()


class MariadbServer(Mutable):
    """A running server. User ``root`` needs no password; user ``locked`` has the password of that field and must give it,
    and may do nothing.
    """

    port: int
    folder: Path
    installation: MariadbInstallation
    host: str = "127.0.0.1"
    user: str = "root"
    locked_user: str = LOCKED_USER
    locked_password: str = LOCKED_PASSWORD
    _process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    def url(self, database: str = "") -> str:
        """A connection URL without a password, over TCP."""
        return f"mariadb://{self.user}@{self.host}:{self.port}/{database}"

    def sql(self, statement: str, *, database: str = "") -> str:
        """What the server's own client prints for a statement (tabs, no header): for set-up and for looking at effects."""
        client = shutil.which("mariadb") or "mariadb"
        options = ["--no-defaults", "-N", "-B", f"--socket={self.socket}", f"--user={self.user}"]
        return output_of([client, *options, *([database] if database else []), "-e", statement]).rstrip("\n")

    def log(self) -> str:
        """The server's log so far."""
        return (self.folder / "log").read_text(errors="replace")

    def crash(self) -> None:
        """End it as a kill does: clients are cut off, nothing is shut down."""
        end(self._process, signal.SIGKILL)
        self._process = None

    def stop(self) -> None:
        """Stop cleanly; running transactions are rolled back. Idempotent."""
        end(self._process, signal.SIGTERM)
        self._process = None

    def start(self, settings: Mapping[str, str] | None = None) -> None:
        """Start on the folder and port it has; returns when it takes connections."""
        values = {
            "datadir": str(self.folder / "data"),
            "socket": str(self.socket),
            "pid-file": str(self.folder / "pid"),
            "port": str(self.port),
            "bind-address": self.host,
            "skip-name-resolve": "ON",
            "innodb-flush-log-at-trx-commit": "0",
            "innodb-buffer-pool-size": "64M",
            **(_OF_MYSQL if self.installation.is_mysql else {}),
            **(settings or {}),
        }
        options = [f"--{name}={value}" for name, value in values.items()]
        account = [f"--user={self.installation.account}"] if self.installation.account else []
        command = [str(self.installation.server), "--no-defaults", *account, *options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- the server's own program, fixed arguments
                with_us(command), stdout=log, stderr=log, cwd=self.folder
            )
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not self._says_ready():
            if not self.running or time.monotonic() > deadline:
                self.crash()
                raise RuntimeError(f"{self.installation.server.name} did not start: {self.log()[-2000:]}")
            time.sleep(0.02)

    def _says_ready(self) -> bool:
        with socket.socket() as probe:
            return (self.folder / "pid").exists() and probe.connect_ex((self.host, self.port)) == 0


def find_mariadb() -> MariadbInstallation | Unavailable:
    """The MariaDB of Debian's package, or the one on the PATH."""
    server = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    if server is None or shutil.which("mariadb-install-db") is None:
        return Unavailable("MariaDB is not installed (apt-get install mariadb-server)")
    return _run_by_mysql(Path(server), is_mysql=False)


def find_mysql() -> MariadbInstallation | Unavailable:
    """MySQL 8 from an archive that Maven carries (8.0.15 alone); ``scripts/database-servers`` unpacks it."""
    server = Path.home() / ".cache" / "penstock" / "servers" / "mysql" / "bin" / "mysqld"
    if not server.is_file() or shutil.which("mariadb") is None:
        return Unavailable(
            "MySQL 8 is not there (scripts/database-servers), or no client (apt-get install mariadb-client)"
        )
    looked = subprocess.run([str(server), "--version"], capture_output=True, text=True, check=False)  # noqa: S603 -- as above
    if looked.returncode != 0:
        return Unavailable(f"MySQL 8 does not start here (it needs libaio and libnuma): {looked.stderr.strip()}")
    return _run_by_mysql(server, is_mysql=True)


def _run_by_mysql(server: Path, *, is_mysql: bool) -> MariadbInstallation | Unavailable:
    if os.geteuid() != 0:
        return MariadbInstallation(server, None, is_mysql)
    try:
        pwd.getpwnam("mysql")
    except KeyError:
        return Unavailable(f'{server.name} is not run as root and the account "mysql" is missing')
    return MariadbInstallation(server, "mysql", is_mysql)


@contextlib.contextmanager
def mariadb(installation: MariadbInstallation, *, settings: Mapping[str, str] | None = None) -> Iterator[MariadbServer]:
    """A fresh server, started, and removed at the end. ``settings`` are server variables over the fast defaults."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-my-"))
    try:
        give_to(installation.account, folder)
        _install(installation, folder / "data")
        server = MariadbServer(free_port(), folder, installation)
        try:
            server.start(settings)
            if installation.is_mysql:  # whose root may come through the socket alone
                server.sql("CREATE USER 'root'@'%'; GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION")
            server.sql(f"CREATE USER '{server.locked_user}'@'%' IDENTIFIED BY '{server.locked_password}'")
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _install(installation: MariadbInstallation, data: Path) -> None:
    account = [f"--user={installation.account}"] if installation.account else []
    if installation.is_mysql:
        plain = ["--no-defaults", "--initialize-insecure"]
        output_of([str(installation.server), *plain, *account, f"--datadir={data}"])
        return
    install = shutil.which("mariadb-install-db") or "mariadb-install-db"
    plain = ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
    output_of([install, *plain, *account, f"--datadir={data}"])


# ---------------------------------------------------------------- object stores


class ObjectServerInstallation(Frozen):
    """The program that serves: versitygw (S3) or Azurite (Azure Blob Storage)."""

    program: Path


class ObjectServer(Mutable):
    """A running object store; every request must be signed with its one key."""

    port: int
    folder: Path
    installation: ObjectServerInstallation
    kind: Literal["s3", "azure"]
    host: str = "127.0.0.1"
    _process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}:{self.port}" + (f"/{_AZURITE_ACCOUNT}" if self.kind == "azure" else "")

    def connection(self, bucket: str, **more: Any) -> dict[str, Any]:
        """What a document says to reach a bucket (or container) of it; ``more`` goes over it."""
        place = {"endpoint": self.endpoint, "allow_http": True, "allow_private": [f"{self.host}:{self.port}"]}
        match self.kind:
            case "s3":
                key = {"bucket": bucket, "access_key_id": _S3_KEY_ID, "secret_access_key": _S3_KEY}
            case "azure":
                key = {"container": bucket, "account": _AZURITE_ACCOUNT, "account_key": _AZURITE_KEY}
        return {"type": self.kind, **place, **key, **more}

    def make_bucket(self, bucket: str) -> None:
        """By the server's own means: a folder of S3's, a signed request to Azurite."""
        match self.kind:
            case "s3":
                (self.folder / "data" / bucket).mkdir()
            case "azure":
                _make_container(self, bucket)

    def log(self) -> str:
        """The server's log so far."""
        return (self.folder / "log").read_text(errors="replace")

    def stop(self) -> None:
        """End it as a kill does; what it has answered stays. Idempotent."""
        end(self._process, signal.SIGKILL)
        self._process = None

    def start(self) -> None:
        """Start on the folder and port it has; returns when it takes requests."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- the server's own program, fixed arguments
                with_us(self._command()), stdout=log, stderr=log, cwd=self.folder, env=self._environment()
            )
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not self._says_ready():
            if not self.running or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.installation.program.name} did not start: {self.log()[-2000:]}")
            time.sleep(0.02)

    def _command(self) -> list[str]:
        program, data = str(self.installation.program), str(self.folder / "data")
        match self.kind:
            case "s3":
                own = [
                    "--port",
                    f"{self.host}:{self.port}",
                    "--health",
                    "/health",
                    "--iam-dir",
                    str(self.folder / "iam"),
                ]
                return [program, *own, "posix", data]
            case "azure":
                place = ["--location", data, "--blobHost", self.host, "--blobPort", str(self.port)]
                return [program, "--silent", "--skipApiVersionCheck", "--disableTelemetry", *place]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "ROOT_ACCESS_KEY": _S3_KEY_ID, "ROOT_SECRET_KEY": _S3_KEY}

    def _says_ready(self) -> bool:
        """Any answer will do: a request without a signature is refused, and the server is there."""
        connection = HTTPConnection(self.host, self.port, timeout=_ANSWER_TIMEOUT_S)
        with contextlib.closing(connection), contextlib.suppress(OSError, HTTPException):
            connection.request("GET", "/health")
            connection.getresponse().read()
            return True
        return False


def find_s3() -> ObjectServerInstallation | Unavailable:
    """versitygw, which honours conditional requests; ``scripts/object-servers`` builds it."""
    return _object_server("versitygw", "bin/versitygw")


def find_azure() -> ObjectServerInstallation | Unavailable:
    """Azurite's server of blobs; ``scripts/object-servers`` installs it."""
    return _object_server("azurite-blob", "node_modules/.bin/azurite-blob")


def _object_server(name: str, place: str) -> ObjectServerInstallation | Unavailable:
    here = Path.home() / ".cache" / "penstock" / "servers"
    found = shutil.which(name) or shutil.which(str(here / place))
    if found is None:
        return Unavailable(f"{name} is not installed (scripts/object-servers)")
    return ObjectServerInstallation(Path(found))


@contextlib.contextmanager
def objects(installation: ObjectServerInstallation, kind: Literal["s3", "azure"]) -> Iterator[ObjectServer]:
    """A fresh, empty store, started, and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"penstock-{kind}-"))
    try:
        for name in ("data", "iam"):
            (folder / name).mkdir()
        server = ObjectServer(free_port(), folder, installation, kind)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_container(server: ObjectServer, container: str) -> None:
    """Azure's Create Container, signed with the account's shared key."""
    moment = formatdate(usegmt=True)
    headers = {"x-ms-date": moment, "x-ms-version": "2021-08-06", "Content-Length": "0"}
    canonical = f"x-ms-date:{moment}\nx-ms-version:2021-08-06\n"
    # In the path of a store on loopback the account's name stands once more.
    resource = f"/{_AZURITE_ACCOUNT}/{_AZURITE_ACCOUNT}/{container}\nrestype:container"
    to_sign = "PUT" + "\n" * 12 + canonical + resource
    signature = hmac.digest(base64.b64decode(_AZURITE_KEY), to_sign.encode(), "sha256")
    headers["Authorization"] = f"SharedKey {_AZURITE_ACCOUNT}:{base64.b64encode(signature).decode()}"
    connection = HTTPConnection(server.host, server.port, timeout=_ANSWER_TIMEOUT_S)
    with contextlib.closing(connection):
        connection.request("PUT", f"/{_AZURITE_ACCOUNT}/{container}?restype=container", headers=headers)
        answer = connection.getresponse()
        if answer.status != HTTPStatus.CREATED:
            raise RuntimeError(f"Azurite answered {answer.status}: {answer.read()!r}")
