"""A listing behind a web service as a source: spooled page by page, then read from the spool as often as needed."""

from __future__ import annotations

import threading
from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING, Final

from penstock.connectors.api import Batches, Chunk, Context, Partition, Spooling, unheard
from penstock.connectors.rest.params import RestSourceParams
from penstock.connectors.rest.path import parse_path
from penstock.errors import InternalError
from penstock.registry import Capability, Descriptor
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penstock.connectors.api import Position, Rows, ScanRequest, Since, SpoolProgress
    from penstock.connectors.http.client import HttpClient
    from penstock.connectors.rest.database import Database
    from penstock.connectors.rest.inspection import ReadPage
    from penstock.connectors.rest.listing import Listing
    from penstock.connectors.rest.records import Policy
    from penstock.connectors.rest.since import Asked
    from penstock.connectors.rest.spool import Spool

_FRESH_SECONDS: Final = 60.0  # how long the page that `describe` fetched is as good as a new one
_NAME: Final = "pages.spool"


class RestSource(Spooling):
    """Reads the whole listing each time. Positions: of a spooled range see spool.py, with ``page`` after a chunk the
    last page in it; ``{"v": 1, "live": true}`` is what the service has now, fetched when it is scanned.
    """

    def __init__(
        self, params: RestSourceParams, context: Context, *, client: Callable[[], HttpClient] | None = None
    ) -> None:
        self._params = params
        self._context = context
        self._make_client = client or self._new_client
        self._place = parse_path(params.records)
        self._open_client: HttpClient | None = None
        self._open_database: Database | None = None
        self._schema: Schema | None = None
        self._kept: tuple[float, ReadPage] | None = None
        self._fetched = 0

    def describe(self) -> Schema:
        """Asks for the first page. Errors as ``spool``, and those of inference.py."""
        if self._schema is None:
            read = self._listing().first()
            self._kept = (self._context.clock.monotonic(), read)
            self._schema = self._described(read)
        return self._schema

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- a listing is one
        """Whatever the service has when it is scanned; asks nothing."""
        return {"v": 1, "live": True}

    def spool(
        self,
        partition: Partition,  # noqa: ARG002 -- a listing is one
        folder: Path,
        told: SpoolProgress = unheard,
        since: Since | None = None,
    ) -> Position:
        """Fetch all pages into one file of the folder; those from ``since`` on where the document says how that is asked
        for. Errors as Listing.pages and write_spool.
        """
        from penstock.connectors.rest.spool import write_spool

        asked = self._asked(since)
        kept, self._kept = self._kept, None
        is_fresh = asked is None and kept is not None and self._context.clock.monotonic() - kept[0] < _FRESH_SECONDS
        pages = self._listing(asked).pages(kept[1] if kept is not None and is_fresh else None, told)
        # The first page of what is new may hold no records: the columns are those of the whole listing.
        schema = self.describe() if asked is not None else None
        # What reads the pages is imported while they are waited for.
        reading = threading.Thread(target=import_module, args=("penstock.connectors.rest.records",), daemon=True)
        reading.start()
        try:
            return write_spool(folder / _NAME, pages, lambda read: schema or self._described(read))
        finally:
            pages.close()
            reading.join()

    def scan(self, request: ScanRequest) -> Rows:
        """The rows of a spooled range, in the order of the listing; records that are none are rejects.

        Raises ConfigError SRC-270 (not our position), DataError SRC-110 (the spool is gone or damaged), SRC-277.
        """
        spool = self._spool(request)
        whole = self._schema or spool.schema
        schema = whole if request.columns is None else whole.select(request.columns)
        after = _page_of(request)
        return Batches(schema, lambda: self._chunks(spool, whole, schema=schema, after=after, upto=request.upto))

    def close(self) -> None:
        if self._open_client is not None:
            self._open_client.close()
            self._open_client = None
        if self._open_database is not None:
            self._open_database.close()
            self._open_database = None

    # ------------------------------------------------------------ parts

    def _spool(self, request: ScanRequest) -> Spool:
        from penstock.connectors.rest.spool import Spool

        upto = request.upto
        if upto == self.latest(request.partition):
            self._fetched += 1
            folder = self._context.scratch / f"rest-{id(self):x}-{self._fetched}"
            folder.mkdir(mode=0o700)
            upto = self.spool(request.partition, folder)
        return Spool(upto)

    def _chunks(self, spool: Spool, whole: Schema, *, schema: Schema, after: int, upto: Position) -> Iterator[Chunk]:
        """Groups of pages are parsed on several threads, each with a database of its own, and delivered in order."""
        from penstock.connectors.resilience.parallel import in_order
        from penstock.connectors.rest.records import RecordReaders

        checked = _checked(whole, self._context)
        most = spool.most_groups
        with RecordReaders(
            self._place,
            schema,
            checked=checked,
            policy=self._policy(),
            groups=most,
            allowance=self._context.allowance,
        ) as readers:
            groups = spool.groups(after)
            read = in_order(lambda group, _: (group.last, *readers.read(group)), groups, concurrency=readers.count)
            with closing(read):
                for last, batch, rejects in read:
                    yield Chunk(batch, {**upto, "page": last}, rejects)

    def _policy(self) -> Policy:
        return self._context.contract.on_bad_value if self._context.contract else self._params.on_bad_value

    def _described(self, read: ReadPage) -> Schema:
        from penstock.connectors.rest.inference import described

        return described(self._database(), self._place, read, self._context.contract, self._context.name)

    def _asked(self, since: Since | None) -> Asked | None:
        from penstock.connectors.rest.since import asked

        incremental = self._params.incremental
        if since is None or incremental is None or incremental.send is None:
            return None
        return asked(since, incremental.send)

    def _listing(self, asked: Asked | None = None) -> Listing:
        from penstock.connectors.rest.listing import Listing

        if self._open_client is None:
            self._open_client = self._make_client()
        return Listing(self._params, self._open_client, self._database(), asked)

    def _database(self) -> Database:
        from penstock.connectors.rest.database import Database

        if self._open_database is None:
            self._open_database = Database(self._context.allowance)
        return self._open_database

    def _new_client(self) -> HttpClient:
        from penstock.connectors.http.client import HttpClient

        return HttpClient.of(self._params.connection, self._context)


