"""The allow-list: which expressions of DuckDB mean the same on Spark, and how they are written there.

It is data: the files ``*.toml`` of this folder, a category each. An entry has

- ``duckdb``: one or several forms of an expression, as DuckDB writes it. The names that stand in ``where`` or ``constants``
  are parameters, which stand for any part; ``etc`` as the last argument of a call stands for any number of further ones.
- ``where``: by parameter, the types (kinds.py) that it may have; ``result``: those that the whole may have.
- ``constants``: by parameter, that it has to be a constant, and the function of ``constants`` which says it in Spark's words
  or refuses it.
- ``casts``: by parameter, the type to which DuckDB casts it first.
- ``spark``: the same in Spark's words. Of a decimal ``a`` ``a_power`` is ten to the power of its scale. ``as_result(x)`` is x as the type that DuckDB gives the whole, ``try_as_result(x)``
  null where that type has no such value; of an aggregate or a window function, ``windowed(f(x))`` is the call that a window or a
  filter belongs to.
- ``examples``: expressions that prove it besides those made of its forms and types; needed where there are constants.
- ``stricter``: of which values Spark makes an error although DuckDB does not; ``near``: that the last digits of its floats may
  differ. The suite proves either: it fails where an entry has no need of what it says.
- ``note``: what the reference is to say of it.

A ``cast`` has ``from`` and ``to``, sets of types, ``spark`` of the parameter ``x``, and ``try``, where what cannot be cast becomes
null: true is the same with ``try_as_result``. ``texts`` are constants, such as regular expressions, by the names that stand for
them in ``spark``.

The first entry that fits is taken. Every entry is proven by the parity suite, over every type that it takes.
"""

from __future__ import annotations

import tomllib
from decimal import Decimal as Number
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias, cast

import sqlglot
from sqlglot import exp
from sqlglot.dialects.spark import Spark
from sqlglot.parsers.spark import SparkParser

from penstock.engines.spark import constants
from penstock.engines.spark.portable.kinds import is_kind
from penstock.engines.spark.types import to_spark
from penstock.structs import Frozen, field
from penstock.trees import call, column, identifier
from penstock.types import Decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from penstock.types import LogicalType

Matched: TypeAlias = "dict[str, list[exp.Expr]]"  # the parts that a form's parameters stand for; one, but for ``etc``

Over: TypeAlias = "Callable[[exp.Expr], exp.Expr]"

ETC: Final = "etc"
_EXACT_AS_DOUBLE: Final = 2**53  # the digits of a decimal without its point
_AS_RESULT, _TRY_AS_RESULT, _WINDOWED = "as_result", "try_as_result", "windowed"
_MARKS: Final = frozenset({_AS_RESULT, _TRY_AS_RESULT, _WINDOWED})
_BOUND: Final = "penstock_bound"  # the parameter of a lambda that holds what has a name
_KEPT: Final = frozenset({"CAST", "TRY_CAST", "CASE"})


class Verbatim(Spark):
    """Spark's words as they stand: no function is taken for another dialect's and written differently."""

    class Parser(SparkParser):
        FUNCTIONS: ClassVar = {}
        FUNCTION_PARSERS: ClassVar = {
            name: parser for name, parser in SparkParser.FUNCTION_PARSERS.items() if name in _KEPT
        }
        NO_PAREN_FUNCTIONS: ClassVar = {}


class Entry(Frozen):
    """One way to write something on Spark; see above. ``category`` is the file that it stands in."""

    category: str
    forms: tuple[exp.Expr, ...]
    spark: exp.Expr
    where: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    casts: Mapping[str, str] = field(default_factory=dict)
    result: str | None = None
    examples: tuple[str, ...] = ()
    stricter: str | None = None
    near: bool = False
    note: str | None = None

    @property
    def parameters(self) -> frozenset[str]:
        return frozenset({*self.where, *self.constants})

    def matched(self, tree: exp.Expr) -> Matched | None:
        """What the parameters stand for where the tree has one of the forms."""
        for form in self.forms:
            found: Matched = {}
            if _matches(form, tree, self.parameters, found):
                return found
        return None

    def written(
        self, parts: Mapping[str, Sequence[exp.Expr]], result: LogicalType, over: Over | None = None
    ) -> exp.Expr:
        """The template with these parts, which are in Spark's words already, in place of its parameters. ``over`` is what
        becomes of the aggregates in it, where they are those of a window or have a filter.
        """
        return _substituted(self.spark.copy(), parts, result, over)


