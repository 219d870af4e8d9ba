"""A SELECT of the author's own, lowered to Spark: what each of its clauses means is stated here, and the rest is refused.

Names are resolved first, by SQLGlot's qualifier over the exact columns of every table; the columns of a table go by their
folded names within the statement, and the result has DuckDB's own names again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from penstock.engines.api import BindError
from penstock.engines.spark.refusal import Unportable, UnportableError
from penstock.structs import Frozen
from penstock.trees import column, identifier, relation
from penstock.types import Field, Schema, relaxed
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from penstock.engines.spark.lowering import Lowering
    from penstock.engines.spark.typed import SchemaOf

_CLAUSES: Final = frozenset(
    {
        "expressions",
        "from_",
        "joins",
        "where",
        "group",
        "having",
        "qualify",
        "order",
        "limit",
        "offset",
        "distinct",
        "with_",
    }
)
_OF_TABLES: Final = frozenset({"this", "alias"})
_RESULT, _KEPT = "result", "kept"


class _Source(Frozen):
    """What stands in FROM: its alias, its rows on Spark, and their columns."""

    alias: str
    rows: exp.Expr
    schema: Schema


class Statements:
    """Lowers statements over tables; ``lowering`` does their expressions."""

    def __init__(self, lowering: Lowering, schema_of: SchemaOf) -> None:
        self._lowering = lowering
        self._schema_of = schema_of

    def lowered(self, query: exp.Query, tables: Mapping[str, Schema]) -> exp.Query:
        """The query in Spark's words, over relations of the same names. Raises UnportableError."""
        names = self._schema_of(query, tables).names
        query = _with_windows_written_out(query)
        folded = {name: _folded(schema) for name, schema in tables.items()}
        resolved = self._resolved(query, tables)
        made, schema = self._query(resolved, folded)
        bases = {name: _renamed(name, schema) for name, schema in tables.items() if _folded(schema) != schema.relaxed()}
        made = _over(made, bases)
        if not isinstance(made, exp.Select):
            made = exp.Select(expressions=[column(name, _RESULT) for name in schema.names]).from_(
                made.subquery(identifier(_RESULT)), copy=False
            )
        values = [item.unalias() for item in made.expressions]
        named = [exp.Alias(this=value, alias=identifier(name)) for value, name in zip(values, names, strict=True)]
        made.set("expressions", named)
        return made

    def _resolved(self, query: exp.Query, tables: Mapping[str, Schema]) -> exp.Query:
        _check_aliases(query, tables)
        known: dict[str, object] = {
            fold_case(name): {fold_case(item.name): "unknown" for item in schema} for name, schema in tables.items()
        }
        try:
            found = qualify(query.copy(), dialect="duckdb", schema=known, quote_identifiers=True)
        except SqlglotError as error:
            raise _refused(query, f"its names could not be resolved ({_short(error)})") from None
        assert isinstance(found, exp.Query)
        return found

    # ------------------------------------------------------------ queries

    def _query(self, query: exp.Expr, tables: Mapping[str, Schema]) -> tuple[exp.Query, Schema]:
        match query:
            case exp.Subquery():
                return self._query(query.this, tables)
            case exp.SetOperation():
                return self._together(query, tables)
            case exp.Select():
                return self._select(query, tables)
            case _:
                raise _refused(query, "only a SELECT is known to mean the same")

    def _named(self, query: exp.Query, tables: Mapping[str, Schema]) -> tuple[exp.With | None, Mapping[str, Schema]]:
        """What stands after WITH, and the tables as the query sees them."""
        given = query.args.get("with_")
        if given is None:
            return None, tables
        if given.args.get("recursive"):
            raise _refused(given, "WITH RECURSIVE is not known to mean the same")
        seen = dict(tables)
        parts: list[exp.CTE] = []
        for item in given.expressions:
            if item.args["alias"].columns:
                raise _refused(
                    item, "a list of column names after WITH is not known to mean the same: name them in its SELECT"
                )
            made, schema = self._query(item.this, seen)
            seen[fold_case(item.alias)] = schema
            parts.append(exp.CTE(this=made, alias=exp.TableAlias(this=identifier(fold_case(item.alias)))))
        return exp.With(expressions=parts), seen

    def _together(self, query: exp.SetOperation, tables: Mapping[str, Schema]) -> tuple[exp.Query, Schema]:
        extra = {key for key, value in query.args.items() if value} - {"this", "expression", "distinct", "with_"}
        if extra:
            raise _refused(query, f"{', '.join(sorted(extra))} after a set operation is not known to mean the same")
        given, seen = self._named(query, tables)
        left, schema = self._query(query.this, seen)
        right, other = self._query(query.expression, seen)
        if [item.type for item in schema] != [item.type for item in other]:
            raise _refused(query, "its two sides have different types: cast the columns to the same ones")
        made = type(query)(this=left, expression=right, distinct=query.args.get("distinct"))
        made.set("with_", given)
        return made, schema

    def _select(self, query: exp.Select, tables: Mapping[str, Schema]) -> tuple[exp.Query, Schema]:
        extra = {key for key, value in query.args.items() if value} - _CLAUSES
        if extra:
            raise _refused(
                query, f"{', '.join(sorted(name.strip('_') for name in extra))} is not known to mean the same"
            )
        _check_subqueries(query)
        given, seen = self._named(query, tables)
        sources = list(self._sources(query, seen))
        scope = {source.alias: source.schema for source in sources}
        schema = self._schema(query, sources)
        made = exp.Select(expressions=self._projections(query, scope))
        if sources:
            made.set("from_", exp.From(this=sources[0].rows))
            joins = query.args.get("joins") or []
            made.set("joins", [self._join(join, item, scope) for join, item in zip(joins, sources[1:], strict=True)])
        self._clauses(query, made, scope)
        if query.args.get("qualify") is not None:
            made = self._qualified(query, made, schema, scope)
        self._ends(query, made, scope)
        made.set("with_", given)
        return made, schema

    # ------------------------------------------------------------ clauses

    def _sources(self, query: exp.Select, tables: Mapping[str, Schema]) -> Iterator[_Source]:
        first = query.args.get("from_")
        joined = query.args.get("joins") or []
        for found in [*([first.this] if first is not None else []), *(join.this for join in joined)]:
            alias = fold_case(found.alias_or_name)
            extra = {key for key, value in found.args.items() if value} - _OF_TABLES
            if extra or (isinstance(found.args.get("alias"), exp.TableAlias) and found.args["alias"].columns):
                raise _refused(found, "what stands beside this table is not known to mean the same")
            match found:
                case exp.Table() if fold_case(found.name) in tables:
                    rows: exp.Expr = exp.alias_(relation(fold_case(found.name)), identifier(alias), table=True)
                    yield _Source(alias, rows, tables[fold_case(found.name)])
                case exp.Subquery():
                    made, schema = self._query(found.this, tables)
                    yield _Source(alias, made.subquery(identifier(alias)), schema)
                case _:
                    raise _refused(found, "it is no table and no SELECT")

    def _schema(self, query: exp.Select, sources: Sequence[_Source]) -> Schema:
        """The columns of one SELECT, of its own: what it reads is what is known of its sources."""
        bound = query.copy()
        bound.set("with_", None)
        places: list[exp.Expr] = []
        if bound.args.get("from_") is not None:
            places = [bound.args["from_"].this, *(join.this for join in bound.args.get("joins") or [])]
        for number, (place, source) in enumerate(zip(places, sources, strict=True)):
            place.replace(exp.alias_(relation(f"source {number}"), identifier(source.alias), table=True))
        inputs = {f"source {number}": source.schema for number, source in enumerate(sources)}
        try:
            return _folded(self._schema_of(bound, inputs))
        except BindError as error:
            raise _refused(query, f"its names could not be resolved ({error.text})") from None

    def _projections(self, query: exp.Select, scope: Mapping[str, Schema]) -> list[exp.Expr]:
        def one(item: exp.Expr) -> exp.Expr:
            value = item.this if isinstance(item, exp.Alias) else item
            return exp.Alias(this=self._expression(value, scope), alias=identifier(fold_case(item.alias_or_name)))

        return _each(query.expressions, one)

    def _join(self, join: exp.Join, source: _Source, scope: Mapping[str, Schema]) -> exp.Join:
        kind, side = (join.kind or "").upper(), (join.side or "").upper()
        if join.method or join.args.get("using") or kind not in {"", "INNER", "CROSS", "OUTER", "SEMI", "ANTI"}:
            raise _refused(join, "this kind of join is not known to mean the same: use a join step")
        on = join.args.get("on")
        made = exp.Join(this=source.rows, on=self._expression(on, scope) if on is not None else None)
        made.set("side", side or None)
        made.set("kind", kind or ("CROSS" if on is None else None))
        return made

    def _clauses(self, query: exp.Select, made: exp.Select, scope: Mapping[str, Schema]) -> None:
        for name, of in (("where", exp.Where), ("having", exp.Having)):
            found = query.args.get(name)
            if found is not None:
                made.set(name, of(this=self._expression(found.this, scope)))
        group = query.args.get("group")
        if group is not None:
            made.set("group", exp.Group(expressions=self._keys(query, group, scope)))

    def _keys(self, query: exp.Select, group: exp.Group, scope: Mapping[str, Schema]) -> list[exp.Expr]:
        extra = {key for key, value in group.args.items() if value} - {"expressions", "all"}
        if extra:
            raise _refused(group, "only GROUP BY with expressions is known to mean the same")
        keys = group.expressions
        if group.args.get("all"):
            values = [item.unalias() for item in query.expressions]
            keys = [value for value in values if not _aggregates(value)]
        return _each(keys, lambda key: self._expression(key, scope))

    def _qualified(
        self, query: exp.Select, made: exp.Select, schema: Schema, scope: Mapping[str, Schema]
    ) -> exp.Select:
        """Spark has no QUALIFY: the condition is a column of what a SELECT around it filters."""
        if query.args.get("distinct") is not None:
            raise _refused(query.args["qualify"], "QUALIFY beside DISTINCT is not known to mean the same")
        kept = exp.Alias(this=self._expression(query.args["qualify"].this, scope), alias=identifier(_KEPT + " rows"))
        made.append("expressions", kept)
        outer = exp.Select(expressions=[column(name, _KEPT) for name in schema.names])
        outer.set("from_", exp.From(this=made.subquery(identifier(_KEPT))))
        outer.set("where", exp.Where(this=column(_KEPT + " rows", _KEPT)))
        return outer

    def _ends(self, query: exp.Select, made: exp.Select, scope: Mapping[str, Schema]) -> None:
        distinct = query.args.get("distinct")
        if distinct is not None:
            if distinct.args.get("on") is not None:
                raise _refused(distinct, "DISTINCT ON is not known to mean the same: use a deduplicate step")
            made.set("distinct", exp.Distinct())
        order = query.args.get("order")
        if order is not None:
            made.set("order", exp.Order(expressions=[self._ordered(query, key, scope) for key in order.expressions]))
        for name, of in (("limit", exp.Limit), ("offset", exp.Offset)):
            found = query.args.get(name)
            if found is not None:
                if not isinstance(found.expression, exp.Literal):
                    raise _refused(found, "only a whole number after it is known to mean the same")
                made.set(name, of(expression=found.expression.copy()))

    def _ordered(self, query: exp.Select, key: exp.Expr, scope: Mapping[str, Schema]) -> exp.Expr:
        """By the place of the column that the key is."""
        value = key.this if isinstance(key, exp.Ordered) else key
        for place, item in enumerate(query.expressions, start=1):
            if value in (item.unalias(), exp.Literal.number(place)) or (
                isinstance(value, exp.Column)
                and not value.table
                and fold_case(value.name) == fold_case(item.alias_or_name)
            ):
                self._lowering.ordered(item.unalias(), scope)
                desc = isinstance(key, exp.Ordered) and bool(key.args.get("desc"))
                first = isinstance(key, exp.Ordered) and bool(key.args.get("nulls_first"))
                return exp.Ordered(this=exp.Literal.number(place), desc=desc, nulls_first=first)
        raise _refused(value, "rows are ordered by columns of the result alone: select it")

    def _expression(self, tree: exp.Expr, scope: Mapping[str, Schema]) -> exp.Expr:
        return self._lowering.expression(tree, scope)


