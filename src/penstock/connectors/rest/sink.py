"""Rows sent to a web service: in batches, each with an Idempotency-Key that is the same whenever the epoch is sent again.

At least once: a service that knows the header takes each batch once, another one may take a batch again after a crash.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.connectors.api import BatchWriter, Context, Preparation, Receipt, Sink, Staged
from penstock.connectors.commits import compare, fingerprint
from penstock.connectors.rest.params import RestSinkParams
from penstock.errors import DataError, FatalError, InternalError, PenstockError, TransientError
from penstock.fields import reveal
from penstock.registry import Capability, Descriptor
from penstock.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, ClassVar

    import pyarrow as pa

    from penstock.connectors.api import Allowance, Epoch, EpochMarker, SinkId
    from penstock.connectors.http.client import HttpClient
    from penstock.connectors.http.messages import Pairs, Request
    from penstock.connectors.resilience.cancel import Cancellation
    from penstock.connectors.rest.database import Database
    from penstock.types import Schema

_REQUESTS_AT_ONCE: Final = 16
# The request itself could not be made or sent: nothing is known to have arrived.
_BEFORE_SENDING: Final = frozenset(
    {
        *("NET-100", "NET-101", "NET-102", "NET-103", "NET-104", "NET-105", "NET-106"),
        *("NET-113", "NET-117", "NET-130", "NET-140", "NET-141"),
    }
)


class RestSink(Sink):
    """Sends the rows of an epoch when it is committed. The service holds no marker: a redo sends all of it again."""

    remembers: ClassVar[bool] = False

    def __init__(
        self, params: RestSinkParams, context: Context, *, client: Callable[[], HttpClient] | None = None
    ) -> None:
        self._params = params
        self._context = context
        self._make_client = client or self._new_client
        self._open_client: HttpClient | None = None
        self._numbers = count(1)
        self._taken: dict[int, set[str]] = {}

    def describe(self) -> Schema | None:
        """None: a service does not say what it takes."""
        return None

    def preview(self, schema: Schema) -> Preparation:
        """Raises ConfigError SNK-112 where a key is missing, SNK-113 where names differ in case only."""
        return compare(schema, schema, policy="ignore", needed=self._params.keys, sink=self._context.name)

    def prepare(self, schema: Schema) -> None:
        self.preview(schema)

    def marker(self, sink_id: SinkId) -> EpochMarker | None:  # noqa: ARG002 -- whichever it is
        """Always None: see ``Sink.remembers``."""
        return None

    def writer(self, epoch: Epoch, schema: Schema) -> RestWriter:
        """Renders rows to a file in the scratch folder; nothing is sent before the commit."""
        path = self._context.scratch / f"rest-{epoch.number}-{fingerprint(epoch.attempt)}-{next(self._numbers)}.arrow"
        return RestWriter(path, schema, keys=self._params.keys, allowance=self._context.allowance)

    def commit(self, epoch: Epoch, staged: Sequence[Staged]) -> Receipt:
        """Send everything. Called again after an error, it sends what this process has not seen taken.

        Raises TransientError SNK-272 (not all taken, for now), FatalError SNK-271 (refused), SNK-273 (staged rows are
        gone), and what the client raises where nothing was sent at all.
        """
        rows = sum(item.rows for item in staged)
        sent = _Sent(self._taken.setdefault(epoch.number, set()))
        if rows:
            self._send(epoch, [_path_of(item) for item in staged if item.rows], sent)
        self._taken.pop(epoch.number, None)
        for item in staged:
            _path_of(item).unlink(missing_ok=True)
        self._context.reached("rest.committed")
        return Receipt(rows=rows, inserted=rows, bytes=sent.bytes)

    def close(self) -> None:
        if self._open_client is not None:
            self._open_client.close()
            self._open_client = None

    # ------------------------------------------------------------ sending

    def _send(self, epoch: Epoch, paths: Sequence[Path], sent: _Sent) -> None:
        from penstock.connectors.resilience.parallel import in_order

        client = self._client()

        def send(item: tuple[str, bytes], scope: Cancellation) -> tuple[str, int]:
            key, body = item
            client.send(self._request(key, body), scope)
            return key, len(body)

        with self._bodies(epoch, paths) as bodies:
            left = (item for item in bodies if item[0] not in sent.keys)
            try:
                with closing(in_order(send, left, concurrency=self._params.concurrency)) as done:
                    for key, size in done:
                        sent.took(key, size)
                        self._context.reached("rest.sent")
            except PenstockError as error:
                raise self._explained(error, sent) from None

    @contextmanager
    def _bodies(self, epoch: Epoch, paths: Sequence[Path]) -> Iterator[Iterator[tuple[str, bytes]]]:
        """Idempotency-Key and body of each request, in an order that depends on the rows alone."""
        from penstock.connectors.rest.database import Database
        from penstock.connectors.rest.rendering import LINES, requests

        database = Database(self._context.allowance)
        try:
            params = self._params
            between = "\n" if params.body == "lines" else ","
            query = requests(params.most_records, params.max_request_bytes, between).sql(dialect="duckdb")
            batches = database.batches(query, {LINES: _lines(paths)}, _REQUESTS_AT_ONCE)
            yield (self._keyed(epoch, row) for batch in batches for row in batch.to_pylist())
        finally:
            database.close()

    def _keyed(self, epoch: Epoch, row: dict[str, Any]) -> tuple[str, bytes]:
        """A request per row, not a record: records were joined by the query."""
        key = hashlib.sha256(f"{epoch.sink_id}\n{epoch.number}\n{row['digest']}".encode()).hexdigest()
        return key, self._wrapped(str(row["records"]))

    def _wrapped(self, records: str) -> bytes:
        import json

        if self._params.body == "object":
            return records.encode()
        if self._params.body == "lines":
            return f"{records}\n".encode()
        if self._params.records is None:
            return f"[{records}]".encode()
        return f"{{{json.dumps(self._params.records)}:[{records}]}}".encode()

    def _request(self, key: str, body: bytes) -> Request:
        from penstock.connectors.http.messages import Request

        params = self._params
        own = {"idempotency-key", "content-type"}
        headers: Pairs = (
            *(pair for pair in params.headers.items() if pair[0].lower() not in own),
            ("Content-Type", "application/x-ndjson" if params.body == "lines" else "application/json"),
            ("Idempotency-Key", key),
        )
        query: list[tuple[str, Any]] = []
        for name, value in params.query.items():
            query += [(name, item) for item in value] if isinstance(value, list) else [(name, value)]
        hidden = isinstance(params.path, Secret)
        return Request(
            reveal(params.path), params.method, query=tuple(query), headers=headers, body=body, hidden=hidden
        )

    def _explained(self, error: PenstockError, sent: _Sent) -> PenstockError:
        if (error.code in _BEFORE_SENDING and not sent.requests) or isinstance(error, InternalError):
            return error
        problem = error.problems[0]
        detail = f"{sent.requests} requests were taken before, perhaps others that were under way; {problem.message}"
        detail = f"{detail}; {problem.detail}" if problem.detail else detail
        name = self._context.name
        if isinstance(error, TransientError):
            message = f'the service behind sink "{name}" stopped answering before it took all records'
            return TransientError("SNK-272", message, detail=detail)
        return FatalError("SNK-271", f'the service behind sink "{name}" refused records', detail=detail)

    def _client(self) -> HttpClient:
        if self._open_client is None:
            self._open_client = self._make_client()
            if isinstance(self._params.path, Secret):
                self._open_client.redact.hide(self._params.path)
        return self._open_client

    def _new_client(self) -> HttpClient:
        from penstock.connectors.http.client import HttpClient

        return HttpClient.of(self._params.connection, self._context)


class _Sent:
    """What the service has taken of an epoch, as far as this process saw."""

    def __init__(self, keys: set[str]) -> None:
        self.keys = keys
        self.bytes = 0

    @property
    def requests(self) -> int:
        return len(self.keys)

    def took(self, key: str, size: int) -> None:
        self.keys.add(key)
        self.bytes += size


class RestWriter(BatchWriter):
    """Renders rows as they come into a private file (0600). Raises DataError SNK-270, TransientError SNK-274."""

    def __init__(self, path: Path, schema: Schema, *, keys: Sequence[str], allowance: Allowance) -> None:
        from penstock.connectors.rest.database import Database
        from penstock.connectors.rest.rendering import rendered

        self._path = path
        self._schema = schema
        self._query = rendered(schema, keys).sql(dialect="duckdb")
        self._database: Database | None = Database(allowance)
        self._file: pa.ipc.RecordBatchFileWriter | None = None
        self._sink: Any = None
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        import duckdb
        import pyarrow as pa

        from penstock.connectors.rest.rendering import ROWS

        if batch.num_rows == 0:
            return
        assert self._database is not None
        self._check_finite(batch)
        renamed = batch.rename_columns([f"c{at}" for at in range(batch.num_columns)])
        try:
            lines = self._database.table(self._query, {ROWS: pa.Table.from_batches([renamed])})
        except duckdb.Error as error:
            reason = str(error).split("\n", 1)[0].partition(":")[0]
            raise DataError("SNK-270", "a value of type json is no JSON, and cannot be sent", detail=reason) from None
        with _refusals():
            self._opened(lines.schema).write_table(lines)
        self._rows += batch.num_rows

    def stage(self) -> Staged:
        self._close()
        size = self._path.stat().st_size if self._rows else 0
        return Staged(rows=self._rows, bytes=size, payload={"file": str(self._path)})

    def abort(self) -> None:
        with suppress(PenstockError):
            self._close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _check_finite(self, batch: pa.RecordBatch) -> None:
        from penstock.connectors.rest.nested import is_finite, parts_of

        for column, values in zip(self._schema, batch.columns, strict=True):
            if not all(is_finite(part) for part in parts_of(values)):
                raise DataError(
                    "SNK-270", f'column "{column.name}" holds NaN or an infinite number, which JSON has not'
                )

    def _opened(self, schema: pa.Schema) -> pa.ipc.RecordBatchFileWriter:
        import pyarrow as pa

        if self._file is None:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            self._sink = os.fdopen(descriptor, "wb")
            self._file = pa.ipc.new_file(self._sink, schema)
        return self._file

    def _close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()
        file, self._file = self._file, None
        with _refusals():
            if file is not None:
                file.close()
                self._sink.close()


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TransientError("SNK-274", "rendered records could not be written", detail=str(error)) from None


def _path_of(staged: Staged) -> Path:
    file = staged.payload.get("file")
    assert isinstance(file, str)
    return Path(file)


def _lines(paths: Sequence[Path]) -> pa.Table:
    """All rendered rows, mapped from their files. Raises FatalError SNK-273."""
    import pyarrow as pa

    try:
        return pa.concat_tables(pa.ipc.open_file(pa.memory_map(str(path))).read_all() for path in paths)
    except (OSError, pa.ArrowInvalid) as error:
        raise FatalError("SNK-273", "rendered records are gone or damaged", detail=str(error)) from None


SINK: Final = Descriptor(
    name="rest",
    group="sinks",
    summary="A web service that takes records as JSON, in batches, at least once.",
    params=RestSinkParams,
    make=RestSink,
    example=(
        "type: rest\n"
        "from: prices\n"
        'connection: {base_url: https://api.example.com/v1, auth: {type: bearer, token: "${secret.TOKEN}"}}\n'
        "path: /prices\n"
        "records: records\n"
        "keys: [crude, price_date]\n"
        "batch_size: 500\n"
    ),
    capabilities=frozenset({Capability.PARALLEL}),
    modes=("append",),
    extra="rest",
    notes=(
        "At least once: a service that does not know the header Idempotency-Key may take rows twice after a crash.",
        "The key is made of pipeline, sink, epoch and row keys, so that the same rows always carry the same key.",
        "A request that the service refuses (a status of 4xx) stops the epoch: single records of it are not rejected.",
        "Dates and times are sent as ISO 8601 text, bytes as base64; NaN and infinite numbers are refused.",
        "Requests go straight to the service: proxies named by the environment are not used.",
    ),
)

__all__ = ["SINK", "RestSink", "RestWriter"]
