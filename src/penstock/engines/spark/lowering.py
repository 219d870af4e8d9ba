"""From an expression of DuckDB to one of Spark that means the same; what has no proven lowering is named, never guessed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import sqlglot
from sqlglot import exp

from penstock.engines.spark.canonical import canonical
from penstock.engines.spark.portable import Entry, cast_of, constant, enclosed, entries, is_constant, key_of, power_of
from penstock.engines.spark.portable.kinds import in_words, is_kind
from penstock.engines.spark.refusal import Unportable, UnportableError
from penstock.engines.spark.statements import Statements
from penstock.engines.spark.typed import Typed
from penstock.engines.spark.types import to_spark
from penstock.trees import identifier, when
from penstock.types import DATE, FLOAT32, FLOAT64, INT32, STRING, TIMESTAMP, TIMESTAMPTZ, Decimal, List, Map, Struct
from penstock.types.duckdb import from_duckdb
from penstock.types.parse import parse_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.engines.spark.portable import Matched
    from penstock.engines.spark.typed import SchemaOf
    from penstock.types import LogicalType, Schema

_COMPARISONS: Final = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_EQUALITIES: Final = (exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ)
_MEMBER: Final = frozenset({"array_extract", "struct_extract"})
_ELEMENT: Final = "element"  # the parameter of the lambda that casts a list
_ORDERED: Final = (
    *(exp.RowNumber, exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist, exp.Ntile),
    *(exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue),
)  # functions of a place in an order
_DIGITS: Final[dict[str, int]] = {
    "int8": 3,
    "int16": 5,
    "int32": 10,
    "int64": 19,
    "uint8": 3,
    "uint16": 5,
    "uint32": 10,
}
_MAX_DIGITS: Final = 38
_ISO: Final[dict[LogicalType, re.Pattern[str]]] = {
    DATE: re.compile(r"\d{4}-\d\d-\d\d"),
    TIMESTAMP: re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d{1,6})?)?"),
    TIMESTAMPTZ: re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00(:00)?)"),
}


class Lowering:
    """Lowers expressions; ``schema_of`` is DuckDB's binder (``Engine.schema_of``)."""

    def __init__(self, schema_of: SchemaOf) -> None:
        self._schema_of = schema_of

    def expression(self, tree: exp.Expr, scope: Mapping[str, Schema]) -> exp.Expr:
        """The tree in Spark's words. ``scope``: the columns that each of its qualifiers has, ``""`` where it has none. Its type
        is what ``types.to_spark`` makes of DuckDB's. Raises UnportableError.
        """
        asked = canonical(_as_parsed(tree), scope)
        return _Expression(Typed(self._schema_of, asked, scope)).lowered(asked)

    def ordered(self, tree: exp.Expr, scope: Mapping[str, Schema]) -> exp.Expr:
        """As ``expression``, for what rows are ordered by: its values are known to stand in the same order."""
        asked = canonical(_as_parsed(tree), scope)
        return _Expression(Typed(self._schema_of, asked, scope)).key(asked)

    def query(self, query: exp.Query, tables: Mapping[str, Schema]) -> exp.Query:
        """A SELECT of the author's own in Spark's words, over relations of these names. Raises UnportableError."""
        return Statements(self, self._schema_of).lowered(query, tables)


