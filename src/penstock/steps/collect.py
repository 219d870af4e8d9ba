"""All that is wrong with the parts of a step, at once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from penstock.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

Part = TypeVar("Part")
Made = TypeVar("Made")


@contextmanager
def together() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Within it, each ``with part():`` keeps its problems for the end, where one ConfigError has the problems of all.

    What a part makes is used after the end, or by a part that is written inside it.
    """
    problems: list[Problem] = []

    @contextmanager
    def part() -> Iterator[None]:
        try:
            yield
        except ConfigError as error:
            problems.extend(error.problems)

    yield part
    if problems:
        raise ConfigError.of(dict.fromkeys(problems))


def each(parts: Iterable[Part], make: Callable[[Part], Made]) -> tuple[Made, ...]:
    """``make`` of every part; where some fail, one ConfigError with the problems of all of them."""
    made: list[Made] = []
    with together() as part:
        for item in parts:
            with part():
                made.append(make(item))
    return tuple(made)
