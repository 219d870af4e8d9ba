"""Hostile CSV files. Positions count lines of the file's records from 1, the header among them."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from penstock.testing.hostile_files.cases import Bad, FileCase, Hazard, Refused, Taken
from penstock.testing.hostile_files.values import TEXTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from penstock.testing.hostile_files.cases import Expected
    from penstock.testing.hostile_files.values import HostileTexts

_PLAIN: Final = {"k": "int64", "v": "string?"}
_COLUMNS: Final = 10_000
_RECORD: Final = 2_000_000  # bytes that a record may have


def csv_files() -> Iterator[FileCase]:
    yield from map(_values, TEXTS)
    yield from _shapes()
    yield from _characters()
    yield from _large()


def _case(
    name: str,
    hazard: Hazard,
    content: str | bytes,
    expected: Expected,
    columns: Mapping[str, str] | None = _PLAIN,
    *,
    heavy: bool = False,
    **options: str | bool | int,
) -> FileCase:
    data = content.encode() if isinstance(content, str) else content

    def write(path: Path) -> None:
        path.write_bytes(data)

    return FileCase(name, hazard, "csv", "csv", write, expected, columns, options=options, heavy=heavy)


def _values(texts: HostileTexts) -> FileCase:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["k", "v"])
    writer.writerows([str(place), one.text] for place, one in enumerate(texts.texts))
    rows = tuple((place, one.value) for place, one in enumerate(texts.texts) if not one.bad)
    rejects = tuple(Bad(place + 2, "bad_value", "v") for place, one in enumerate(texts.texts) if one.bad)
    return _case(texts.name, texts.hazard, stream.getvalue(), Taken(rows, rejects), {"k": "int64", "v": texts.type})


def _shapes() -> Iterator[FileCase]:
    two = Taken(((1, "a"), (2, "b")))
    yield _case("cut_in_quotes", Hazard.TRUNCATED, 'k,v\n1,a\n2,"b', Taken(((1, "a"),), (Bad(3, "bad_quote"),)))
    yield _case("cut_in_record", Hazard.TRUNCATED, "k,v\n1,a\n2", Taken(((1, "a"),), (Bad(3, "too_few_columns"),)))
    yield _case("cut_before_break", Hazard.TRUNCATED, "k,v\n1,a\n2,b", two)
    yield _case(
        "cut_in_character", Hazard.TRUNCATED, b"k,v\n1,a\n2,\xc3", Taken(((1, "a"),), (Bad(3, "bad_encoding"),))
    )
    yield _case(
        "too_many_values", Hazard.WRONG_TYPE, "k,v\n1,a\n2,b,c\n", Taken(((1, "a"),), (Bad(3, "too_many_columns"),))
    )
    yield _case("empty", Hazard.EMPTY_FILE, "", Taken(()))
    yield _case("empty_unstated", Hazard.EMPTY_FILE, "", Refused("SRC-134"), None)
    yield _case("header_alone", Hazard.EMPTY_FILE, "k,v\n", Taken(()))
    yield _case("breaks_alone", Hazard.EMPTY_FILE, "\n\r\n\n", Taken(()))
    yield _case("mark_alone", Hazard.EMPTY_FILE, b"\xef\xbb\xbf", Taken(()))
    yield _case("no_columns", Hazard.NO_COLUMNS, "\n1\n2\n", Refused("CMP-230"))
    yield _case("nameless", Hazard.NO_COLUMNS, ",\n1,2\n", Refused("SRC-136"), None)
    yield _case("duplicate_header", Hazard.DUPLICATE_HEADER, "k,v,v\n1,a,b\n", Refused("SRC-136"))
    yield _case("header_in_two_cases", Hazard.DUPLICATE_HEADER, "k,K\n1,2\n", Refused("SRC-112"), None)
    yield _case("nul_in_header", Hazard.NUL, "k\0,v\n1,a\n", Refused("SRC-136"), None)
    names = [f"c{place}" for place in range(_COLUMNS)]
    wide = "\n".join([",".join(names), *(",".join(str(place + row) for place in range(_COLUMNS)) for row in range(2))])
    rows = tuple(tuple(place + row for place in range(_COLUMNS)) for row in range(2))
    yield _case("many_columns", Hazard.MANY_COLUMNS, wide, Taken(rows), None, heavy=True)


def _characters() -> Iterator[FileCase]:
    yield _case("nul", Hazard.NUL, "k,v\n1,a\0b\n2,\0\n", Taken(((1, "a\0b"), (2, "\0"))))
    yield _case(
        "surrogate",
        Hazard.LONE_SURROGATE,
        b"k,v\n1,a\n2,\xed\xa0\x80\n3,b\n",
        Taken(((1, "a"), (3, "b")), (Bad(3, "bad_encoding"),)),
    )
    yield _case("not_utf8", Hazard.ENCODING, b"k,v\n1,caf\xe9\n2,b\n", Taken(((2, "b"),), (Bad(2, "bad_encoding"),)))
    yield _case(
        "latin_as_ascii",
        Hazard.ENCODING,
        b"k,v\n1,caf\xe9\n2,b\n",
        Taken(((2, "b"),), (Bad(2, "bad_encoding"),)),
        encoding="ascii",
    )
    yield _case(
        "cut_utf16",
        Hazard.ENCODING,
        "k,v\n1,a\n2,b\n".encode("utf-16")[:-1],
        Taken(((1, "a"),), (Bad(3, "bad_encoding"),)),
        encoding="utf-16",
    )
    yield _case(
        "utf16_surrogate",
        Hazard.LONE_SURROGATE,
        "k,v\n1,a\n".encode("utf-16-le") + b"2\0,\0\x3d\xd8\n\0" + "3,c\n".encode("utf-16-le"),
        Taken(((1, "a"), (3, "c")), (Bad(3, "bad_encoding"),)),
        encoding="utf-16-le",
    )
    yield _case("utf16_as_utf8", Hazard.ENCODING, "k,v\n1,a\n".encode("utf-16"), Refused("SRC-136"))
    yield _case("marked", Hazard.ENCODING, b"\xef\xbb\xbfk,v\n1,a\n", Taken(((1, "a"),)))
    yield _case(
        "mixed_breaks",
        Hazard.LINE_BREAKS,
        b"k,v\r\n1,a\n2,b\r3,c\r\n4,d",
        Taken(((1, "a"), (2, "b"), (3, "c"), (4, "d"))),
    )
    yield _case(
        "breaks_in_quotes",
        Hazard.LINE_BREAKS,
        b'k,v\n1,"a\r\nb"\n2,"c\rd"\n3,"e\nf"\n',
        Taken(((1, "a\r\nb"), (2, "c\rd"), (3, "e\nf"))),
    )
    yield _case(
        "mixed_with_quotes",
        Hazard.LINE_BREAKS,
        b'k,v\r\n1,"a\nb"\n2,c\r\n3,x,y\n',
        Taken(((1, "a\nb"), (2, "c")), (Bad(4, "too_many_columns"),)),
    )
    yield _case("returns", Hazard.LINE_BREAKS, b"k,v\r1,a\r2,b\r", Taken(((1, "a"), (2, "b"))))


def _large() -> Iterator[FileCase]:
    long = "\u00fcx" * 300_000
    yield _case("huge_field", Hazard.HUGE_FIELD, f"k,v\n1,{long}\n2,b\n", Taken(((1, long), (2, "b"))))
    yield _case(
        "too_long_within",
        Hazard.HUGE_FIELD,
        f"k,v\n1,{'y' * _RECORD}\n2,b\n",
        Taken(((2, "b"),), (Bad(2, "record_too_long"),)),
    )
    yield _case(
        "too_long_at_end",
        Hazard.HUGE_FIELD,
        f"k,v\n1,a\n2,{'y' * 9_000_000}\n",
        Taken(((1, "a"),), (Bad(3, "record_too_long"),)),
    )
    yield _case(
        "too_long_unended",
        Hazard.HUGE_FIELD,
        f"k,v\n1,a\n2,{'y' * 9_000_000}",
        Taken(((1, "a"),), (Bad(3, "record_too_long"),)),
    )
    yield _case(
        "longest_digits",
        Hazard.HUGE_FIELD,
        f"k,v\n1,a\n{'1' * 100_000},b\n",
        Taken(((1, "a"),), (Bad(3, "bad_value", "k"),)),
    )