# ---------------------------------------------------------------- names


def _with_windows_written_out(query: exp.Query) -> exp.Query:
    """A copy in which a window that is named stands where it is used."""
    made = query.copy()
    for select in made.find_all(exp.Select):
        known = {item.name: item for item in select.args.get("windows") or ()}
        if any(item.args.get("alias") is not None for item in known.values()):
            continue  # one upon another: refused where it is used
        for window in list(select.find_all(exp.Window)):
            meant = known.get(_window_name(window))
            if meant is not None:
                for part in ("partition_by", "order", "spec"):
                    window.set(part, _copied(meant.args.get(part)))
                window.set("alias", None)
        select.set("windows", None)
    return made


def _window_name(window: exp.Window) -> str:
    """The name that a window refers to, if it says nothing more itself."""
    said = any(window.args.get(part) for part in ("partition_by", "order", "spec"))
    return "" if said else window.text("alias")


def _copied(value: object) -> object:
    if isinstance(value, list):
        return [part.copy() for part in value]
    return value.copy() if isinstance(value, exp.Expr) else value


def _check_aliases(query: exp.Query, tables: Mapping[str, Schema]) -> None:
    """Refuses a name given to an expression that is also a column's, where it is then used: which of the two is meant depends
    on the clause, and on the engine.
    """
    known = {fold_case(item.name) for schema in tables.values() for item in schema}
    for select in query.find_all(exp.Select):
        for item in select.expressions:
            if not isinstance(item, exp.Alias) or fold_case(item.alias) not in known:
                continue
            if isinstance(item.this, exp.Column) and fold_case(item.this.name) == fold_case(item.alias):
                continue
            for clause in (select.args.get(name) for name in ("group", "having", "qualify", "order")):
                for found in clause.find_all(exp.Column) if clause is not None else ():
                    if not found.table and fold_case(found.name) == fold_case(item.alias):
                        raise _refused(found, "it is a column and the name of an expression: give that another name")


