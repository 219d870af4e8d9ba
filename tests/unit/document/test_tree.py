"""Places: of keys and values by path, and of parts of a text through quotes, escapes, blocks and folds."""

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from penstock.document.loader import load
from penstock.document.tree import Mapping, Replacement, Scalar, Sequence, find, locate, offset_location, plain, walk
from penstock.errors import ConfigError, Location

DOCUMENT = """\
pipeline: p
sources:
  eia:
    type: rest
    query: {frequency: daily, "data[0]": value}
    keys:
      - a
      - b
"""


def place(location):
    return location.line, location.column, location.end_column


@pytest.fixture
def tree():
    return load(DOCUMENT, "p.yml")


def only(text):
    node = load(text, "p.yml")
    assert isinstance(node, Mapping)
    scalar = next(iter(node.entries.values())).value
    assert isinstance(scalar, Scalar)
    return scalar


def shown(scalar, part, length=None):
    """The text that the caret line underlines for the first occurrence of ``part`` in the value."""
    at = offset_location(scalar, scalar.value.index(part), len(part) if length is None else length)
    return at.line, at.source[at.column - 1 : at.end_column - 1]


def test_plain_is_ordinary_data(tree):
    assert plain(tree)["sources"]["eia"] == {
        "type": "rest",
        "query": {"frequency": "daily", "data[0]": "value"},
        "keys": ["a", "b"],
    }


@pytest.mark.parametrize(
    ("path", "key", "expected"),
    [
        ((), False, (1, 1, 12)),
        (("pipeline",), False, (1, 11, 12)),
        (("pipeline",), True, (1, 1, 9)),
        (("sources", "eia", "type"), False, (4, 11, 15)),
        (("sources", "eia", "type"), True, (4, 5, 9)),
        (("sources", "eia", "query", "data[0]"), True, (5, 31, 40)),
        (("sources", "eia", "query"), False, (5, 12, 48)),
        (("sources", "eia", "keys", 1), False, (8, 9, 10)),
        (("sources", "eia", "keys", 1), True, (8, 9, 10)),
        (("sources", "eia", "path"), False, (3, 3, 6)),
        (("sources", "eia", "keys", 7), False, (6, 5, 9)),
        (("sources", "eia", "type", "deeper"), False, (4, 11, 15)),
        (("sources", "eia", "rest", "query", "frequency"), False, (5, 24, 29)),
        (("absent",), False, (1, 1, 12)),
        ((True, -1), False, (1, 1, 12)),
    ],
)
def test_a_path_is_found_or_its_deepest_part(tree, path, key, expected):
    at = locate(tree, path, key=key)
    assert place(at) == expected
    assert at.file == "p.yml"
    assert at.source == DOCUMENT.splitlines()[at.line - 1]


def test_a_missing_value_stands_at_its_key():
    tree = load("a:\n  b:\n  c: 1\n")
    assert place(locate(tree, ("a", "b"))) == (2, 3, 4)


def test_find_is_exact(tree):
    assert find(tree, ("sources", "eia", "type")).value == "rest"
    assert find(tree, ("sources", "rest", "eia")) is None


def test_walk_gives_every_value_in_order():
    tree = load("a: [1, {b: 2}]\nc: 3\n")
    assert [(path, scalar.value) for path, scalar in walk(tree)] == [(("a", 0), 1), (("a", 1, "b"), 2), (("c",), 3)]


@pytest.mark.parametrize(
    "text",
    [
        "sql: |\n  select a,\n\n    wrong\n  from t\n",
        "sql: |2\n    select a,\n\n   wrong\n  from t\n",
        "sql: |-   # comment\n\n\n  select a,\n    wrong\n",
        "sql: >\n  select a,\n  wrong\n  from t\n",
        "sql: >-\n\n  select a,\n\n    wrong\n  from t\n",
        "sql: select a,\n  wrong from t\n",
        "sql: 'it''s a,\n\n   wrong from t'\n",
        'sql: "tab\\t and\\u00e9 \\\n   a,  wrong from t"\n',
        'sql: "\\ud83d\\ude00 \\x41 😀 wrong"\n',
        "sql: &anchor\n  # comment\n  'a wrong'\n",
        "{sql: a wrong}\n",
        '{"sql":\n "a wrong"}\n',
        "sql: 😀é wrong\r\n",
        "sql: a\tb wrong\n",
        'sql: "a\tb wrong"\n',
    ],
)
def test_a_part_of_a_text_is_found_in_the_document(text):
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "wrong" in row)
    assert shown(only(text), "wrong") == (line, "wrong")


