"""The document's spelling of types: what it means, how it prints, what is refused and where the caret stands."""

from __future__ import annotations

import pytest

from penstock.errors import ConfigError, Location
from penstock.types import (
    DATE,
    INT64,
    STRING,
    Decimal,
    Kind,
    List,
    Map,
    Primitive,
    Struct,
    StructField,
    parse_type,
    relaxed,
    spell,
)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_simple_name_is_its_type(kind):
    assert parse_type(kind.value) == (Primitive(kind), False)
    assert parse_type(f"{kind.value}?") == (Primitive(kind), True)


@pytest.mark.parametrize(
    ("text", "expected", "nullable"),
    [
        ("decimal(12,4)?", Decimal(12, 4), True),
        ("decimal( 38 , 0 )", Decimal(38, 0), False),
        ("list<string>", List(STRING, element_nullable=False), False),
        ("list<string?>?", List(STRING), True),
        ("map<string,list<date>?>", Map(STRING, List(DATE, element_nullable=False)), False),
        (
            'struct<a: int64, "b, c>": string?>',
            Struct((StructField("a", INT64, nullable=False), StructField("b, c>", STRING))),
            False,
        ),
        ('struct<"a""b": int64?,>', Struct((StructField('a"b', INT64),)), False),
        ("struct<struct: date?>\n?", Struct((StructField("struct", DATE),)), True),
    ],
)
def test_nested_spellings(text, expected, nullable):
    assert parse_type(text) == (expected, nullable)
    assert parse_type(spell(expected, nullable=nullable)) == (expected, nullable)


def test_printing_is_the_spelling_of_the_document():
    struct = Struct((StructField("a", Decimal(12, 4)), StructField("b c", List(STRING), nullable=False)))
    assert str(Map(STRING, struct)) == 'map<string,struct<a: decimal(12,4)?, "b c": list<string?>>?>'


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("", "DOC-400", ""),
        ("   ", "DOC-400", ""),
        ("list<", "DOC-400", ""),
        ("list<string", "DOC-400", ""),
        ("string string", "DOC-400", "string"),
        ("int32[]", "DOC-400", "["),
        ("12", "DOC-400", "12"),
        ('list<"string">', "DOC-400", '"string"'),
        ('struct<"a: int64>', "DOC-400", '"a: int64>'),
        ("struct<a int64>", "DOC-400", "int64"),
        ("struct<1a: int64>", "DOC-400", "1"),
        ("map<string;int64>", "DOC-400", ";"),
        ("string\0", "DOC-400", "\0"),
        ("\u017ftring", "DOC-400", "\u017f"),
        ("strin", "DOC-401", "strin"),
        ("list<strin>", "DOC-401", "strin"),
        ("String", "DOC-401", "String"),
        ("decimal", "DOC-402", "decimal"),
        ("decimal(12)", "DOC-402", "decimal"),
        ("decimal(a,b)", "DOC-402", "a"),
        ("decimal(39,0)", "DOC-402", "decimal(39,0)"),
        ("decimal(0,0)", "DOC-402", "decimal(0,0)"),
        ("decimal(5,6)", "DOC-402", "decimal(5,6)"),
        ("decimal(5,-1)", "DOC-402", "decimal(5,-1)"),
        ("decimal(99999999999999999999,0)", "DOC-402", "9"),
        ("string(20)", "DOC-402", "("),
        ("int64<string>", "DOC-402", "<"),
        ("list", "DOC-402", "list"),
        ("map", "DOC-402", "map"),
        ("struct", "DOC-402", "struct"),
        ("struct<>", "DOC-404", "struct<>"),
        ("struct<a: int64, a: int64>", "DOC-404", "a"),
        ('struct<"": int64>', "DOC-404", '""'),
        ('struct<"a\0": int64>', "DOC-404", '"a\0"'),
        ("map<string?,int64>", "DOC-405", "?"),
        ("int64??", "DOC-405", "?"),
    ],
)
def test_a_wrong_spelling_is_refused_at_its_place(text, code, part):
    found = []

    def place(offset, length):
        found.append((offset, text[offset : offset + length]))
        return Location("x.yml", 1, offset + 1, offset + length + 1, text)

    with pytest.raises(ConfigError) as caught:
        parse_type(text, place=place)
    assert caught.value.code == code
    offset, shown = found[-1]
    assert shown == part
    assert caught.value.problems[0].at == place(offset, len(shown))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("integer", 'write "int32" or "int64"'),
        ("VARCHAR", 'write "string"'),
        ("varchar(20)", 'write "string"'),
        ("double", 'write "float64"'),
        ("bool", 'write "boolean"'),
        ("numeric(10,2)", 'write "decimal(precision,scale)"'),
        ("datetime", 'write "timestamp"'),
        ("array<string>", 'write "list<type>"'),
        ("BIGINT", 'write "int64"'),
        ("jsonb", 'write "json"'),
        ("String", 'write "string"'),
        ("timestmp", 'did you mean "timestamp"?'),
        ("int64[]", 'write "list<int64>"'),
        ("string(20)", 'write "string"'),
    ],
)
def test_a_name_from_elsewhere_gets_the_name_that_is_meant(text, hint):
    with pytest.raises(ConfigError) as caught:
        parse_type(text)
    assert caught.value.problems[0].hint == hint


