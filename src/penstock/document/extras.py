"""Which of the distributions that an optional extra of ours needs are not installed."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, requires
from typing import Final

_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)[^;]*;.*extra\s*==\s*['\"]([^'\"]+)['\"]")


@cache
def missing_distributions(extra: str) -> tuple[str, ...]:
    """Their names, sorted. Empty also where Penstock itself runs from source without being installed."""
    try:
        requirements = requires("penstock") or []
    except PackageNotFoundError:
        return ()
    found = (match for text in requirements if (match := _REQUIREMENT.match(text)))
    return tuple(sorted({match[1] for match in found if match[2] == extra and not _is_installed(match[1])}))


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
