"""``params:`` of a document: what is declared, what is given, and the typed value that ``${param.X}`` stands for."""

from __future__ import annotations

import math
import re
import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation, localcontext
from typing import TYPE_CHECKING, Final

from penstock.document.models import ParamSpec
from penstock.document.template import Filled, Values, try_fill
from penstock.document.tree import Mapping, Scalar, is_null
from penstock.document.validation import Owner, validate
from penstock.errors import ConfigError, Problem, nearest
from penstock.secret import Secret
from penstock.structs import Frozen, replace
from penstock.types import Decimal as DecimalType
from penstock.types import Kind, Primitive, parse_type

if TYPE_CHECKING:
    from collections.abc import Mapping as AbstractMapping

    from penstock.document.tree import Node, Value
    from penstock.errors import Location
    from penstock.types import LogicalType

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,20}")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?(?:inf|nan)", re.IGNORECASE)
_BOOLEANS: Final = {"true": True, "false": False}
_INTEGER_KINDS: Final = re.compile(r"(u?)int(8|16|32|64)")
_MAX_SHOWN: Final = 60
_PLAIN: Final = "string, boolean, integers, floats, decimal, date, time, timestamp, timestamptz and uuid"


class Params(Frozen):
    """``values`` of every parameter that has a usable one; ``broken`` are the names of the others.

    Every broken one has its problem among ``problems``, so that a placeholder which names it need not say it again.
    """

    values: AbstractMapping[str, Value]
    broken: frozenset[str]
    problems: tuple[Problem, ...]


def read_params(section: Node | None, given: AbstractMapping[str, str], values: Values) -> Params:
    """The values of a document's parameters: what is given on the command line, else the default.

    ``section`` is the node under ``params``, ``given`` the texts by name, ``values`` what the defaults' placeholders
    stand for. Problems are DOC-158 to DOC-161, those of placeholders in the section, and those of types.
    """
    reader = _Reader(given, replace(values, params=None))
    reader.section(section)
    reader.unknown()
    return Params(reader.values, frozenset(reader.declared - reader.values.keys()), tuple(reader.problems))


class _Reader:
    def __init__(self, given: AbstractMapping[str, str], values: Values) -> None:
        self.values: dict[str, Value] = {}
        self.declared: set[str] = set()
        self.problems: list[Problem] = []
        self._given = given
        self._replacements = values

    def section(self, section: Node | None) -> None:
        if section is None or is_null(section):
            return
        if not isinstance(section, Mapping):
            self.problems.append(Problem("DOC-203", '"params" is a map of names', at=section.at))
            return
        filled = try_fill(section, self._replacements)
        self.problems.extend(filled.problems)
        assert isinstance(filled.node, Mapping)
        for name, entry in filled.node.entries.items():
            self.declared.add(name)
            if not _NAME.fullmatch(name):
                self._wrong(f'"{name}" is not a name of a parameter', entry.key.at, hint="use a-z, 0-9 and _")
            elif not isinstance(entry.value, Mapping):
                self._wrong(
                    f'the parameter "{name}" is a map', entry.value.at, hint=f"write `{name}: {{type: string}}`"
                )
            else:
                self.parameter(name, entry.value, filled, entry.key.at)

    def parameter(self, name: str, node: Mapping, filled: Filled, at: Location) -> None:
        # The default is typed below, by the declared type and not by how it looks.
        bare = Mapping({key: entry for key, entry in node.entries.items() if key != "default"}, node.at)
        spec, problems = validate(ParamSpec, bare, Owner(f'parameter "{name}"'), at=at)
        self.problems.extend(replace(problem, code="DOC-160") for problem in problems)
        typed = self._type(spec.type, node) if spec is not None else None
        if typed is None:
            return
        try:
            self._value(name, node.get("default"), typed=typed, filled=filled, at=at)
        except ConfigError as error:
            self.problems.extend(error.problems)

    def _type(self, text: str, node: Mapping) -> tuple[LogicalType, bool] | None:
        stated = node.get("type")
        place = stated.at if stated else node.at
        try:
            kind, nullable = parse_type(text, at=place)
        except ConfigError as error:
            self.problems.extend(error.problems)
            return None
        if not _is_plain(kind):
            self._wrong(f'a parameter cannot be of the type "{kind}"', place, detail=f"parameters are of {_PLAIN}.")
            return None
        return kind, nullable

    def _value(
        self, name: str, default: Node | None, *, typed: tuple[LogicalType, bool], filled: Filled, at: Location
    ) -> None:
        kind, nullable = typed
        if name in self._given:
            self.values[name] = typed_value(self._given[name], kind, owner=f'the parameter "{name}"', at=None)
        elif default is None:
            raise ConfigError(
                "DOC-161",
                f'the parameter "{name}" has no value',
                at=at,
                hint=f"give it one: --param {name}=... or `default:`",
            )
        elif not isinstance(default, Scalar):
            raise ConfigError("DOC-160", f'the default of "{name}" is one value', at=default.at)
        elif default.at not in filled.unresolved:
            self.values[name] = _default(name, default, kind, nullable=nullable)

    def unknown(self) -> None:
        for name in self._given.keys() - self.declared:
            near = nearest(name, self.declared)
            known = f"the document declares {', '.join(sorted(self.declared))}." if self.declared else None
            hint = f'did you mean "{near}"?' if near else None
            message = f'the document has no parameter "{name}"'
            self.problems.append(Problem("DOC-159", message, detail=known, hint=hint))

    def _wrong(self, message: str, at: Location, *, detail: str | None = None, hint: str | None = None) -> None:
        self.problems.append(Problem("DOC-160", message, at=at, detail=detail, hint=hint))


