"""Text as a database prints it: read as what the database meant, or refused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.connectors.api import COPY_TEXT, Pipe
from penstock.engines.duckdb.errors import UncertainError, translated
from penstock.engines.duckdb.readers import pipe_query
from penstock.errors import DataError
from penstock.types import DATE, INT64, JSON, STRING, TIMESTAMP, TIMESTAMPTZ, Field, Schema

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.types import LogicalType

pytestmark = pytest.mark.slow

_ESCAPED = {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_TEXTS = st.text(
    st.one_of(
        st.sampled_from([*_ESCAPED, "n", "t", "N", '"', ",", "0"]),
        st.characters(exclude_characters="\0", codec="utf-8"),
    )
)


def _printed(text: str | None) -> str:
    """As PostgreSQL's documentation says of COPY's text format."""
    return "\\N" if text is None else "".join(_ESCAPED.get(character, character) for character in text)


def _read(path: Path, rows: list[list[str]], *types: LogicalType) -> list[tuple[Any, ...]]:
    path.write_bytes("".join("\t".join(["0000", *row]) + "\n" for row in rows).encode())
    schema = Schema(tuple(Field(f"column {place}", kind) for place, kind in enumerate(types)))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        query = pipe_query(Pipe(COPY_TEXT, schema, lambda: (), lambda: None), [descriptor], unchecked=True)
        with duckdb.connect() as connection, translated("reading"):
            connection.execute("SET threads = 1; SET timezone = 'UTC'")
            texts = ", ".join(f'"column {place}"::text' for place in range(len(types)))
            return connection.execute(f"SELECT {texts} FROM ({query.sql(dialect='duckdb')})").fetchall()
    finally:
        os.close(descriptor)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.one_of(st.none(), _TEXTS), max_size=8))
def test_a_text_is_what_was_printed(tmp_path: Path, texts: list[str | None]) -> None:
    rows = [[_printed(text), str(place)] for place, text in enumerate(texts)]
    assert _read(tmp_path / "rows", rows, STRING, INT64) == [(text, str(place)) for place, text in enumerate(texts)]


@pytest.mark.parametrize("text", ["", "\\N", "\\\\N", '"', '"a"', "a\nb"])
def test_a_text_that_is_alone_is_a_row(tmp_path: Path, text: str) -> None:
    assert _read(tmp_path / "rows", [[_printed(text)], [_printed(None)]], STRING) == [(text,), (None,)]


def test_escapes_of_json_are_undone_once(tmp_path: Path) -> None:
    text = r'{"a": "b\n\\c\"d"}'
    assert _read(tmp_path / "rows", [[_printed(text)]], JSON) == [(text,)]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((kind, text) for kind in (DATE, TIMESTAMP, TIMESTAMPTZ) for text in ("infinity", "-infinity", "2020-02-30")),
        (DATE, "0044-03-15 BC"),
        (TIMESTAMPTZ, "0044-03-15 00:00:00+00 BC"),
    ],
)
def test_a_moment_that_no_column_of_ours_has_is_refused(tmp_path: Path, kind: LogicalType, text: str) -> None:
    with pytest.raises(DataError) as caught:
        _read(tmp_path / "rows", [["2020-01-01", "1"], [text, "2"]], kind, INT64)
    assert ("infinity" in text) == isinstance(caught.value, UncertainError)


def test_moments_and_nulls_are_taken(tmp_path: Path) -> None:
    rows = [["2020-01-01", "2020-01-01 10:00:00.123456", "2020-01-01 10:00:00.5+00"], ["\\N", "\\N", "\\N"]]
    rows.append(["10000-01-01", "0001-01-01 00:00:00", "9999-12-31 23:59:59+00"])
    assert _read(tmp_path / "rows", rows, DATE, TIMESTAMP, TIMESTAMPTZ) == [
        ("2020-01-01", "2020-01-01 10:00:00.123456", "2020-01-01 10:00:00.5+00"),
        (None, None, None),
        ("10000-01-01", "0001-01-01 00:00:00", "9999-12-31 23:59:59+00"),
    ]