def constant(function: str, part: exp.Expr) -> exp.Expr | None:
    """A constant in Spark's words; None where the part is none. Raises ValueError where it cannot be said."""
    text = _text(part)
    if text is None:
        return None
    said = getattr(constants, function)(text)
    return exp.Literal.string(said) if isinstance(said, str) else exp.convert(said)


def is_constant(part: exp.Expr) -> bool:
    """Whether a part is a literal, a negative one, or an interval of one."""
    return _text(part) is not None


def _text(part: exp.Expr) -> str | None:
    """The text of a constant; of an interval with its unit."""
    match part.unnest():
        case (exp.Literal() | exp.Var()) as literal:
            return str(literal.name)
        case exp.Neg(this=exp.Literal() as literal):
            return f"-{literal.name}"
        case exp.Interval(this=exp.Expr() as amount) as interval:
            number, unit = _text(amount), interval.args.get("unit")
            return number if number is None or unit is None else f"{number} {unit.name}"
        case _:
            return None


def entries(key: object) -> tuple[Entry, ...]:
    """The entries that may fit a tree of this key (:func:`key_of`), in their order."""
    return _indexed().get(key, ())


def key_of(tree: exp.Expr) -> object:
    """What entries are found by: the class of a tree, and of a call by its name this."""
    return (type(tree), tree.name.lower()) if isinstance(tree, exp.Anonymous) else type(tree)


@cache
def all_entries() -> tuple[Entry, ...]:
    """Every entry, by category in alphabetical order and within it as it stands."""
    return tuple(entry for category in categories() for entry in _read(category))


@cache
def categories() -> tuple[str, ...]:
    folder = resources.files(__name__)
    return tuple(sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".toml")))


@cache
def casts() -> tuple[Cast, ...]:
    """The table of casts, in its order."""
    return tuple(
        _cast(item, tables.get("texts", {})) for tables in map(_tables, categories()) for item in tables.get("cast", ())
    )


def _cast(item: dict[str, Any], texts: Mapping[str, str]) -> Cast:
    spark = _spark(item["spark"], texts)
    attempt: exp.Expr | None = None
    match item.get("try"):
        case str() as said:
            attempt = _spark(said, texts)
        case True:
            attempt = spark.transform(_attempted)
    return Cast(item["from"], item["to"], spark, attempt, item.get("stricter"))


def _attempted(node: exp.Expr) -> exp.Expr:
    is_mark = isinstance(node, exp.Anonymous) and node.name == _AS_RESULT
    return exp.Anonymous(this=_TRY_AS_RESULT, expressions=node.expressions) if is_mark else node


class Cast(Frozen):
    """A cast of the types ``source`` to the types ``target``: ``spark`` of the parameter ``x``, and ``attempt`` where what
    cannot be cast becomes null; None: nothing fails. Of a decimal ``exact`` is the greatest that a double has
    with all digits; to a decimal ``unit`` is the least above zero, and ``power`` the double of how many of them make one. ``stricter`` as an entry's.
    """

    source: str
    target: str
    spark: exp.Expr
    attempt: exp.Expr | None
    stricter: str | None = None

    def written(self, value: exp.Expr, source: LogicalType, target: LogicalType, *, attempted: bool) -> exp.Expr:
        template = self.attempt if attempted and self.attempt is not None else self.spark
        parts = {"x": [value]}
        if isinstance(source, Decimal):
            parts["exact"] = [_decimal(Number(_EXACT_AS_DOUBLE).scaleb(-source.scale), source.scale)]
        if isinstance(target, Decimal):
            parts["unit"] = [_decimal(Number(1).scaleb(-target.scale), target.scale)]
            parts["power"] = [exp.cast(power_of(target), exp.DType.DOUBLE)]
        return _substituted(template.copy(), parts, target)


