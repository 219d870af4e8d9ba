"""Hostile JSON files: lines of objects for ``ndjson``, one array of them for ``json``. Positions count objects from 1."""

from __future__ import annotations

import json
import math
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
_RECORD: Final = 33 * 2**20  # bytes: twice what an object may have


def ndjson_files() -> Iterator[FileCase]:
    yield from (_values(texts, "ndjson") for texts in TEXTS)
    yield from _tokens("ndjson")
    yield from _lines()
    yield from _shapes("ndjson")


def json_files() -> Iterator[FileCase]:
    yield from (_values(texts, "json") for texts in TEXTS)
    yield from _tokens("json")
    yield from _documents()
    yield from _shapes("json")


def _case(
    name: str,
    hazard: Hazard,
    source: str,
    content: str | bytes,
    expected: Expected,
    *,
    columns: Mapping[str, str] | None = _PLAIN,
    heavy: bool = False,
    **options: str | bool | int,
) -> FileCase:
    data = content.encode() if isinstance(content, str) else content

    def write(path: Path) -> None:
        path.write_bytes(data)

    return FileCase(name, hazard, source, source, write, expected, columns, options=options, heavy=heavy)


def _written(source: str, objects: list[str]) -> str:
    return "\n".join([*objects, ""]) if source == "ndjson" else "[" + ",\n".join(objects) + "]"


def _values(texts: HostileTexts, source: str) -> FileCase:
    """Each value as a text of JSON, but for a value of json, which stands as it is; what is none breaks an array."""
    is_json = texts.type == "json"
    chosen = [one for one in texts.texts if not (is_json and one.bad and source == "json")]
    objects = [
        f'{{"k":{place},"v":{one.text if is_json else json.dumps(one.text)}}}' for place, one in enumerate(chosen)
    ]
    rows = tuple((place, one.value) for place, one in enumerate(chosen) if not one.bad)
    cause = "malformed" if is_json else "bad_value"
    rejects = tuple(Bad(place + 1, cause) for place, one in enumerate(chosen) if one.bad)
    return _case(
        texts.name,
        texts.hazard,
        source,
        _written(source, objects),
        Taken(rows, rejects),
        columns={"k": "int64", "v": texts.type},
    )


def _tokens(source: str) -> Iterator[FileCase]:
    """Values that JSON has a spelling of its own for."""
    for name, hazard, kind, tokens, rows, bad in (
        ("nan_token", Hazard.NAN, "float64", ("1.5", "NaN"), ((0, 1.5), (1, math.nan)), ()),
        ("infinity_token", Hazard.INFINITY, "float64", ("Infinity", "1e999", "2.5"), ((0, math.inf), (2, 2.5)), (2,)),
    ):
        objects = [f'{{"k":{place},"v":{token}}}' for place, token in enumerate(tokens)]
        yield _case(
            name,
            hazard,
            source,
            _written(source, objects),
            Taken(rows, tuple(Bad(at, "bad_value") for at in bad)),
            columns={"k": "int64", "v": kind},
        )


def _lines() -> Iterator[FileCase]:
    deep = "[" * 100_000 + "]" * 100_000
    one = Taken(((1, "a"),), (Bad(2, "malformed"),))
    yield _case("cut_in_object", Hazard.TRUNCATED, "ndjson", '{"k":1,"v":"a"}\n{"k":2,"v":"b', one)
    yield _case("not_objects", Hazard.WRONG_TYPE, "ndjson", '{"k":1,"v":"a"}\n[1]\n', one)
    yield _case(
        "mixed_breaks",
        Hazard.LINE_BREAKS,
        "ndjson",
        b'{"k":1,"v":"a"}\r\n{"k":2,"v":"b"}\n\r\n{"k":3,"v":"c\\r\\nd"}',
        Taken(((1, "a"), (2, "b"), (3, "c\r\nd"))),
    )
    yield _case(
        "raw_break",
        Hazard.LINE_BREAKS,
        "ndjson",
        b'{"k":1,"v":"a\nb"}\n{"k":2,"v":"c"}\n',
        Taken(((2, "c"),), (Bad(1, "malformed"), Bad(2, "malformed"))),
    )
    yield _case(
        "too_long",
        Hazard.HUGE_FIELD,
        "ndjson",
        f'{{"k":1,"v":"{"y" * _RECORD}"}}\n{{"k":2,"v":"b"}}\n',
        Taken(((2, "b"),), (Bad(1, "record_too_long"),)),
    )
    yield _case(
        "deep",
        Hazard.DEEP_NESTING,
        "ndjson",
        f'{{"k":1,"v":{deep}}}\n{{"k":2,"v":"b"}}\n',
        Taken(((1, deep), (2, "b"))),
    )
    yield _case(
        "not_utf8",
        Hazard.ENCODING,
        "ndjson",
        b'{"k":1,"v":"caf\xe9"}\n{"k":2,"v":"b"}\n',
        Taken(((2, "b"),), (Bad(1, "bad_encoding"),)),
    )
    yield _case(
        "utf16_as_utf8",
        Hazard.ENCODING,
        "ndjson",
        '{"k":1,"v":"a"}\n'.encode("utf-16-le"),
        Taken((), (Bad(1, "malformed"), Bad(2, "malformed"))),
    )
    yield _case(
        "surrogate",
        Hazard.LONE_SURROGATE,
        "ndjson",
        '{"k":1,"v":"\\ud800"}\n{"k":2,"v":"\\ud83d\\ude00"}\n',
        Taken(((2, "\U0001f600"),), (Bad(1, "malformed"),)),
    )
    yield _case(
        "raw_surrogate",
        Hazard.LONE_SURROGATE,
        "ndjson",
        b'{"k":1,"v":"\xed\xa0\x80"}\n{"k":2,"v":"b"}\n',
        Taken(((2, "b"),), (Bad(1, "bad_encoding"),)),
    )
    yield _case(
        "raw_nul",
        Hazard.NUL,
        "ndjson",
        b'{"k":1,"v":"a\0"}\n{"k":2,"v":"b"}\n',
        Taken(((2, "b"),), (Bad(1, "malformed"),)),
    )
    yield _case("breaks_alone", Hazard.EMPTY_FILE, "ndjson", "\n\r\n \n", Taken(()))


