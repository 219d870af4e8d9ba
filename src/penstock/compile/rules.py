"""What a place of a document demands of its rows: all its rules in one Check, so that the rows are gone through once.

What looks at other rows is computed by a projection before it, and taken away by one behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from sqlglot import exp

from penstock.compile.scope import StepScope
from penstock.errors import ConfigError
from penstock.graph.nodes import Aggregate, Cause, Check, Column, Join, Note, Project, Rule, TableRule
from penstock.rules.about import about, columns_named
from penstock.rules.api import TableViolation
from penstock.steps.collect import together
from penstock.structs import Frozen, field
from penstock.trees import column, is_not_null, unused_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from penstock.compile.scope import Builder
    from penstock.document.models import RuleUse
    from penstock.errors import Location
    from penstock.rules.api import Violation
    from penstock.rules.params import AnyRuleParams, RuleParams, TableRuleParams

_ROWS, _KEYS = "rows", "keys"


class _Lookup(Frozen):
    """The column ``mark``: whether a row of the node ``keys``, which has each key once, has these values; ``node`` is the
    join that tells.
    """

    mark: str
    columns: tuple[exp.Column, ...]
    keys: str
    node: str

    def join(self, node_id: str, carried: Sequence[str], at: Location | None) -> Join:
        pairs = [
            exp.EQ(this=column(item.name, _ROWS), expression=column(f"key{place}", _KEYS))
            for place, item in enumerate(self.columns, start=1)
        ]
        columns = tuple(Column(name, column(name, _ROWS)) for name in carried)
        found = Column(self.mark, is_not_null(column("key1", _KEYS)))
        return Join(
            self.node,
            left=node_id,
            right=self.keys,
            how="left",
            on=exp.and_(*pairs),
            columns=(*columns, found),
            left_alias=_ROWS,
            right_alias=_KEYS,
            at=at,
        )


class RuleScope(StepScope):
    """Implements ``rules.api.Scope``; ``marks`` and ``lookups`` are those of all rules of the place."""

    marks: list[Column] = field(default_factory=list)
    lookups: list[_Lookup] = field(default_factory=list)

    def mark(self, value: exp.Expr) -> exp.Column:
        self.marks.append(Column(self._unused(), value, self.at))
        return column(self.marks[-1].name)

    def known(self, columns: Sequence[exp.Column], node: str, others: Sequence[exp.Column]) -> exp.Column:
        by = tuple(Column(f"key{place}", item) for place, item in enumerate(others, start=1))
        keys = self.add(Aggregate(self.node_id("keys"), input=node, by=by, measures=()))
        self.lookups.append(_Lookup(self._unused(), tuple(columns), keys, self.node_id()))
        return column(self.lookups[-1].mark)

    def _unused(self) -> str:
        taken = [*self.schema.names, *(item.name for item in self.marks), *(item.mark for item in self.lookups)]
        return unused_name("__rule", taken)


def demand(
    builder: Builder,
    node_id: str,
    rules: Sequence[RuleUse],
    *,
    owner: str,
    at: Location | None,
    resolve_name: Callable[[str, Location | None], str],
    meant: Callable[[bool], AbstractContextManager[None]],
) -> str:
    """The rows that no rule rejects. ``meant`` says of what is added within it whether the rows of one epoch are meant.

    Raises ConfigError with the problems of all rules: CMP-370 where two have one name,
    and those of the rules themselves.
    """
    if not rules:
        return node_id
    marks: list[Column] = []
    lookups: list[_Lookup] = []
    causes: list[Cause] = []
    notes: list[Note] = []
    table_rules: list[TableRule] = []
    told: list[Rule] = []
    with together() as part:
        for use, label in _labelled(rules, part):
            with part():
                scope = RuleScope(builder, owner, label, (node_id,), use.at, resolve_name, marks=marks, lookups=lookups)
                with meant(_means_the_epoch(use)):
                    found = use.descriptor.make(use.params, scope)
                told.append(_rule(use, label, found))
                if isinstance(found, TableViolation):
                    table_rules.append(_table_rule(found, use, label))
                    continue
                match cast("RuleParams", use.params).on_fail:
                    case "reject" | "fail" as on_fail:
                        causes += [_cause(item, use, label, on_fail) for item in found]
                    case "warn" | "info" as on_fail:
                        notes.append(_note(found, use, label, on_fail))
    names = builder.schema_of(node_id).names
    carried = tuple(Column(name, column(name)) for name in names)
    looked_up = names
    for lookup in lookups:
        with meant(all(_means_the_epoch(use) for use in rules)):
            node_id = builder.add(lookup.join(node_id, looked_up, at))
        looked_up = (*looked_up, lookup.mark)
    if marks:
        carried_on = tuple(Column(name, column(name)) for name in looked_up)
        looked = Project(builder.unique_id(f"{owner}.rules.marks"), input=node_id, columns=(*carried_on, *marks), at=at)
        with meant(all(_means_the_epoch(use) for use in rules)):
            node_id = builder.add(looked)
    check = Check(
        builder.unique_id(f"{owner}.rules"),
        input=node_id,
        causes=tuple(causes),
        notes=tuple(notes),
        table_rules=tuple(table_rules),
        rules=tuple(told),
        record=names if marks or lookups else None,
        at=at,
    )
    node_id = builder.add(check)
    if not marks and not lookups:
        return node_id
    return builder.add(Project(builder.unique_id(f"{owner}.rules.rows"), input=node_id, columns=carried, at=at))


def _means_the_epoch(use: RuleUse) -> bool:
    return getattr(use.params, "scope", "epoch") == "epoch"


def _rule(use: RuleUse, label: str, found: Sequence[Violation] | TableViolation) -> Rule:
    params = cast("RuleParams | TableRuleParams", use.params)
    return Rule(
        label,
        use.descriptor.name,
        use.descriptor.dimension or "validity",
        params.weight,
        params.on_fail,
        about(params),
        _columns(found) | columns_named(params),
    )


def _columns(found: Sequence[Violation] | TableViolation) -> frozenset[str]:
    """The columns that are looked at, those of marks among them."""
    if isinstance(found, TableViolation):
        trees, told = [one.value for one in found.measures], {*found.columns}
    else:
        trees, told = [one.violated for one in found], {one.column for one in found if one.column is not None}
    return frozenset(told | {item.name for tree in trees for item in tree.find_all(exp.Column)})


def _cause(found: Violation, use: RuleUse, label: str, on_fail: Literal["reject", "fail"]) -> Cause:
    params = cast("RuleParams", use.params)
    return Cause(
        label,
        found.violated,
        found.message,
        found.column,
        on_fail,
        threshold=params.threshold,
        at=found.at or use.at,
    )


def _note(found: Sequence[Violation], use: RuleUse, label: str, on_fail: Literal["warn", "info"]) -> Note:
    """A row that violates the rule for several reasons counts once."""
    threshold = cast("RuleParams", use.params).threshold
    at = found[0].at if len(found) == 1 else None
    return Note(label, exp.or_(*(item.violated for item in found)), on_fail, threshold=threshold, at=at or use.at)


def _table_rule(found: TableViolation, use: RuleUse, label: str) -> TableRule:
    on_fail = cast("TableRuleParams", use.params).on_fail
    return TableRule(
        label,
        found.measures,
        found.violated,
        found.message,
        found.columns,
        on_fail,
        beside=found.beside,
        baselines=found.baselines,
        aging=found.aging,
        at=use.at,
    )


def _labelled(
    rules: Sequence[RuleUse], part: Callable[[], AbstractContextManager[None]]
) -> Iterator[tuple[RuleUse, str]]:
    """Each with what rejects call it: its ``name``, else the rule's own, numbered from the second one on."""
    named = {params.name for use in rules if (params := cast("AnyRuleParams", use.params)).name is not None}
    seen: set[str] = set()
    for use in rules:
        label = cast("AnyRuleParams", use.params).name
        if label is None:
            label = _free(use.descriptor.name, seen | named)
        elif label in seen:
            with part():
                raise ConfigError(
                    "CMP-370", f'two rules have the name "{label}"', at=getattr(label, "at", None) or use.at
                )
        seen.add(str(label))
        yield use, str(label)


def _free(name: str, taken: set[str]) -> str:
    number = 1
    while (label := name if number == 1 else f"{name}_{number}") in taken:
        number += 1
    return label
