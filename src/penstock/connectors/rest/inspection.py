"""What pages say of themselves, many at a time: DuckDB parses them on its own threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.connectors.rest.database import PAGES, TEXT, Database, pages_table
from penstock.connectors.rest.pages import not_json, strict_objection
from penstock.connectors.rest.path import path_of, pointer, shown
from penstock.connectors.rest.shape import Shape, from_json, member
from penstock.errors import DataError
from penstock.structs import Frozen
from penstock.trees import call, is_not_null
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.connectors.rest.pages import Page
    from penstock.connectors.rest.path import Path


class Contents(Frozen):
    """``records`` counts what stands in the list, records or not; ``values`` by JSON pointer, as text."""

    shape: Shape
    records: int
    values: Mapping[str, str | None]


class ReadPage(Frozen):
    """A page and what it says."""

    page: Page
    contents: Contents


class Inspector:
    """Reads shape, number of records and some values of pages. One thread at a time."""

    def __init__(self, database: Database, records: Path, wanted: Sequence[str], redact: Callable[[str], str]) -> None:
        self._database = database
        self._records = records
        self._wanted = tuple(wanted)
        self._redact = redact
        self._careful = _careful_query(pointer(records), self._wanted).sql(dialect="duckdb")
        fast = _fast_query(records, self._wanted)
        self._fast = fast.sql(dialect="duckdb") if fast is not None else None

    def inspect(self, pages: Sequence[Page]) -> list[Contents]:
        """Raises DataError SRC-271 (a page is no JSON), SRC-272 (no list of records where one should be)."""
        full = [page for page in pages if page.body]
        rows = iter(self._rows(full))
        return [self._contents(page, next(rows)) if page.body else _NO_CONTENT for page in pages]

    def inspect_one(self, page: Page) -> ReadPage:
        """Errors as ``inspect``."""
        return ReadPage(page, *self.inspect([page]))

    def _rows(self, pages: Sequence[Page]) -> list[tuple[object, ...]]:
        import duckdb

        if not pages:
            return []
        relations = {PAGES: pages_table([page.body for page in pages])}
        try:
            rows = self._database.rows(self._fast, relations) if self._fast is not None else []
            if all(row[1] is not None for row in rows) and rows:
                return rows
            return self._database.rows(self._careful, relations)  # what stands there is no list, or cannot be told fast
        except duckdb.Error as error:
            raise self._malformed(pages, error) from None

    def _malformed(self, pages: Sequence[Page], error: Exception) -> DataError:
        import duckdb

        for page in pages:
            reason = strict_objection(page.body)
            if reason is not None:
                return not_json(page.number, reason, body=page.body, redact=self._redact)
        for page in pages:
            try:
                self._database.rows(self._careful, {PAGES: pages_table([page.body])})
            except duckdb.Error:
                return not_json(page.number, "is JSON that the engine cannot read", body=page.body, redact=self._redact)
        return DataError("SRC-271", "pages are not valid JSON", detail=type(error).__name__)

    def _contents(self, page: Page, row: tuple[object, ...]) -> Contents:
        kind, length, *texts = row
        values = {place: None if text is None else str(text) for place, text in zip(self._wanted, texts, strict=True)}
        match kind:
            case "ARRAY":
                return Contents(Shape.ARRAY, int(str(length)), values)
            case "OBJECT":
                return Contents(Shape.OBJECT, 1, values)
            case "NULL":
                return Contents(Shape.NOTHING, 0, values)
            case _:
                what = "nothing" if kind is None else "a single value"
                raise DataError(
                    "SRC-272",
                    f'page {page.number} has {what} at "{shown(self._records)}", where its records should be',
                    detail=not_json(page.number, "", body=page.body, redact=self._redact).problems[0].detail,
                    about=("records",),
                )


_NO_CONTENT = Contents(Shape.NOTHING, 0, {})


def _fast_query(records: Path, wanted: Sequence[str]) -> exp.Select | None:
    """Kind, length and values by a single parse; kind and length are null where there is no list. None where one place
    is inside another.
    """
    tree: object = ["NULL"]
    for name in reversed(records):
        tree = {name: tree}
    paths = [path_of(place) for place in wanted]
    if not all(_graft(tree, path) for path in paths):
        return None
    parsed = exp.select(exp.alias_(from_json(exp.column(TEXT), tree), "said")).from_(PAGES).subquery("parsed")
    length = call("len", member(exp.column("said"), records))
    there = is_not_null(length)
    kind = exp.Case(ifs=[exp.If(this=there, true=exp.Literal.string("ARRAY"))])
    return exp.select(kind, length, *(member(exp.column("said"), path) for path in paths)).from_(parsed)


def _graft(tree: object, path: Path) -> bool:
    """Add a text to the structure; False where something else stands in the way."""
    for name in path[:-1]:
        if not isinstance(tree, dict):
            return False
        tree = tree.setdefault(name, {})
    if not isinstance(tree, dict) or not path or tree.setdefault(path[-1], "VARCHAR") != "VARCHAR":
        return False
    return len({fold_case(name) for name in tree}) == len(tree)


def _careful_query(records: str, wanted: Sequence[str]) -> exp.Select:
    text = exp.column(TEXT)
    place = [exp.Literal.string(records)] if records else []
    return exp.select(
        call("json_type", text, *place),
        call("json_array_length", text, *place),
        *(call("json_extract_string", text, exp.Literal.string(item)) for item in wanted),
    ).from_(PAGES)