def test_a_doubled_quote_and_an_escape_are_underlined_whole():
    assert shown(only("a: 'x''y'"), "'") == (1, "'")
    at = offset_location(only("a: 'x''y'"), 1, 1)
    assert (at.column, at.end_column) == (6, 7)
    at = offset_location(only('a: "x\\u0041y"'), 2, 1)
    assert at.source[at.column - 1] == "y"


def test_a_part_over_several_lines_is_clipped_to_its_first():
    scalar = only("sql: |\n  select\n  wrong\n")
    assert place(offset_location(scalar, 2, 100)) == (2, 5, 10)


@pytest.mark.parametrize(("offset", "length"), [(100, 1), (-5, 1), (3, 0), (3, 10**9)])
def test_an_offset_outside_the_text_stays_in_the_document(offset, length):
    at = offset_location(only("a: text"), offset, length)
    assert at.line == 1
    assert 4 <= at.column < at.end_column <= 9


def test_an_empty_text_has_its_own_place():
    scalar = only('a: ""')
    assert offset_location(scalar, 0) == scalar.at


def test_a_scalar_without_a_document_has_its_own_place():
    at = Location("generated", 1, 1, 2)
    assert offset_location(Scalar("x y", "x y", at), 2) == at


def test_parts_behind_a_replaced_placeholder_are_found_where_they_stand():
    scalar = only("sql: |\n  a ${param.x} wrong\n")
    replaced = Scalar(
        "a 12345678901234567890 wrong\n",
        scalar.text,
        scalar.at,
        scalar.style,
        scalar.origin,
        (Replacement(2, 12, 2, 22),),
    )
    assert shown(replaced, "wrong") == (2, "wrong")
    assert shown(replaced, "123") == (2, "${param.x}")
    assert shown(replaced, "90 w") == (2, "${param.x}")
    assert shown(replaced, "a") == (2, "a")
    assert shown(replaced, "a 12") == (2, "a ${param.x}")


_WORDS = st.lists(
    st.sampled_from(["a", "b'", '"c', "\\d", "😀", "\t", "  ", ": ", "\n", "\n\n", "\n   ", "$"]), max_size=9
)


@settings(max_examples=120, deadline=2000)
@given(_WORDS.map("".join), st.sampled_from(["literal", "folded", "single", "double", "plain"]))
@example("a", "literal")
def test_every_character_is_found_where_it_stands(text, style):
    match style:
        case "literal" | "folded":
            mark = "|2" if style == "literal" else ">2"
            document = f"key: {mark}\n" + "".join(f"  {line}\n" for line in text.split("\n"))
        case "single":
            document = "key: '" + text.replace("'", "''") + "'\n"
        case "double":
            document = 'key: "' + text.replace("\\", "\\\\").replace('"', '\\"') + '"\n'
        case "plain":
            document = f"key: {text}\n"
    try:
        tree = load(document.replace("\n", "\n ") if style in {"single", "double", "plain"} else document)
    except ConfigError:
        assume(False)
    scalar = tree.get("key") if isinstance(tree, Mapping) else None
    assume(isinstance(scalar, Scalar) and isinstance(scalar.value, str) and scalar.value)
    for offset, character in enumerate(scalar.value):
        at = offset_location(scalar, offset)
        if not character.isspace():
            assert at.source[at.column - 1] in {character, "\\"}, (offset, character, at)


def test_sequences_and_mappings_of_one_line_are_underlined_whole():
    tree = load("a: [1, 2] # c\nb: {c: d}  \n")
    assert isinstance(tree, Mapping)
    assert isinstance(tree.get("a"), Sequence)
    assert place(tree.get("a").at) == (1, 4, 10)
    assert place(tree.get("b").at) == (2, 4, 10)
