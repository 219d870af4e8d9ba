"""JSON in its three layouts, and Parquet files that differ."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from file_sources import columns, files, rows, source
from pyarrow import parquet

from penstock.clock import SystemClock
from penstock.document.assembly import Settings
from penstock.engines.duckdb.careful import Workspace, careful_files
from penstock.errors import ConfigError, DataError, PenstockError
from penstock.events import Events
from penstock.faults.points import Faults
from penstock.service.request import Request
from penstock.service.running import run
from penstock.testing.delivery import pull

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

OBJECTS = ['{"a": 1, "b": {"x": [1.5]}}', '{"a": 2, "c": "2024-01-31"}']
EXPECTED = [{"a": 1, "b": {"x": [1.5]}, "c": None}, {"a": 2, "b": None, "c": "2024-01-31"}]


@pytest.mark.parametrize(
    ("content", "layout"),
    [
        ("\n".join(OBJECTS), "lines"),
        ("\n".join(OBJECTS) + "\n", "lines"),
        (OBJECTS[0], "lines"),
        ("[" + ",\n".join(OBJECTS) + "]", "array"),
        ("\n\n[" + OBJECTS[0] + "]", "array"),
        (OBJECTS[0].replace(",", ",\n") + "\n" + OBJECTS[1], "values"),
        ("{\n}", "values"),
    ],
)
def test_the_layout_is_found_out(tmp_path: Path, content: str, layout: str) -> None:
    (tmp_path / "x.json").write_text(content)
    made = source(
        tmp_path, "{type: json, path: x.json}", {"a": "int64?", "b": "struct<x: list<float64?>?>?", "c": "string?"}
    )
    assert files(made).format.layout == layout
    count = content.count('"a"')
    found = rows(made)
    assert [row for row in found if row["a"]] == EXPECTED[:count]


@pytest.mark.parametrize("layout", ["lines", "array"])
def test_long_whole_numbers_keep_their_digits(tmp_path: Path, layout: str) -> None:
    record = f'{{"a": {2**64}, "b": {"1" * 39}, "c": {2**64}, "d": -{"9" * 38}}}'
    text = f'{record}\n{{"c": 0.5}}' if layout == "lines" else f'[{record}, {{"c": 0.5}}]'
    (tmp_path / "x.json").write_text(text)
    made = source(tmp_path, "{type: json, path: x.json}")
    assert columns(made) == {"a": "decimal(38,0)", "b": "string", "c": "float64", "d": "decimal(38,0)"}
    assert rows(made)[0] == {"a": Decimal(2**64), "b": "1" * 39, "c": 2.0**64, "d": Decimal("-" + "9" * 38)}


@pytest.mark.parametrize("value", ['{"k":' * 300 + "1" + "}" * 300, "[" * 300 + "]" * 300])
def test_what_goes_deeper_than_the_engine_infers_is_json(tmp_path: Path, value: str) -> None:
    (tmp_path / "x.ndjson").write_text(f'{{"a": 1, "deep": {value}}}\n')
    assert columns(source(tmp_path, "{type: ndjson, path: x.ndjson}")) == {"a": "json", "deep": "json"}


def test_what_goes_deeper_than_a_type_may_is_json_and_hides_no_other_column(tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_text(f'{{"a": 1, "deep": {"[" * 40 + "]" * 40}}}\n')
    assert columns(source(tmp_path, "{type: ndjson, path: x.ndjson}")) == {"a": "int64", "deep": "json"}


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([{f"k{place}": place for place in range(300)}] * 2, {f"k{place}": "int64" for place in range(300)}),
        ([{f"k{row % 40}": row} for row in range(400)], {f"k{place}": "int64" for place in range(40)}),
        ([{"json": {f"k{row % 40}": row}} for row in range(400)], {"json": "map<string,int64?>"}),
    ],
    ids=["many keys", "rare keys", "a map"],
)
def test_many_or_rare_keys_are_columns_each(tmp_path: Path, objects: list[object], expected: dict[str, str]) -> None:
    """The engine by itself would make one column of them all, a map."""
    (tmp_path / "x.ndjson").write_text("\n".join(map(json.dumps, objects)))
    made = source(tmp_path, "{type: ndjson, path: x.ndjson}")
    assert columns(made) == expected
    first = {name: value for name, value in rows(made)[0].items() if value is not None}
    assert first.keys() == objects[0].keys()  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["json", "ndjson"])
def test_keys_and_types_that_come_late_in_a_large_file_are_found(tmp_path: Path, kind: str) -> None:
    lines = [f'{{"n": {number}, "pad": "{"é" * 20}"}}' for number in range(60_000)]
    lines[25_000:] = [line.replace('"n": ', '"n": 0.5, "from_here": ') for line in lines[25_000:]]
    lines.append('{"n": 1, "last": true}')
    (tmp_path / "x.ndjson").write_text("\n".join(lines), encoding="utf-8")
    found = columns(source(tmp_path, f"{{type: {kind}, path: x.ndjson}}"))
    assert found == {"n": "float64", "pad": "string", "from_here": "int64", "last": "boolean"}


@pytest.mark.parametrize("more", [1, 40, 200, 16_384, 20_000, 150_000])
def test_a_file_little_larger_than_the_first_sample_is_looked_through(tmp_path: Path, more: int) -> None:
    line = '{"a": 1, "b": "' + "x" * 84 + '"}\n'
    count = (2**20 + more) // len(line) + 1
    (tmp_path / "x.ndjson").write_text(line * count + '{"late": 1}')
    assert columns(source(tmp_path, "{type: ndjson, path: x.ndjson}")).keys() == {"a", "b", "late"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.json", "[{before}, {late}, {after}]"),
        ("x.json", "{before}\n{late}\n{after}"),
        ("x.ndjson", "{before}\nno json\n{late}\n[1]\n{after}\n"),
        ("x.ndjson.gz", "{before}\n{late}\n{after}\n"),
        ("json=1/filename=2/w[e]ird *?.ndjson", "{before}\n{late}\n{after}\n"),
    ],
)
def test_a_new_key_that_must_fail_is_found_in_the_one_object_that_has_it(tmp_path: Path, name: str, text: str) -> None:
    """Neither the sample at the beginning nor those behind it have it."""
    pad = ", ".join(['{"n": 1}'] * 200_000) if text.startswith("[") else "\n".join(['{"n": 1}'] * 200_000)
    whole = text.replace("{before}", pad).replace("{late}", '{"n": 1, "it\'s late": 2}').replace("{after}", pad)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(gzip.compress(whole.encode()) if name.endswith("gz") else whole.encode())
    place = name.rpartition("/")[0] or name
    made = f"{{type: {'json' if name == 'x.json' else 'ndjson'}, path: '{place}'}}"
    assert files(source(tmp_path, made, {"n": "int64?"}, on_new_column="ignore")).paths
    assert files(source(tmp_path, made, {"n": "int64?", "it's late": "int64?"}, on_new_column="fail")).paths
    with pytest.raises(DataError) as caught:
        files(source(tmp_path, made, {"n": "int64?"}, on_new_column="fail"))
    assert caught.value.code == "SRC-148"
    assert f'"it\'s late" in 1 object of "{name.rpartition("/")[2]}"' in str(caught.value)


@pytest.mark.parametrize("kind", ["json", "ndjson"])
def test_a_record_deeper_than_can_be_looked_into_is_a_reject(tmp_path: Path, kind: str) -> None:
    deep = "[" * 5_000 + "1.5" + "]" * 5_000
    (tmp_path / "x.ndjson").write_text(f'{{"a": {deep}}}\n{{"a": [1]}}\n')
    made = source(tmp_path, f"{{type: {kind}, path: x.ndjson}}")
    assert columns(made) == {"a": "list<int64?>"}
    table, rejected = pull(files(made))
    assert (table.to_pylist(), rejected) == ([{"a": [1]}], 1)


@pytest.mark.parametrize("kind", ["json", "ndjson"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"a": "' + "x" * 2**21 + '"}\n', 'the first MiB of "x.ndjson" holds no whole JSON object'),
        ('{"a": ' + "[" * 5_000 + "]" * 5_000 + "}\n", 'the first MiB of "x.ndjson" holds no whole JSON object'),
        ("{}\n{}\n", 'no object in the first MiB of "x.ndjson" has a key'),
        ("", "there is nothing to infer them from"),
    ],
    ids=["long", "deep", "keyless", "empty"],
)
def test_why_no_column_is_known_is_said(tmp_path: Path, kind: str, content: str, says: str) -> None:
    (tmp_path / "x.ndjson").write_text(content)
    with pytest.raises(ConfigError) as caught:
        source(tmp_path, f"{{type: {kind}, path: x.ndjson}}").describe()
    assert caught.value.code == "SRC-134"
    assert says in str(caught.value)


def test_types_are_inferred_and_widened_over_files(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text('{"n": 1, "s": {"x": 1}, "m": 1}\nbroken\n{"n": 2}\n')
    (tmp_path / "b.ndjson").write_text('{"n": 1.5, "s": {"y": "z"}, "m": {"q": 1}}\n')
    made = source(tmp_path, "{type: ndjson, path: '*.ndjson'}")
    found = columns(made)
    assert found["n"] == "float64"
    assert found["m"] == "json"
    assert found["s"].startswith("struct<")
    table, rejected = pull(files(made))
    assert (table.num_rows, rejected) == (3, 1)
    assert table.column("m").to_pylist() == ["1", None, '{"q":1}']


def test_a_nullable_column_of_the_contract_is_there_although_no_object_has_it(tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_text('{"a": 1, "new": 2}\n')
    made = source(tmp_path, "{type: ndjson, path: x.ndjson}", {"a": "int64", "b": "date?", "c": "date"})
    assert list(columns(made)) == ["a", "b", "new"]


def test_a_reject_behind_a_byte_order_mark_has_its_byte_in_the_file(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf{"a": 1}\nbad\n'
    (tmp_path / "x.ndjson").write_bytes(content)
    (chunk,) = [
        chunk
        for chunk in careful_files(
            files(source(tmp_path, "{type: ndjson, path: x.ndjson}")), Workspace(tmp_path)
        ).open()
        if chunk.rejects is not None
    ]
    place = json.loads(chunk.rejects.to_pylist()[0]["position"])
    assert place == {"file": str(tmp_path / "x.ndjson"), "record": 2, "byte": content.index(b"bad")}


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", "\ufeff"), ("utf-16", ""), ("latin-1", "")])
def test_byte_order_marks_and_other_encodings_are_read(tmp_path: Path, encoding: str, mark: str) -> None:
    (tmp_path / "x.ndjson").write_bytes((mark + '{"é": "à"}\n').encode(encoding))
    assert rows(source(tmp_path, f"{{type: ndjson, path: x.ndjson, encoding: {encoding}}}")) == [{"é": "à"}]


def test_one_json_file_with_a_mark_among_compressed_ones(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "a.ndjson").write_bytes(b'\xef\xbb\xbf{"a": 1}\n')
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(b'{"a": 2}\n'))
    assert rows(source(tmp_path, "{type: ndjson, path: '*'}")) == [{"a": 1}, {"a": 2}]


def test_layouts_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"a": 1}]')
    (tmp_path / "b.json").write_text('{"a": 1}\n{"a": 2}')
    made = source(tmp_path, "{type: json, path: '*.json'}")
    with pytest.raises(DataError) as caught:
        files(made)
    assert caught.value.code == "SRC-139"


def test_keys_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_text('{"Name": 1}\n{"name": 2}\n')
    with pytest.raises(PenstockError) as caught:
        source(tmp_path, "{type: ndjson, path: x.ndjson}").describe()
    assert caught.value.code == "SRC-112"


# ---------------------------------------------------------------- parquet


def test_parquet_files_are_widened_and_may_lack_columns(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"a": pa.array([1], pa.int32()), "b": ["x"]}), tmp_path / "a.parquet")
    parquet.write_table(pa.table({"c": [1.5], "a": pa.array([2**40], pa.int64())}), tmp_path / "b.parquet")
    with pytest.raises(DataError) as caught:
        source(tmp_path, "{type: parquet, path: '*.parquet'}").describe()
    assert caught.value.code == "SRC-135"
    made = source(tmp_path, "{type: parquet, path: '*.parquet', differing_columns: union}")
    assert columns(made) == {"a": "int64", "b": "string", "c": "float64"}
    assert rows(made) == [{"a": 1, "b": "x", "c": None}, {"a": 2**40, "b": None, "c": 1.5}]
    assert rows(made, "c") == [{"c": None}, {"c": 1.5}]


def test_types_that_nothing_holds_both_of_are_refused(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    parquet.write_table(pa.table({"a": ["x"]}), tmp_path / "b.parquet")
    with pytest.raises(DataError) as caught:
        source(tmp_path, "{type: parquet, path: '*.parquet'}").describe()
    assert caught.value.code == "SRC-135"


@pytest.mark.parametrize("content", [b"", b"PAR1", b"a,b\n1,2\n", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_what_is_no_parquet_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(DataError) as caught:
        source(tmp_path, "{type: parquet, path: x.parquet}").describe()
    assert caught.value.code == "SRC-140"


def test_a_parquet_file_that_is_cut_off_fails_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    parquet.write_table(pa.table({"a": list(range(1000))}), path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError) as caught:
        source(tmp_path, "{type: parquet, path: x.parquet}").describe()
    assert caught.value.code == "SRC-140"


def test_what_the_engine_makes_of_keys_that_stand_twice_and_of_numbers_as_text(tmp_path: Path) -> None:
    """As the notes of the connectors say."""
    (tmp_path / "x.ndjson").write_text(
        '{"a": 1.10, "a": 2, "d": 1.10}\n{"a": 1e2, "d": 2}\n{"a": "1.10", "d": "3.5"}\n'
    )
    made = source(tmp_path, "{type: ndjson, path: x.ndjson}", {"a": "string", "d": "decimal(9,2)"})
    assert [(row["a"], str(row["d"])) for row in rows(made)] == [("1.1", "1.10"), ("100.0", "2.00"), ("1.10", "3.50")]


def test_a_struct_with_a_bad_value_in_it_is_null_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_text('{"s": {"x": 1, "y": 2}}\n{"s": {"x": "bad", "y": 5}}\n')
    (tmp_path / "p.yml").write_text(
        "pipeline: p\n"
        "sources:\n"
        "  a: {type: ndjson, path: x.ndjson, on_bad_value: null, schema: {columns: {s: 'struct<x: int64, y: int64>?'}}}\n"
        "sinks: {out: {from: a, type: parquet, path: out.parquet, mode: overwrite}}\n"
    )
    run(Request(tmp_path / "p.yml", Settings({}), SystemClock()), Events(), Faults())
    assert parquet.read_table(tmp_path / "out.parquet").to_pylist() == [{"s": {"x": 1, "y": 2}}, {"s": None}]
