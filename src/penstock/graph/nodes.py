"""The relational nodes: a closed set, frozen; every expression is a SQLGlot tree in DuckDB's dialect.

A node's id is ``transform.step`` (``prices.filter``, the second one ``prices.filter_2``), or the source's or sink's name.
Expressions of nodes with one input name its columns without a qualifier; a join's qualify them with ``left``/``right``
aliases; a query names its inputs as tables. Treat trees as immutable: copy before changing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from penstock.structs import Frozen, Selective, field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from decimal import Decimal as Number

    from sqlglot import exp

    from penstock.errors import Location
    from penstock.types import Schema


class NodeKind(StrEnum):
    """How a node's rows are accounted (architecture.md §6)."""

    READ = "read"
    TABLE = "table"
    PROJECT = "project"  # in = out
    FILTER = "filter"  # in = out + filtered
    DEDUPLICATE = "deduplicate"  # in = out + deduplicated
    CHECK = "check"  # in = out + rejected
    JOIN = "join"  # in per input, out, unmatched per side
    AGGREGATE = "aggregate"  # in = sum of group sizes
    EXPLODE = "explode"  # in, out, empty
    UNION = "union"  # sum of in = out
    SORT = "sort"  # in = out
    LIMIT = "limit"  # in = out + filtered
    SAMPLE = "sample"  # in = out + filtered
    QUERY = "query"  # in per input, out
    PYTHON = "python"  # in, out
    WRITE = "write"  # in = rows sent


class Column(Frozen):
    """An output column and where its value comes from; ``never_null``: whoever made it has proved that it never is."""

    name: str
    value: exp.Expr
    at: Location | None = None
    never_null: bool = False


class SortKey(Frozen):
    """Rows in the order of ``value``, a checked expression; nulls last unless said."""

    value: exp.Expr
    descending: bool = False
    nulls_first: bool = False


class Threshold(Frozen):
    """How many rows may violate a rule: more than ``max_rows`` of them, or than ``max_share`` (0 to 1) of those that came
    in, fail the run.
    """

    max_rows: int | None = None
    max_share: Number | None = None


class Cause(Selective):
    """One reason to reject a row: ``violated`` true means rejected, null and false mean kept.

    ``code`` is stable ("cast", "null_key", "ambiguous_key", a rule's name); ``message`` is a SQL text expression over the
    row, computed for rejected rows only. Causes of one code within a Check are one rule, and have one ``threshold``.
    """

    code: str
    violated: exp.Expr
    message: exp.Expr
    column: str | None = None
    on_fail: Literal["reject", "fail"] = "reject"
    threshold: Threshold | None = None
    at: Location | None = None
    uncompared = frozenset({"at"})


class Note(Selective):
    """A rule that lets rows pass which violate it, and of which these are counted: ``violated`` as of a Cause, each row
    once. ``warn`` is told as a warning of the run.
    """

    code: str
    violated: exp.Expr
    on_fail: Literal["warn", "info"]
    threshold: Threshold | None = None
    at: Location | None = None
    uncompared = frozenset({"at"})


class Method(StrEnum):
    """How figures of earlier epochs bound a new one: how far from which middle it may lie."""

    ZSCORE = "zscore"  # standard deviations, from the mean
    MAD = "mad"  # median absolute deviations, as those of a normal distribution, from the median
    IQR = "iqr"  # interquartile ranges, from the nearer quartile
    SEASONAL = "seasonal"  # as mad, of epochs of the same weekday (UTC) alone
    DRIFT = "drift"  # shares of the median, from the median


class Baseline(Frozen):
    """A measure is compared with its own figures in the newest ``window`` epochs before, where ``min_history`` of them have
    one. ``sensitivity`` counts what the method does.
    """

    measure: str
    method: Method
    sensitivity: float
    min_history: int
    window: int
    side: Literal["both", "above", "below"] = "both"


