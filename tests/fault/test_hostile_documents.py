"""The largest and worst documents: read or refused in time."""

import pytest

from hostile_documents import alias_bomb, outcome
from penstock.document.loader import load
from penstock.document.template import MAX_PROBLEMS, Values, try_fill
from penstock.errors import ConfigError


@pytest.mark.parametrize("pure", [False, True], ids=["libyaml", "pure"])
def test_more_values_than_a_document_may_have_are_refused(pure):
    with pytest.raises(ConfigError) as caught:
        load("[" + "1," * 100_000 + "]", pure=pure)
    assert [(p.code, p.at.line) for p in caught.value.problems] == [("DOC-109", 1)]


@pytest.mark.timeout(60)  # what is quadratic takes longer
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
    outcome(text, pure=False)


@pytest.mark.timeout(60)  # as above
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
    found = try_fill(tree, Values({"X": "x"}, NoSecrets()))
    assert len(found.problems) <= MAX_PROBLEMS
