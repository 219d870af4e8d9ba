"""Which request comes next. Pure: a pager sees what a page said and names steps; it fetches nothing."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, assert_never

from penstock.connectors.http.urls import follow, parse_url
from penstock.connectors.rest.params import CursorPaging, LinkPaging, NextUrlPaging, OffsetPaging, PagePaging
from penstock.connectors.rest.path import parse_path, pointer
from penstock.errors import ConfigError, DataError
from penstock.structs import Frozen, Mutable, field

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from penstock.connectors.http.messages import Headers
    from penstock.connectors.http.urls import Url
    from penstock.connectors.rest.params import Paging

_LINK: Final = re.compile(r'\s*<([^<>]*)>((?:\s*;\s*[^\s=;,]+\s*(?:=\s*(?:"(?:[^"\\]|\\.)*"|[^",;\s]*))?)*)\s*(?:,|$)')
_REL: Final = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^",;\s]*))', re.IGNORECASE)


class Step(Frozen):
    """One request of a listing: paging parameters besides the document's own, or a link that is complete."""

    parameters: tuple[tuple[str, str | int], ...] = ()
    link: Url | None = None


class Steps(Frozen):
    """That many steps, made when they are asked for: a total may be anything."""

    count: int
    steps: Iterator[Step]


class Said(Frozen):
    """What a page said: how many records it has and, by JSON pointer, the values that the pager asked for (as text)."""

    records: int
    values: Mapping[str, str | None]
    headers: Headers
    url: Url


class Pager(ABC):
    """Made anew for each listing."""

    wanted: tuple[str, ...] = ()  # JSON pointers of the values it needs of each page

    def first(self) -> Step:
        return Step()

    def planned(self, said: Said) -> Steps:  # noqa: ARG002 -- most know one step at a time
        """After the first page: all further steps that are known already, so that they may be fetched in parallel."""
        return Steps(0, iter(()))

    @abstractmethod
    def next(self, said: Said, progress: Progress) -> Step | None:
        """After any page, the last of the planned ones included; None: that was the last."""

    def announced(self, said: Said) -> int | None:  # noqa: ARG002 -- few are told
        """How many records there should be in all, if the page says so."""
        return None


class Progress(Mutable):
    """How far a listing is: pages and records so far, and the most records that a page announced."""

    pages: int = 0
    records: int = 0
    announced: int = 0

    def count(self, said: Said, pager: Pager) -> None:
        self.pages += 1
        self.records += said.records
        self.announced = max(self.announced, pager.announced(said) or 0)


def pager_of(paging: Paging | None, origin: Url) -> Pager:
    """``origin`` is the connection's base URL: links may lead there and to the origins that the paging allows."""
    match paging:
        case None:
            return _OnePage()
        case OffsetPaging() | PagePaging():
            return _Numbered(paging)
        case CursorPaging():
            return _Cursor(paging)
        case LinkPaging() | NextUrlPaging():
            return _Linked(paging, origin)
        case _:
            assert_never(paging)


class _OnePage(Pager):
    def next(self, said: Said, progress: Progress) -> Step | None:  # noqa: ARG002 -- there is no next one
        return None


