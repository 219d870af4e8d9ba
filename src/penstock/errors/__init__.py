"""The only place where exceptions are defined: five classes, told apart by what to do next.

Every problem carries a stable code (``errors/catalogue.py``) and is rendered in one form, for people and as JSON.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from msgspec.structs import force_setattr

from penstock.structs import Frozen, Selective, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "ConfigError",
    "DataError",
    "FatalError",
    "InternalError",
    "Location",
    "PenstockError",
    "Problem",
    "Severity",
    "TransientError",
    "blanked",
    "nearest",
    "together",
]

# What a line of a document may show that nobody should see, in the second group: the password of a URL, and the value of a key that
# sounds like a secret, well spelt or not, but for a reference to one.
_HIDDEN = (
    re.compile(r"(://[^/@\s:]*:)([^@/\s]+)(?=@)"),
    re.compile(
        r"""((?:(?<![\w-])[\w-]{0,40}?(?:passw|passphrase|secret|token|credential|api_?key|access_?key|account_?key)[\w-]{0,40}|\bsas"""
        r"""|\bauth["']?\s*:\s*\{[^}]{0,200}?\bvalue)["']?\s*[:=]\s*)"""
        r"""(?!["']?\$\{)("(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,{}\[\]&"']+)""",
        re.IGNORECASE,
    ),
)

_ENDS = (".", "!", "?", "…")
_SYSTEM = ("connection", "path")  # the keys of a component that say which system it means

Severity = Literal["error", "warning", "info"]


class Location(Frozen, order=True):
    """A span in a document: 1-based line and column (in characters), ``end_column`` exclusive, on the same line.

    ``source`` is the text of that line (for the caret), without its line break; None where the text is not at hand.
    """

    file: str
    line: int
    column: int
    end_column: int
    source: str | None = None

    @property
    def spelling(self) -> str:
        """``pipelines/prices.yml:14:9``."""
        return f"{self.file}:{self.line}:{self.column}"


class Problem(Selective):
    """One thing that is wrong, as a person reads it and a machine gets it.

    ``message`` is short, lower case, without a full stop, and names what is wrong with which named thing; ``detail`` is
    evidence, in sentences; ``hint`` is an action, present only if it is right in all cases. ``about`` are the keys of the component,
    the likeliest first, whose value is the place of a problem that has none of its own yet.
    """

    code: str
    message: str
    at: Location | None = None
    detail: str | None = None
    hint: str | None = None
    severity: Severity = "error"
    about: tuple[str, ...] = ()
    uncompared = frozenset({"about"})

    def __post_init__(self) -> None:
        """A detail is a sentence: it ends in a full stop also where it ends in words of another's."""
        if self.detail and not self.detail.endswith(_ENDS):
            force_setattr(self, "detail", f"{self.detail}.")

    def render(self) -> str:
        """The form of style.md: code and message, place with a caret line, detail, hint."""
        lines = [f"{self.severity}[{self.code}]: {self.message}"]
        if self.at is not None:
            lines.append(f"  --> {self.at.spelling}")
            if self.at.source is not None:
                gutter = str(self.at.line)
                shown, offset = _window(self.at.source, self.at.column - 1, self.at.end_column - 1)
                width = max(1, min(self.at.end_column - self.at.column, len(shown) - offset))
                lines.append(f"{gutter} | {shown}")
                lines.append(f"{' ' * len(gutter)} | {' ' * offset}{'^' * width}")
        if self.detail:
            lines.append(f"detail: {self.detail}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, str | int | None]:
        """Fields of ``validate --json``: code, class, severity, message, file, line, column, detail, hint."""
        from penstock.errors.catalogue import class_of

        return {
            "code": self.code,
            "class": class_of(self.code),
            "severity": self.severity,
            "message": self.message,
            "file": self.at.file if self.at else None,
            "line": self.at.line if self.at else None,
            "column": self.at.column if self.at else None,
            "detail": self.detail,
            "hint": self.hint,
        }


def _window(text: str, column: int, end: int, limit: int = 120) -> tuple[str, int]:
    """The part of a long line around the span from ``column`` to ``end`` (0-based), and the column in it; what must not
    show is blanked: control characters, and secrets.
    """
    for pattern in _HIDDEN:
        text = pattern.sub(lambda match: match[1] + "*" * len(match[2]), text)
    start = 0 if end <= limit else max(column - limit // 2, 0)
    part = text[start : start + limit]
    return blanked(part), column - start


def blanked(text: str) -> str:
    """The text with a space for every character that is none to look at; as long as it was."""
    return "".join(character if character.isprintable() else " " for character in text)


class PenstockError(Exception):
    """Base of the five; never raised itself. Carries one problem, or all problems of a document at once."""

    exit_code: ClassVar[int] = 70
    problems: tuple[Problem, ...]

    def __init__(
        self,
        code: str,
        message: str,
        *,
        at: Location | None = None,
        detail: str | None = None,
        hint: str | None = None,
        about: tuple[str, ...] = (),
    ) -> None:
        self.problems = (Problem(code, message, at=at, detail=detail, hint=hint, about=about),)
        super().__init__(code, message)

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> PenstockError:
        """One exception for many problems, in document order; at least one is needed."""
        found = sorted(problems, key=lambda p: (p.at.file, p.at.line, p.at.column) if p.at else ("", 0, 0))
        error = cls(found[0].code, found[0].message)
        error.problems = tuple(found)
        return error

    def placed(self, at: Location | None, values: Mapping[str, Location] = MappingProxyType({})) -> Self:
        """This error, its problems without a place of their own at the value that they are about, by its key: the first
        that was written of those that a problem names and of those that name a system; else at ``at``.
        """
        self.problems = tuple(
            replace(
                problem,
                at=problem.at or next((values[key] for key in (*problem.about, *_SYSTEM) if key in values), at),
            )
            for problem in self.problems
        )
        return self

    @property
    def code(self) -> str:
        return self.problems[0].code

    def __str__(self) -> str:
        return "\n\n".join(problem.render() for problem in self.problems)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.problems))


def _rebuild(cls: type[PenstockError], problems: tuple[Problem, ...]) -> PenstockError:
    return cls.of(problems)


class ConfigError(PenstockError):
    """The author must mend the document, the settings or the call; trying again changes nothing."""

    exit_code = 2


class DataError(PenstockError):
    """The data broke a rule, a contract or a type and the policy says: fail."""

    exit_code = 1


class TransientError(PenstockError):
    """A system did not answer, or refused for now; the same call may succeed later."""

    exit_code = 3


class FatalError(PenstockError):
    """Stop: going on could lose or double rows. The state is consistent; the message names the way out."""

    exit_code = 4


class InternalError(PenstockError):
    """Our own bug: an invariant of Penstock did not hold."""

    exit_code = 70


_WORST_FIRST: tuple[type[PenstockError], ...] = (InternalError, ConfigError, FatalError, TransientError, DataError)


def together(problems: Sequence[Problem]) -> PenstockError:
    """One exception for problems of any class, of the worst: what the author must mend comes before a stop, then what may
    pass by itself, then the data. At least one is needed.
    """
    from penstock.errors.catalogue import class_of

    found = {class_of(problem.code) for problem in problems}
    return next(cls for cls in _WORST_FIRST if cls.__name__ in found).of(problems)


def nearest(name: str, candidates: Sequence[str] | Iterable[str]) -> str | None:
    """The candidate a person most likely meant, or None where none is near.

    >>> nearest("custmer_id", ["amount", "customer_id"])
    'customer_id'
    """
    from difflib import get_close_matches

    known = {str(candidate).casefold(): str(candidate) for candidate in candidates}
    match = get_close_matches(name.casefold(), list(known), n=1, cutoff=0.6)
    return known[match[0]] if match else None