class _Expression:
    """The lowering of one expression."""

    def __init__(self, types: Typed) -> None:
        self._types = types

    def lowered(self, tree: exp.Expr) -> exp.Expr:
        match tree:
            case exp.Paren():
                return exp.Paren(this=self.lowered(tree.this))
            case exp.Column():
                return _column(tree)
            case exp.Null() | exp.Literal() | exp.Boolean() | exp.Neg(this=exp.Literal()):
                return self._constant(tree)
            case exp.And() | exp.Or():
                left, right = self._all([tree.this, tree.expression])
                return type(tree)(this=left, expression=right)
            case exp.Not():
                return exp.Not(this=enclosed(self.lowered(self._boolean(tree.this))))
            case exp.Is(expression=exp.Null() | exp.Boolean()):
                return exp.Is(this=enclosed(self.lowered(tree.this)), expression=tree.expression.copy())
            case exp.Case():
                return self._case(tree, tree)
            case exp.If() | exp.Nullif() | exp.Coalesce():
                return self._chosen(tree)
            case exp.In():
                return self._in(tree)
            case exp.Between():
                return self._between(tree)
            case exp.Cast():
                return self._cast(tree)
            case exp.Window() | exp.Filter() | exp.IgnoreNulls():
                return self._window(tree)
            case _ if isinstance(tree, _COMPARISONS):
                return self._comparison(tree)
            case _:
                return self._made_or_listed(tree)

    def _made_or_listed(self, tree: exp.Expr) -> exp.Expr:
        match tree:
            case exp.Array() | exp.Struct() | exp.ToMap(this=exp.Struct()):
                return self._nested(tree)
            case exp.StructExtract(expression=exp.Literal(is_string=True)):
                return self._member(tree, tree.this, tree.expression.name)
            case exp.Anonymous(expressions=[held, exp.Literal(is_string=True) as name]) if self._is_member(tree, held):
                return self._member(tree, held, name.name)
            case exp.Transform() | exp.ArrayFilter():
                return self._with_lambda(tree)
            case _:
                return self._listed(tree)

    # ------------------------------------------------------------ what is written the same

    def _constant(self, tree: exp.Expr) -> exp.Expr:
        """A constant of exactly the type that it has in DuckDB."""
        kind = self._result(tree)
        if isinstance(tree, exp.Boolean) or (isinstance(tree, exp.Literal) and kind in {STRING, INT32}):
            return tree.copy()
        return exp.Cast(this=tree.copy(), to=to_spark(kind))

    def _boolean(self, tree: exp.Expr) -> exp.Expr:
        if (kind := self._types.of(tree)) is not None and not is_kind(kind, "boolean"):
            raise self._refused(tree, f"a condition has to be true or false, and this is {kind}")
        return tree

    def _case(self, tree: exp.Case, whole: exp.Expr) -> exp.Expr:
        """The operand is compared with each value as ``=`` does. ``whole`` is what has the type of the result."""
        branches = [branch.args["true"] for branch in tree.args["ifs"]]
        default = tree.args.get("default")
        values = self._as_result(whole, [*branches, *([default] if default is not None else [])])
        if tree.this is not None:
            conditions = [self._equal(tree.this, branch.this) for branch in tree.args["ifs"]]
        else:
            conditions = self._all([self._boolean(branch.this) for branch in tree.args["ifs"]])
        ifs = [exp.If(this=test, true=value) for test, value in zip(conditions, values, strict=False)]
        return exp.Case(ifs=ifs, default=values[-1] if default is not None else None)

    def _chosen(self, tree: exp.If | exp.Nullif | exp.Coalesce) -> exp.Expr:
        """One of several values."""
        match tree:
            case exp.If():
                return self._case(exp.Case(ifs=[tree], default=tree.args.get("false")), tree)
            case exp.Nullif():
                value = self._as_result(tree, [tree.this])[0]
                same = exp.If(this=self._equal(tree.this, tree.expression), true=exp.null())
                return exp.Case(ifs=[same], default=value)
            case _:
                first, *others = self._as_result(tree, [tree.this, *tree.expressions])
                return exp.Coalesce(this=first, expressions=others)

    def _in(self, tree: exp.In) -> exp.Expr:
        if (
            tree.args.get("query") is not None
            or tree.args.get("unnest") is not None
            or tree.args.get("field") is not None
        ):
            raise self._refused(tree, "only a list of values after IN is known to mean the same")
        equal = [self._equal(tree.this, value) for value in tree.expressions]
        return exp.Paren(this=exp.or_(*equal, copy=False)) if equal else exp.false()

    def _between(self, tree: exp.Between) -> exp.Expr:
        lower = self._compared(exp.GTE, tree.this, tree.args["low"])
        upper = self._compared(exp.LTE, tree.this, tree.args["high"])
        return exp.Paren(this=exp.and_(lower, upper, copy=False))

    # ------------------------------------------------------------ lists, structs, maps and lambdas

    def _nested(self, tree: exp.Expr) -> exp.Expr:
        """A list, a struct or a map written out, its values in the types that it has."""
        kind = self._result(tree)
        match tree, kind:
            case exp.Array(), List() if not tree.find(exp.Comprehension, exp.Query):
                values = self._each_as(tree.expressions, [kind.element] * len(tree.expressions))
                return (
                    exp.Cast(this=_call("array", *values), to=to_spark(kind)) if not values else _call("array", *values)
                )
            case exp.Struct(), Struct():
                values = self._each_as([_value(item) for item in tree.expressions], [item.type for item in kind.fields])
                named = [
                    part for item, value in zip(kind.fields, values, strict=True) for part in (_text(item.name), value)
                ]
                return _call("named_struct", *named)
            case exp.ToMap(), Map():
                pairs = tree.this.expressions
                keys = self._each_as([_key(pair) for pair in pairs], [kind.key] * len(pairs))
                values = self._each_as([_value(pair) for pair in pairs], [kind.value] * len(pairs))
                written = _call("map", *(part for pair in zip(keys, values, strict=True) for part in pair))
                return written if pairs else exp.Cast(this=written, to=to_spark(kind))
            case _:
                raise self._refused(tree, f"a {kind} written this way is not known to mean the same")

    def _each_as(self, parts: Sequence[exp.Expr], kinds: Sequence[LogicalType]) -> list[exp.Expr]:
        values = self._all(parts)
        return [self._converted(*item) for item in zip(parts, values, kinds, strict=True)]

    def _is_member(self, tree: exp.Anonymous, held: exp.Expr) -> bool:
        return tree.name.lower() in _MEMBER and isinstance(self._types.of(held), Struct)

    def _member(self, tree: exp.Expr, held: exp.Expr, name: str) -> exp.Expr:
        kind = self._types.of(held)
        fields = kind.fields if isinstance(kind, Struct) else ()
        found = [item.name for item in fields if item.name.lower() == name.lower()]
        if len(found) != 1:
            raise self._refused(tree, f"only a named member of a struct is known to mean the same, and this is {kind}")
        return exp.Dot(this=enclosed(self.lowered(held)), expression=identifier(found[0]))

    def _with_lambda(self, tree: exp.Expr) -> exp.Expr:
        function = tree.expression
        if not isinstance(function, exp.Lambda) or len(function.expressions) != 1:
            raise self._refused(tree, "only a lambda of one parameter is known to mean the same")
        listed = self._types.of(tree.this)
        if not isinstance(listed, List):
            raise self._refused(tree, f"only over a list is it known to mean the same, and this is {listed}")
        body = self._boolean(function.this) if isinstance(tree, exp.ArrayFilter) else function.this
        values = self._all([tree.this, body])
        parameter = identifier(function.expressions[0].name)
        lambda_ = exp.Lambda(this=values[1], expressions=[parameter])
        return _call("filter" if isinstance(tree, exp.ArrayFilter) else "transform", values[0], lambda_)

    # ------------------------------------------------------------ comparisons

    def _comparison(self, tree: exp.Expr) -> exp.Expr:
        return self._compared(type(tree), tree.this, tree.expression)

    def _equal(self, left: exp.Expr, right: exp.Expr) -> exp.Expr:
        return self._compared(exp.EQ, left, right)

    def _compared(self, how: type[exp.Expr], left: exp.Expr, right: exp.Expr) -> exp.Expr:
        one, other = (enclosed(side) for side in self._alike(left, right, equality=how in _EQUALITIES))
        if how is exp.NullSafeNEQ:
            return exp.Not(this=exp.Paren(this=exp.NullSafeEQ(this=one, expression=other)))
        return how(this=one, expression=other)

    def _alike(self, left: exp.Expr, right: exp.Expr, *, equality: bool) -> tuple[exp.Expr, exp.Expr]:
        """Both sides as DuckDB compares them: of one type."""
        kinds = self._types.of(left), self._types.of(right)
        if kinds[0] is None or kinds[1] is None:
            raise self._refused(left if kinds[0] is None else right, "its type is not known")
        if isinstance(left.unnest(), exp.Null) or isinstance(right.unnest(), exp.Null) or kinds[0] == kinds[1]:
            if not (is_kind(kinds[0], "simple") or (equality and _is_comparable(kinds[0]))):
                raise self._refused(left, f"values of the type {kinds[0]} are not known to compare the same")
            one, other = self._all([left, right])
            if not is_kind(kinds[0], "simple"):
                return self._converted(left, one, kinds[0]), self._converted(right, other, kinds[0])
            return one, other
        common = _common(kinds[0], kinds[1])
        if common is None:
            return self._alike_by_text(left, right, kinds[0], kinds[1])
        one, other = self._all([left, right])
        return self._cast_between(left, one, kinds[0], common), self._cast_between(right, other, kinds[1], common)

    def _alike_by_text(
        self, left: exp.Expr, right: exp.Expr, of_left: LogicalType, of_right: LogicalType
    ) -> tuple[exp.Expr, exp.Expr]:
        """A constant text beside a moment is that moment."""
        if of_left == STRING and isinstance(left.unnest(), exp.Literal):
            other, one = self._alike_by_text(right, left, of_right, of_left)
            return one, other
        constant_text = right.unnest()
        pattern = _ISO.get(of_left)
        if pattern is None or of_right != STRING or not isinstance(constant_text, exp.Literal):
            raise self._refused(left, f"{of_left} and {of_right} are not known to compare the same: cast one of them")
        if not pattern.fullmatch(constant_text.name):
            raise self._refused(
                right, f"it is not the text of a {of_left} that both engines read: write it as DATE or TIMESTAMP"
            )
        return self.lowered(left), exp.Cast(this=constant_text.copy(), to=to_spark(of_left))

    # ------------------------------------------------------------ casts

    def _cast(self, tree: exp.Cast) -> exp.Expr:
        source, target = self._types.of(tree.this), self._types.of(tree)
        attempted = isinstance(tree, exp.TryCast)
        if target is None:
            target = from_duckdb(tree.to.sql(dialect="duckdb"))
        if isinstance(tree.this.unnest(), exp.Null):
            return exp.Cast(this=exp.null(), to=to_spark(target))
        if source is None:
            raise self._refused(tree.this, "its type is not known")
        literal = tree.this.unnest()
        pattern = _ISO.get(target)
        if pattern is not None and isinstance(literal, exp.Literal) and literal.is_string:
            if not pattern.fullmatch(literal.name):
                raise self._refused(tree, f"it is not the text of a {target} that both engines read")
            return exp.Cast(this=literal.copy(), to=to_spark(target))
        return self._cast_between(tree, self.lowered(tree.this), source, target, attempted=attempted)

    def _cast_between(
        self, tree: exp.Expr, value: exp.Expr, source: LogicalType, target: LogicalType, *, attempted: bool = False
    ) -> exp.Expr:
        if source == target:
            return value
        if not attempted and isinstance(source, List) and isinstance(target, List):
            element = self._cast_between(tree, exp.Column(this=identifier(_ELEMENT)), source.element, target.element)
            return _call("transform", value, exp.Lambda(this=element, expressions=[identifier(_ELEMENT)]))
        if not attempted and isinstance(source, Struct) and isinstance(target, Struct):
            return self._struct_as(tree, value, source, target)
        found = cast_of(source, target)
        if found is None:
            raise self._refused(tree, f"a cast of {source} to {target} is not known to mean the same")
        return found.written(value, source, target, attempted=attempted)

    def _struct_as(self, tree: exp.Expr, value: exp.Expr, source: Struct, target: Struct) -> exp.Expr:
        """A struct with the same members in the same order, each cast."""
        if [item.name for item in source.fields] != [item.name for item in target.fields]:
            raise self._refused(tree, f"a cast of {source} to {target} is not known to mean the same")
        named: list[exp.Expr] = []
        for of, to in zip(source.fields, target.fields, strict=True):
            member = exp.Dot(this=enclosed(value.copy()), expression=identifier(of.name))
            named += [_text(to.name), self._cast_between(tree, member, of.type, to.type)]
        there = exp.Not(this=exp.Is(this=enclosed(value.copy()), expression=exp.null()))
        return exp.Case(ifs=[exp.If(this=there, true=_call("named_struct", *named))])

    def _as_result(self, tree: exp.Expr, parts: Sequence[exp.Expr]) -> list[exp.Expr]:
        """The parts in the type of the whole, as DuckDB casts them without being asked."""
        result = self._result(tree)
        return [self._converted(part, value, result) for part, value in zip(parts, self._all(parts), strict=True)]

    def _converted(self, part: exp.Expr, value: exp.Expr, result: LogicalType) -> exp.Expr:
        if isinstance(part.unnest(), exp.Null):
            return exp.Cast(this=exp.null(), to=to_spark(result))
        kind = self._types.of(part)
        if kind is None:
            raise self._refused(part, "its type is not known")
        return self._cast_between(part, value, kind, result)

    # ------------------------------------------------------------ the allow-list

    def _listed(
        self, tree: exp.Expr, over: Callable[[exp.Expr], exp.Expr] | None = None, result: LogicalType | None = None
    ) -> exp.Expr:
        reasons: list[str] = []
        for entry in entries(key_of(tree)):
            found = entry.matched(tree)
            if found is None:
                continue
            kind = result or self._result(tree)
            reason = self._unfit(entry, found, kind)
            if reason is not None:
                reasons.append(reason)
                continue
            try:
                given = {name: self._constants(entry.constants[name], found[name]) for name in entry.constants}
            except ValueError as error:
                reasons.append(str(error))
                continue
            parts = [part for name, some in found.items() if name not in given for part in some]
            lowered = iter(self._all(parts))
            given |= {
                name: [self._cast_first(entry, name, part, next(lowered)) for part in some]
                for name, some in found.items()
                if name not in given
            }
            given |= self._powers(found)
            return entry.written(given, kind, over)
        raise self._refused(tree, reasons[-1] if reasons else "it is not known to mean the same on Spark")

    def _powers(self, found: Matched) -> dict[str, list[exp.Expr]]:
        """For each parameter that is a decimal, ten to the power of its scale."""
        kinds = {name: self._types.of(parts[0]) for name, parts in found.items() if parts}
        return {f"{name}_power": [power_of(kind)] for name, kind in kinds.items() if isinstance(kind, Decimal)}

    def _cast_first(self, entry: Entry, name: str, part: exp.Expr, value: exp.Expr) -> exp.Expr:
        """The part as DuckDB casts it before it computes."""
        target = entry.casts.get(name)
        return value if target is None else self._cast_between(part, value, self._result(part), parse_type(target)[0])

    def _unfit(self, entry: Entry, found: Matched, result: LogicalType) -> str | None:
        """Why an entry of this form does not serve these types."""
        if entry.result is not None and not is_kind(result, entry.result):
            return f"with a result of the type {result} it is not known to mean the same"
        for name, parts in found.items():
            if name in entry.constants:
                if not all(map(is_constant, parts)):
                    return f"only with a constant in place of {parts[0].sql('duckdb')} is it known to mean the same"
                continue
            for part in parts:
                kind = self._types.of(part)
                if kind is None or not is_kind(kind, entry.where[name]):
                    of = "an unknown type" if kind is None else str(kind)
                    return f"of {of} it is not known to mean the same on Spark, but of {in_words(entry.where[name])}"
        return None

    def _constants(self, function: str, parts: Sequence[exp.Expr]) -> list[exp.Expr]:
        said = [constant(function, part) for part in parts]
        return [part for part in said if part is not None]

    # ------------------------------------------------------------ windows

    def _window(
        self, tree: exp.Expr, over: Callable[[exp.Expr], exp.Expr] | None = None, result: LogicalType | None = None
    ) -> exp.Expr:
        """A call within a window, with a filter, or without nulls: what is around it goes around Spark's own aggregates."""
        result = result or self._result(tree)
        before = over or (lambda called: called)
        match tree:
            case exp.Window(this=exp.Filter() as chosen):
                condition = self.lowered(self._boolean(chosen.expression.this))
                spec = self._window_parts(tree)
                return self._window(
                    chosen.this, lambda called: before(exp.Window(this=_only_where(called, condition), **spec)), result
                )
            case exp.Window():
                spec = self._window_parts(tree)
                return self._window(tree.this, lambda called: before(exp.Window(this=called, **spec)), result)
            case exp.Filter():
                condition = exp.Where(this=self.lowered(self._boolean(tree.expression.this)))
                return self._window(
                    tree.this, lambda called: before(exp.Filter(this=called, expression=condition)), result
                )
            case exp.IgnoreNulls():
                return self._window(tree.this, lambda called: before(exp.IgnoreNulls(this=called)), result)
            case _:
                return self._listed(tree, before, result)

    def _window_parts(self, tree: exp.Window) -> dict[str, object]:
        spec = tree.args.get("spec")
        if tree.args.get("alias") is not None:
            raise self._refused(tree, "a named window is not known to mean the same: write it out")
        if spec is not None and (spec.args.get("exclude") or _frame(spec) not in {"ROWS", "RANGE"}):
            raise self._refused(tree, "a window with EXCLUDE or GROUPS has no counterpart on Spark")
        order = tree.args.get("order")
        if order is None and isinstance(tree.this, _ORDERED):
            raise self._refused(tree, "without an ORDER BY it is left to chance")
        keys = [self._ordered(key) for key in order.expressions] if order is not None else []
        return {
            "partition_by": self._all(tree.args.get("partition_by") or []),
            "order": exp.Order(expressions=keys) if keys else None,
            "spec": self._spec(tree, spec, order) if spec is not None else None,
            "over": "OVER",
        }

    def _spec(self, tree: exp.Window, spec: exp.WindowSpec, order: exp.Order | None) -> exp.WindowSpec:
        """The frame; one of a span of values is of whole days, or of days and less of a moment with a time."""
        made = spec.copy()
        if _frame(spec) == "ROWS":
            return made
        for end in ("start", "end"):
            width = spec.args.get(end)
            if isinstance(width, exp.Expr):
                made.set(end, self._width(tree, width, order))
        return made

    def _width(self, tree: exp.Window, width: exp.Expr, order: exp.Order | None) -> exp.Expr:
        keys = order.expressions if order is not None else []
        kind = self._types.of(keys[0].this if isinstance(keys[0], exp.Ordered) else keys[0]) if len(keys) == 1 else None
        function, unit = ("whole_days", "DAY") if kind == DATE else ("width_in_seconds", "SECOND")
        if kind not in {DATE, TIMESTAMP} or not isinstance(width, exp.Interval):
            raise self._refused(
                tree, "a window of a span of values is known to mean the same along a date or timestamp only"
            )
        try:
            said = constant(function, width)
        except ValueError as error:
            raise self._refused(tree, str(error)) from None
        if said is None:
            raise self._refused(tree, "only with a constant width is it known to mean the same")
        return exp.Interval(this=exp.Literal.string(said.name), unit=exp.var(unit))

    def key(self, value: exp.Expr) -> exp.Expr:
        """What rows are ordered by."""
        kind = self._types.of(value)
        if kind is None or not is_kind(kind, "simple"):
            raise self._refused(value, "values of this type are not known to be ordered the same")
        return self.lowered(value)

    def _ordered(self, key: exp.Expr) -> exp.Expr:
        value = key.this if isinstance(key, exp.Ordered) else key
        descending = isinstance(key, exp.Ordered) and bool(key.args.get("desc"))
        first = isinstance(key, exp.Ordered) and bool(key.args.get("nulls_first"))
        return exp.Ordered(this=self.key(value), desc=descending, nulls_first=first)

    # ------------------------------------------------------------ all together

    def _result(self, tree: exp.Expr) -> LogicalType:
        kind = self._types.of(tree)
        if kind is None:
            raise self._refused(tree, "its type is not known")
        return kind

    def _all(self, parts: Sequence[exp.Expr]) -> list[exp.Expr]:
        """The parts lowered; all that cannot be is raised together."""
        done: list[exp.Expr] = []
        refused: list[Unportable] = []
        for part in parts:
            try:
                done.append(self.lowered(part))
            except UnportableError as error:
                refused.extend(error.parts)
        if refused:
            raise UnportableError(refused)
        return done

    def _refused(self, tree: exp.Expr, why: str) -> UnportableError:
        return UnportableError([Unportable(tree.sql(dialect="duckdb"), why)])