def _documents() -> Iterator[FileCase]:
    deep = "[" * 100_000 + "]" * 100_000
    yield _case("cut_in_object", Hazard.TRUNCATED, "json", '[{"k":1,"v":"a"},{"k":2,"v":"b', Refused("ENG-332"))
    yield _case("cut_in_array", Hazard.TRUNCATED, "json", '[{"k":1,"v":"a"},{"k":2,"v":"b"}', Refused("ENG-332"))
    yield _case(
        "not_objects", Hazard.WRONG_TYPE, "json", '[{"k":1,"v":"a"},[1]]', Taken(((1, "a"),), (Bad(2, "malformed"),))
    )
    yield _case(
        "mixed_breaks",
        Hazard.LINE_BREAKS,
        "json",
        b'[\r\n{"k":1,\r"v":"a"},\n{"k":2,"v":"b\\n"}\r]',
        Taken(((1, "a"), (2, "b\n"))),
    )
    yield _case(
        "too_long",
        Hazard.HUGE_FIELD,
        "json",
        f'[{{"k":1,"v":"{"y" * _RECORD}"}},\n{{"k":2,"v":"b"}}]',
        Refused("ENG-332"),
    )
    yield _case(
        "deep", Hazard.DEEP_NESTING, "json", f'[{{"k":1,"v":{deep}}},{{"k":2,"v":"b"}}]', Taken(((1, deep), (2, "b")))
    )
    yield _case("not_utf8", Hazard.ENCODING, "json", b'[{"k":1,"v":"caf\xe9"},{"k":2,"v":"b"}]', Refused("ENG-332"))
    yield _case(
        "surrogate",
        Hazard.LONE_SURROGATE,
        "json",
        '[{"k":1,"v":"\\ud800"},{"k":2,"v":"\\ud83d\\ude00"}]',
        Refused("ENG-332"),
    )
    yield _case("raw_nul", Hazard.NUL, "json", b'[{"k":1,"v":"a\0"},{"k":2,"v":"b"}]', Refused("ENG-332"))
    yield _case("empty_array", Hazard.EMPTY_FILE, "json", "[]", Taken(()))


def _shapes(source: str) -> Iterator[FileCase]:
    def written(*objects: str) -> str:
        return _written(source, list(objects))

    yield _case("empty", Hazard.EMPTY_FILE, source, "", Taken(()))
    yield _case("empty_unstated", Hazard.EMPTY_FILE, source, "", Refused("SRC-134"), columns=None)
    yield _case("no_columns", Hazard.NO_COLUMNS, source, written("{}", "{}"), Refused("SRC-134"), columns=None)
    yield _case("key_twice", Hazard.DUPLICATE_HEADER, source, written('{"k":1,"v":"a","v":"b"}'), Taken(((1, "a"),)))
    yield _case(
        "keys_in_two_cases", Hazard.DUPLICATE_HEADER, source, written('{"k":1,"K":2}'), Refused("SRC-112"), columns=None
    )
    yield _case("nul", Hazard.NUL, source, written('{"k":1,"v":"a\\u0000b"}'), Taken(((1, "a\0b"),)))
    yield _case(
        "latin",
        Hazard.ENCODING,
        source,
        written('{"k":1,"v":"caf\u00e9"}').encode("latin-1"),
        Taken(((1, "caf\u00e9"),)),
        encoding="latin-1",
    )
    long = "\u00fcx" * 300_000
    yield _case("huge_field", Hazard.HUGE_FIELD, source, written(f'{{"k":1,"v":"{long}"}}'), Taken(((1, long),)))
    wide = written(
        *("{" + ",".join(f'"c{place}":{place + row}' for place in range(_COLUMNS)) + "}" for row in range(2))
    )
    rows = tuple(tuple(place + row for place in range(_COLUMNS)) for row in range(2))
    yield _case("many_columns", Hazard.MANY_COLUMNS, source, wide, Taken(rows), columns=None, heavy=True)