def cast_of(source: LogicalType, target: LogicalType) -> Cast | None:
    """The first cast that takes one type to the other."""
    return next((item for item in casts() if is_kind(source, item.source) and is_kind(target, item.target)), None)


def power_of(kind: Decimal) -> exp.Expr:
    """How many of its least values above zero make one, as a whole number."""
    return exp.cast(exp.Literal.string(str(10**kind.scale)), to_spark(Decimal(max(kind.scale, 1) + 1, 0)))


def _decimal(value: Number, scale: int) -> exp.Expr:
    """A constant with as many digits as it needs."""
    digits = max(len(value.as_tuple().digits), scale + 1)
    return exp.cast(exp.Literal.string(f"{value:f}"), to_spark(Decimal(digits, scale)))


def _tables(category: str) -> dict[str, Any]:
    return tomllib.loads((resources.files(__name__) / f"{category}.toml").read_text("utf-8"))


def _read(category: str) -> Iterator[Entry]:
    tables = _tables(category)
    texts = tables.get("texts", {})
    for item in tables.get("entry", ()):
        forms = item["duckdb"] if isinstance(item["duckdb"], list) else [item["duckdb"]]
        yield Entry(
            category,
            tuple(sqlglot.parse_one(form, dialect="duckdb") for form in forms),
            _spark(item["spark"], texts),
            item.get("where", {}),
            item.get("constants", {}),
            item.get("casts", {}),
            item.get("result"),
            tuple(item.get("examples", ())),
            item.get("stricter"),
            item.get("near", False),
            item.get("note"),
        )


def _spark(text: str, texts: Mapping[str, str]) -> exp.Expr:
    def put(node: exp.Expr) -> exp.Expr:
        name = _parameter(node, frozenset(texts))
        return node if name is None else exp.Literal.string(texts[name])

    return sqlglot.parse_one(text, dialect=Verbatim).transform(put)


@cache
def _indexed() -> dict[object, tuple[Entry, ...]]:
    found: dict[object, tuple[Entry, ...]] = {}
    for entry in all_entries():
        for key in {key_of(form) for form in entry.forms}:
            found[key] = (*found.get(key, ()), entry)
    return found


# ---------------------------------------------------------------- trees


def _parameter(tree: object, names: frozenset[str]) -> str | None:
    """The parameter that the tree is: a bare name, or a unit of time of that name."""
    if isinstance(tree, exp.Paren):
        return _parameter(tree.this, names)
    if isinstance(tree, exp.Var):
        return tree.name.lower() if tree.name.lower() in names else None
    if isinstance(tree, exp.Column) and isinstance(tree.this, exp.Identifier) and not tree.args.get("table"):
        return tree.name if tree.name in names else None
    return None


def _matches(form: object, tree: object, names: frozenset[str], found: Matched) -> bool:
    name = _parameter(form, names)
    if name is not None:
        if not isinstance(tree, exp.Expr):
            return False
        known = found.get(name)
        if known is not None:
            return known[0] == tree
        found[name] = [tree]
        return True
    if isinstance(form, list):
        return isinstance(tree, list) and _all_match(form, tree, names, found)
    if isinstance(form, exp.Expr):
        return type(form) is type(tree) and _same_parts(form, tree, names, found)
    if isinstance(form, str) and isinstance(tree, str):
        return form.lower() == tree.lower()
    return form == tree


def _same_parts(form: exp.Expr, tree: exp.Expr, names: frozenset[str], found: Matched) -> bool:
    if isinstance(form, exp.Literal):
        return form == tree
    keys = {key for part in (form, tree) for key, value in part.args.items() if value not in (None, False, [])}
    return all(_matches(form.args.get(key), tree.args.get(key), names, found) for key in sorted(keys))


