"""What is found out about CSV files before they are read, and what is refused by name."""

from __future__ import annotations

import gzip
import os
import re
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from file_sources import columns, files, rows, source
from pydantic import ValidationError

from penstock.connectors.files.csv_source import CsvSourceParams
from penstock.errors import ConfigError, DataError, PenstockError
from penstock.testing.delivery import pull

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_types_are_inferred_from_texts_and_codes_with_leading_zeros_stay_text(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        "n,f,b,d,t,z,code,mixed,none,big,huge\n"
        "1,1.5,true,2024-01-31,2024-01-31 12:00,2024-01-31T12:00:00Z,010,1,,1,1.5\n"
        "-2,3,FALSE,2024-02-29,2024-01-31T12:00:00.5,2024-01-31 12:00:00+02:00,7,x,,123456789012345678901,"
        f"{'1' * 39}\n"
    )
    assert columns(source(tmp_path, "{type: csv, path: x.csv}")) == {
        "n": "int64",
        "f": "float64",
        "b": "boolean",
        "d": "date",
        "t": "timestamp",
        "z": "timestamptz",
        "code": "string",
        "mixed": "string",
        "none": "string",
        "big": "decimal(38,0)",
        "huge": "string",
    }


def test_every_one_of_many_columns_has_its_own_type(tmp_path: Path) -> None:
    texts = {"7": "int64", "1.5": "float64", "": "string", "x": "string", "true": "boolean", "2024-01-31": "date"}
    cells = list(texts) * 500
    names = [f"c{place}" for place in range(len(cells))]
    (tmp_path / "x.csv").write_text(f"{','.join(names)}\n{','.join(cells)}\n")
    found = columns(source(tmp_path, "{type: csv, path: x.csv}"))
    assert found == dict(zip(names, [texts[cell] for cell in cells], strict=True))


