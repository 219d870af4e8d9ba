"""What is said of a value outside the bounds of its field, in the words of documents."""

import pytest
from pydantic import BaseModel, Field

from penstock.document.loader import load
from penstock.document.validation import Owner, validate


class Bounded(BaseModel):
    least: int = Field(default=1, ge=1)
    above: float = Field(default=1, gt=0)
    most: int = Field(default=1, le=32)
    below: int = Field(default=1, lt=5)
    filled: str = Field(default="x", min_length=1)
    short: str = Field(default="x", max_length=1)
    some: list[int] = Field(default=[1], min_length=1)
    few: list[int] = Field(default=[1], max_length=2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("least: 0", "takes 1 or more"),
        ("above: 0", "takes more than 0.0"),
        ("most: 33", "takes 32 or less"),
        ("below: 5", "takes less than 5"),
        ("filled: ''", "takes a text of 1 or more characters"),
        ("short: ab", "takes a text no longer than 1"),
        ("some: []", "takes a list of 1 or more"),
        ("few: [1, 2, 3]", "takes a list no longer than 2"),
    ],
)
def test_a_bound_is_told_in_words(text, words):
    _, (problem,) = validate(Bounded, load(text, "p.yml"), Owner("it"))
    assert problem.message == f'"{text.partition(":")[0]}" of it {words}'
