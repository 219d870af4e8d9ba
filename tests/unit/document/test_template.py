"""Placeholders: what they become, where they may stand, and that nothing about them is a surprise."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.document.loader import load
from penstock.document.template import MAX_TEXT_CHARACTERS, Values, fill, text_of
from penstock.document.tree import Mapping, Scalar, locate, offset_location, plain, walk
from penstock.errors import ConfigError
from penstock.secret import Secret


class Vault:
    def __init__(self, **secrets):
        self.secrets = secrets

    def get(self, name):
        return Secret(self.secrets[name]) if name in self.secrets else None

    def names(self):
        return tuple(self.secrets)


VALUES = Values(
    environment={"HOST": "example.org", "PORT": "8080", "EVIL": "${param.n}", "BYTES": "\udcff", "EMPTY": ""},
    secrets=Vault(token="hunter2", other="s3cret"),
    params={
        "n": 5,
        "day": date(2024, 1, 2),
        "at": datetime(2024, 1, 2, 3, 4, tzinfo=UTC),
        "clock": time(3, 4),
        "price": Decimal("1.50"),
        "yes": True,
        "name": "x",
        "nothing": None,
        "hidden": Secret("p4ss"),
    },
)


def filled(text, values=VALUES):
    return fill(load(text, "p.yml"), values)


def value(text):
    return plain(filled(f"v: {text}"))["v"]


def problems(text, values=VALUES):
    with pytest.raises(ConfigError) as caught:
        filled(text, values)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${param.n}", 5),
        ("'${param.n}'", 5),
        ("${param.day}", date(2024, 1, 2)),
        ("${param.price}", Decimal("1.50")),
        ("${param.nothing}", None),
        ("${env.PORT}", "8080"),
        ("${env.EMPTY}", ""),
        ("http://${env.HOST}:${env.PORT}/${param.n}", "http://example.org:8080/5"),
        ("from ${param.day} at ${param.at}, ${param.clock}", "from 2024-01-02 at 2024-01-02T03:04:00+00:00, 03:04:00"),
        ("${param.price} ${param.yes}", "1.50 true"),
        ("$${param.n}", "${param.n}"),
        ("'$${'", "${"),
        ("'$$${param.n}'", "$${param.n}"),
        ("'a $${x} ${param.n}'", "a ${x} 5"),
        ("$5 {x} $x $$", "$5 {x} $x $$"),
        ("${env.EVIL}", "${param.n}"),
        ("'${env.EVIL} ${param.n}'", "${param.n} 5"),
    ],
)
def test_a_placeholder_becomes_its_value(text, expected):
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


def test_keys_numbers_and_other_texts_stay_what_they_are():
    text = "a: 1\nb: [x, true, null]\nc:\n  d: |\n    y\n"
    assert filled(text) == load(text, "p.yml")


def test_a_value_cannot_add_a_key_or_a_line():
    values = Values({"X": "y\nsinks: {a: b}"}, Vault(), {})
    assert plain(filled("a: ${env.X}\nb: 1\n", values)) == {"a": "y\nsinks: {a: b}", "b": 1}


@pytest.mark.parametrize("text", ["${secret.token}", "Bearer ${secret.token}", "${param.hidden} ${param.n}"])
def test_a_text_with_a_secret_in_it_is_secret_as_a_whole(text):
    found = value(text)
    assert isinstance(found, Secret)
    assert found.reveal() in {"hunter2", "Bearer hunter2", "p4ss 5"}


def test_secrets_do_not_show_in_the_tree():
    tree = filled("a: Bearer ${secret.token}\nb: [x, '${secret.other}']\nc: 1\n")
    assert "hunter2" not in repr(tree)
    assert "s3cret" not in repr(tree)
    assert [path for path, scalar in walk(tree) if isinstance(scalar.value, Secret)] == [("a",), ("b", 1)]


def test_places_survive_replacement():
    tree = filled("a:\n  - x ${param.day} wrong\n")
    assert isinstance(tree, Mapping)
    scalar = tree.get("a").items[0]
    assert isinstance(scalar, Scalar)
    assert locate(tree, ("a", 0)).line == 2
    at = offset_location(scalar, scalar.value.index("wrong"), 5)
    assert (at.line, at.column, at.end_column) == (2, 20, 25)


@pytest.mark.parametrize(
    ("text", "code", "place", "hint"),
    [
        ("a: x ${param.n", "DOC-150", (1, 6, 8), None),
        ("a: '${}'", "DOC-150", (1, 5, 8), None),
        ("a: ${n}", "DOC-150", (1, 4, 8), None),
        ("a: ${ param.n }", "DOC-150", (1, 4, 16), None),
        ("a: ${param.n.m}", "DOC-150", (1, 4, 16), None),
        ("a: ${param.é}", "DOC-150", (1, 4, 14), None),
        ("a: '${param.${env.X}}'", "DOC-150", (1, 5, 22), None),
        ("a: |\n  x\n  y ${parm.n}\n", "DOC-151", (3, 5, 14), 'did you mean "${param.n}"?'),
        ("a: ${vault.x}", "DOC-151", (1, 4, 14), None),
        ("a: ${ENV.HOST}", "DOC-151", (1, 4, 15), 'did you mean "${env.HOST}"?'),
        ("a: [1, 'x ${param.dy}']", "DOC-152", (1, 11, 22), 'did you mean "day"?'),
        ("a: ${env.HOTS}", "DOC-153", (1, 4, 15), 'did you mean "HOST"?'),
        ("a: ${env.zzz}", "DOC-153", (1, 4, 14), None),
        ("a: ${env.BYTES}", "DOC-153", (1, 4, 16), None),
        ("x${param.n}: 1", "DOC-155", (1, 2, 12), "write the key out"),
        ("a: x ${param.nothing}", "DOC-156", (1, 6, 22), None),
        ("a: x ${secret.tokn}", "DOC-190", (1, 6, 20), 'did you mean "token"?'),
    ],
)
def test_a_wrong_placeholder_is_named_at_its_place(text, code, place, hint):
    (problem,) = problems(text)
    assert problem.code == code
    assert (problem.at.line, problem.at.column, problem.at.end_column) == place
    if hint or code in {"DOC-152", "DOC-153"}:
        assert problem.hint == hint


def test_all_wrong_placeholders_come_at_once():
    found = problems("a: ${param.x} ${env.X} ${secret.x}\nb: ${c.d}\nc: [1, '${'] \n")
    assert [p.code for p in found] == ["DOC-152", "DOC-153", "DOC-190", "DOC-151", "DOC-150"]


def test_an_alias_does_not_repeat_its_anchors_problem():
    assert len(problems("a: &x ['${param.no}']\nb: *x\nc: *x\n")) == 1


def test_a_missing_secret_never_shows_the_others():
    (problem,) = problems("a: ${secret.toke}")
    assert problem.hint == 'did you mean "token"?'
    assert "hunter2" not in str(problem)


def test_parameters_cannot_stand_in_their_own_defaults():
    (problem,) = problems("a: ${param.n}", Values({}, Vault(), None))
    assert problem.code == "DOC-152"


def test_replacement_is_bounded_in_one_text_and_over_all():
    values = Values({"BIG": "x" * 1000}, Vault(), {})
    assert problems("a: " + "${env.BIG} " * 1100, values)[0].code == "DOC-154"
    many = "".join(f"k{i}: {'${env.BIG} ' * 900}\n" for i in range(6))
    assert {p.code for p in problems(many, values)} == {"DOC-154"}
    assert len(plain(filled("a: " + "${env.BIG}" * 1000, values))["a"]) <= MAX_TEXT_CHARACTERS


@settings(max_examples=100)
@given(st.text(st.sampled_from("${}.abcenvparm secret\n$'\""), max_size=60))
def test_any_text_is_replaced_or_refused(text):
    tree = Scalar(text, text, load("a").at)
    try:
        found = fill(tree, VALUES)
    except ConfigError as error:
        codes = {p.code for p in error.problems}
    else:
        codes = set()
        assert text_of(found.value).count("${") == text.count("$${")
    assert codes <= {"DOC-150", "DOC-151", "DOC-152", "DOC-153", "DOC-156", "DOC-190"}
