"""XML files as a source: records, namespaces, nested elements, and everything that a hostile file may try."""

from __future__ import annotations

import json
import resource
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from file_sources import rows
from file_sources import source as typed
from pydantic import ValidationError

from penstock.clock import SystemClock
from penstock.connectors.api import Context, Files, Partition, ScanRequest
from penstock.connectors.files.xml_source import XmlSource, XmlSourceParams
from penstock.errors import ConfigError, DataError

pytestmark = pytest.mark.slow

PRICES = """<?xml version="1.0" encoding="utf-8"?>
<!-- a comment -->
<Basket xmlns="http://tempuri.org/b.xsd" made="2024">
  <Other><BasketList data="no" val="0"/></Other>
  <BasketList data="2024-01-02" val="78.33"/>
  <BasketList data="2024-01-03" val=""><note lang="de">é &amp; 漢</note><tag>a</tag><tag>b</tag></BasketList>
  <?pi x?>
  <BasketList data="2024-01-04"><val2 xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"/></BasketList>
</Basket>
"""


def source(folder: Path, content: str | bytes, rows: str = "/Basket/BasketList", **more: Any) -> XmlSource:
    (folder / "a.xml").write_bytes(content if isinstance(content, bytes) else content.encode())
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    params = XmlSourceParams.model_validate({"type": "xml", "path": "a.xml", "rows": rows, **more})
    return XmlSource(params, Context("x", lambda text: folder / text, scratch, SystemClock()))


def records(found: XmlSource) -> list[dict[str, Any]]:
    scanned = found.scan(ScanRequest(Partition(), None, found.latest(Partition())))
    assert isinstance(scanned, Files)
    return [json.loads(line) for path in scanned.paths for line in Path(path).read_text("utf-8").split("\n") if line]


def test_attributes_and_elements_are_columns(tmp_path: Path) -> None:
    found = source(tmp_path, PRICES)
    assert {item.name: str(item.type) for item in found.describe()} == {
        "data": "string",
        "val": "string",
        "note": "json",
        "tag": "json",
        "val2": "string",
    }
    assert records(found) == [
        {"data": "2024-01-02", "val": "78.33"},
        {"data": "2024-01-03", "val": "", "note": {"lang": "de", "#text": "é & 漢"}, "tag": ["a", "b"]},
        {"data": "2024-01-04", "val2": None},
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ('<r day="1">1.5</r>', {"day": "1", "#text": "1.5"}),
        ("<r>1.5</r>", {"#text": "1.5"}),
        ("<r><v>a <b>c</b> d</v></r>", {"v": {"b": "c", "#text": "a d"}}),
        ("<r>a<v>b</v>\n c</r>", {"v": "b", "#text": "a c"}),
        ('<r xmlns:x="x" xmlns:y="y" x:i="1" y:i="2"/>', {"i": ["1", "2"]}),
        ('<r><v xmlns:x="x" xmlns:y="y" x:i="1" y:i="2"/></r>', {"v": {"i": ["1", "2"]}}),
        ("<r><v>\n\u00a0a\u2028\t</v></r>", {"v": "\u00a0a\u2028"}),
        ("<r><v>a<![CDATA[<b>]]><!-- c -->d</v></r>", {"v": "a<b>d"}),
    ],
)
def test_nothing_that_stands_in_a_record_is_lost(tmp_path: Path, row: str, expected: dict[str, Any]) -> None:
    found = source(tmp_path, f"<a>{row}</a>", "/a/r")
    assert found.describe().names == tuple(expected)
    assert records(found) == [expected]


TYPES = [
    "int64", "float64", "decimal(8,2)", "date", "time", "timestamp", "boolean", "uuid", "list<int64?>",
    "struct<x: int64?>", "map<string, int64?>",
]  # fmt: skip


@pytest.mark.parametrize("given", ["<v></v>", "<v/>", "<v> \n </v>"])
@pytest.mark.parametrize("kind", TYPES)
def test_an_empty_element_is_null_where_the_type_has_no_empty_text(tmp_path: Path, kind: str, given: str) -> None:
    (tmp_path / "a.xml").write_text(f"<a><r><id>1</id>{given}</r><r v=''><id>2</id></r></a>", "utf-8")
    found = typed(tmp_path, "{type: xml, path: a.xml, rows: /a/r}", {"id": "int64", "v": f"{kind}?"})
    assert rows(found) == [{"id": 1, "v": None}, {"id": 2, "v": None}]


@pytest.mark.parametrize(("kind", "empty"), [("string", ""), ("json", '""'), ("binary", b"")])
def test_an_empty_element_is_an_empty_text_where_the_type_has_one(tmp_path: Path, kind: str, empty: object) -> None:
    nil = '<v xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"/>'
    (tmp_path / "a.xml").write_text(f"<a><r><v/></r><r v=''/><r>{nil}</r></a>", "utf-8")
    found = typed(tmp_path, "{type: xml, path: a.xml, rows: /a/r}", {"v": f"{kind}?"})
    assert rows(found) == [{"v": empty}, {"v": empty}, {"v": None}]