def _default(name: str, node: Scalar, kind: LogicalType, *, nullable: bool) -> Value:
    owner = f'the default of "{name}"'
    if isinstance(node.value, Secret):
        if kind != Primitive(Kind.STRING):
            raise ConfigError("DOC-158", f"{owner} is a secret, which is a string", at=node.at)
        return node.value
    if node.value is None:
        if not nullable:
            raise ConfigError(
                "DOC-158", f"{owner} is null", at=node.at, detail=f'the type "{kind}" takes none, "{kind}?" does.'
            )
        return None
    return typed_value(str(node.value) if node.replacements else node.text, kind, owner=owner, at=node.at)


def _is_plain(kind: LogicalType) -> bool:
    return isinstance(kind, DecimalType) or (
        isinstance(kind, Primitive) and kind.kind not in {Kind.INTERVAL, Kind.BINARY, Kind.JSON}
    )


def typed_value(text: str, kind: LogicalType, *, owner: str, at: Location | None) -> Value:
    """The value that a text spells in a type. Times are ISO 8601; a timestamptz without a zone is UTC.

    Raises ConfigError DOC-158, which names the ``owner`` of the text and shows the text shortened.
    """
    try:
        return _decimal(text, kind) if isinstance(kind, DecimalType) else _primitive(text, kind)
    except (ValueError, InvalidOperation):
        shown = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
        raise ConfigError("DOC-158", f'{owner} is of type {kind}, which "{shown}" is not', at=at) from None


def _decimal(text: str, kind: DecimalType) -> Decimal:
    if not _FLOAT.fullmatch(text):
        raise ValueError(text)
    with localcontext() as context:
        context.prec = kind.precision
        value = Decimal(text)
        exact = value.quantize(Decimal(1).scaleb(-kind.scale))  # InvalidOperation where it has too many digits
    if not value.is_finite() or exact != value:
        raise ValueError(text)
    return exact


def _primitive(text: str, kind: LogicalType) -> Value:
    assert isinstance(kind, Primitive)
    match kind.kind:
        case Kind.STRING:
            return text
        case Kind.BOOLEAN:
            if text.lower() not in _BOOLEANS:
                raise ValueError(text)
            return _BOOLEANS[text.lower()]
        case Kind.FLOAT32 | Kind.FLOAT64:
            return _float(text)
        case Kind.DATE:
            return date.fromisoformat(text)
        case Kind.TIME:
            clock = time.fromisoformat(text)
            if clock.tzinfo is not None:
                raise ValueError(text)
            return clock
        case Kind.TIMESTAMP:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is not None:
                raise ValueError(text)
            return moment
        case Kind.TIMESTAMPTZ:
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        case Kind.UUID:
            return str(uuid.UUID(text))
        case _:
            return _integer(text, kind.kind)


def _float(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise ValueError(text)
    value = float(text)
    if math.isinf(value) and "inf" not in text.lower():
        raise ValueError(text)
    return value


def _integer(text: str, kind: Kind) -> int:
    match = _INTEGER_KINDS.fullmatch(kind.value)
    if match is None or not _INTEGER.fullmatch(text):
        raise ValueError(text)
    bits, value = int(match[2]), int(text)
    lowest, highest = (0, 2**bits - 1) if match[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if not lowest <= value <= highest:
        raise ValueError(text)
    return value
