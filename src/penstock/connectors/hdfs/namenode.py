"""The calls to WebHDFS, through fsspec's implementation of it: single ones, on absolute paths.

Of fsspec's own methods those are not used that answer wrongly: its rename takes a refused one for done, its files are
written over whatever is there and read without a look at the answer's status, and of an error the name is lost.
"""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.hdfs.answers import NOT_EMPTY, NOT_THERE, TAKEN, RemoteError
from penstock.connectors.http.guard import Guard, parse_allowed
from penstock.connectors.http.resolver import SystemResolver
from penstock.connectors.http.urls import follow, parse_url
from penstock.errors import ConfigError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from pathlib import Path

    from fsspec.implementations.webhdfs import WebHDFS
    from requests import Response

    from penstock.clock import Clock
    from penstock.connectors.hdfs.config import HdfsConnection

_SENT_ON: Final = 307
_NO_SUCH_ANSWER: Final = 404
_BINARY: Final = {"Content-Type": "application/octet-stream"}


class Renamed(StrEnum):
    """What came of a rename: it was done, its goal is there already, or something that it needs is not there."""

    DONE = "done"
    TAKEN = "taken"
    GONE = "gone"


_OUTCOMES: Final = {NOT_THERE: Renamed.GONE, TAKEN: Renamed.TAKEN}


class Status(Frozen):
    """Of a file or folder: ``tag`` is another one where the file, or its content, is another one."""

    name: str
    is_file: bool
    size: int
    modified_ms: int
    tag: str


class Namenode:
    """Thread-safe; asks nobody before its first call. Each call is one try: it raises RemoteError, ``Guard.admit``'s errors
    and the driver's (``requests``); those that read and write ConfigError NET-176, ``rename`` NET-177.
    """

    def __init__(self, connection: HdfsConnection, clock: Clock) -> None:
        self._endpoint = parse_url(connection.endpoint)
        self._datanodes = connection.datanodes
        self._driver = _driver(connection, clock)

    def status(self, path: str) -> Status | None:
        try:
            answer = self._call("GETFILESTATUS", path)
        except RemoteError as error:
            if error.name == NOT_THERE:
                return None
            raise
        return _status(_told(answer, "FileStatus"))

    def below(self, path: str) -> list[Status]:
        """What lies in a folder; of a file nothing, and nothing where it is not there."""
        try:
            answer = self._call("LISTSTATUS", path)
        except RemoteError as error:
            if error.name == NOT_THERE:
                return []
            raise
        found = [_status(item) for item in _told(answer, "FileStatuses")["FileStatus"]]
        return [status for status in found if status.name]

    def read(self, path: str, start: int = 0, length: int | None = None) -> bytes | None:
        """At most ``length`` bytes; None where the file is not there."""
        parameters = {"offset": start} if length is None else {"offset": start, "length": length}
        try:
            answer = self._call("OPEN", path, **parameters)
            if answer.status_code == _SENT_ON:
                answer = self._at_datanode("GET", answer)
        except RemoteError as error:
            if error.name == NOT_THERE:
                return None
            raise
        content: bytes = answer.content
        return content

    def write(self, path: str, content: Path | bytes) -> None:
        """In place of a file that is there; it is seen while it comes about. Folders above it are made."""
        answer = self._call("CREATE", path, "PUT", overwrite="true")
        if isinstance(content, bytes) or content.stat().st_size == 0:
            self._at_datanode("PUT", answer, data=content if isinstance(content, bytes) else b"", headers=_BINARY)
        else:
            with content.open("rb") as file:
                self._at_datanode("PUT", answer, data=file, headers=_BINARY)

    def rename(self, path: str, to: str, *, over: bool) -> Renamed:
        """Of a file; atomic. ``over``: in place of a file that is there."""
        try:
            answer = self._call("RENAME", path, "PUT", destination=to, renameoptions="OVERWRITE" if over else "NONE")
        except RemoteError as error:
            outcome = _OUTCOMES.get(error.name)
            if outcome is None:
                raise
            return outcome
        if answer.content:  # the answer to a rename without options, which replaces nothing and tells no reason
            raise ConfigError(
                "NET-177",
                f'"{self._endpoint.authority}" does not know renames that replace',
                hint="state the namenode itself as the endpoint, not a gateway (HttpFS)",
                about=("connection",),
            )
        return Renamed.DONE

    def make_folder(self, path: str) -> None:
        """And those above it."""
        self._call("MKDIRS", path, "PUT")

    def delete(self, path: str) -> bool:
        """A file, or an empty folder; False where it is no such thing any longer."""
        try:
            answer = self._call("DELETE", path, "DELETE", recursive="false")
        except RemoteError as error:
            if error.name in {NOT_EMPTY, NOT_THERE}:
                return False
            raise
        return bool(_told(answer, "boolean"))

    # ------------------------------------------------------------ requests

    def _call(self, operation: str, path: str, method: str = "GET", /, **parameters: str | int) -> Response:
        answer: Response = self._driver._call(operation, method, path, redirect=False, **parameters)  # noqa: SLF001 -- one operation; what is public does several
        return answer

    def _at_datanode(self, method: str, answer: Response, **body: Any) -> Response:
        """Where the namenode sends on to: what it says goes there, and nothing of ours besides."""
        location = answer.headers.get("Location")
        if answer.status_code != _SENT_ON or not location:
            raise self._astray("without saying where to go")
        target = follow(self._endpoint, location)
        if self._endpoint.scheme == "https" and target.scheme == "http":
            raise self._astray("from https to http")
        host = f"[{target.host}]" if ":" in target.host else target.host
        mapped = self._datanodes.get(f"{host}:{target.port}")
        if mapped is not None:
            target = parse_url(f"{target.scheme}://{mapped}{target.target}")
        done: Response = self._driver.session.request(method, target.reveal(), **body)
        if done.is_redirect:
            raise self._astray("more than once")
        return done

    def _astray(self, how: str) -> ConfigError:
        return ConfigError("NET-176", f'"{self._endpoint.authority}" sends a request on {how}', about=("connection",))


def _driver(connection: HdfsConnection, clock: Clock) -> WebHDFS:
    if find_spec("fsspec") is None or find_spec("requests") is None:
        raise ConfigError("NET-170", "HDFS needs what is not installed", hint="run `pip install 'penstock[hdfs]'`")

    from fsspec.implementations.webhdfs import WebHDFS

    from penstock.connectors.hdfs.session import GuardedSession

    endpoint = parse_url(connection.endpoint)
    driver = WebHDFS(
        host=f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host,
        port=endpoint.port,
        user=connection.user,
        token=None if connection.token is None else connection.token.reveal(),
        use_https=endpoint.scheme == "https",
        skip_instance_cache=True,
    )
    driver.session.close()  # it has asked nobody
    driver.session = GuardedSession(
        Guard(map(parse_allowed, connection.allow_private), SystemResolver(), clock),
        connect_seconds=connection.timeouts.connect.total_seconds(),
        idle_seconds=connection.timeouts.idle.total_seconds(),
        connections=connection.parallel,
    )
    return driver


def _told(answer: Response, name: str) -> Any:
    """What stands under a name in an answer. Raises RemoteError where it is no such answer."""
    try:
        return answer.json()[name]
    except (ValueError, KeyError, TypeError):
        raise RemoteError(_NO_SUCH_ANSWER) from None


def _status(told: Any) -> Status:
    modified = int(told["modificationTime"])
    tag = f"{told['fileId']}-{modified}-{told['length']}"
    return Status(told["pathSuffix"], told["type"] == "FILE", int(told["length"]), modified, tag)


__all__ = ["Namenode", "Renamed", "Status"]
