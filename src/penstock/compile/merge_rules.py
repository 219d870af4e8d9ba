"""What a merge sink is promised: one row per key, no key null (document.md, Write modes).

Before the sink: rows with a null key are rejected; identical rows of a key collapse; of differing ones the newest by
``order_by`` stays, and where that does not decide, every row of the key is rejected as ambiguous.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from sqlglot import exp

from penstock.compile.expressions import missing_column
from penstock.errors import ConfigError
from penstock.fields import Located
from penstock.graph.nodes import Cause, Check, Column, Filter, Join, Project, Query, Union
from penstock.graph.select import row_order
from penstock.steps.collect import each
from penstock.trees import call, column, is_null, relation, unused_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.compile.scope import Builder
    from penstock.document.models import SinkUse
    from penstock.types import Schema

_ROW: Final = "this"
_REPEATED: Final = "repeated"
_OWN = ("__merge_place", "__merge_rank", "__merge_places")


def reduce_to_keys(builder: Builder, use: SinkUse, node_id: str) -> str:
    """The nodes between a merge sink and its input. Raises ConfigError CMP-222 where a key or order_by is missing."""
    schema = builder.schema_of(node_id)
    keys, order_by = tuple(use.params.keys), use.params.order_by
    if not keys:
        raise ConfigError(
            "CMP-222", f'the sink "{use.name}" merges, but names no keys', at=use.at, hint="add `keys: [...]`"
        )
    each((*keys, *((order_by,) if order_by else ())), lambda name: _check_column(name, schema, use))
    nullable = [name for name in keys if schema[name].nullable]
    if nullable:
        causes = tuple(
            Cause("null_key", is_null(column(name)), exp.Literal.string(f'the key "{name}" is null'), name)
            for name in nullable
        )
        node_id = builder.add(Check(f"{use.name}.null_keys", input=node_id, causes=causes, at=use.at))
    return _one_per_key(builder, use, node_id=node_id, keys=keys, order_by=order_by)


def _check_column(name: str, schema: Schema, use: SinkUse) -> None:
    if name not in schema:
        raise missing_column(
            name, list(schema.names), owner=use.name, at=name.at if isinstance(name, Located) else use.at
        )


def _one_per_key(builder: Builder, use: SinkUse, *, node_id: str, keys: tuple[str, ...], order_by: str | None) -> str:
    """Almost always every key is there once, and a window over all rows costs three times what reading them does: so
    keys are counted first, and only the rows of repeated ones are looked at.
    """
    names = builder.schema_of(node_id).names
    repeated = _repeated_keys(builder, use, node_id=node_id, keys=keys)

    def rows(part: str, how: Literal["semi", "anti"]) -> str:
        same = exp.and_(*[exp.EQ(this=column(key, _ROW), expression=column(key, _REPEATED)) for key in keys])
        columns = tuple(Column(name, column(name, _ROW)) for name in names)
        return builder.add(
            Join(
                f"{use.name}.{part}",
                left=node_id,
                right=repeated,
                how=how,
                on=same,
                columns=columns,
                left_alias=_ROW,
                right_alias=_REPEATED,
                at=use.at,
            )
        )

    once = rows("once", "anti")
    chosen = _chosen(builder, use, node_id=rows("several", "semi"), keys=keys, order_by=order_by)
    return builder.add(Union(f"{use.name}.rows", members=(once, chosen), at=use.at))


def _repeated_keys(builder: Builder, use: SinkUse, *, node_id: str, keys: tuple[str, ...]) -> str:
    several = exp.GT(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(1))
    names = [column(key) for key in keys]
    query = exp.select(*names).from_(relation(_ROW)).group_by(*names).having(several)
    return builder.add(Query(f"{use.name}.repeated", tables={_ROW: node_id}, query=query, at=use.at))


def _chosen(builder: Builder, use: SinkUse, *, node_id: str, keys: tuple[str, ...], order_by: str | None) -> str:
    """One row of each key, or none where the rows of a key differ and none is the newest."""
    schema = builder.schema_of(node_id)
    names = schema.names
    place, rank, places = (unused_name(name, names) for name in _OWN)
    carried = tuple(Column(name, column(name)) for name in names)
    newest_first = (exp.Ordered(this=column(order_by), desc=True, nulls_first=False),) if order_by else ()
    told_apart = row_order(schema, names)
    ranked = Project(
        f"{use.name}.rank",
        input=node_id,
        columns=(
            *carried,
            Column(place, _over(call("dense_rank"), keys, (*newest_first, *told_apart))),
            Column(rank, _over(call("rank"), keys, newest_first) if newest_first else exp.Literal.number(1)),
        ),
        at=use.at,
    )
    node_id = builder.add(ranked)
    newest = exp.EQ(this=column(rank), expression=exp.Literal.number(1))
    among_newest = exp.Filter(this=exp.Max(this=column(place)), expression=exp.Where(this=newest))
    bounds = Project(
        f"{use.name}.bounds",
        input=node_id,
        columns=(*carried, Column(place, column(place)), Column(places, _over(among_newest, keys))),
        at=use.at,
    )
    node_id = builder.add(bounds)
    differ = exp.GT(this=column(places), expression=exp.Literal.number(1))
    message = exp.Literal.string(f"several rows have the key ({', '.join(keys)}) and nothing says which is newer")
    node_id = builder.add(
        Check(
            f"{use.name}.ambiguous_keys",
            input=node_id,
            causes=(Cause("ambiguous_key", differ, message),),
            record=names,
            at=use.at,
        )
    )
    in_place = (exp.Ordered(this=column(place), nulls_first=False),)
    first = exp.EQ(this=_over(exp.RowNumber(), keys, in_place), expression=exp.Literal.number(1))
    node_id = builder.add(
        Filter(f"{use.name}.one_per_key", input=node_id, condition=first, why="deduplicate", at=use.at)
    )
    return builder.add(Project(f"{use.name}.chosen", input=node_id, columns=carried, at=use.at))


def _over(function: exp.Expr, keys: tuple[str, ...], order: Sequence[exp.Ordered] = ()) -> exp.Window:
    return exp.Window(
        this=function,
        partition_by=[column(name) for name in keys],
        order=exp.Order(expressions=[key.copy() for key in order]) if order else None,
    )