def test_empty_elements_within_lists_structs_and_maps_are_null_in_the_same_way(tmp_path: Path) -> None:
    inner = "<l>1</l><l/><s><n/><t/></s><m><a/><b>2</b></m>"
    (tmp_path / "a.xml").write_text(f"<a><r>{inner}</r></a>", "utf-8")
    columns = {"l": "list<int64?>?", "s": "struct<n: date?, t: string?>?", "m": "map<string, int64?>?"}
    (row,) = rows(typed(tmp_path, "{type: xml, path: a.xml, rows: /a/r}", columns))
    assert row == {"l": [1, None], "s": {"n": None, "t": ""}, "m": [("a", None), ("b", 2)]}


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1"])
def test_the_declared_encoding_is_taken(tmp_path: Path, encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><a><r v="é"/></a>'
    assert records(source(tmp_path, text.encode(encoding), "/a/r")) == [{"v": "é"}]


def test_only_elements_of_exactly_that_path_are_records(tmp_path: Path) -> None:
    text = "<a><r i='1'><r i='2'/></r><b><r i='3'/></b><r i='4'/></a>"
    found = records(source(tmp_path, text, "/a/r", attribute_prefix="@"))
    assert [record["@i"] for record in found] == ["1", "4"]


def test_a_root_may_be_the_record(tmp_path: Path) -> None:
    assert records(source(tmp_path, "<r v='1'/>", "/r")) == [{"v": "1"}]


@pytest.mark.parametrize(("rows", "code"), [("/a/row", "SRC-134"), ("/b/r", "SRC-193")])
def test_a_path_that_leads_to_no_element_is_told_at_its_key(tmp_path: Path, rows: str, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        source(tmp_path, "<a><r v='1'/></a>", rows).describe()
    (problem,) = caught.value.problems
    assert (problem.code, problem.about) == (code, ("rows",))


def test_an_attribute_and_an_element_of_one_name_are_told_apart_or_refused(tmp_path: Path) -> None:
    text = "<a><r v='1'><v>2</v></r></a>"
    with pytest.raises(DataError) as caught:
        records(source(tmp_path, text, "/a/r"))
    assert caught.value.code == "SRC-192"
    assert records(source(tmp_path, text, "/a/r", attribute_prefix="@")) == [{"@v": "1", "v": "2"}]


@pytest.mark.parametrize(
    "content",
    [
        PRICES[:300],
        PRICES.replace("</Basket>", "</Bucket>"),
        PRICES.replace('val="78.33"', "val=78.33"),
        "",
        "no xml at all",
        PRICES.encode().replace(b"\xc3\xa9", b"\xff\xfe"),
        PRICES.replace("78.33", "\0"),
        "<Basket>" * 100_000,
        PRICES + PRICES,
    ],
    ids=["cut", "crossed", "unquoted", "empty", "text", "encoding", "nul", "deep", "two roots"],
)
def test_a_broken_file_is_named_and_nothing_of_it_is_taken(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(DataError, match=r"a\.xml") as caught:
        records(source(tmp_path, content))
    assert caught.value.code == "SRC-190"


BOMB = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
HOSTILE = {
    "billion laughs": f'<!DOCTYPE a [<!ENTITY l0 "lol">{BOMB}]><a><r v="&l11;"/></a>',
    "in the root": f'<!DOCTYPE a [<!ENTITY l0 "lol">{BOMB}]><a v="&l11;"/>',
    "external entity": '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a><r>&e;</r></a>',
    "parameter entity": '<!DOCTYPE a [<!ENTITY % e SYSTEM "file:///etc/passwd"> %e;]><a><r/></a>',
    "external subset": '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a><r/></a>',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_entities_are_refused_without_being_expanded(tmp_path: Path, name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError) as caught:
        records(source(tmp_path, HOSTILE[name], "/a/r"))
    assert caught.value.code in {"SRC-190", "SRC-191"}
    assert "root:" not in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@pytest.mark.parametrize("path", ["", "/", "r", "a/r", "/a//r", "/a/r/", "//r", "/a[1]", "/a/@v", "/a/*"])
def test_a_row_path_is_names_from_the_root(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValidationError):
        source(tmp_path, "<a/>", path)


@pytest.mark.slow
def test_memory_is_bounded_in_the_number_of_records(tmp_path: Path) -> None:
    with (tmp_path / "big.xml").open("w") as file:
        file.write("<a>")
        file.writelines(f"<r day='{datetime.fromtimestamp(n, UTC):%Y-%m-%d}'><v>{n}</v></r>" for n in range(150_000))
        file.write("</a>")
    found = source(tmp_path, (tmp_path / "big.xml").read_bytes(), "/a/r")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scanned = found.scan(ScanRequest(Partition(), None, found.latest(Partition())))
    assert isinstance(scanned, Files)
    with Path(scanned.paths[0]).open("rb") as lines:
        assert sum(1 for _ in lines) == 150_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KiB
