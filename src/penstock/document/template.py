"""``${env.X}``, ``${param.X}`` and ``${secret.X}`` in the scalars of a parsed document.

Replacement works on values after parsing, never on text before it, so that no value can add a key; it is done once, so
that a value which looks like a placeholder stays what it is. ``$${`` stands for ``${``.

What comes of it: a scalar that is exactly one ``${param.X}`` takes the parameter's typed value. Everything else is
text, which the field that takes it types (``port: ${env.PORT}`` is a number because a port is one). A text with a
secret in it is a :class:`Secret` as a whole.
"""

from __future__ import annotations

import re
from datetime import date, time
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from penstock.document.tree import Entry, Mapping, Replacement, Scalar, Sequence, offset_location
from penstock.errors import ConfigError, Problem, nearest
from penstock.secret import Secret
from penstock.structs import Frozen, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from collections.abc import Mapping as AbstractMapping

    from penstock.document.tree import Node, Value
    from penstock.errors import Location

    _Place: TypeAlias = Callable[[], Location]  # found only when something is wrong there: it takes time

MAX_TEXT_CHARACTERS: Final = 1024 * 1024  # of one scalar with its placeholders replaced
MAX_TOTAL_CHARACTERS: Final = 4 * 1024 * 1024  # of all of them
MAX_PROBLEMS: Final = 50  # that are told at once

