"""``profile``: what a node's rows, or a file's, are like. They are read once, into a private file; what is asked of that
takes bounded memory, where needed by sketches.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from penstock.errors import ConfigError, PenstockError, Problem
from penstock.graph import Graph
from penstock.graph.moment import at_moment
from penstock.graph.nodes import Aggregate, Column
from penstock.service.advising import Advice, advised
from penstock.service.copied import Copied
from penstock.service.given import without_ends
from penstock.service.inspecting import looking_at
from penstock.service.masking import hidden_columns
from penstock.service.measures import BINS, QUANTILES, Measured, correlation, patterns_of
from penstock.service.recalled import REMEMBERED, Recalled, recalled, sinks_of
from penstock.service.scratch import scratch_folder
from penstock.structs import Frozen, replace
from penstock.types.logical import DATE, TIMESTAMPTZ

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from sqlglot import exp

    from penstock.document.models import Pipeline, SinkUse, SourceUse, Transform
    from penstock.service.inspecting import Look
    from penstock.service.request import Request
    from penstock.types import Schema

_TOGETHER: Final = 50  # columns whose measures one statement takes
CORRELATED: Final = 20  # numeric columns of which every pair is looked at
_ROWS: Final = "rows"
Section: TypeAlias = Literal["sources", "transforms", "sinks"]


class Frequent(Frozen):
    """A value, or a pattern of texts, and how many rows have it: exact, of those that a sketch found to be the most."""

    value: str
    rows: int


class Bin(Frozen):
    """The rows from ``low`` on, up to but not with ``high``; the last one has that too."""

    low: float | str
    high: float | str
    rows: int


class Quantile(Frozen):
    """The value that such a ``share`` of the rows does not exceed, about."""

    share: float
    value: float | str


class ColumnProfile(Frozen):
    """What a column's values are like. ``count`` are those that are not null. ``is_hidden``: a label forbids to show any.

    Texts of instants are ISO 8601; values are cut at 100 characters, patterns (A for a letter, 9 for a digit) at 50.
    ``lengths`` (shortest, mean, longest) are characters, bytes, or elements. NaN and infinities count as values, and take no
    part in mean, stddev, quantiles and histogram.
    """

    name: str
    type: str
    labels: tuple[str, ...]
    is_hidden: bool
    count: int
    nulls: int
    distinct: int
    is_exact: bool  # whether distinct is
    minimum: str | None = None
    maximum: str | None = None
    mean: float | None = None
    stddev: float | None = None
    nan: int = 0
    infinite: int = 0
    empty: int = 0
    lengths: tuple[int, float, int] | None = None
    quantiles: tuple[Quantile, ...] = ()
    top: tuple[Frequent, ...] = ()
    patterns: tuple[Frequent, ...] = ()
    histogram: tuple[Bin, ...] = ()


class Correlation(Frozen):
    one: str
    other: str
    value: float


class Profile(Frozen):
    """``correlated`` are the numeric columns of which every pair was looked at; ``rejected`` as preview has it. ``section`` of
    the document is the one that the node stands in, None for a step; ``advice`` are rules that would have held.
    """

    name: str
    section: Section | None
    rows: int
    columns: tuple[ColumnProfile, ...]
    correlations: tuple[Correlation, ...]
    correlated: tuple[str, ...]
    rejected: Mapping[str, int]
    advice: tuple[Advice, ...] = ()
    runs: int = 0  # of the ledger, of which the advice was true too


def profile(
    request: Request, name: str, allow: Collection[str] = (), told: Callable[[str], None] = lambda _: None
) -> Profile:
    """Of a source, a transform, a step or what a sink would get, called as ``preview`` calls it; nothing is written.
    Columns with labels show no values, but for those that ``allow`` names. ``told`` hears what is done next.
    """
    with looking_at(request, name) as look:
        told(f"reading {name}")
        copy = _Copy.of(look, look.found.request.clock.now())
        hidden = hidden_columns({item.name: item.labels for item in look.schema}, allow)
        measured = [Measured(item, place) for place, item in enumerate(look.schema)]
        columns = _columns(copy, measured, hidden, told)
        paired = [one for one in measured if one.is_number and one.field.name not in hidden][:CORRELATED]
        section, use = _place(look.found.pipeline, look.called)
        before = _before(look)
        is_part = any(read.incremental for read in look.graph.reads)
        return Profile(
            look.called,
            section,
            copy.rows,
            columns,
            tuple(_correlations(copy, paired)),
            tuple(one.field.name for one in paired),
            copy.rejected,
            advised(
                list(zip(columns, look.schema, strict=True)), copy.rows, uses=(use,), is_part=is_part, before=before
            )
            if use is not None
            else (),
            max((found.runs for found in before), default=0),
        )


def profiled(
    copied: Copied, schema: Schema, hidden: Collection[str], told: Callable[[str], None]
) -> tuple[ColumnProfile, ...]:
    """What the columns of rows are like that have been read already; the ``hidden`` ones show no value."""
    return _columns(_Copy(copied), [Measured(item, place) for place, item in enumerate(schema)], hidden, told)


def _before(look: Look) -> list[Recalled]:
    """What runs wrote of the node's rows as they are."""
    memory = look.found.memory
    if memory is None:
        return []
    history = memory.history(look.found.key, limit=REMEMBERED)
    each = (recalled(history, sink) for sink in sinks_of(look.whole, look.called))
    return [found for found in each if found is not None]


