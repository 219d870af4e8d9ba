"""``tests:`` of a document: rows that stand for sources, and the rows that are expected of nodes. Their columns and values
are looked at when the pipeline is compiled for the test.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from penstock.document.models import Expectation, ExpectedReject, GivenRows, PipelineTest
from penstock.document.template import text_of
from penstock.document.tree import Mapping, Scalar, Sequence, is_null
from penstock.document.validation import unknown_keys
from penstock.errors import Problem
from penstock.secret import Secret
from penstock.structs import Mutable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.document.tree import Entry, Node
    from penstock.errors import Location

TEST_KEYS: Final = ("name", "description", "params", "at", "given", "expect")
EXPECTED_KEYS: Final = ("rows", "count", "rejects")
REJECT_KEYS: Final = ("cause", "column", "row")


class PipelineTests(Mutable):
    """``problems`` grow: DOC-201 to DOC-203, and DOC-223 for two tests of one name. What cannot be used is left out."""

    problems: list[Problem]

    def tests(self, node: Node | None) -> Iterator[PipelineTest]:
        """In the order of the document."""
        if node is None:
            return
        seen: set[str] = set()
        for item in self._items(node, '"tests" is a list'):
            if not isinstance(item, Mapping):
                self._wrong("a test is a map of `name`, `given` and `expect`", item.at)
                continue
            test = self._test(item)
            if test is None:
                continue
            if test.name in seen:
                self._say("DOC-223", f'two tests have the name "{test.name}"', test.at)
            seen.add(test.name)
            yield test

    def _test(self, node: Mapping) -> PipelineTest | None:
        self.problems.extend(unknown_keys(node, TEST_KEYS, "a test"))
        name = node.get("name")
        if not isinstance(name, Scalar) or not name.text:
            self._say("DOC-202", 'a test needs "name"', name.at if name is not None else node.at)
            return None
        expect = {title: self._expectation(title, entry) for title, entry in self._entries(node, "expect")}
        if not expect:
            self._say("DOC-202", f'the test "{name.text}" expects nothing', name.at, hint="name a node under `expect`")
        return PipelineTest(
            name.text,
            name.at,
            {
                title: GivenRows(entry.key.at, self._rows(title, entry.value))
                for title, entry in self._entries(node, "given")
            },
            expect,
            {title: self._param(entry) for title, entry in self._entries(node, "params")},
            self._moment(node.get("at")),
        )

    # ------------------------------------------------------------ parts of a test

    def _expectation(self, title: str, entry: Entry) -> Expectation:
        at, value = entry.key.at, entry.value
        if not isinstance(value, Mapping):
            return Expectation(at, self._rows(title, value))
        self.problems.extend(unknown_keys(value, EXPECTED_KEYS, f'what is expected of "{title}"'))
        rows, count, rejects = (value.get(key) for key in EXPECTED_KEYS)
        if rows is None and count is None and rejects is None:
            self._say("DOC-202", f'nothing is expected of "{title}"', at, hint="write rows, count or rejects")
        return Expectation(
            at,
            self._rows(title, rows) if rows is not None else None,
            self._count(count) if count is not None else None,
            tuple(self._rejects(title, rejects)) if rejects is not None else None,
        )

    def _rows(self, title: str, node: Node) -> tuple[Mapping, ...]:
        found = []
        for item in self._items(node, f'the rows of "{title}" are a list of maps'):
            if isinstance(item, Mapping):
                found.append(item)
            else:
                self._wrong("a row is a map of columns to values", item.at)
        return tuple(found)

    def _rejects(self, title: str, node: Node) -> Iterator[ExpectedReject]:
        for item in self._items(node, f'the rejects of "{title}" are a list of maps'):
            if not isinstance(item, Mapping):
                self._wrong("a reject is a map with its `cause`", item.at)
                continue
            self.problems.extend(unknown_keys(item, REJECT_KEYS, "a reject"))
            cause, column, row = (item.get(key) for key in REJECT_KEYS)
            if not isinstance(cause, Scalar) or not cause.text:
                self._say("DOC-202", 'a reject needs "cause"', cause.at if cause is not None else item.at)
                continue
            if row is not None and not isinstance(row, Mapping):
                self._wrong("a row is a map of columns to values", row.at)
                continue
            named = column.text if isinstance(column, Scalar) and not is_null(column) else None
            yield ExpectedReject(cause.at, cause.text, named, row)

    def _count(self, node: Node) -> int | None:
        if (
            isinstance(node, Scalar)
            and isinstance(node.value, int)
            and not isinstance(node.value, bool)
            and node.value >= 0
        ):
            return node.value
        self._wrong('"count" is a whole number of rows', node.at)
        return None

    def _param(self, entry: Entry) -> str:
        value = entry.value
        if isinstance(value, Scalar) and value.value is not None and not isinstance(value.value, Secret):
            return text_of(value.value) if value.replacements else value.text
        self._wrong(f'the parameter "{entry.key.text}" of a test is one value', value.at)
        return ""

    def _moment(self, node: Node | None) -> datetime | None:
        if node is None:
            return None
        try:
            moment = datetime.fromisoformat(node.text if isinstance(node, Scalar) else "")
        except ValueError:
            self._wrong('"at" is a moment such as 2024-01-31T12:00:00Z', node.at)
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    # ------------------------------------------------------------ shapes

    def _entries(self, node: Mapping, title: str) -> Iterator[tuple[str, Entry]]:
        value = node.get(title)
        if isinstance(value, Mapping):
            yield from value.entries.items()
        elif value is not None and not is_null(value):
            self._wrong(f'"{title}" of a test is a map of names', value.at)

    def _items(self, node: Node, message: str) -> tuple[Node, ...]:
        if isinstance(node, Sequence):
            return node.items
        self._wrong(message, node.at)
        return ()

    def _wrong(self, message: str, at: Location) -> None:
        self._say("DOC-203", message, at)

    def _say(self, code: str, message: str, at: Location, hint: str | None = None) -> None:
        self.problems.append(Problem(code, message, at=at, hint=hint))
