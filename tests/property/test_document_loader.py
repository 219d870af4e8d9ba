"""Any bytes are read or refused; both parsers agree; whatever JSON can write is read back."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.document.loader import load
from penstock.document.tree import plain
from penstock.errors import ConfigError


def outcome(text, *, pure):
    """The tree, or None where the document is refused as it should be; any other exception fails the test."""
    try:
        return load(text, "p.yml", pure=pure)
    except ConfigError as error:
        refusal = error
    assert all(problem.code.startswith("DOC-1") for problem in refusal.problems)
    assert str(refusal)
    return None


@settings(max_examples=300, deadline=2000)
@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf")
@example(b"\xff")
def test_random_bytes_never_raise_anything_but_config_errors(raw):
    outcome(raw, pure=False)
    outcome(raw, pure=True)


_PIECES = st.sampled_from([
    "a", "key", "'", '"', "\\n", "\\u0041", "\\ud83d\\ude00", ":", ": ", ":\n", "- ", "-", "\n", "\n  ", "\n    ", "\t",
    " ", "{", "}", "[", "]", ",", "|\n  ", "|-\n  ", ">\n ", "|2\n", " # c\n", "&x ", "*x", "? ", "!t ", "@", "~",
    "1", "0x1F", "true", "é", "😀", "---\n", "...\n", "a: b\n", "- c\n", "\r\n", "<<: ",
])  # fmt: skip


@settings(max_examples=600, deadline=2000)
@given(st.lists(_PIECES, max_size=14).map("".join))
@example("&x |\n  a\n")
@example("a b\t*x\n  c")
def test_both_parsers_agree_about_every_document(text):
    fast, slow = outcome(text, pure=False), outcome(text, pure=True)
    assert fast == slow


@settings(max_examples=200, deadline=2000)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10), inner, max_size=4
        ),
        max_leaves=12,
    ),
    st.booleans(),
    st.sampled_from([None, 2, "\t"]),
)  # fmt: skip
def test_whatever_json_writes_is_read_back(value, ascii_only, indent):
    text = json.dumps(value, ensure_ascii=True, indent=indent) if ascii_only else json.dumps(value, indent=indent)
    assert plain(load(text)) == value
