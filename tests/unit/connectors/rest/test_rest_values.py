"""A value of a page is what the page says, or its record is a reject."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import pytest

from penstock.connectors.api import Allowance
from penstock.connectors.rest.database import Database
from penstock.connectors.rest.records import RecordReader
from penstock.connectors.rest.shape import Shape
from penstock.connectors.rest.spool import Entry, Group
from penstock.types import Schema
from typed_values import BAD, VALUES, by_kind, plain

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    made = Database(Allowance())
    yield made
    made.close()


def group_of(records: list[str]) -> Group:
    body = ("[" + ",".join(records) + "]").encode()
    return Group((Entry(1, 0, len(body), "", Shape.ARRAY, len(records)),), body, array("q", [0, len(body)]))


@pytest.mark.parametrize(("kind", "cases"), by_kind(VALUES))
def test_values_of_a_page(kind: str, cases: list[tuple[str, Any]], database: Database) -> None:
    schema = Schema.of({"a": f"{kind}?", "b": "int64?"})
    reader = RecordReader(database, (), schema, checked=schema, policy="reject")
    records = [f'{{"a": {text}, "b": {place}}}' for place, (text, _) in enumerate(cases)]
    good = {place: expected for place, (_, expected) in enumerate(cases) if expected is not BAD}
    rows, rejects = reader.read(group_of(records))
    assert {row["b"]: plain(row["a"]) for row in rows.to_pylist()} == good
    assert (rejects.num_rows if rejects is not None else 0) == len(cases) - len(good)
    for place, expected in good.items():  # also where no other record of the page asks for a second look
        alone, none = reader.read(group_of([records[place]]))
        assert ([plain(value) for value in alone.column("a").to_pylist()], none) == ([expected], None)


def test_json_keeps_its_numbers_where_another_column_needs_their_digits(database: Database) -> None:
    schema = Schema.of({"n": "decimal(30,2)?", "j": "json?"})
    reader = RecordReader(database, (), schema, checked=schema, policy="reject")
    rows, _ = reader.read(group_of(['{"n": 12345678901234567.25, "j": [1234567890123456]}']))
    assert [plain(value) for value in rows.to_pylist()[0].values()][1] == "[1234567890123456]"
    assert str(rows.column("n")[0].as_py()) == "12345678901234567.25"
