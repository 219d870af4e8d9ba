"""Files that are broken at random: every record is a row or a reject, whatever is read of it, and never both.

The count of records comes from an oracle that shares nothing with the readers: for CSV without quotes the lines, with
quotes a reading of the format of its own; for lines of JSON Python's json.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import orc

from penstock.connectors.api import CsvFormat, Files, JsonFormat
from penstock.connectors.files.listing import found_at
from penstock.connectors.files.orc_reading import batches_of, schemas_of
from penstock.engines.duckdb.careful import Workspace, careful_files
from penstock.engines.duckdb.errors import translated
from penstock.engines.duckdb.readers import files_query
from penstock.errors import ConfigError, DataError
from penstock.types import Schema

SCHEMA = Schema.of({"a": "int64?", "b": "string?", "c": "decimal(6,2)?"})
RELAXED = settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])


def fast(files: Files) -> list[dict[str, Any]] | None:
    """None where the fast read gives up."""
    with duckdb.connect(config={"threads": 2}) as database, suppress(DataError), translated("reading"):
        found = database.sql(files_query(files, threads=2).sql(dialect="duckdb")).to_arrow_table()
        rows: list[dict[str, Any]] = found.to_pylist()
        return rows
    return None


def careful(files: Files, scratch: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    rejects: list[dict[str, Any]] = []
    for chunk in careful_files(files, Workspace(scratch, threads=2)).open():
        rows += chunk.batch.to_pylist()
        rejects += chunk.rejects.to_pylist() if chunk.rejects is not None else []
    return rows, rejects


def check(files: Files, scratch: Path, expected: int) -> None:
    """rows + rejects = records, each reject once; and where the fast read gives rows, they are all there are."""
    rows, rejects = careful(files, scratch)
    assert len(rows) + len(rejects) == expected, (rows, rejects)
    assert len({reject["position"] for reject in rejects}) == len(rejects)
    assert all(reject["causes"] for reject in rejects)
    quick = fast(files)
    if quick is None:
        return
    assert rejects == []
    assert sorted(map(repr, quick)) == sorted(map(repr, rows))


def written(folder: str, contents: list[bytes], ending: str) -> tuple[str, ...]:
    paths = [Path(folder) / f"{at}.{ending}" for at in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return tuple(map(str, paths))


# ---------------------------------------------------------------- csv

FIELDS = st.sampled_from(
    ["1", "-7", "", "x", "1.5", "12345.678", "é", "  2 ", "99999999999999999999", "true", "\x00", "#"]
)
PLAIN = st.lists(st.lists(FIELDS, min_size=1, max_size=5).map(",".join).filter(str.strip), max_size=12)


@RELAXED
@given(files=st.lists(PLAIN, min_size=1, max_size=7), wanted=st.sampled_from([("a", "b", "c"), ("c",), ("b",)]))
@example(files=[["1,2,3"], ["1,2"], [], ["x,y,z,"], ["1"], ["2,2,2"]], wanted=("b",))
def test_every_line_of_plain_csv_is_a_row_or_a_reject(files: list[list[str]], wanted: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        contents = ["".join(f"{line}\n" for line in ["a,b,c", *lines]).encode() for lines in files]
        paths = written(folder, contents, "csv")
        layouts = dict.fromkeys(paths, ("a", "b", "c"))
        read = Files(CsvFormat(header=True), paths, SCHEMA.select(wanted), layouts=layouts)
        check(read, Path(folder), sum(map(len, files)))


def records_of(text: str) -> int:
    """Records by the reader's own rules: a quote opens at the beginning of a value only; what is never closed is one
    record to the end; after an opened and closed quote, anything but a delimiter, a break or blanks spoils the record,
    which then ends at the next break; empty lines are none.
    """
    count, state, empty = 0, "start", True
    for letter in text:
        if state == "quoted":
            state = "closed" if letter == '"' else state
        elif letter == '"' and state in ("start", "closed"):
            state, empty = "quoted", False
        elif letter == "\n":
            count, state, empty = count + (not empty), "start", True
        elif letter == ",":
            state, empty = "start", False
        else:
            state, empty = "value", False
    return count + (not empty)


PIECES = st.sampled_from(["1", "2.5", "x", ",", ",", "\n", "\n", '"', '""', "é", " "])


@RELAXED
@given(
    body=st.lists(
        st.tuples(
            st.sampled_from(["1", "22", "x", '"q"', '"a\nb"', '"d""q"']),
            st.sampled_from(["2", '"y,z"']),
            st.sampled_from(["3", "no", '"4"']),
        ),
        max_size=10,
    ),
    unclosed=st.booleans(),
)
def test_quoted_csv_keeps_its_records_also_when_the_last_quote_is_never_closed(
    body: list[tuple[str, str, str]],
    unclosed: bool,  # noqa: FBT001 -- a case
) -> None:
    text = "".join(",".join(record) + "\n" for record in body) + ('5,"never\nclosed,\n' if unclosed else "")
    assert records_of(text) == len(body) + unclosed
    with tempfile.TemporaryDirectory() as folder:
        others = [b"a,b,c\n1,2,3\n"] * 5
        paths = written(folder, [*others, f"a,b,c\n{text}".encode()], "csv")
        check(Files(CsvFormat(header=True), paths, SCHEMA), Path(folder), 5 + len(body) + unclosed)


@RELAXED
@given(pieces=st.lists(PIECES, max_size=40))
def test_no_text_makes_rows_that_the_careful_read_does_not_account_for(pieces: list[str]) -> None:
    """Without an oracle for spoiled quotes: whatever the fast read takes is just what the careful one takes."""
    with tempfile.TemporaryDirectory() as folder:
        paths = written(folder, [("a,b,c\n" + "".join(pieces)).encode()], "csv")
        files = Files(CsvFormat(header=True), paths, SCHEMA)
        rows, rejects = careful(files, Path(folder))
        quick = fast(files)
        if quick is not None:  # else the careful read is what counts, whatever the fast one did not like
            assert not rejects
            assert sorted(map(repr, quick)) == sorted(map(repr, rows))


@RELAXED
@given(
    lines=st.lists(st.sampled_from([b"1,2,3", b"4,x,5.5", b"bad", b"1,\xff,2"]), max_size=12),
    breaks=st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=13, max_size=13),
)
def test_mixed_line_breaks_lose_no_record(lines: list[bytes], breaks: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        content = b"".join(line + end for line, end in zip([b"a,b,c", *lines], breaks, strict=False))
        paths = written(folder, [content], "csv")
        rows, rejects = careful(Files(CsvFormat(header=True), paths, SCHEMA), Path(folder))
        good = sum(line in (b"1,2,3", b"4,x,5.5") for line in lines)
        assert (len(rows), len(rejects)) == (good, len(lines) - good)


# ---------------------------------------------------------------- lines of JSON


def is_record(line: bytes) -> bool:
    return bool(line.strip(b" \t\r\n"))


TRAILING_COMMA = re.compile(r",\s*([}\]])")


def is_good(line: bytes) -> bool:
    """An object or null, whose values the schema takes; JSON, but for a comma before a closing bracket, which readers take."""
    try:
        value = json.loads(TRAILING_COMMA.sub(r"\1", line.decode()), parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError):
        return False
    return value is None or isinstance(value, dict)


OBJECTS = st.fixed_dictionaries(
    {}, optional={"b": st.text(max_size=8), "d": st.none() | st.booleans() | st.integers(-9, 9)}
)


@st.composite
def corrupted(draw: st.DrawFn) -> bytes:
    line = json.dumps(draw(OBJECTS), ensure_ascii=draw(st.booleans())).encode("utf-8", "replace")
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(line)))
        change = draw(st.sampled_from([b"", b'"', b"{", b"}", b",", b"\\", b"\x00", b"\xff", b" ", b"1", b"\t"]))
        line = line[:at] + change + line[at + draw(st.integers(0, 2)) :]
    return line.replace(b"\n", b"")


@RELAXED
@given(
    files=st.lists(st.lists(corrupted(), max_size=15), min_size=1, max_size=4), ending=st.sampled_from([b"\n", b"\r\n"])
)
@example(files=[[b"{}", b"", b"null", b"  ", b"[]", b"{"]], ending=b"\n")
@example(files=[[b'{"b": "x", "d": 0,}', b'{"d": 0,,}', b"{,}"]], ending=b"\n")
def test_every_line_of_json_is_a_row_or_a_reject(files: list[list[bytes]], ending: bytes) -> None:
    schema = Schema.of({"b": "string?", "e": "json?"})
    lines = [line for file in files for line in file if is_record(line)]
    with tempfile.TemporaryDirectory() as folder:
        paths = written(folder, [ending.join(file) for file in files], "ndjson")
        read = Files(JsonFormat(), paths, schema)
        rows, rejects = careful(read, Path(folder))
        assert len(rows) + len(rejects) == len(lines)
        # Python takes some that is no strict JSON (half of a surrogate pair); the readers may reject more than it.
        assert len(rows) <= sum(map(is_good, lines))
        quick = fast(read)
        if quick is not None:
            assert rejects == []
            assert sorted(map(repr, quick)) == sorted(map(repr, rows))


def test_a_record_of_tens_of_megabytes_is_one_reject(tmp_path: Path) -> None:
    """The reader in threads says of it that it is not made for that, and not that the record is too long."""
    path = tmp_path / "long.csv"
    path.write_text(f"a,b,c\n1,{'äöx' * 7_000_000},3\n2,s,4\n3,t,5\n4,u,6\n", encoding="utf-8")
    check(Files(CsvFormat(header=True), (str(path),), SCHEMA, layouts={str(path): ("a", "b", "c")}), tmp_path, 4)


@pytest.mark.parametrize("share", [0, 1, 100])
@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_a_file_of_many_blocks_is_balanced_to_the_record(tmp_path: Path, kind: str, share: int) -> None:
    """``share`` bad records in a hundred, spread over a file that is read in parallel."""
    count = 200_000
    bad = {at for at in range(count) if at % 100 < share}
    if kind == "csv":
        lines = [f"{at},{'y' * 40}" + ("" if at in bad else ",1") for at in range(count)]
        content = "\n".join(["a,b,c", *lines])
        form: CsvFormat | JsonFormat = CsvFormat(header=True)
    else:
        lines = [f'{{"a":{at},"b":"{"y" * 60}"' + ("" if at in bad else "}") for at in range(count)]
        content = "\n".join(lines)
        form = JsonFormat()
    path = tmp_path / "x"
    path.write_text(content)
    rows, rejects = careful(Files(form, (str(path),), SCHEMA), tmp_path)
    assert [row["a"] for row in rows] == [at for at in range(count) if at not in bad]
    header = int(kind == "csv")
    found = [json.loads(reject["position"]) for reject in rejects]
    assert [place["record"] for place in found] == [at + 1 + header for at in sorted(bad)]
    data = content.encode()
    for place, reject in list(zip(found, rejects, strict=True))[:: max(1, len(found) // 50)]:
        assert data[place["byte"] :].split(b"\n", 1)[0].decode() == reject["raw"]


# ---------------------------------------------------------------- orc


@pytest.mark.parametrize("codec", ["uncompressed", "zlib", "lz4"])
def test_a_damaged_orc_file_is_rows_or_an_error_and_ends_nothing_else(tmp_path: Path, codec: str) -> None:
    """Damage that still makes rows is not seen: the format has no checksums."""
    count = 3_000
    values = [{"n": n, "words": [str(n)] * (n % 3)} for n in range(count)]
    table = pa.table({"id": pa.array(range(count)), "v": pa.array(values), "s": [f"row {n}" for n in range(count)]})
    orc.write_table(table, str(tmp_path / "whole.orc"), compression=codec, stripe_size=8192, batch_size=256)
    whole = (tmp_path / "whole.orc").read_bytes()
    chance = random.Random(codec)
    schema, outcomes = Schema.of({"id": "int64?", "s": "string?"}), Counter[str]()
    for _ in range(8):
        content = bytearray(whole)
        for _ in range(8):
            content[chance.randrange(len(content))] = chance.randrange(256)
        (tmp_path / "a.orc").write_bytes(content)
        file = found_at(tmp_path / "a.orc", "a.orc")
        try:
            schemas_of([file])
            rows = sum(batch.num_rows for batch in batches_of([file], schema))
        except (DataError, ConfigError) as error:
            outcomes[error.code] += 1
        else:
            outcomes["rows"] += 1
            assert rows == count
    assert set(outcomes) <= {"rows", "SRC-320", "SRC-321", "DOC-404", "DOC-406"}
    assert len(outcomes) > 1
