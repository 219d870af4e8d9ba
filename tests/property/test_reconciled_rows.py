"""Two sides of hostile rows, compared by range and key, against the plainest reference there is: two counters."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.compile.reconcile import Compared, Comparison
from penstock.connectors.api import Batches, Chunk
from penstock.engines.api import Limits
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.graph import Graph
from penstock.graph.nodes import Read
from penstock.service.comparing import SOURCE, TARGET, Beside, Kind
from penstock.service.copied import Copied
from penstock.types import Field, Schema
from penstock.types.arrow import to_arrow
from penstock.types.logical import FLOAT64, INT64, STRING, List

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Row = tuple[Any, ...]
SCHEMA = Schema((Field("k", FLOAT64), Field("s", STRING), Field("v", INT64), Field("l", List(List(INT64)))))
KEYED = tuple(Compared(item.name, item.type) for item in SCHEMA)
_ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, 0.0, -0.0, 1.5, -1e308, float("nan"), float("inf")]),
        st.sampled_from([None, "", "a", "A", "😀", "a,b\n'\"", "\x00", "x" * 300]),
        st.sampled_from([None, 0, 1, -(2**63)]),
        st.sampled_from([None, [], [None], [[]], [[1], [2]], [[1, 2]]]),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    folder = tmp_path_factory.mktemp("engine")
    made = DuckDBEngine(Limits(memory_bytes=256 << 20, threads=1), folder, (Path(tempfile.gettempdir()),))
    yield made
    made.close()


def _copied(engine: DuckDBEngine, rows: Sequence[Row], comparison: Comparison, into: Path) -> Copied:
    columns = [dict(zip(SCHEMA.names, row, strict=True)) for row in rows]
    batch = pa.RecordBatch.from_pylist(columns, schema=to_arrow(SCHEMA))
    read = Read("rows", source="rows", schema=SCHEMA)
    node = comparison.fingerprints(read.id, SCHEMA)
    inputs = {read.id: [Batches(SCHEMA, lambda: iter([Chunk(batch, {"v": 1})]))]}
    return Copied.of(engine, Graph((read, node)), node.id, inputs, schema=comparison.schema, into=into)


def _normal(value: Any) -> str:
    """Equal where values are: both zeros, any NaN."""
    return repr(0.0) if value == 0 and isinstance(value, float) else repr(value)


def _kinds(source: Sequence[Row], target: Sequence[Row], width: int) -> Counter[Kind]:
    """What is wrong with each key, the first ``width`` columns."""
    sides: list[dict[Row, Counter[Row]]] = [{}, {}]
    for side, rows in zip(sides, (source, target), strict=True):
        for row in rows:
            told = tuple(map(_normal, row))
            side.setdefault(told[:width], Counter())[told] += 1
    found: Counter[Kind] = Counter()
    for key in {*sides[0], *sides[1]}:
        one, other = (side.get(key, Counter()) for side in sides)
        if one != other:
            if not other:
                found[Kind.MISSING] += 1
            elif not one:
                found[Kind.EXTRA] += 1
            else:
                found[Kind.REPEATED if one.total() != other.total() else Kind.DIFFERING] += 1
    return found


@pytest.mark.parametrize("width", [3, 2, 0])
@given(source=_ROWS, more=_ROWS, lost=st.integers(0, 3), ranges=st.integers(1, 7))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_difference_is_found_and_nothing_else(
    engine: DuckDBEngine, *, width: int, source: list[Row], more: list[Row], lost: int, ranges: int
) -> None:
    target = [*source[lost:][::-1], *more[:2]]
    keys = KEYED[: min(width, 3)]
    comparison = Comparison(keys, KEYED, ())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sides = [
            _copied(engine, rows, comparison, folder / f"{name}.arrow")
            for name, rows in ((SOURCE, source), (TARGET, target))
        ]
        beside = Beside(comparison, *sides, folder)
        found = beside.ranges(ranges)
        assert sum(one.source.rows for one in found) == len(source)
        assert sum(one.target.rows for one in found) == len(target)
        assert len(found) <= ranges
        wanted = _kinds(source, target, len(keys) or len(SCHEMA.names))
        if all(one.agrees for one in found):
            assert wanted == Counter()
        else:
            totals = beside.totals(beside.different(found))
            assert Counter({kind: total.keys for kind, total in totals.items()}) == wanted
