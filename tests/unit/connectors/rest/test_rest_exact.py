import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.connectors.rest.exact import quoted, quoted_with_care

LONG = b'{"a": 12345678901234567.89, "b": [-1234567890.1234567, 1], "c": 12345678901234567e-3}'


@pytest.mark.parametrize("quote", [quoted, quoted_with_care])
def test_long_numbers_become_text_and_short_ones_stay(quote):
    assert json.loads(quote(LONG)) == {
        "a": "12345678901234567.89",
        "b": ["-1234567890.1234567", 1],
        "c": "12345678901234567e-3",
    }


def test_a_text_that_looks_like_a_number_breaks_the_fast_way_and_not_the_careful_one():
    page = json.dumps({"a": 'x: 12345678901234567.89, "y', "b": "\\"}).encode()
    with pytest.raises(ValueError):
        json.loads(quoted(page))
    assert quoted_with_care(page) == page


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def unquoted(value):
    """Numbers as exact decimals, texts that may be quoted numbers as they are."""
    match value:
        case dict():
            return {key: unquoted(item) for key, item in value.items()}
        case list():
            return [unquoted(item) for item in value]
        case Decimal():
            return str(value)
        case _:
            return value


@given(VALUES, st.booleans())
def test_the_careful_way_keeps_every_json_the_same_but_for_quotes(value, ascii_only):
    page = json.dumps(value, ensure_ascii=ascii_only)
    read = {"parse_float": lambda text: text, "parse_int": lambda text: text}
    page_bytes = page.encode("utf-8", "surrogatepass")
    after = json.loads(quoted_with_care(page_bytes).decode("utf-8", "surrogatepass"), **read)
    assert unquoted(after) == unquoted(json.loads(page, **read))
