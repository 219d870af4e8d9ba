import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.connectors.rest.path import parse_path, path_of, pointer, shown


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("data", ("data",)),
        ("response.data", ("response", "data")),
        ('"a.b".c', ("a.b", "c")),
        (r'a."say \"x\" \\"', ("a", 'say "x" \\')),
        ("@odata/nextLink", ("@odata/nextLink",)),
        ("größe.wert-1", ("größe", "wert-1")),
    ],
)
def test_a_path_is_names_between_dots(text, parts):
    assert parse_path(text) == parts


@pytest.mark.parametrize("text", [".", "a.", ".a", "a..b", "a b", "a[0]", "$.a", '"a', 'a"b"', '"a"b', "a\nb", " "])
def test_what_is_no_path_is_refused_with_its_position(text):
    with pytest.raises(ValueError, match="at position"):
        parse_path(text)


@given(st.lists(st.text(min_size=1), min_size=1).map(tuple))
def test_a_pointer_holds_any_names(parts):
    assert path_of(pointer(parts)) == parts


@given(st.lists(st.text(min_size=1), min_size=1).map(tuple))
def test_every_name_can_be_quoted(parts):
    quoted = ".".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)
    if "\n" not in quoted:
        assert parse_path(quoted) == parts


def test_a_path_is_shown_as_it_is_written():
    assert (shown(("a", "b")), shown(())) == ("a.b", "the answer itself")