def _as_parsed(tree: exp.Expr) -> exp.Expr:
    """The tree as it would be if somebody had written it: a step that calls a function by its name means the same."""
    return sqlglot.parse_one(tree.sql(dialect="duckdb"), dialect="duckdb")


def _column(tree: exp.Column) -> exp.Column:
    table = tree.args.get("table")
    return exp.Column(this=identifier(tree.name), table=identifier(table.name) if table is not None else None)


def _only_where(called: exp.Expr, condition: exp.Expr) -> exp.Expr:
    """An aggregate over what meets the condition alone: Spark's have no filter within a window, and pass nulls over."""
    made = called.copy()
    first = made.expressions[0]
    made.set("expressions", [when(condition.copy(), first.copy()), *made.expressions[1:]])
    return made


def _frame(spec: exp.Expr) -> str:
    return str(spec.args.get("kind") or "").upper()


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _text(value: str) -> exp.Expr:
    return exp.Literal.string(value)


def _key(pair: exp.Expr) -> exp.Expr:
    key: exp.Expr = pair.this
    return key


def _value(pair: exp.Expr) -> exp.Expr:
    value: exp.Expr = pair.expression if isinstance(pair, exp.PropertyEQ) else pair
    return value


def _is_comparable(kind: LogicalType) -> bool:
    """Whether ``=`` of two lists or structs is the same: nulls within them are equal on both engines."""
    if isinstance(kind, List):
        return _is_comparable(kind.element)
    if isinstance(kind, Struct):
        return all(_is_comparable(item.type) for item in kind.fields)
    return is_kind(kind, "simple")


