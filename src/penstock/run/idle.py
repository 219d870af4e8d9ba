"""A run that finds nothing new makes no epoch. Rules about an age speak all the same: what came last is older by now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.api import Batches
from penstock.engines.api import Pass, Unkept
from penstock.errors import InternalError
from penstock.graph import Graph
from penstock.graph.aging import aging_checks, with_ages
from penstock.graph.moment import at_moment
from penstock.graph.nodes import Read, Write
from penstock.run import balance
from penstock.run.before import ages_before
from penstock.run.looks import Collected
from penstock.structs import replace

if TYPE_CHECKING:
    from penstock.graph.nodes import Check
    from penstock.ledger.api import NodeBalance
    from penstock.run.surroundings import Surroundings
    from penstock.types import Schema


def aged(around: Surroundings, incarnation: str) -> tuple[NodeBalance, ...]:
    """What these rules find now of no rows: an entry for each check that has one. Reads the ledger, and writes nothing.

    Raises DataError ENG-315 as an epoch does.
    """
    checks = aging_checks(around.plan.graph)
    if not checks:
        return ()
    now = around.clock.now()
    ages = ages_before(around.ledger, around.key, incarnation, around.plan.graph, now)
    parts = [_alone(check) for check in checks]
    graph = with_ages(at_moment(Graph(tuple(node for part in parts for node in part)), now), ages)
    outcome = around.engine.run(
        Pass(graph, own=True),
        inputs={read.id: [Batches(_schema(read), lambda: iter(()))] for read in graph.reads},
        outputs={write.sink: Collected for write in graph.writes},
        rejects=Unkept(),
    )
    known = {check.id for check in checks}
    return tuple(entry for entry in balance.account(graph, outcome.counts) if entry.node in known)


def _alone(check: Check) -> tuple[Read, Check, Write]:
    """The check's rules about an age, over no rows of their columns."""
    rules = tuple(rule for rule in check.table_rules if rule.aging)
    codes = {rule.code for rule in rules}
    schema = _schema(check).select(list(dict.fromkeys(rule.columns[0] for rule in rules)))
    read = Read(f"{check.id}.nothing", source=check.id, schema=schema)
    alone = replace(
        check,
        input=read.id,
        causes=(),
        notes=(),
        table_rules=rules,
        rules=tuple(rule for rule in check.rules if rule.code in codes),
        record=None,
        schema=schema,
    )
    return read, alone, Write(f"{check.id}.unwritten", input=check.id, sink=check.id, schema=schema)


def _schema(node: Check | Read) -> Schema:
    if node.schema is None:
        raise InternalError("INT-900", f'"{node.id}" has no columns yet')
    return node.schema


__all__ = ["aged"]