def _place(pipeline: Pipeline, name: str) -> tuple[Section | None, SourceUse | Transform | SinkUse | None]:
    """Where the node stands in the document, None for a step."""
    if name in pipeline.sources:
        return "sources", pipeline.sources[name]
    if name in pipeline.transforms:
        return "transforms", pipeline.transforms[name]
    return ("sinks", pipeline.sinks[name]) if name in pipeline.sinks else (None, None)


# By the ending of a file's name, in lower case: the connector that reads it.
_CONNECTORS: Final = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson",
    ".parquet": "parquet", ".avro": "avro", ".xml": "xml", ".xlsx": "excel",
}  # fmt: skip
_PACKED: Final = frozenset({".gz", ".zst"})


def profile_file(request: Request, told: Callable[[str], None] = lambda _: None) -> Profile:
    """Of a file, or of all that a pattern names: ``request.file``. Raises ConfigError CLI-131 where its name does not end as
    those of a format do, and what reading it raises.
    """
    path = request.file
    endings = [ending for ending in path.suffixes if ending.lower() not in _PACKED]
    kind = _CONNECTORS.get(endings[-1].lower()) if endings else None
    if kind is None:
        known = ", ".join(_CONNECTORS)
        raise ConfigError("CLI-131", f'nothing is known of the format of "{path}"', detail=f"known endings: {known}.")
    with scratch_folder() as folder:
        source = {"type": kind, "path": str(path.absolute()).replace("${", "$${")}
        document = folder / "profile.json"
        document.write_text(json.dumps({"pipeline": "profile", "sources": {"file": source}}), encoding="utf-8")
        roots = (*request.settings.allow_paths, _fixed(path.absolute()))
        settings = replace(request.settings, project_root=folder, allow_paths=roots)
        try:
            found = profile(replace(request, file=document, settings=settings), "file", told=told)
        except PenstockError as error:
            error.problems = tuple(_of_file(problem, path) for problem in error.problems)
            raise
        return replace(found, name=str(path))


def _of_file(problem: Problem, path: Path) -> Problem:
    """Nobody wrote the document that it stands in, and nobody can state anything there."""
    hint = f"`profile FILE NODE` profiles a source that says how to read {path.name}" if problem.hint else None
    return replace(problem, at=None, hint=hint)


