"""Two pipelines write into one folder in any order, with any modes, dying anywhere: the folder is what a model says."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.clock import SystemClock
from penstock.connectors.api import Context, Epoch
from penstock.connectors.files.parquet_sink import SINK
from penstock.connectors.files.sink import CRASH_POINTS, FileSink
from penstock.structs import Frozen, replace
from penstock.testing import native
from penstock.testing.sinks import deliver, epoch
from penstock.testing.sinks.deliveries import read_table

Row = tuple[int, str | None]
PARTS = ("a", "b/c", None)


class Crash(BaseException):
    """Nothing in the code under test may catch it."""


class Step(Frozen):
    pipeline: int
    mode: str
    parts: tuple[str | None, ...]
    crash: str | None
    nth: int


STEPS = st.builds(
    Step,
    pipeline=st.integers(0, 1),
    mode=st.sampled_from(["append", "append", "overwrite", "overwrite_partitions"]),
    parts=st.lists(st.sampled_from(PARTS), max_size=3).map(tuple),
    crash=st.none() | st.sampled_from(CRASH_POINTS),
    nth=st.integers(1, 2),
)


class Folder:
    """The folder, and what must be in it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.rows: list[Row] = []
        self.epochs = [0, 0]
        self.fence = 0
        self.next_id = 0

    def sink(self, step: Step) -> FileSink:
        params = {"type": "parquet", "from": "rows", "path": "out", "mode": step.mode, "partition_by": ["part"]}
        passed = 0

        def reached(point: str) -> None:
            nonlocal passed
            passed += point == step.crash
            if point == step.crash and passed == step.nth:
                raise Crash

        context = Context("out", self.place.joinpath, self.place, SystemClock(), reached=reached)
        made: FileSink = SINK.make(SINK.params.model_validate({**params, "allow_empty": True}), context)
        made._target.log._every = 3
        return made

    def epoch(self, step: Step, number: int) -> Epoch:
        self.fence += 1
        made = epoch(number, fence=self.fence)
        return replace(made, sink_id=replace(made.sink_id, pipeline=f"p{step.pipeline}"))

    def take(self, step: Step) -> None:
        """One epoch, restarted until it is committed."""
        number = self.epochs[step.pipeline] + 1
        rows = [(self.next_id + place, part) for place, part in enumerate(step.parts)]
        self.next_id += len(rows)
        table = pa.table(
            {"id": pa.array([r[0] for r in rows], pa.int64()), "part": pa.array([r[1] for r in rows], pa.string())}
        )
        try:
            deliver(self.sink(step), self.epoch(step, number), table)
        except Crash:
            restarted = self.sink(replace(step, crash=None))
            at = self.epoch(step, number)
            marker = restarted.marker(at.sink_id)
            if marker is None or marker.epoch != number:
                deliver(restarted, at, table)
        self.epochs[step.pipeline] = number
        self._model(step, rows)

    def _model(self, step: Step, rows: list[Row]) -> None:
        replaced = {"append": [], "overwrite": list(PARTS), "overwrite_partitions": list(step.parts)}[step.mode]
        self.rows = [row for row in self.rows if row[1] not in replaced] + rows

    def visible(self) -> Counter[int]:
        with closing(native.connection()) as database:
            found: Counter[int] = Counter()
            for path in sorted((self.place / "out").rglob("*.parquet")):
                found.update(
                    row[0] for row in database.execute("SELECT id FROM read_parquet(?)", [str(path)]).fetchall()
                )
        return found


@settings(max_examples=25, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=8))
def test_a_folder_holds_what_was_committed_and_nothing_else(steps: list[Step]) -> None:
    place = Path(tempfile.mkdtemp())
    try:
        folder = Folder(place)
        for step in steps:
            folder.take(step)
            assert folder.visible() == Counter(row[0] for row in folder.rows)
        table = read_table(folder.sink(replace(steps[-1], crash=None)))
        found = zip(table["id"].to_pylist(), table["part"].to_pylist(), strict=True)
        assert Counter(found) == Counter(folder.rows)
    finally:
        shutil.rmtree(place)
