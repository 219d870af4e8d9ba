"""Hostile XML files, their records being ``/rows/row``. Positions count records from 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from penstock.testing.hostile_files.cases import Bad, FileCase, Hazard, Refused, Taken
from penstock.testing.hostile_files.values import TEXTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from penstock.testing.hostile_files.cases import Expected
    from penstock.testing.hostile_files.values import HostileTexts

_PLAIN: Final = {"k": "int64", "v": "string?"}
_COLUMNS: Final = 10_000


def xml_files() -> Iterator[FileCase]:
    yield from (_values(texts) for texts in TEXTS if texts.type != "json")
    yield from _shapes()
    yield from _characters()


def _case(
    name: str,
    hazard: Hazard,
    content: str | bytes,
    expected: Expected,
    columns: Mapping[str, str] | None = _PLAIN,
    *,
    heavy: bool = False,
) -> FileCase:
    data = content.encode() if isinstance(content, str) else content

    def write(path: Path) -> None:
        path.write_bytes(data)

    return FileCase(name, hazard, "xml", "xml", write, expected, columns, options={"rows": "/rows/row"}, heavy=heavy)


def _values(texts: HostileTexts) -> FileCase:
    records = (f"<row><k>{place}</k><v>{escape(one.text)}</v></row>" for place, one in enumerate(texts.texts))
    rows = tuple((place, one.value) for place, one in enumerate(texts.texts) if not one.bad)
    rejects = tuple(Bad(place + 1, "bad_value", "v") for place, one in enumerate(texts.texts) if one.bad)
    content = f"<rows>{''.join(records)}</rows>"
    return _case(texts.name, texts.hazard, content, Taken(rows, rejects), {"k": "int64", "v": texts.type})


def _shapes() -> Iterator[FileCase]:
    first = "<row><k>1</k><v>a</v></row>"
    yield _case("cut_in_record", Hazard.TRUNCATED, f"<rows>{first}<row><k>2</k>", Refused("SRC-190"))
    yield _case("cut_before_end", Hazard.TRUNCATED, f"<rows>{first}", Refused("SRC-190"))
    yield _case("not_xml", Hazard.WRONG_TYPE, "k,v\n1,a\n", Refused("SRC-190"))
    yield _case("another_root", Hazard.WRONG_TYPE, f"<table>{first}</table>", Refused("SRC-193"))
    yield _case("empty", Hazard.EMPTY_FILE, "", Refused("SRC-190"))
    yield _case("no_records", Hazard.EMPTY_FILE, "<rows/>", Taken(()))
    yield _case("no_columns", Hazard.NO_COLUMNS, "<rows><row/><row/></rows>", Refused("SRC-134"), None)
    yield _case(
        "element_and_attribute", Hazard.DUPLICATE_HEADER, '<rows><row k="1"><k>2</k></row></rows>', Refused("SRC-192")
    )
    yield _case(
        "element_twice",
        Hazard.DUPLICATE_HEADER,
        "<rows><row><k>1</k><v>a</v><v>b</v></row></rows>",
        Taken(((1, '["a","b"]'),)),
    )
    yield _case(
        "names_in_two_cases",
        Hazard.DUPLICATE_HEADER,
        "<rows><row><k>1</k><K>2</K></row></rows>",
        Refused("SRC-112"),
        None,
    )
    laughs = "".join(f'<!ENTITY l{at} "{f"&l{at - 1};" * 10}">' for at in range(1, 10))
    yield _case(
        "laughs",
        Hazard.BOMB,
        f'<!DOCTYPE rows [<!ENTITY l0 "ha">{laughs}]><rows><row><k>1</k><v>&l9;</v></row></rows>',
        Refused("SRC-191"),
    )
    yield _case(
        "deep",
        Hazard.DEEP_NESTING,
        f"<rows><row><k>1</k><v>{'<a>' * 10_000}{'</a>' * 10_000}</v></row></rows>",
        Refused("SRC-190"),
    )
    fields = ("".join(f"<c{place}>{place + row}</c{place}>" for place in range(_COLUMNS)) for row in range(2))
    wide = "".join(f"<row>{record}</row>" for record in fields)
    rows = tuple(tuple(str(place + row) for place in range(_COLUMNS)) for row in range(2))
    yield _case("many_columns", Hazard.MANY_COLUMNS, f"<rows>{wide}</rows>", Taken(rows), None, heavy=True)


def _characters() -> Iterator[FileCase]:
    def one(value: bytes) -> bytes:
        return b"<rows><row><k>1</k><v>" + value + b"</v></row></rows>"

    yield _case("nul", Hazard.NUL, one(b"a\0b"), Refused("SRC-190"))
    yield _case("nul_by_number", Hazard.NUL, one(b"a&#0;b"), Refused("SRC-190"))
    yield _case("surrogate", Hazard.LONE_SURROGATE, one(b"a&#xD800;b"), Refused("SRC-190"))
    yield _case("raw_surrogate", Hazard.LONE_SURROGATE, one(b"a\xed\xa0\x80b"), Refused("SRC-190"))
    yield _case("latin_undeclared", Hazard.ENCODING, one(b"caf\xe9"), Refused("SRC-190"))
    yield _case(
        "latin_declared",
        Hazard.ENCODING,
        b'<?xml version="1.0" encoding="iso-8859-1"?>' + one(b"caf\xe9"),
        Taken(((1, "caf\u00e9"),)),
    )
    yield _case(
        "utf8_declared_utf16",
        Hazard.ENCODING,
        b'<?xml version="1.0" encoding="utf-16"?>' + one(b"a"),
        Refused("SRC-190"),
    )
    yield _case(
        "unknown_encoding", Hazard.ENCODING, b'<?xml version="1.0" encoding="klingon"?>' + one(b"a"), Refused("SRC-190")
    )
    yield _case("breaks", Hazard.LINE_BREAKS, one(b"a\r\nb\rc\nd&#13;e"), Taken(((1, "a\nb\nc\nd\re"),)))
    long = "\u00fcx" * 1_000_000
    yield _case("huge_field", Hazard.HUGE_FIELD, one(long.encode()), Taken(((1, long),)))
    yield _case("too_long", Hazard.HUGE_FIELD, one(b"y" * 20_000_000), Refused("SRC-190"))