def _fixed(path: Path) -> Path:
    """The folder above the first part that is a pattern."""
    parts = path.parent.parts
    wild = next((place for place, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    return Path(*parts[:wild])


def _parts(measured: Sequence[Measured]) -> Iterator[Sequence[Measured]]:
    for start in range(0, len(measured), _TOGETHER):
        yield measured[start : start + _TOGETHER]


# ---------------------------------------------------------------- the rows


class _Copy(Frozen):
    """The node's rows as they were read once."""

    copied: Copied

    @classmethod
    def of(cls, look: Look, moment: datetime) -> _Copy:
        graph = at_moment(without_ends(look.graph), moment)
        inputs, into = look.found.inputs(look.graph), look.found.scratch / f"{_ROWS}.arrow"
        return cls(Copied.of(look.found.engine, graph, look.node, inputs, schema=look.schema, into=into))

    @property
    def rows(self) -> int:
        return self.copied.rows

    @property
    def rejected(self) -> Mapping[str, int]:
        return self.copied.rejected

    def ask(self, measures: Mapping[str, exp.Expr]) -> dict[str, Any]:
        """One value per aggregate, by name."""
        if not measures:
            return {}
        columns = tuple(Column(name, value) for name, value in measures.items())
        read = self.copied.read
        node = Aggregate("measures", input=read.id, by=(), measures=columns)
        graph, parts = Graph((read, node)), {read.id: self.copied.parts}
        table = self.copied.engine.sample(graph, node.id, parts, 1).table
        return {name: table.column(name)[0].as_py() for name in measures}


# ---------------------------------------------------------------- columns


def _columns(
    copy: _Copy, measured: Sequence[Measured], hidden: Collection[str], told: Callable[[str], None]
) -> tuple[ColumnProfile, ...]:
    found: dict[str, Any] = {}
    for part in _parts(measured):
        told(f"{part[0].field.name} … {part[-1].field.name}")
        found |= copy.ask({k: v for one in part for k, v in one.sketches(hidden=one.field.name in hidden)})
    counted: dict[str, Any] = {}
    for part in _parts(measured) if copy.rows else ():
        told(f"{part[0].field.name} … {part[-1].field.name}: counting")
        counted |= copy.ask({k: v for one in part for k, v in one.counts(found, hidden=one.field.name in hidden)})
    for part in _parts(measured):
        counted |= copy.ask({k: v for one in part for k, v in one.patterns(counted)})
    counted |= {
        one.name("patterns"): patterns_of(counted[one.name("dictionary")] or ())
        for one in measured
        if one.name("dictionary") in counted
    }
    return tuple(
        _column(one, copy.rows, found=found, counted=counted, is_hidden=one.field.name in hidden) for one in measured
    )


def _column(
    one: Measured, rows: int, *, found: Mapping[str, Any], counted: Mapping[str, Any], is_hidden: bool
) -> ColumnProfile:
    def sketch(measure: str, otherwise: Any = None) -> Any:
        value = found.get(one.name(measure))
        return otherwise if value is None else value

    exact, low, high = counted.get(one.name("exact")), sketch("low"), sketch("high")
    count = sketch("count")
    return ColumnProfile(
        name=one.field.name,
        type=str(one.field.type),
        labels=tuple(sorted(one.field.labels)),
        is_hidden=is_hidden,
        count=count,
        nulls=rows - count,
        distinct=min(sketch("distinct"), count) if exact is None else exact,
        is_exact=exact is not None or not rows,
        minimum=sketch("min"),
        maximum=sketch("max"),
        mean=_finite(sketch("mean")),
        stddev=_finite(sketch("stddev")),
        nan=sketch("nan", 0),
        infinite=sketch("infinite", 0),
        empty=sketch("empty", 0),
        lengths=None if sketch("shortest") is None else (sketch("shortest"), sketch("length"), sketch("longest")),
        quantiles=tuple(
            Quantile(share, _on_axis(one, value))
            for share, value in zip(QUANTILES, sketch("quantiles", ()), strict=False)
        ),
        top=_frequent(counted.get(one.name("top"))),
        patterns=_frequent(counted.get(one.name("patterns"))),
        histogram=_bins(one, low, high, counted.get(one.name("bins"))),
    )


def _finite(value: float | None) -> float | None:
    """A mean that is beyond a double is none."""
    return value if value is not None and math.isfinite(value) else None


def _frequent(counts: Sequence[tuple[str, int]] | None) -> tuple[Frequent, ...]:
    """What stands there once is not frequent."""
    found = [Frequent(value, int(rows)) for value, rows in counts or () if rows > 1]
    return tuple(sorted(found, key=lambda item: (-item.rows, item.value)))


def _bins(
    one: Measured, low: float | None, high: float | None, counts: Sequence[tuple[int, int]] | None
) -> tuple[Bin, ...]:
    if low is None or high is None or counts is None:
        return ()
    by_place, width = dict(counts), (high - low) / BINS
    edges = [*(low + place * width for place in range(BINS)), high]
    return tuple(
        Bin(_on_axis(one, edges[place]), _on_axis(one, edges[place + 1]), int(by_place.get(place, 0)))
        for place in range(BINS)
    )


def _on_axis(one: Measured, value: float) -> float | str:
    """A number as it is, seconds since 1970 as the instant that they are."""
    if not one.is_instant:
        return value
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)
    except OverflowError:
        return value
    if one.field.type == DATE:
        return moment.date().isoformat()
    text = moment.replace(tzinfo=None).isoformat(" ", timespec="seconds")  # as the least and the greatest are written
    return f"{text}+00" if one.field.type == TIMESTAMPTZ else text


def _correlations(copy: _Copy, paired: Sequence[Measured]) -> Iterator[Correlation]:
    """The strongest first; of a column with one value there is none."""
    pairs = [(one, other) for place, one in enumerate(paired) for other in paired[place + 1 :]]
    found = copy.ask({f"pair_{place}": correlation(*pair) for place, pair in enumerate(pairs)})
    values = [
        Correlation(one.field.name, other.field.name, value)
        for place, (one, other) in enumerate(pairs)
        if (value := _finite(found[f"pair_{place}"])) is not None
    ]
    yield from sorted(values, key=lambda item: (-abs(item.value), item.one, item.other))