class TableRule(Selective):
    """A rule about all rows that come in, together. ``measures`` are numbers: aggregates over the rows, by the metric's
    name. ``violated`` true means that the rows violate the rule, null and false that they do not; it and ``message``, a SQL
    text expression, name measures, by ``OTHER`` columns of the node ``beside``, which has one row, and by ``EARLIER`` what
    its ``baselines`` set (graph/history.py), null until an epoch gives it a value. ``columns`` are those that the message
    tells of: one that is labelled hides it. ``note``: what is to be said of the rule also where the rows fulfil it.
    ``aging``: its one measure is how old, in seconds at the epoch's moment, the newest value of its one column is: one that
    came before is older by now (graph/aging.py).
    """

    code: str
    measures: tuple[Column, ...]
    violated: exp.Expr
    message: exp.Expr
    columns: tuple[str, ...]
    on_fail: Literal["warn", "fail", "info"]
    beside: str | None = None
    baselines: tuple[Baseline, ...] = ()
    note: str | None = None
    aging: bool = False
    at: Location | None = None
    uncompared = frozenset({"aging", "at"})


class Rule(Frozen):
    """What reports call a rule of the document: ``code`` as its causes, notes and measures have it, ``kind`` its name in the
    catalogue; ``about`` are its settings as the document says them, as texts, and ``columns`` what it looks at of its place.
    """

    code: str
    kind: str
    dimension: str
    weight: float
    on_fail: str
    about: tuple[tuple[str, str], ...] = ()
    columns: frozenset[str] = frozenset()


OTHER: Final = "other"
EARLIER: Final = "earlier"
JoinKind: TypeAlias = Literal["inner", "left", "right", "full", "cross", "semi", "anti", "asof", "asof_left"]


class _Placed(Selective, kw_only=True):
    at: Location | None = None
    places: Mapping[str, Location] = field(default_factory=dict)  # of a system's settings
    schema: Schema | None = None  # filled by the typing pass
    uncompared = frozenset({"at", "places"})


class _Node(_Placed):
    id: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return ()


class _OneInput(_Node):
    input: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


class Cursor(Frozen):
    """What tells the new rows of a source from those that earlier epochs had: they stand beyond the newest value of ``by``.
    Rows of that value are told apart by the columns ``identity``. ``lag`` is taken off the newest value, and what lies
    beyond is read again; ``initial``, a checked literal, is the first value of all.

    ``row`` are all columns of a row where the document names those of ``identity``, and none where it names no columns:
    then ``identity`` is the whole row, and rows that are the same in it are several.
    """

    by: str
    identity: tuple[str, ...]
    lag: timedelta | Number | None = None
    initial: exp.Expr | None = None
    row: tuple[str, ...] = ()

    @property
    def whole(self) -> tuple[str, ...]:
        return self.row or self.identity

    @property
    def named(self) -> tuple[str, ...]:
        """The columns that the document names."""
        return (self.by, *(self.identity if self.row else ()))


class Read(_Node):
    """All columns of a source's range. ``columns`` None: all; ``predicate`` was pushed into the read.

    ``incremental``: the range begins where the last sealed epoch ended. With a ``cursor`` the node ``range`` (its id), a
    filter that each epoch gives its condition, leaves out what is not in the range.
    """

    source: str
    columns: tuple[str, ...] | None = None
    predicate: exp.Expr | None = None
    incremental: bool = False
    cursor: Cursor | None = None
    kind = NodeKind.READ

    @property
    def range(self) -> str:
        return f"{self.id}.range"


class Table(_Node):
    """A sink's table as of this epoch's own commit."""

    sink: str
    columns: tuple[str, ...] | None = None
    predicate: exp.Expr | None = None
    kind = NodeKind.TABLE


class Project(_OneInput):
    """One row out per row in; values may use window functions. Columns in order, complete. ``is_origin``: what comes out is
    what a source gives, whatever it was made of; a reject shows it as its source's row.
    """

    columns: tuple[Column, ...]
    is_origin: bool = False
    uncompared = _Node.uncompared | {"is_origin"}
    kind = NodeKind.PROJECT


