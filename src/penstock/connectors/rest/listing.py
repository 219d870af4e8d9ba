"""A listing, page by page in its order: one at a time where each names the next, several at once where all are known."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Final

from penstock.connectors.api import unheard
from penstock.connectors.http.messages import Request
from penstock.connectors.resilience.cancel import Cancellation
from penstock.connectors.resilience.parallel import in_order
from penstock.connectors.rest.inspection import Inspector, ReadPage
from penstock.connectors.rest.pages import page_of
from penstock.connectors.rest.paging import Progress, Said, pager_of
from penstock.connectors.rest.path import parse_path
from penstock.errors import DataError, TransientError
from penstock.fields import reveal
from penstock.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from penstock.connectors.api import SpoolProgress
    from penstock.connectors.http.client import HttpClient
    from penstock.connectors.http.messages import Pairs
    from penstock.connectors.rest.database import Database
    from penstock.connectors.rest.pages import Page
    from penstock.connectors.rest.paging import Pager, Step
    from penstock.connectors.rest.params import RestSourceParams
    from penstock.connectors.rest.since import Asked

_INSPECTED_PAGES: Final = 64  # at once, at most
_INSPECTED_BYTES: Final = 4 * 1024 * 1024  # about as many, and twice as many again on their way


class Listing:
    """Fetches the pages of one source. Used from one thread; fetches on up to ``concurrency`` others."""

    def __init__(
        self, params: RestSourceParams, client: HttpClient, database: Database, asked: Asked | None = None
    ) -> None:
        """``asked``: where the rows that are wanted begin."""
        self._params = params
        self._asked = asked
        self._client = client
        self._database = database
        self._records = parse_path(params.records)
        if isinstance(params.path, Secret):
            client.redact.hide(params.path)
        # What a page begins with may be values of labelled columns.
        self._shown: Callable[[str], str] = (lambda _: "") if params.labels else client.redact

    def first(self) -> ReadPage:
        """The first page alone."""
        pager = self._pager()
        return self._inspector(pager).inspect_one(self._fetch(1, pager.first(), Cancellation()))

    def pages(self, first: ReadPage | None = None, told: SpoolProgress = unheard) -> Generator[ReadPage]:
        """All pages in order, each once; ``first`` is taken for the first one where it is given; ``told`` hears of each.

        Raises what the client raises; DataError SRC-271, SRC-272 (a page is none), SRC-273 (a circle), SRC-276 (too many
        pages); ConfigError SRC-274 (a link leads elsewhere); TransientError SRC-275 (it changed while it was read).
        """
        pager = self._pager()
        inspector = self._inspector(pager)
        latest = first or inspector.inspect_one(self._fetch(1, pager.first(), Cancellation()))
        progress = Progress()

        def count(read: ReadPage) -> ReadPage:
            progress.count(_said(read), pager)
            told(progress.records, progress.announced or None)
            return read

        yield count(latest)
        planned = pager.planned(_said(latest))
        self._check_number(1 + planned.count)
        at_once = max(1, min(_INSPECTED_PAGES, _INSPECTED_BYTES // max(1, len(latest.page.body))))
        for following in self._in_parallel(planned.steps, inspector, at_once):
            _check_new(latest, following)
            latest = following
            yield count(latest)
        while (step := pager.next(_said(latest), progress)) is not None:
            self._check_number(progress.pages + 1)
            following = inspector.inspect_one(self._fetch(progress.pages + 1, step, Cancellation()))
            _check_new(latest, following)
            latest = following
            yield count(latest)
        _check_whole(pager, latest, progress)

    def _in_parallel(self, steps: Iterable[Step], inspector: Inspector, at_once: int) -> Iterator[ReadPage]:
        numbered = enumerate(steps, start=2)
        fetched = in_order(
            lambda item, scope: self._fetch(*item, scope),
            numbered,
            concurrency=self._params.concurrency,
            look_ahead=2 * max(at_once, self._params.concurrency),
        )
        with closing(fetched):
            while group := list(islice(fetched, at_once)):
                yield from map(ReadPage, group, inspector.inspect(group))

    def _fetch(self, number: int, step: Step, scope: Cancellation) -> Page:
        return page_of(number, self._client.send(self._request(step), scope), self._shown)

    def _request(self, step: Step) -> Request:
        params = self._params
        headers: Pairs = tuple(params.headers.items())
        if not any(name.lower() == "accept" for name, _ in headers):
            headers = (*headers, ("Accept", "application/json"))
        if step.link is not None:
            if step.link.origin != self._client.base.origin:
                headers = tuple(pair for pair in headers if not isinstance(pair[1], Secret))
            body = self._body(()) if params.method == "POST" else None
            return Request(
                step.link.reveal(),
                params.method,
                headers=_typed(headers, body),
                body=body,
                repeatable=True,
                hidden=step.link.hidden,
            )
        in_body = getattr(params.paginate, "place", "query") == "body"
        body = self._body(step.parameters if in_body else ()) if params.method == "POST" else None
        from_value = self._asked_in("query")
        query = _query(params, from_value if in_body else (*from_value, *step.parameters))
        return Request(
            reveal(params.path),
            params.method,
            query=query,
            headers=_typed(headers, body),
            body=body,
            repeatable=True,
            hidden=isinstance(params.path, Secret),
        )

    def _body(self, parameters: tuple[tuple[str, str | int], ...]) -> bytes | None:
        parameters = (*self._asked_in("body"), *parameters)
        if self._params.body is None and not parameters:
            return b""
        return json.dumps({**(self._params.body or {}), **dict(parameters)}).encode()

    def _asked_in(self, place: str) -> tuple[tuple[str, str | int], ...]:
        asked = self._asked
        return ((asked.name, asked.value),) if asked is not None and asked.place == place else ()

    def _pager(self) -> Pager:
        return pager_of(self._params.paginate, self._client.base)

    def _inspector(self, pager: Pager) -> Inspector:
        return Inspector(self._database, self._records, pager.wanted, self._shown)

    def _check_number(self, pages: int) -> None:
        if pages > self._params.max_pages:
            raise DataError(
                "SRC-276",
                f"the listing has more than {self._params.max_pages} pages",
                hint="ask for larger pages, or raise max_pages",
            )


def _query(params: RestSourceParams, paging: tuple[tuple[str, str | int], ...]) -> Pairs:
    """The document's parameters; those of the paging, and where the rows begin, replace them."""
    replaced = {name for name, _ in paging}
    pairs: list[tuple[str, str | Secret]] = []
    for name, value in params.query.items():
        if name not in replaced:
            pairs += [(name, item) for item in value] if isinstance(value, list) else [(name, value)]
    return (*pairs, *((name, str(value)) for name, value in paging))


def _typed(headers: Pairs, body: bytes | None) -> Pairs:
    if not body or any(name.lower() == "content-type" for name, _ in headers):
        return headers
    return (*headers, ("Content-Type", "application/json"))


def _said(read: ReadPage) -> Said:
    return Said(read.contents.records, read.contents.values, read.page.headers, read.page.url)


def _check_new(before: ReadPage, now: ReadPage) -> None:
    """A server that does not know the paging parameter sends its first page for ever."""
    if now.contents.records and now.page.body == before.page.body:
        raise DataError(
            "SRC-273",
            f"pages {before.page.number} and {now.page.number} are the same, byte by byte",
            hint="look at paginate: the server seems not to know the parameter",
        )


def _check_whole(pager: Pager, last: ReadPage, progress: Progress) -> None:
    """What was announced is what came, or the listing changed between its pages: records may have moved to a page that
    was read already.
    """
    announced = pager.announced(_said(last))
    if announced is not None and not announced == progress.records == progress.announced:
        raise TransientError(
            "SRC-275",
            f"the listing says that it has {progress.announced} records, and its {progress.pages} pages have {progress.records}",
            detail="it changed while it was read, or pages are shorter than the first one",
        )