def test_types_are_widened_over_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2024-01-01\n")
    (tmp_path / "b.csv").write_text("y,x\n5,1.5\n")
    made = source(tmp_path, "{type: csv, path: '*.csv'}")
    assert columns(made) == {"x": "float64", "y": "string"}
    assert rows(made) == [{"x": 1.0, "y": "2024-01-01"}, {"x": 1.5, "y": "5"}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(tmp_path: Path, delimiter: str) -> None:
    lines = [["id", "a,b;c|d"], ["1", 'x,y;"z'], ["2", "p\tq,"]]
    text = "\n".join(delimiter.join('"' + v.replace('"', '""') + '"' for v in line) for line in lines)
    (tmp_path / "x.csv").write_text(text)
    assert rows(source(tmp_path, "{type: csv, path: x.csv}")) == [
        {"id": 1, "a,b;c|d": 'x,y;"z'},
        {"id": 2, "a,b;c|d": "p\tq,"},
    ]


def test_the_contract_decides_types_and_the_header_the_columns(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("b,new,a\n1,?,010\n")
    made = source(tmp_path, "{type: csv, path: x.csv}", {"a": "string", "b": "decimal(5,1)", "gone": "date"})
    assert columns(made) == {"b": "decimal(5,1)", "new": "string", "a": "string"}
    assert rows(made, "a", "b") == [{"a": "010", "b": Decimal("1.0")}]


def test_new_columns_are_inferred_where_the_contract_adds_them(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,new\n1,2\n")
    made = source(tmp_path, "{type: csv, path: x.csv}", {"a": "string"}, on_new_column="add")
    assert columns(made) == {"a": "string", "new": "int64"}


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252", "utf-16", "utf-16-le", "iso-8859-15", "utf-8"])
def test_other_encodings_are_read_through_a_private_copy(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "x.csv").write_bytes("näme,n\nété,1\n".encode(encoding))
    made = source(tmp_path, f"{{type: csv, path: x.csv, encoding: {encoding}}}")
    assert rows(made) == [{"näme": "été", "n": 1}]


def test_bytes_that_the_encoding_lacks_are_rejects_and_no_other_letters(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a,b\ngood,1\nbad\x81,2\n")
    made = source(tmp_path, "{type: csv, path: x.csv, encoding: windows-1252}")
    table, rejected = pull(files(made))
    assert table.to_pylist() == [{"a": "good", "b": 1}]
    assert rejected == 1


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("\ufeffa,b\n1,2\n".encode())
    assert rows(source(tmp_path, "{type: csv, path: x.csv}")) == [{"a": 1, "b": 2}]


def test_dialects_as_the_document_says(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        "made by hand\nwhen;price;at;note\n# a comment\n31/12/2024;'1,5';31.12.24 07:05;'it''s\n;'\nNA;;;''\n"
    )
    made = source(
        tmp_path,
        """
        type: csv
        path: x.csv
        quote: "'"
        skip_lines: 1
        comment: "#"
        null_values: [NA, ""]
        decimal_separator: ","
        date_format: "%d/%m/%Y"
        timestamp_format: "%d.%m.%y %H:%M"
        """,
    )
    assert rows(made) == [
        {"when": date(2024, 12, 31), "price": 1.5, "at": datetime(2024, 12, 31, 7, 5), "note": "it's\n;"},  # noqa: DTZ001
        {"when": None, "price": None, "at": None, "note": ""},
    ]


def test_a_column_whose_years_have_two_digits_is_no_date_of_a_pattern_with_four(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1/2/24,1/2/2024\n")
    assert rows(source(tmp_path, "{type: csv, path: x.csv, date_format: '%d/%m/%Y'}")) == [
        {"a": "1/2/24", "b": date(2024, 2, 1)}
    ]


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_compression_is_found_out_from_the_first_bytes(tmp_path: Path, codec: str) -> None:
    with pa.CompressedOutputStream(str(tmp_path / "x.bin"), codec) as stream:
        stream.write(b"a\n1\n")
    (tmp_path / "y.csv").write_text("a\n2\n")
    assert rows(source(tmp_path, "{type: csv, path: x.bin}")) == [{"a": 1}]
    assert rows(source(tmp_path, "{type: csv, path: '[xy].*'}")) == [{"a": 1}, {"a": 2}]


def test_files_without_a_header_are_named_by_the_document_the_schema_or_their_places(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,a\n2,b\n")
    text = "{type: csv, path: x.csv, header: false"
    assert rows(source(tmp_path, text + "}"))[0] == {"column0": 1, "column1": "a"}
    assert rows(source(tmp_path, text + ", columns: [n, s]}"))[1] == {"n": 2, "s": "b"}
    assert rows(source(tmp_path, text + "}", {"p": "int8", "q": "string"}))[1] == {"p": 2, "q": "b"}


def test_a_file_may_have_columns_that_the_schema_does_not_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("z,y,x\n9,4,3\n")
    contract = {"x": "int64", "y": "int64"}
    made = source(tmp_path, "{type: csv, path: '*.csv'}", contract)
    assert rows(made, "x", "y") == [{"x": 1, "y": 2}, {"x": 3, "y": 4}]
    (tmp_path / "c.csv").write_text("x\n5\n")
    with pytest.raises(DataError) as caught:
        source(tmp_path, "{type: csv, path: '*.csv'}", contract).describe()
    assert (caught.value.code, "'y'" in str(caught.value), "'z'" in str(caught.value)) == ("SRC-135", True, False)


def test_files_may_differ_where_the_document_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("z,x\n3,4\n")
    made = source(tmp_path, "{type: csv, path: '*.csv', differing_columns: union}")
    assert rows(made) == [{"x": 1, "y": 2, "z": None}, {"x": 4, "y": None, "z": 3}]
    with pytest.raises(DataError) as caught:
        source(tmp_path, "{type: csv, path: '*.csv'}").describe()
    assert caught.value.code == "SRC-135"


def test_an_empty_file_has_no_rows_beside_others_and_no_columns_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    alone = source(tmp_path, "{type: csv, path: a.csv}")
    with pytest.raises(ConfigError) as caught:
        alone.describe()
    assert caught.value.code == "SRC-134"
    assert columns(source(tmp_path, "{type: csv, path: a.csv}", {"x": "int64"})) == {"x": "int64"}
    assert rows(source(tmp_path, "{type: csv, path: a.csv}", {"x": "int64"})) == []
    (tmp_path / "b.csv").write_text("x\n1\n")
    assert rows(source(tmp_path, "{type: csv, path: '*.csv'}")) == [{"x": 1}]


def test_a_malformed_record_in_the_sample_hides_no_type(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2024-01-01\n1\n2,2024-01-02,3\n3,2024-01-03\n")
    made = source(tmp_path, "{type: csv, path: x.csv}")
    assert columns(made) == {"a": "int64", "b": "date"}
    table, rejected = pull(files(made))
    assert (table.num_rows, rejected) == (2, 2)


@pytest.mark.parametrize(
    ("text", "content", "code"),
    [
        ("{type: csv, path: x.csv, encoding: klingon}", b"a\n", "SRC-133"),
        ("{type: csv, path: x.csv, encoding: base64}", b"a\n", "SRC-133"),
        ("{type: csv, path: x.csv, columns: [a]}", b"a\n", "SRC-137"),
        ("{type: csv, path: x.csv}", b"a,,b\n1,2,3\n", "SRC-136"),
        ("{type: csv, path: x.csv}", b"a,b,a\n1,2,3\n", "SRC-136"),
        ("{type: csv, path: x.csv}", b"a\x00b,c\n1,2\n", "SRC-136"),
        ("{type: csv, path: x.csv}", b"Name,name\n1,2\n", "SRC-112"),
        ("{type: csv, path: x.csv, compression: gzip}", b"a\n1\n", "SRC-138"),
        ("{type: csv, path: x.csv}", gzip.compress(os.urandom(5000))[:3000], "SRC-138"),
        ("{type: csv, path: y*.csv}", b"", "SRC-130"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, text: str, content: bytes, code: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(PenstockError) as caught:
        source(tmp_path, text).describe()
    assert caught.value.code == code


def test_a_folder_without_files_is_not_said_to_be_a_slip_for_itself(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(ConfigError) as caught:
        source(tmp_path, "{type: csv, path: data}").describe()
    assert [(problem.code, problem.hint) for problem in caught.value.problems] == [("SRC-130", None)]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"delimiter": "||"}, "at most 1"),
        ({"delimiter": "§"}, "delimiter takes one ASCII character"),
        ({"quote": "\n"}, "quote takes one ASCII character"),
        ({"comment": "§"}, "comment takes one ASCII character"),
        ({"delimiter": '"'}, "delimiter and quote are the same character"),
        ({"comment": '"'}, "quote and comment are the same character"),
        ({"delimiter": "#", "comment": "#"}, "delimiter and comment are the same character"),
        ({"delimiter": ",", "escape": ","}, "delimiter and escape are the same character"),
        ({"date_format": "%d.%Q"}, 'takes a pattern such as %d.%m.%Y, and "%Q" is no part of one'),
        ({"timestamp_format": "%Y%"}, 'and "%" is no part of one'),
        ({"date_format": "dd.mm.yyyy"}, "takes a pattern such as %d.%m.%Y, and has none of its parts"),
    ],
)
def test_what_the_engine_cannot_read_by_is_refused(given: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)):
        CsvSourceParams.model_validate({"type": "csv", "path": "x.csv", **given})


@pytest.mark.parametrize("given", [{"escape": '"'}, {"quote": "", "delimiter": '"'}, {"date_format": "%-d/%m/%y%%"}])
def test_what_the_engine_can_read_by_is_taken(given: dict[str, str]) -> None:
    CsvSourceParams.model_validate({"type": "csv", "path": "x.csv", **given})


@pytest.mark.parametrize(
    "text", ["a,b\n#x,y\n1,z\n", "#x,y\na,b\n#x\n1,z\n", 'a,b\n1,z\n2,"y\n#x"\n3,w\n#q,q\n', "#\na,b\n1,z\n"]
)
def test_comments_do_not_decide_the_types(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    made = source(tmp_path, "{type: csv, path: x.csv, comment: '#'}")
    assert columns(made) == {"a": "int64", "b": "string"}
    assert rows(made)[0] == {"a": 1, "b": "z"}


def test_the_delimiter_is_none_of_the_other_marks(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n,x\n1\n")
    assert rows(source(tmp_path, "{type: csv, path: x.csv, comment: ','}")) == [{"a": 1}]


def test_files_with_different_delimiters_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("x;y\n1;2\n")
    made = source(tmp_path, "{type: csv, path: '*.csv'}")
    with pytest.raises(DataError) as caught:
        files(made)
    assert caught.value.code == "SRC-139"