def _checked(whole: Schema, context: Context) -> Schema:
    """The columns that are looked at whatever is asked for: those of a contract whose bad values do not just vanish."""
    if context.contract is None or context.contract.on_bad_value == "null":
        return Schema()
    return Schema(tuple(column for column in whole if column.name in context.contract.schema))


def _page_of(request: ScanRequest) -> int:
    """The last page that ``after`` covers: of the same range, or nothing at all."""
    if request.after is None:
        return 0
    page = request.after.get("page")
    if request.after.get("file") != request.upto.get("file") or not isinstance(page, int):
        raise InternalError("INT-900", "a rest source is read in full and was asked for a part")
    return page


SOURCE: Final = Descriptor(
    name="rest",
    group="sources",
    summary="A listing of records that a web service answers with JSON, in one answer or page by page.",
    params=RestSourceParams,
    make=RestSource,
    example=(
        "type: rest\n"
        "connection:\n"
        "  base_url: https://api.eia.gov/v2\n"
        '  auth: {type: api_key, in: query, name: api_key, value: "${secret.EIA_KEY}"}\n'
        "path: /petroleum/pri/spt/data\n"
        'query: {frequency: daily, "data[0]": value}\n'
        "paginate: {type: offset, offset: offset, limit: length, size: 5000, total: response.total}\n"
        "records: response.data\n"
        'schema: {columns: {period: date, series: string, value: "decimal(12,4)?"}}\n'
    ),
    capabilities=frozenset({Capability.SPOOLS, Capability.PROJECTION, Capability.ASKED_FROM}),
    extra="rest",
    notes=(
        "All pages are written to a private file first; the run reads that file, as often as it needs to.",
        "Without a schema, columns come from the first page; text stays text, so state a schema for dates.",
        "With `incremental: {cursor: day, send: {query: start}}` later runs ask the service for rows from the cursor's last value on.",
        "A listing that shifts while it is read may show a record twice or not at all, as its service delivers it.",
        "Requests go straight to the service: proxies named by the environment are not used.",
    ),
)

__all__ = ["SOURCE", "RestSource"]
