"""The fast readers fail at what is bad; the careful ones name it; both deliver the same rows otherwise."""

from __future__ import annotations

import codecs
import gzip
import json
import re
from pathlib import Path
from typing import Any, Literal

import duckdb
import pytest

from penstock.connectors.api import CsvFormat, Files, JsonFormat, Origin, ParquetFormat, Pipe
from penstock.engines.duckdb.careful import Workspace, careful_files, careful_pipe, line_breaks
from penstock.engines.duckdb.errors import translated
from penstock.engines.duckdb.readers import files_query, pipe_query
from penstock.errors import DataError
from penstock.structs import replace
from penstock.types import Schema

pytestmark = pytest.mark.slow

ABC = Schema.of({"a": "int64?", "b": "string?", "c": "int64?"})
AB = Schema.of({"a": "int64?", "b": "string?"})


def fast(files: Files, threads: int = 1) -> list[dict[str, Any]]:
    with duckdb.connect(config={"threads": threads}) as database, translated("reading"):
        database.execute("SET TimeZone = 'UTC'")
        found = database.sql(files_query(files, threads=threads).sql(dialect="duckdb")).to_arrow_table()
    assert found.column_names == list(files.schema.names)
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def careful(files: Files, scratch: Path, threads: int = 1) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    rejects: list[dict[str, Any]] = []
    for chunk in careful_files(files, Workspace(scratch, threads)).open():
        rows += chunk.batch.to_pylist()
        rejects += chunk.rejects.to_pylist() if chunk.rejects is not None else []
    for reject in rejects:
        reject["position"] = json.loads(reject["position"])
    return rows, rejects


def codes(reject: dict[str, Any]) -> set[str]:
    return {cause["code"] for cause in reject["causes"]}