class _Numbered(Pager):
    """Offsets and page numbers. The first page says how many records a page really has: servers cap what is asked for,
    so the offset moves by what came, and without a total only a page without records is the end.
    """

    def __init__(self, paging: OffsetPaging | PagePaging) -> None:
        self._paging = paging
        self._total = pointer(parse_path(paging.total)) if paging.total else None
        pages = paging.pages if isinstance(paging, PagePaging) else None
        self._pages = pointer(parse_path(pages)) if pages else None
        self.wanted = tuple(item for item in (self._total, self._pages) if item is not None)

    def first(self) -> Step:
        return self._step(pages=0, records=0)

    def planned(self, said: Said) -> Steps:
        pages = self._count(said, self._pages)
        total = self.announced(said)
        if pages is None:
            pages = -(-total // said.records) if total is not None and said.records else 1
        known = range(1, pages if said.records else 1)
        return Steps(len(known), (self._step(pages=done, records=done * said.records) for done in known))

    def next(self, said: Said, progress: Progress) -> Step | None:
        pages, total = self._count(said, self._pages), self.announced(said)
        if pages is not None:
            ended = progress.pages >= pages
        elif total is not None:
            ended = progress.records >= total or said.records == 0
        else:
            ended = said.records == 0
        return None if ended else self._step(pages=progress.pages, records=progress.records)

    def announced(self, said: Said) -> int | None:
        return self._count(said, self._total)

    def _step(self, *, pages: int, records: int) -> Step:
        paging = self._paging
        limit = ((paging.limit, paging.size),) if paging.limit else ()
        match paging:
            case OffsetPaging():
                return Step(((paging.offset, records), *limit))
            case PagePaging():
                return Step(((paging.page, paging.first + pages), *limit))
            case _:
                assert_never(paging)

    def _count(self, said: Said, place: str | None) -> int | None:
        """Raises DataError SRC-272 where a page does not say the number that it should."""
        if place is None:
            return None
        text = (said.values.get(place) or "").strip()
        if re.fullmatch(r"[0-9]{1,15}(\.0*)?", text):
            return int(text.partition(".")[0])
        shown = f"it says {text[:40]!a}" if text else "it says nothing there"
        message = f'a page does not say at "{place}" how much there is'
        raise DataError("SRC-272", message, detail=shown, about=("paginate",))


class _Seen(Mutable):
    """Notices a listing that leads to where it was."""

    keys: set[str] = field(default_factory=set)

    def check(self, key: str, what: str) -> None:
        if key in self.keys:
            raise DataError("SRC-273", f"the listing goes in a circle: {what} comes a second time")
        self.keys.add(key)


class _Cursor(Pager):
    def __init__(self, paging: CursorPaging) -> None:
        self._paging = paging
        self._cursor = pointer(parse_path(paging.cursor))
        self._more = pointer(parse_path(paging.more)) if paging.more else None
        self.wanted = tuple(item for item in (self._cursor, self._more) if item is not None)
        self._seen = _Seen()

    def first(self) -> Step:
        return Step(self._limit())

    def next(self, said: Said, progress: Progress) -> Step | None:  # noqa: ARG002 -- the key says it all
        cursor = said.values.get(self._cursor)
        ended = self._more is not None and said.values.get(self._more) in {"false", "0", None}
        if ended or cursor in {None, "", "false"}:
            return None
        assert cursor is not None
        self._seen.check(cursor, "a key to the next page")
        return Step(((self._paging.param, cursor), *self._limit()))

    def _limit(self) -> tuple[tuple[str, int], ...]:
        return ((self._paging.limit, self._paging.size),) if self._paging.limit else ()


class _Linked(Pager):
    def __init__(self, paging: LinkPaging | NextUrlPaging, origin: Url) -> None:
        self._paging = paging
        self._origins = {origin.origin, *(parse_url(item).origin for item in paging.allow_origins)}
        self._next = pointer(parse_path(paging.next)) if isinstance(paging, NextUrlPaging) else None
        self.wanted = (self._next,) if self._next is not None else ()
        self._seen = _Seen()

    def next(self, said: Said, progress: Progress) -> Step | None:
        reference = self._reference(said)
        if not reference:
            return None
        if progress.pages == 1:
            self._seen.check(said.url.reveal(), "the first page")
        target = follow(said.url, reference)
        if target.origin not in self._origins:
            raise ConfigError(
                "SRC-274",
                f'the next page is said to be at another origin, "{target.scheme}://{target.authority}"',
                hint="if it is meant, paginate.allow_origins names it; credentials stay with the connection's origin",
            )
        self._seen.check(target.reveal(), "a link to the next page")
        return Step(link=target)

    def _reference(self, said: Said) -> str | None:
        match self._paging:
            case LinkPaging():
                return next(links(said.headers.all("Link"), self._paging.rel), None)
            case NextUrlPaging():
                return said.values.get(self._next or "")
            case _:
                assert_never(self._paging)


def links(headers: Sequence[str], rel: str) -> Iterator[str]:
    """The targets of that relation in Link headers (RFC 8288).

    >>> list(links(['<https://a.example/?p=2>; rel="next last", </x>; rel=prev'], "next"))
    ['https://a.example/?p=2']
    """
    for header in headers:
        at = 0
        while match := _LINK.match(header, at):
            relation = _REL.search(match[2])
            if relation and rel.lower() in (relation[1] or relation[2] or "").lower().split():
                yield match[1]
            if match.end() == at:
                break
            at = match.end()