_PART: Final = re.compile(r"\$\$(?=\{)|\$\{([^{}\n]*)\}|(?P<nested>\$\{[^{}\n]*\$\{[^{}\n]*\}[^{}\n]*\})|\$\{")
_NAME: Final = re.compile(r"(\w+)\.([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MAX_SHOWN: Final = 60
_KINDS: Final = ("env", "param", "secret")


class SecretSource(Protocol):
    """Where secrets come from; ``secrets.Secrets`` is one."""

    def get(self, name: str) -> Secret | None:
        """The secret, None where there is none of that name. Raises ConfigError where the store is unreadable."""
        ...

    def names(self) -> Collection[str]:
        """The names there are, for a hint."""
        ...


class Values(Frozen):
    """What placeholders stand for. ``params`` is None where no parameter may stand: among their own defaults."""

    environment: AbstractMapping[str, str]
    secrets: SecretSource
    params: AbstractMapping[str, Value] | None = field(default_factory=dict)
    broken: Collection[str] = ()  # parameters without a usable value, for which a problem stands already


class Filled(Frozen):
    """A tree with its placeholders replaced, and what is wrong with those that were not.

    ``unresolved`` are the places of the scalars that hold such a placeholder: what is said about their values is no
    news.
    """

    node: Node
    problems: tuple[Problem, ...]
    unresolved: frozenset[Location]


def fill(node: Node, values: Values) -> Node:
    """The tree with every placeholder replaced; places are kept.

    Raises ConfigError with all that is wrong: DOC-150 to DOC-156, DOC-190 for a missing secret, or what reading the
    secrets raised.
    """
    filled = try_fill(node, values)
    if filled.problems:
        raise ConfigError.of(filled.problems)
    return filled.node


def try_fill(node: Node, values: Values) -> Filled:
    """As ``fill``, with the problems in the result."""
    filler = _Filler(values)
    filled = filler.node(node)
    problems = dict.fromkeys(filler.problems)  # an alias repeats what is wrong with its anchor
    return Filled(filled, tuple(problems), frozenset(filler.unresolved))


def text_of(value: Value) -> str:
    """How a value stands inside a longer text: ISO 8601 for times, ``true``/``false``, digits; of a secret the text."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case Decimal():
            return format(value, "f")
        case date() | time():  # a datetime is a date
            return value.isoformat()
        case Secret():
            return value.reveal()
        case int() | float():
            return str(value)


class _Filler:
    def __init__(self, values: Values) -> None:
        self.problems: list[Problem] = []
        self._values = values
        self.unresolved: set[Location] = set()
        self._total = 0
        self._wrong = 0
        self._store_error: str | None = None

    def node(self, node: Node) -> Node:
        match node:
            case Scalar():
                return self._scalar(node)
            case Sequence():
                return Sequence(tuple(self.node(item) for item in node.items), node.at)
            case Mapping():
                entries = {name: Entry(self._key(one.key), self.node(one.value)) for name, one in node.entries.items()}
                return Mapping(entries, node.at)

    def _key(self, key: Scalar) -> Scalar:
        match = _PART.search(key.text)
        if match and match[1] is not None:
            at = partial(offset_location, key, match.start(), len(match[0]))
            self._problem("DOC-155", "a placeholder cannot stand in a key", at, hint="write the key out")
        return key

    def _scalar(self, scalar: Scalar) -> Scalar:
        if not isinstance(scalar.value, str) or "${" not in scalar.value:
            return scalar
        parts = [self._part(scalar, match) for match in _PART.finditer(scalar.value)]
        if None in parts:
            self.unresolved.add(scalar.at)
        filled = _assemble(scalar, [part for part in parts if part is not None])
        size = len(text_of(filled.value))
        self._total += size
        if size > MAX_TEXT_CHARACTERS or self._total > MAX_TOTAL_CHARACTERS:
            self._problem("DOC-154", "the text is too long with its placeholders replaced", lambda: scalar.at)
            self.unresolved.add(scalar.at)
            return scalar
        return filled

    def _part(self, scalar: Scalar, match: re.Match[str]) -> tuple[int, int, Value] | None:
        """Start, end and value of one placeholder; None, and a problem, where it has no value."""
        if match[0] == "$$":
            return match.start(), match.end(), "$"
        at = partial(offset_location, scalar, match.start(), len(match[0]))
        named = _NAME.fullmatch(match[1]) if match[1] is not None else None
        if named is None:
            what = "holds another" if match["nested"] else "is not closed" if match[1] is None else "is not understood"
            self._problem(
                "DOC-150",
                f'the placeholder "{_shorten(match[0])}" {what}',
                at,
                detail="placeholders are ${env.NAME}, ${param.NAME} and ${secret.NAME}.",
                hint='write "$${" where the text itself is meant',
            )
            return None
        wrong = self._wrong
        if named[1] == "param" and named[2] in self._values.broken:
            return None
        value = self._value(named[1], named[2], at)
        if value is None and match[0] != scalar.value and self._wrong == wrong:
            self._problem("DOC-156", f'the parameter "{named[2]}" is null and cannot stand inside a text', at)
        return (match.start(), match.end(), value) if self._wrong == wrong else None

    def _value(self, kind: str, name: str, at: _Place) -> Value:
        match kind:
            case "env":
                return self._environment(name, at)
            case "param":
                return self._param(name, at)
            case "secret":
                return self._secret(name, at)
            case _:
                near = nearest(kind, _KINDS)
                self._problem(
                    "DOC-151",
                    f'there is no kind of placeholder "{kind}"',
                    at,
                    detail="the kinds are env, param and secret.",
                    hint=f'did you mean "${{{near}.{name}}}"?' if near else None,
                )
                return None

    def _environment(self, name: str, at: _Place) -> Value:
        text = self._values.environment.get(name)
        if text is None:
            self._unknown(
                "DOC-153",
                f'the environment variable "{name}" is not set',
                name=name,
                known=self._values.environment,
                at=at,
            )
        elif _SURROGATE.search(text):  # how Python shows bytes that are not UTF-8
            self._problem("DOC-153", f'the environment variable "{name}" is not text in UTF-8', at)
        return text

    def _param(self, name: str, at: _Place) -> Value:
        params = self._values.params
        if params is None:
            self._problem("DOC-152", "a parameter's default cannot stand for another parameter", at)
            return None
        if name not in params:
            known = [*params, *self._values.broken]
            self._unknown("DOC-152", f'there is no parameter "{name}"', name=name, known=known, at=at)
            return None
        return params[name]

    def _secret(self, name: str, at: _Place) -> Value:
        try:
            secret = self._values.secrets.get(name)
            near = nearest(name, self._values.secrets.names()) if secret is None else None
        except ConfigError as error:  # the store itself: said once, at the first secret that needs it
            self._store_is_unreadable(error, at)
            return None
        if secret is None:
            self._problem(
                "DOC-190",
                f'there is no secret "{name}"',
                at,
                detail=f"neither PENSTOCK_SECRET_{name.upper()} nor the project's secrets file has it.",
                hint=f'did you mean "{near}"?' if near else f"run `penstock secrets set {name}`",
            )
        return secret

    def _store_is_unreadable(self, error: ConfigError, at: _Place) -> None:
        self._wrong += 1
        if self._store_error is None:
            self._store_error = error.code
            self.problems.extend(replace(problem, at=problem.at or at()) for problem in error.problems)

    def _unknown(self, code: str, message: str, *, name: str, known: Collection[str], at: _Place) -> None:
        near = nearest(name, known)
        self._problem(code, message, at, hint=f'did you mean "{near}"?' if near else None)

    def _problem(
        self, code: str, message: str, at: _Place, *, detail: str | None = None, hint: str | None = None
    ) -> None:
        self._wrong += 1
        if self._wrong <= MAX_PROBLEMS:
            self.problems.append(Problem(code, message, at=at(), detail=detail, hint=hint))


def _assemble(scalar: Scalar, parts: list[tuple[int, int, Value]]) -> Scalar:
    """The scalar with its parts in place, and where each came to stand."""
    assert isinstance(scalar.value, str)
    pieces: list[str] = []
    replacements: list[Replacement] = []
    before = length = 0
    for start, end, value in parts:
        text = text_of(value)
        length += start - before
        replacements.append(Replacement(start, end, length, length + len(text), value))
        pieces += [scalar.value[before:start], text]
        before, length = end, length + len(text)
    whole = "".join([*pieces, scalar.value[before:]])
    return replace(scalar, value=_whole(scalar.value, whole, parts), replacements=tuple(replacements))


def _whole(original: str, text: str, parts: list[tuple[int, int, Value]]) -> Value:
    secrets = tuple(value.reveal() for _, _, value in parts if isinstance(value, Secret))
    if secrets:
        return Secret(text, secrets)
    if len(parts) == 1 and parts[0][:2] == (0, len(original)):
        return parts[0][2]
    return text


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."
