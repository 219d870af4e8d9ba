"""All that is wrong with the parts of a step, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from penstock.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Part = TypeVar("Part")
Made = TypeVar("Made")


def each(parts: Iterable[Part], make: Callable[[Part], Made]) -> tuple[Made, ...]:
    """``make`` of every part; where some fail, one ConfigError with the problems of all of them."""
    made: list[Made] = []
    problems: list[Problem] = []
    for part in parts:
        try:
            made.append(make(part))
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError.of(problems)
    return tuple(made)