def _all_match(forms: list[object], trees: list[object], names: frozenset[str], found: Matched) -> bool:
    if forms and _parameter(forms[-1], names) == ETC:
        fixed = len(forms) - 1
        if len(trees) < fixed:
            return False
        found[ETC] = [tree for tree in trees[fixed:] if isinstance(tree, exp.Expr)]
        forms, trees = forms[:fixed], trees[:fixed]
    return len(forms) == len(trees) and all(
        _matches(form, tree, names, found) for form, tree in zip(forms, trees, strict=True)
    )


def _substituted(
    template: exp.Expr, parts: Mapping[str, Sequence[exp.Expr]], result: LogicalType, over: Over | None = None
) -> exp.Expr:
    """The template with its parameters filled. A part that is computed and stands in it more than once is given a name, so that
    a template within a template within a template stays short.
    """
    repeated = _repeated(template, parts)
    if not repeated:
        return _filled(template, parts, result, over)
    bound = {name: some for name, some in parts.items() if len(some) == 1 and not _is_plain(some[0])}
    named = {name: [column(name, _BOUND)] for name in bound}
    body = exp.Lambda(this=_filled(template, {**parts, **named}, result, over), expressions=[identifier(_BOUND)])
    values = [part for name, some in bound.items() for part in (exp.Literal.string(name), some[0].copy())]
    every = call("transform", call("array", call("named_struct", *values)), body)
    return call("element_at", every, exp.Literal.number(1))


def _repeated(template: exp.Expr, parts: Mapping[str, Sequence[exp.Expr]]) -> bool:
    """Whether something that is computed would stand in it more than once, where it can have a name: what is computed of many
    rows cannot.
    """
    if any(found.name == _WINDOWED for found in template.find_all(exp.Anonymous)):
        return False
    names = frozenset(parts)
    found = [_parameter(node, names) for node in template.find_all(exp.Column)]
    return any(found.count(name) > 1 and name != ETC and not _is_plain(some[0]) for name, some in parts.items())


def _is_plain(tree: exp.Expr) -> bool:
    """Whether it costs nothing to compute it again."""
    inner = tree.unnest()
    return isinstance(inner, exp.Column | exp.Literal | exp.Null | exp.Boolean) or (
        isinstance(inner, exp.Cast | exp.Neg) and isinstance(inner.this, exp.Literal)
    )


def _filled(
    template: exp.Expr, parts: Mapping[str, Sequence[exp.Expr]], result: LogicalType, over: Over | None
) -> exp.Expr:
    names = frozenset(parts)

    def put(node: exp.Expr) -> exp.Expr | list[exp.Expr] | None:
        name = _parameter(node, names) if isinstance(node, exp.Column) else None
        if name == ETC:
            return [part.copy() for part in parts[ETC]] or None
        if name is not None:
            return enclosed(parts[name][0].copy())
        return node

    filled = cast("exp.Expr", template.transform(put))
    for mark in reversed(list(filled.find_all(exp.Anonymous))):  # the innermost first
        if mark.name in _MARKS:
            said = _marked(mark, result, over)
            if mark is filled:
                return said
            mark.replace(said)
    return filled


def _marked(mark: exp.Anonymous, result: LogicalType, over: Over | None) -> exp.Expr:
    inner = mark.expressions[0]
    if mark.name == _WINDOWED:
        return over(inner) if over is not None else inner
    if mark.name == _TRY_AS_RESULT:
        return exp.TryCast(this=inner, to=to_spark(result), safe=True)
    return exp.Cast(this=inner, to=to_spark(result))


def enclosed(tree: exp.Expr) -> exp.Expr:
    """In parentheses where what stands around it could take it apart."""
    plain = isinstance(tree, exp.Column | exp.Literal | exp.Paren | exp.Func | exp.Null | exp.Boolean | exp.Identifier)
    return tree if plain and not isinstance(tree, exp.Connector) else exp.Paren(this=tree)


__all__ = [
    "ETC",
    "Cast",
    "Entry",
    "Verbatim",
    "all_entries",
    "cast_of",
    "casts",
    "categories",
    "constant",
    "enclosed",
    "entries",
    "is_constant",
    "key_of",
    "power_of",
]