def _common(one: LogicalType, other: LogicalType) -> LogicalType | None:
    """The type in which DuckDB compares values of two types; None where that is not known."""
    if {one, other} <= {DATE, TIMESTAMP, TIMESTAMPTZ}:
        return TIMESTAMPTZ if TIMESTAMPTZ in {one, other} else TIMESTAMP
    if not (is_kind(one, "number|uint") and is_kind(other, "number|uint")):
        return None
    if FLOAT64 in {one, other}:
        return FLOAT64
    if FLOAT32 in {one, other}:
        return None if isinstance(one, Decimal) or isinstance(other, Decimal) else FLOAT32
    if not isinstance(one, Decimal) and not isinstance(other, Decimal):
        return (
            max(one, other, key=lambda kind: (_DIGITS.get(str(kind), 20), str(kind)))
            if _same_signs(one, other)
            else Decimal(20, 0)
        )
    sizes = [_size(kind) for kind in (one, other)]
    whole, scale = max(size[0] for size in sizes), max(size[1] for size in sizes)
    return Decimal(whole + scale, scale) if whole + scale <= _MAX_DIGITS else None


def _same_signs(one: LogicalType, other: LogicalType) -> bool:
    return is_kind(one, "int") == is_kind(other, "int")


def _size(kind: LogicalType) -> tuple[int, int]:
    """Digits before the point, and after it."""
    return (kind.precision - kind.scale, kind.scale) if isinstance(kind, Decimal) else (_DIGITS.get(str(kind), 20), 0)


__all__ = ["Lowering", "Unportable", "UnportableError"]