def written(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


def csv_files(*paths: str, schema: Schema = ABC, **options: Any) -> Files:
    given = {key: options.pop(key) for key in ("bad_values", "constants", "layouts", "origins") if key in options}
    return Files(CsvFormat(**{"header": True, **options}), paths, schema, **given)


def json_files(*paths: str, schema: Schema = AB, layout: Any = "lines", **options: Any) -> Files:
    return Files(JsonFormat(layout), paths, schema, **options)


GOOD = [{"a": 1, "b": "2", "c": 3}, {"a": 4, "b": "5", "c": 6}]
BAD_CSV = {
    "too_few_columns": (b"1,2\n", "1,2"),
    "too_many_columns": (b"1,2,3,4\n", "1,2,3,4"),
    "bad_quote": (b'1,"x"y,3\n', '1,"x"y,3'),
    "bad_value": (b"x,2,3\n", "x,2,3"),
    "record_too_long": (b"1," + b"y" * 2_100_000 + b",3\n", None),
}


@pytest.mark.parametrize("code", BAD_CSV)
def test_a_bad_csv_record_fails_the_fast_read_and_is_named_by_the_careful_one(tmp_path: Path, code: str) -> None:
    record, raw = BAD_CSV[code]
    files = csv_files(written(tmp_path, "x.csv", b"a,b,c\n1,2,3\n" + record + b"4,5,6\n"))
    with pytest.raises(DataError):
        fast(files)
    rows, rejects = careful(files, tmp_path)
    assert rows == GOOD
    assert len(rejects) == 1
    assert codes(rejects[0]) == {code}
    assert rejects[0]["position"] == {"file": files.paths[0], "record": 3, "byte": 12}
    assert raw is None or rejects[0]["raw"] == raw


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("line_breaks", [b"\n\n\n\n", b"\r\n" * 4, b"\r" * 4, b"\r\n" + b"\n\r\r\n"])
@pytest.mark.parametrize("code", BAD_CSV)
def test_a_bad_csv_record_stands_where_its_first_character_does(
    tmp_path: Path, code: str, line_breaks: bytes, mark: bytes
) -> None:
    record, raw = BAD_CSV[code]
    first, second, third, fourth = re.findall(rb"\r\n|\n|\r", line_breaks)
    before = b"".join((mark, b"a,b,c", first, b"1,2,3", second, third))
    content = b"".join((before, record.strip(), fourth, b"4,5,6", fourth))
    rows, rejects = careful(csv_files(written(tmp_path, "x.csv", content)), tmp_path)
    assert rows == GOOD
    assert [reject["position"]["byte"] for reject in rejects] == [len(before)]
    assert raw is None or [reject["raw"] for reject in rejects] == [raw]


def test_bytes_that_are_no_text_are_a_reject_with_their_column(tmp_path: Path) -> None:
    files = csv_files(written(tmp_path, "x.csv", b"a,b,c\n1,\xff\xfe,3\n4,5,6\n"))
    with pytest.raises(DataError):
        fast(files)
    rows, rejects = careful(files, tmp_path)
    assert rows == GOOD[1:]
    assert [cause["column"] for cause in rejects[0]["causes"]] == ["b"]


def test_a_long_record_is_kept_whole_as_a_reject(tmp_path: Path) -> None:
    record = "x," + "y" * 500_000 + ",3"
    _, rejects = careful(csv_files(written(tmp_path, "x.csv", f"a,b,c\n{record}\n".encode())), tmp_path)
    assert rejects[0]["raw"] == record


def test_nul_characters_are_values_and_lose_nothing(tmp_path: Path) -> None:
    files = csv_files(written(tmp_path, "x.csv", b"a,b,c\n1,\x00,3\n"))
    assert fast(files) == careful(files, tmp_path)[0] == [{"a": 1, "b": "\x00", "c": 3}]


def test_a_record_with_several_faults_is_one_reject_with_every_cause(tmp_path: Path) -> None:
    files = csv_files(written(tmp_path, "x.csv", b"a,b,c\nx,2,y\n4,5,6\n"))
    rows, rejects = careful(files, tmp_path)
    assert rows == GOOD[1:]
    assert [(c["code"], c["column"], c["message"]) for c in rejects[0]["causes"]] == [
        ("bad_value", "a", '"a" is no int64: x'),
        ("bad_value", "c", '"c" is no int64: y'),
    ]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
def test_a_quote_that_is_never_closed_is_noticed_in_any_number_of_files(
    tmp_path: Path, threads: int, count: int
) -> None:
    paths = [written(tmp_path, f"{at}.csv", b"a,b,c\n1,2,3\n") for at in range(count - 1)]
    paths.insert(count // 2, written(tmp_path, "open.csv", b'a,b,c\n1,2,3\n4,"5,6\n'))
    files = csv_files(*paths)
    with pytest.raises(DataError):
        fast(files, threads)
    rows, rejects = careful(files, tmp_path, threads)
    assert len(rows) == count
    assert len(rejects) == 1
    assert "bad_quote" in codes(rejects[0])
    assert rejects[0]["raw"] == '4,"5,6\n'


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_record_that_took_in_lines_says_how_many(tmp_path: Path, end: str) -> None:
    text = end.join(["a,b,c", "1,2,3", '4,"5,6', "7,8,9", "10,11,12", ""])
    _, (reject,) = careful(csv_files(written(tmp_path, "x.csv", text.encode())), tmp_path)
    said = {cause["code"]: cause["message"] for cause in reject["causes"]}
    assert said["bad_quote"] == "a quote is not closed, or text follows it; what is kept of it has 3 lines"
    _, (plain,) = careful(csv_files(written(tmp_path, "y.csv", b"a,b,c\n1,2\n")), tmp_path)
    assert "lines" not in plain["causes"][0]["message"]


def test_pruned_columns_lose_no_record(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", b"a,b,c\n1,2,3\n1,2\n4,5,6\n")
    files = csv_files(path, schema=ABC.select(["c"]), layouts={path: ("a", "b", "c")})
    with pytest.raises(DataError):
        fast(files)
    rows, rejects = careful(files, tmp_path)
    assert rows == [{"c": 3}, {"c": 6}]
    assert len(rejects) == 1


def test_columns_are_found_by_the_layout_of_each_file_and_absent_ones_are_null(tmp_path: Path) -> None:
    one = written(tmp_path, "one.csv", b"c,a\n3,1\n")
    two = written(tmp_path, "two.csv", b"b,x,a\nq,9,2\n")
    files = csv_files(one, two, layouts={one: ("c", "a"), two: ("b", "x", "a")})
    expected = [{"a": 1, "b": None, "c": 3}, {"a": 2, "b": "q", "c": None}]
    assert fast(files) == expected
    assert careful(files, tmp_path)[0] == expected


@pytest.mark.parametrize(
    "content",
    [
        b"a,b,c\r\n1,2,3\n4,5,6\r\n",
        b"a,b,c\n1,2,3\r\n4,5,6\n",
        b"a,b,c\r1,2,3\n4,5,6",
    ],
)
def test_a_file_that_mixes_line_breaks_is_read_carefully(tmp_path: Path, content: bytes) -> None:
    files = csv_files(written(tmp_path, "x.csv", content))
    with pytest.raises(DataError):
        fast(files)
    assert careful(files, tmp_path) == (GOOD, [])


def test_evening_line_breaks_leaves_quoted_ones_alone(tmp_path: Path) -> None:
    content = b'a,b,c\r\n1,"x\r\ny""\r\n",3\n4,z"\n5,"q",6\r\n'
    files = csv_files(written(tmp_path, "x.csv", content))
    rows, rejects = careful(files, tmp_path)
    assert rows == [{"a": 1, "b": 'x\r\ny"\r\n', "c": 3}, {"a": 5, "b": "q", "c": 6}]
    assert [reject["raw"] for reject in rejects] == ['4,z"']


@pytest.mark.parametrize("quoted", ["\r", "\r\n", "x\r\v"])
def test_a_break_within_the_first_quotes_says_nothing_of_how_records_end(tmp_path: Path, quoted: str) -> None:
    content = f'1,"{quoted}",3\n4,5,six\n'.encode()
    files = csv_files(written(tmp_path, "x.csv", content), header=False)
    rows, rejects = careful(files, tmp_path)
    assert rows == [{"a": 1, "b": quoted, "c": 3}]
    assert [reject["raw"] for reject in rejects] == ["4,5,six"]


def test_places_are_told_apart_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_breaks, "_BLOCK_BYTES", 7)
    records = [b'1,"x\r\ny",3', b"bad", b'"q",2,3', b"4,5,6", b"x,y,z"] * 9
    content = b"a,b,c\n" + b"".join(record + (b"\r\n", b"\n")[at % 2] for at, record in enumerate(records))
    rows, rejects = careful(csv_files(written(tmp_path, "x.csv", content)), tmp_path)
    assert len(rows) == 18
    for reject in rejects:
        assert content[reject["position"]["byte"] :].startswith(reject["raw"].encode())
    assert len({reject["position"]["byte"] for reject in rejects}) == 27


def test_bad_values_become_null_where_the_policy_says_so(tmp_path: Path) -> None:
    schema = Schema.of({"d": "date?", "n": "decimal(8,2)?", "s": "string?"})
    content = b'd;n;s\n31.12.2024;"1,50";x\nno;2.5;y\n;3;z;more\n'
    files = csv_files(
        written(tmp_path, "x.csv", content),
        schema=schema,
        delimiter=";",
        date_format="%d.%m.%Y",
        decimal_separator=",",
        bad_values="null",
    )
    rows, rejects = careful(files, tmp_path)
    assert [(str(row["d"]), str(row["n"]), row["s"]) for row in rows] == [
        ("2024-12-31", "1.50", "x"),
        ("None", "None", "y"),
    ]
    assert [codes(reject) for reject in rejects] == [{"too_many_columns"}]


@pytest.mark.parametrize("name", ["x.csv", "x.ndjson"])
def test_a_bad_value_fails_the_run_where_the_policy_says_so(tmp_path: Path, name: str) -> None:
    if name == "x.csv":
        files = csv_files(written(tmp_path, name, b"a,b,c\n1,2\nx,2,3\n"), bad_values="fail")
    else:
        files = json_files(written(tmp_path, name, b'{"a":\n{"a":"x"}\n'), bad_values="fail")
    with pytest.raises(DataError) as caught:
        careful(files, tmp_path)
    assert caught.value.code == "ENG-331"
    assert '"a" is no int64: x' in str(caught.value)


HOSTILE = ["qu'ote.csv", 'dou"ble.csv', "new\nline.csv", "glob*?[x].csv", "[!a].csv", "h=1.csv", "per%20cent.csv"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_name_reads_that_file_alone(tmp_path: Path, name: str) -> None:
    written(tmp_path, "globAAx.csv", b"a,b,c\n9,9,9\n")
    files = csv_files(written(tmp_path, name, b"a,b,c\n1,2,3\nbad\n4,5,6\n"))
    rows, rejects = careful(files, tmp_path)
    assert rows == GOOD
    assert rejects[0]["position"]["file"] == files.paths[0]
    Path(files.paths[0]).write_bytes(b"a,b,c\n1,2,3\n4,5,6\n")
    assert fast(files) == GOOD


@pytest.mark.parametrize("name", ['a"; DROP TABLE x;--', "it's", "select", "c0", "new\nline", "a/b~c", "$.x"])
def test_a_hostile_column_name_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    schema = Schema.of([(name, "int64?"), ("other", "string?")])
    table = csv_files(written(tmp_path, "x.csv", b"?,?\n1,x\nbad,y\n"), schema=schema)
    lines = json_files(
        written(tmp_path, "x.ndjson", f"{json.dumps({name: 1, 'other': 'x'})}\n{json.dumps({name: 'bad'})}\n".encode()),
        schema=schema,
    )
    for files in (table, lines):
        rows, rejects = careful(files, tmp_path)
        assert rows == [{name: 1, "other": "x"}]
        assert rejects[0]["causes"][0]["column"] == name


def test_constants_are_taken_by_file(tmp_path: Path) -> None:
    from sqlglot import exp

    paths = [written(tmp_path, f"{at}.csv", b"a\n1\n") for at in range(3)]
    constants = {path: {"p": exp.convert(at) if at else exp.null()} for at, path in enumerate(paths)}
    files = csv_files(*paths, schema=Schema.of({"p": "int64?", "a": "int64?"}), constants=constants)
    expected = [{"p": at or None, "a": 1} for at in range(3)]
    assert sorted(fast(files), key=str) == sorted(expected, key=str)
    assert careful(files, tmp_path)[0] == expected


def test_parquet_with_constants_and_columns_that_no_file_has(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from sqlglot import exp

    paths = [str(tmp_path / f"k=*{at}.parquet") for at in range(4)]
    for at, path in enumerate(paths):
        pq.write_table(pa.table({"a": pa.array([at], pa.int32() if at % 2 else pa.int64()), f"x{at}": ["y"]}), path)
    files = Files(
        ParquetFormat(),
        tuple(paths),
        Schema.of({"k": "string?", "x2": "string?", "a": "int64?", "gone": "date?"}),
        union_by_name=True,
        constants={path: {"k": exp.Literal.string(f"k{at}")} for at, path in enumerate(paths)},
    )
    expected = [{"k": f"k{at}", "x2": "y" if at == 2 else None, "a": at, "gone": None} for at in range(4)]
    assert sorted(fast(files), key=lambda row: row["a"]) == expected
    assert careful(files, tmp_path) == (expected, [])


UNDECODABLE = [
    b'2,x\xff"y,z',
    b'3,"q\xfe\xfd",z',
    b"4,\xe4\xb8z,\xc3",
    b'5,"a\xff""b\nc\xff",z',
    b'6,"never closed\xff',
]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("codec", [None, "gzip"])
def test_a_record_that_is_no_text_is_told_byte_by_byte(
    tmp_path: Path, mark: bytes, end: bytes, codec: Literal["gzip"] | None
) -> None:
    good = b"1,x,2"
    content = mark + end.join([b"a,b,c", good, *(part for bad in UNDECODABLE for part in (bad, good))])
    path = written(tmp_path, "x.csv", gzip.compress(content) if codec else content)
    rows, rejects = careful(csv_files(path, compression=codec), tmp_path)
    assert rows == [{"a": 1, "b": "x", "c": 2}] * len(UNDECODABLE)
    expected = [*UNDECODABLE[:-1], UNDECODABLE[-1] + end + good]
    assert [reject["raw"] for reject in rejects] == [bad.decode("utf-8", "backslashreplace") for bad in expected]
    assert [reject["position"]["byte"] for reject in rejects] == [content.index(bad) for bad in expected]


BAD_LINES = {
    b'{"a":2,"b': "malformed",
    b'{"a":2} {"a":3}': "malformed",
    b"[1,2]": "malformed",
    b"42": "malformed",
    b'  "text"': "malformed",
    b'{"a":1,"b":"x\x00"}': "malformed",
    b'{"a":1,"b":"\\ud800"}': "malformed",
    b'{"a":1,"b":"\xff"}': "bad_encoding",
    b'{"a":"q"}': "bad_value",
    b'{"a":123456789012345678901234}': "bad_value",
    b'{"a":[1]}': "bad_value",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_fails_the_fast_read_and_is_named_by_the_careful_one(tmp_path: Path, line: bytes) -> None:
    content = b'{"a":1,"b":"x"}\n\n' + line + b'\n{"a":3}\n'
    files = json_files(written(tmp_path, "x.ndjson", content))
    with pytest.raises(DataError):
        fast(files)
    rows, rejects = careful(files, tmp_path, threads=2)
    assert rows == [{"a": 1, "b": "x"}, {"a": 3, "b": None}]
    assert [codes(reject) for reject in rejects] == [{BAD_LINES[line]}]
    assert rejects[0]["position"] == {"file": files.paths[0], "record": 3, "byte": 17}
    assert rejects[0]["raw"] == line.decode("utf-8", "backslashreplace")


def test_good_lines_of_every_kind_are_the_same_fast_and_carefully(tmp_path: Path) -> None:
    content = (
        b'{"a":1,"b":"x"}\r\n   {"a":"17","b":{"x":1}}  \n   \n\n{"b":"\\u0000","c":5}\n{"A":1,"b":1}\n{"a":null,"b":0}'
    )
    files = json_files(written(tmp_path, "x.ndjson", content))
    rows, rejects = careful(files, tmp_path)
    assert rejects == []
    assert rows == fast(files)
    assert len(rows) == 5


NESTED = Schema.of(
    {"l": "list<int64?>?", "s": "struct<x: int64?, deep: list<struct<y: date?>?>?>?", "m": "map<string,int32?>?"}
)


@pytest.mark.parametrize(
    ("line", "good"),
    [
        ('{"l":[1,null],"s":{"x":1,"deep":[{"y":"2024-01-01"},null,{}]},"m":{"a":1,"b":null}}', True),
        ('{"l":[],"s":{},"m":{}}', True),
        ('{"l":[1,"q"]}', False),
        ('{"l":5}', False),
        ('{"s":{"x":"q"}}', False),
        ('{"s":{"deep":[{"y":"2024-01-01"},{"y":"no"}]}}', False),
        ('{"s":{"deep":[1]}}', False),
        ('{"m":{"a":1,"b":"z"}}', False),
        ('{"m":[1]}', False),
    ],
)
def test_a_bad_value_is_found_at_any_depth(tmp_path: Path, line: str, good: bool) -> None:  # noqa: FBT001 -- a case
    files = json_files(written(tmp_path, "x.ndjson", line.encode()), schema=NESTED)
    rows, rejects = careful(files, tmp_path)
    assert (len(rows), len(rejects)) == ((1, 0) if good else (0, 1))
    if good:
        assert rows == fast(files)
    else:
        with pytest.raises(DataError):
            fast(files)


@pytest.mark.parametrize(
    ("layout", "content"),
    [
        ("array", b'[{"a":1,"b":"x"},\n{"a":"q"}, {"a":3}]'),
        ("values", b'{"a":1,\n"b":"x"}{"a":"q"}\n\n{"a":3}'),
    ],
)
def test_a_bad_value_in_a_document_is_a_reject_by_its_number(tmp_path: Path, layout: str, content: bytes) -> None:
    files = json_files(written(tmp_path, "x.json", content), layout=layout)
    with pytest.raises(DataError):
        fast(files)
    rows, rejects = careful(files, tmp_path)
    assert rows == [{"a": 1, "b": "x"}, {"a": 3, "b": None}]
    assert [reject["position"] for reject in rejects] == [{"file": files.paths[0], "record": 2}]


def test_a_document_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    files = json_files(written(tmp_path, "x.json", b'[{"a":1},{"a":'), layout="array")
    with pytest.raises(DataError):
        fast(files)
    with pytest.raises(DataError) as caught:
        careful(files, tmp_path)
    assert caught.value.code == "ENG-332"
    assert caught.value.problems[0].message == f'the JSON document "{files.paths[0]}" is broken'


@pytest.mark.parametrize("broken", [b'{"a":3', b'{"a":3} {"a":4}', b'{"a": nope}', b"{}}", b'{"a":"x"}', b"[1]"])
def test_lines_keep_their_order_around_a_bad_one(broken: bytes, tmp_path: Path) -> None:
    """Whether the bad line looks like an object or not, and where a null is no fault."""
    content = b' {"a":1,"b":null}\n{"a":2}\n\n' + broken + b'\n {"a":5,"b":"x"} \nnull\n{"a":7,"b":"y"}'
    rows, rejects = careful(json_files(written(tmp_path, "x.ndjson", content)), tmp_path)
    assert [row["a"] for row in rows] == [1, 2, 5, 7]
    assert [reject["position"]["record"] for reject in rejects] == [4, 6]
    assert rejects[0]["position"]["byte"] == content.index(broken)
    assert rejects[0]["raw"] == broken.decode()


def test_a_line_longer_than_a_record_may_be_is_one_reject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.engines.duckdb.careful import json_blocks as lines

    monkeypatch.setattr(lines, "MAX_JSON_BYTES", 50)
    monkeypatch.setattr(lines, "_BLOCK_BYTES", 20)
    content = b'{"a":1}\n{"a":2,"b":"' + b"x" * 200 + b'"}\n{"a":3}\n{"a":4}'
    rows, rejects = careful(json_files(written(tmp_path, "x.ndjson", content)), tmp_path)
    assert [row["a"] for row in rows] == [1, 3, 4]
    assert [codes(reject) for reject in rejects] == [{"record_too_long"}]
    assert rejects[0]["position"]["record"] == 2


def test_compressed_files_are_read_carefully(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv.gz", gzip.compress(b"a,b,c\n1,2,3\nbad\r\n4,5,6\n"))
    rows, rejects = careful(csv_files(path, compression="gzip"), tmp_path)
    assert (rows, len(rejects)) == (GOOD, 1)


@pytest.mark.parametrize("quote", ['"', ""])
@pytest.mark.parametrize("length", [33_000_000, 40_000_000])
def test_a_long_record_that_no_line_break_ends_is_a_reject(quote: str, length: int, tmp_path: Path) -> None:
    """DuckDB's reader drops both of them, and takes shorter ones, though it stores rejects."""
    before = (b"1," + b"2" * 95 + b",3\n") * 300_000
    path = written(tmp_path, "x.csv", b"a,b,c\n" + before + b"9," + b"y" * length + b",3")
    files = csv_files(path, quote=quote, escape=quote)
    found = [(chunk.batch.num_rows, chunk.rejects) for chunk in careful_files(files, Workspace(tmp_path)).open()]
    assert sum(rows for rows, _ in found) == 300_000
    (reject,) = [row for _, rejects in found if rejects is not None for row in rejects.to_pylist()]
    assert "record_too_long" in codes(reject)  # of such a one DuckDB may say besides that it has too many columns
    assert json.loads(reject["position"])["byte"] == 6 + len(before)


@pytest.mark.parametrize(("skipped", "byte"), [(None, {}), (0, {"byte": 6}), (3, {"byte": 9})])
def test_rejects_of_a_private_copy_name_the_original_and_the_byte_that_both_have(
    tmp_path: Path, skipped: int | None, byte: dict[str, int]
) -> None:
    table = written(tmp_path, "copy.csv", b"a,b,c\nbad\n")
    lines = written(tmp_path, "copy.ndjson", b"{}   \nbad\n{\xff}\n")
    for files in (csv_files(table), json_files(lines)):
        (path,) = files.paths
        _, rejects = careful(replace(files, origins={path: Origin("/data/real", skipped)}), tmp_path)
        found = sorted((reject["position"] for reject in rejects), key=lambda place: place["record"])
        assert found[0] == {"file": "/data/real", "record": 2, **byte}
        assert all(set(place) == {"file", "record", *byte} for place in found)


def test_a_careful_read_can_be_repeated(tmp_path: Path) -> None:
    files = csv_files(written(tmp_path, "x.csv", b"a,b,c\n1,2,3\nbad\n"))
    made = careful_files(files, Workspace(tmp_path))
    first, second = ([chunk.batch.num_rows for chunk in made.open()] for _ in range(2))
    assert first == second


def test_no_files_are_no_rows() -> None:
    assert fast(Files(CsvFormat(), (), ABC)) == []


def piped(*parts: bytes) -> Pipe:
    import os

    def start() -> list[int]:
        ends = []
        for part in parts:
            read, write = os.pipe()
            os.write(write, part)
            os.close(write)
            ends.append(read)
        return ends

    return Pipe(CsvFormat(header=False, quoted_nulls=False), ABC, start, lambda: None)


def test_pipes_are_read_together_and_carefully(tmp_path: Path) -> None:
    import os

    pipe = piped(b'1,"",3\n', b"4,,6\n")
    ends = pipe.open()
    with duckdb.connect(config={"threads": 2}) as database:
        found = database.sql(pipe_query(pipe, ends).sql(dialect="duckdb")).to_arrow_table().to_pylist()
    for end in ends:
        os.close(end)
    assert sorted(found, key=lambda row: row["a"]) == [{"a": 1, "b": "", "c": 3}, {"a": 4, "b": None, "c": 6}]
    chunks = list(careful_pipe(piped(b"1,2,3\nx,2,3\n", b"4,5,6\n"), Workspace(tmp_path)).open())
    assert [row for chunk in chunks for row in chunk.batch.to_pylist()] == GOOD
    rejects = [row for chunk in chunks if chunk.rejects is not None for row in chunk.rejects.to_pylist()]
    assert json.loads(rejects[0]["position"]) == {"file": "part 1", "record": 2}