class Filter(_OneInput):
    """Keeps rows for which the condition is true; ``why`` says how the others are accounted.

    The condition of a deduplication may use window functions. ``among``, which an epoch gives the filter of its range,
    uses them over the rows for which ``condition`` is true.
    """

    condition: exp.Expr
    why: Literal["filter", "deduplicate"] = "filter"
    among: exp.Expr | None = None  # no part of what the pipeline means
    uncompared = _Node.uncompared | {"among"}

    @property
    def kind(self) -> NodeKind:
        return NodeKind(self.why)


class Check(_OneInput):
    """Sends rows with at least one violated cause to rejects, and passes the others on unchanged.

    ``notes`` are counted over all rows that come in, also over those that are rejected; ``table_rules`` are about these as
    well. ``record`` are the columns that a reject shows, None: all; the others are the compiler's own.
    """

    causes: tuple[Cause, ...]
    record: tuple[str, ...] | None = None
    notes: tuple[Note, ...] = ()
    table_rules: tuple[TableRule, ...] = ()
    rules: tuple[Rule, ...] = ()
    uncompared = _Node.uncompared | {"rules"}
    kind = NodeKind.CHECK

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input, *self.beside)

    @property
    def beside(self) -> tuple[str, ...]:
        """The nodes of one row that its rules compare with; none of their rows is the check's."""
        return tuple(dict.fromkeys(rule.beside for rule in self.table_rules if rule.beside is not None))

    @property
    def demands(self) -> tuple[Cause | Note, ...]:
        return (*self.causes, *self.notes)


class Join(_Node):
    """``on`` qualifies columns by ``left_alias`` and ``right_alias``; so do the values of ``columns``."""

    left: str
    right: str
    how: JoinKind
    on: exp.Expr | None
    columns: tuple[Column, ...]
    left_alias: str = "this"
    right_alias: str = "that"
    kind = NodeKind.JOIN

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.left, self.right)


class Aggregate(_OneInput):
    """One row per group; without ``by`` exactly one row. ``having`` is not offered: filter afterwards."""

    by: tuple[Column, ...]
    measures: tuple[Column, ...]
    kind = NodeKind.AGGREGATE


class Explode(_OneInput):
    """One row out per element of the list ``value``; ``keep_empty`` keeps rows whose list is empty or null once, with
    null. ``columns`` are carried along; the element stands in ``as_``, its 1-based place in ``position``.
    """

    value: exp.Expr
    as_: str
    columns: tuple[Column, ...]
    position: str | None = None
    keep_empty: bool = False
    kind = NodeKind.EXPLODE


class Union(_Node):
    """All rows of all inputs. Each input is projected to the same columns beforehand; duplicates stay."""

    members: tuple[str, ...]
    kind = NodeKind.UNION

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.members


class Sort(_OneInput):
    """The same rows in an order; it holds for a Limit or a sink directly above, for nothing else."""

    keys: tuple[SortKey, ...]
    kind = NodeKind.SORT


class Limit(_OneInput):
    """The first ``rows`` rows, by the order of a Sort directly below it if there is one."""

    rows: int
    kind = NodeKind.LIMIT


class Sample(_OneInput):
    """Exactly ``rows`` rows (reservoir), or about ``percent`` of them (Bernoulli), repeatable by ``seed``."""

    seed: int
    rows: int | None = None
    percent: float | None = None
    kind = NodeKind.SAMPLE


class Query(_Node):
    """One SELECT of the user's. ``tables`` maps the names it uses (``this``, node names) to node ids."""

    tables: Mapping[str, str]
    query: exp.Query
    kind = NodeKind.QUERY

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(self.tables.values())


class Python(_OneInput):
    """A function from Arrow batch to Arrow batch with a declared schema; ``function`` is ``module:name``.

    ``whole_table``: it gets all rows at once, of at most ``max_bytes`` in Arrow's memory (engines/python_function.py).
    """

    function: str
    declared: Schema
    whole_table: bool = False
    max_bytes: int | None = None
    kind = NodeKind.PYTHON


class Write(_OneInput):
    """Rows sent to a sink."""

    sink: str
    kind = NodeKind.WRITE


Node: TypeAlias = (
    Read
    | Table
    | Project
    | Filter
    | Check
    | Join
    | Aggregate
    | Explode
    | Union
    | Sort
    | Limit
    | Sample
    | Query
    | Python
    | Write
)
