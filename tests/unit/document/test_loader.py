"""The loader reads what it should, with types of YAML 1.2's core schema; both parsers of PyYAML read the same."""

import json
import math

import pytest

from penstock.document.loader import load, load_file
from penstock.document.parsers import HAS_LIBYAML
from penstock.document.tree import Mapping, Scalar, plain
from penstock.errors import ConfigError

PARSERS = pytest.mark.parametrize("pure", [False, True], ids=["libyaml", "pure"])


def data(text, *, pure=False):
    return plain(load(text, "p.yml", pure=pure))


def test_libyaml_is_there_to_be_compared_with():
    assert HAS_LIBYAML


@PARSERS
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("tRUE", "tRUE"),
        ("~", None),
        ("null", None),
        ("", None),
        ("nULL", "nULL"),
        ("010", 10),
        ("-010", -10),
        ("+3", 3),
        ("0o10", 8),
        ("0x1F", 31),
        ("-0x1F", "-0x1F"),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("9" * 400, int("9" * 400)),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5e3", -1500.0),
        ("1e3", 1000.0),
        ("1e-400", 0.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("+.inf", math.inf),
        (".", "."),
        ("+", "+"),
        ("1.2.3", "1.2.3"),
        ("2024-01-02", "2024-01-02"),
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
        ("'010'", "010"),
        ('"true"', "true"),
        ("''", ""),
        ("a b  c", "a b  c"),
        ("١٢", "١٢"),
    ],
)
def test_scalars_are_typed_by_the_core_schema(text, value, pure):
    found = data(f"v: {text}", pure=pure)["v"]
    assert found == value
    assert type(found) is type(value)


@PARSERS
def test_not_a_number_is_a_number(pure):
    assert math.isnan(data("v: .nan", pure=pure)["v"])


@PARSERS
@pytest.mark.parametrize(
    "text",
    [
        '{"a": "\\/ \\" \\u00e9 \\n \\ud83d\\ude00", "b": [1, -2.5E3, true, null]}',
        '{\n\t"a": {\n\t\t"b":\t1,\n\t\t"c" : []\n\t}\n}\n',
        '[[],{},"",0]',
        '{"a":1,"b":"x: y","c":"# no comment","d":"it\'s"}',
        "123456789012345678901234567890",
        '"only a text"',
    ],
)
def test_json_is_read_as_json_reads_it(text, pure):
    assert data(text, pure=pure) == json.loads(text)


@PARSERS
@pytest.mark.parametrize(
    "text",
    ["a:\t1\n", "a: b\tc\n", "a: b\t# comment\n", "a: 'x\ty'\n", "a: x\n \ty\n"],
)
def test_tabs_between_tokens_are_white_space(text, pure):
    assert load(text, pure=pure) == load(text)


@PARSERS
def test_blocks_keep_or_fold_their_lines(pure):
    assert data("a: |\n  x\n   y\n\n  z\nb: >-\n  one\n  two\n\n  three\n", pure=pure) == {
        "a": "x\n y\n\nz\n",
        "b": "one two\nthree",
    }


@PARSERS
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_every_line_break_reads_the_same(line_break, pure):
    text = "a: |\n  x\n  y\nb: 'p\n\n  q'\nc: [1,\n 2]\n"
    assert load(text.replace("\n", line_break), pure=pure) == load(text)


@PARSERS
def test_a_byte_order_mark_is_passed_over(pure):
    for marked in (b"\xef\xbb\xbfa: 1\n", "\ufeffa: 1\n"):
        tree = load(marked, pure=pure)
        assert plain(tree) == {"a": 1}
        assert isinstance(tree, Mapping)
        assert tree.entries["a"].key.at.column == 1


@PARSERS
def test_one_document_may_be_marked_and_ended(pure):
    assert data("%YAML 1.2\n---\na: 1\n...\n", pure=pure) == {"a": 1}


@PARSERS
def test_an_alias_is_the_value_it_names(pure):
    assert data("a: &x {k: [1, 2]}\nb: *x\nc: [*x, *x]\n", pure=pure)["c"] == [{"k": [1, 2]}] * 2


@PARSERS
def test_an_anchor_does_not_move_the_place_of_its_value(pure):
    tree = load("a: &x\n  # comment\n  'v'\nb: &y |-\n  w\n", "p.yml", pure=pure)
    assert isinstance(tree, Mapping)
    a, b = tree.get("a"), tree.get("b")
    assert isinstance(a, Scalar)
    assert isinstance(b, Scalar)
    assert (a.at.line, a.at.column, a.at.end_column) == (3, 3, 6)
    assert (b.at.line, b.at.column, b.at.end_column) == (4, 7, 9)


@PARSERS
def test_quoted_values_are_known_as_text(pure):
    tree = load("- a\n- 'b'\n- \"c\"\n- |\n x\n- >\n y\n", pure=pure)
    assert [item.quoted for item in tree.items] == [False, True, True, True, True]


@PARSERS
def test_raw_text_of_a_number_is_kept(pure):
    tree = load("a: 1.10", pure=pure)
    assert isinstance(tree, Mapping)
    assert tree.get("a").text == "1.10"


def test_files_are_read_with_their_name(tmp_path):
    path = tmp_path / "p.yml"
    path.write_text("a: 1\n")
    tree = load_file(path, name="pipelines/p.yml")
    assert plain(tree) == {"a": 1}
    assert tree.at.file == "pipelines/p.yml"


@pytest.mark.parametrize("name", ["absent.yml", ".", "nul\0byte.yml", "x" * 300])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(ConfigError) as caught:
        load_file(tmp_path / name)
    assert caught.value.code == "DOC-100"


def test_an_endless_file_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "big.yml"
    path.write_bytes(b"a: " + b"x" * (2 * 1024 * 1024))
    with pytest.raises(ConfigError) as caught:
        load_file(path)
    assert caught.value.code == "DOC-101"