def test_a_name_like_no_other_gets_no_hint_but_the_list():
    with pytest.raises(ConfigError) as caught:
        parse_type("xyzzy")
    assert caught.value.problems[0].hint is None
    assert "decimal, list, map, struct" in caught.value.problems[0].detail


def test_every_hint_for_a_foreign_name_names_types_that_exist():
    from penstock.types.parse import _FOREIGN

    for hint in set(_FOREIGN.values()):
        for spelling in hint.split(" or "):
            concrete = spelling.replace("<type>", "<string>").replace("precision,scale", "38,9")
            parse_type(concrete.replace("name: type, ...", "name: string"))
    assert not set(_FOREIGN) & {*Kind, "decimal", "list", "map", "struct"}


def test_the_caret_is_narrowed_where_the_text_stands_in_its_line():
    line = '    schema: {columns: {value: "list<strin>?"}}'
    at = Location("p.yml", 9, line.index('"') + 1, line.index("}") + 1, line)
    with pytest.raises(ConfigError) as caught:
        parse_type("list<strin>?", at=at)
    narrowed = caught.value.problems[0].at
    assert line[narrowed.column - 1 : narrowed.end_column - 1] == "strin"


def test_the_place_stays_whole_where_the_line_spells_it_otherwise():
    at = Location("p.yml", 9, 5, 12, "  x: |-")
    for place in (at, Location("p.yml", 9, 5, 12, None)):
        with pytest.raises(ConfigError) as caught:
            parse_type("strin", at=place)
        assert caught.value.problems[0].at == place


def test_nesting_is_bounded():
    def nested(levels):
        return "list<" * (levels - 1) + "string" + ">" * (levels - 1)

    assert str(parse_type(nested(32))[0]) == nested(32)
    for levels in (33, 100_000):
        with pytest.raises(ConfigError) as caught:
            parse_type(nested(levels))
        assert caught.value.code == "DOC-403"


@pytest.mark.parametrize("wrap", [List, lambda t: Map(STRING, t), lambda t: Struct((StructField("a", t),))])
def test_nesting_is_bounded_in_built_types_too(wrap):
    built = STRING
    for _ in range(31):
        built = wrap(built)
    with pytest.raises(ConfigError) as caught:
        wrap(built)
    assert caught.value.code == "DOC-403"


def test_length_is_bounded():
    with pytest.raises(ConfigError) as caught:
        parse_type(" " * (1024 * 1024) + "string")
    assert caught.value.code == "DOC-403"


def test_a_wide_struct_is_read_in_full():
    text = f"struct<{', '.join(f'c{n}: int64?' for n in range(5000))}>"
    assert str(parse_type(text)[0]) == text


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800"])
def test_an_impossible_field_name_is_refused(name):
    with pytest.raises(ConfigError) as caught:
        StructField(name, STRING)
    assert caught.value.code == "DOC-404"


def test_a_struct_that_repeats_a_name_is_refused():
    with pytest.raises(ConfigError) as caught:
        Struct((StructField("a", STRING), StructField("a", INT64)))
    assert caught.value.code == "DOC-404"
    Struct((StructField("a", STRING), StructField("A", INT64)))


def test_relaxing_makes_every_nested_place_nullable():
    text = "struct<a: list<int64>, m: map<string,struct<b: date>>>"
    assert str(relaxed(parse_type(text)[0])) == "struct<a: list<int64?>?, m: map<string,struct<b: date?>?>?>"
