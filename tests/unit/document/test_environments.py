"""Maps laid over maps: what stays, what is replaced, and where each value comes from."""

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.document.environments import Layer, merge, values_of
from penstock.document.loader import load
from penstock.document.template import Values, fill
from penstock.document.tree import plain
from penstock.errors import Location
from penstock.secret import Secret

NOWHERE = Location("x", 1, 1, 2)


def merged(base, over=None, environment="prod"):
    layers = [Layer(load(base, "base.yml"))]
    return merge([*layers, *([Layer(load(over, "over.yml"), environment)] if over else [])], NOWHERE)


def test_maps_merge_by_key_and_everything_else_is_replaced_whole():
    found = merged(
        "a: {b: 1, c: {d: 2}}\ne: [1, 2]\nf: 1\ng: {h: 1}\n", "a: {c: {d: 3, x: 4}}\ne: [9]\nf: {y: 1}\ng: 5\n"
    )
    assert plain(found.node) == {"a": {"b": 1, "c": {"d": 3, "x": 4}}, "e": [9], "f": {"y": 1}, "g": 5}


def test_a_null_is_a_value():
    assert plain(merged("a: {b: 1}", "a: {b: null}").node) == {"a": {"b": None}}


def test_every_value_names_its_environment_and_its_place():
    found = {value.path: value for value in values_of(merged("a: {b: 1, c: 2}\n", "a: {c: 3}\nd: [x, {e: y}]\n"))}
    assert {path: value.environment for path, value in found.items()} == {
        "a.b": None, "a.c": "prod", "d[0]": "prod", "d[1].e": "prod",
    }  # fmt: skip
    assert (found["a.b"].at.file, found["a.c"].at.file, found["a.c"].at.column) == ("base.yml", "over.yml", 8)


def test_values_look_as_they_would_in_a_document():
    text = "a: x\nb: 5\nc: true\nd: null\ne: 1.5\nf: .inf\ng: .nan\nh: -.inf\n'o''k': 'é \"'\n"
    assert {value.path: value.value for value in values_of(merged(text))} == {
        "a": '"x"', "b": "5", "c": "true", "d": "null", "e": "1.5", "f": ".inf", "g": ".nan", "h": "-.inf",
        '["o\'k"]': '"é \\""',
    }  # fmt: skip


class OneSecret:
    def get(self, name):
        return Secret("hunter2") if name == "s" else None

    def names(self):
        return ()


def test_no_secret_is_shown_neither_where_it_stands_nor_where_its_text_is_written():
    tree = fill(load("a: x ${secret.s}\nb: in the clear\nc: ${env.X}\n"), Values({"X": "y"}, OneSecret()))
    hidden = {tree.get("b").at}
    found = {value.path: value for value in values_of(merge([Layer(tree)], NOWHERE), hidden=hidden)}
    assert (found["a"].value, found["a"].written) == ("***", "x ${secret.s}")
    assert (found["b"].value, found["b"].written) == ("***", None)
    assert (found["c"].value, found["c"].written) == ('"y"', "${env.X}")
    assert "hunter2" not in str(found)
    assert "in the clear" not in str(found)


_MAPS = st.recursive(
    st.integers() | st.text("ab", max_size=2) | st.none() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), _MAPS), st.dictionaries(st.sampled_from("abc"), _MAPS))
def test_merging_is_what_a_few_lines_over_plain_data_say(base, over):
    import json

    def expected(left, right):
        if not (isinstance(left, dict) and isinstance(right, dict)):
            return right
        return {**left, **{key: expected(left[key], value) if key in left else value for key, value in right.items()}}

    assert plain(merged(json.dumps(base), json.dumps(over)).node) == expected(base, over)
