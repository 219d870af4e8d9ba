"""The largest and worst documents: read or refused in time."""

import time

import pytest

from penstock.document.loader import load
from penstock.document.template import MAX_PROBLEMS, Values, try_fill
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


def alias_bomb():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    return "\n".join(lines)


@pytest.mark.parametrize("pure", [False, True], ids=["libyaml", "pure"])
def test_more_values_than_a_document_may_have_are_refused(pure):
    with pytest.raises(ConfigError) as caught:
        load("[" + "1," * 100_000 + "]", pure=pure)
    assert [(p.code, p.at.line) for p in caught.value.problems] == [("DOC-109", 1)]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        "? " * 500_000,
        "&a " * 300_000,
        "a: 1\n" * 200_000,
        "'" * 1_000_000,
        "%" * 1_000_000,
        "a: >\n" + "  x\n\n" * 180_000,
        "[" + "aaaa," * 99_000 + "]",
        alias_bomb(),
    ],
    ids=["brackets", "questions", "anchors", "duplicates", "quotes", "percents", "folded", "long line", "bomb"],
)
def test_hostile_documents_of_the_largest_size_end_in_time(text):
    started = time.perf_counter()
    outcome(text, pure=False)
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize(
    "text",
    [
        "${env.X}" * 100_000,
        "${" * 400_000,
        "${param.x} " * 90_000,
        "$${" * 300_000,
        "${a" + "$" * 900_000,
        "${a.b}\n" * 100_000,
    ],
)
def test_a_text_full_of_placeholders_is_replaced_or_refused_in_time(text):
    class NoSecrets:
        def get(self, name):
            del name

        def names(self):
            return ()

    tree = load("a: |\n" + "".join(f"  {line}\n" for line in text.split("\n")))
    started = time.perf_counter()
    found = try_fill(tree, Values({"X": "x"}, NoSecrets()))
    assert time.perf_counter() - started < 10
    assert len(found.problems) <= MAX_PROBLEMS