def _check_subqueries(query: exp.Select) -> None:
    clauses = [query.args.get(name) for name in ("where", "group", "having", "qualify", "order")]
    conditions = [join.args.get("on") for join in query.args.get("joins") or []]
    for part in (*query.expressions, *clauses, *conditions):
        inner = part.find(exp.Query, exp.Exists) if part is not None else None
        if inner is not None:
            raise _refused(inner, "a SELECT within an expression is not known to mean the same: join it")


def _aggregates(tree: exp.Expr) -> bool:
    """Whether it is computed of a group. Raises UnportableError where SQLGlot does not know."""
    for found in tree.find_all(exp.Anonymous):
        raise _refused(found, "with it GROUP BY ALL is not known to mean the same: name the columns")
    return any(not isinstance(found.parent, exp.Window) for found in tree.find_all(exp.AggFunc))


def _folded(schema: Schema) -> Schema:
    return Schema(tuple(Field(fold_case(item.name), relaxed(item.type)) for item in schema))


def _renamed(name: str, schema: Schema) -> exp.Select:
    columns = [exp.Alias(this=column(item.name), alias=identifier(fold_case(item.name))) for item in schema]
    return exp.Select(expressions=columns).from_(relation(name), copy=False)


def _over(query: exp.Query, bases: Mapping[str, exp.Select]) -> exp.Query:
    """The query over its tables with their columns renamed; what WITH names hides a table of that name."""
    by_name = {fold_case(name): base for name, base in bases.items()}
    hidden = {item.alias for item in query.find_all(exp.CTE)}
    for table in list(query.find_all(exp.Table)):
        if table.name in by_name and table.name not in hidden:
            table.replace(by_name[table.name].copy().subquery(identifier(table.alias_or_name)))
    return query


def _each(parts: Sequence[exp.Expr], one: Callable[[exp.Expr], exp.Expr]) -> list[exp.Expr]:
    """All of them; what is refused is raised together."""
    done: list[exp.Expr] = []
    refused: list[Unportable] = []
    for part in parts:
        try:
            done.append(one(part))
        except UnportableError as error:
            refused.extend(error.parts)
    if refused:
        raise UnportableError(refused)
    return done


def _refused(tree: exp.Expr, why: str) -> UnportableError:
    return UnportableError([Unportable(tree.sql(dialect="duckdb"), why)])


def _short(error: SqlglotError) -> str:
    return str(error).splitlines()[0]


__all__ = ["Statements"]
