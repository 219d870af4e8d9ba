"""What every epoch asks the ledger takes no longer after a long history than after a short one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from penstock.ledger.api import EpochRecord, Range, RejectOutcome, Seal
from penstock.ledger.sqlite import SqliteLedger
from penstock.structs import asdict
from penstock.testing.ledger import BALANCE, KEY, MINUTE, NOW, RECEIPT, REJECTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.ledger.api import Lease

_NODES: Final = 5
_FILES = """
with recursive files (i) as (select 0 union all select i + 1 from files where i + 1 < :files)
insert into rejects (project, environment, pipeline, incarnation, run_id, epoch, attempt, status, node, path, rows,
                     checksum, groups, labels, places, at, left_rows, left_groups)
select :project, :environment, :pipeline, :incarnation, 'r', 1 + i / :nodes, 'a', :status, 'n' || (i % :nodes),
       :status || '/' || coalesce(:left, 'all') || '/' || i, 1, '', '[]', '{}', '{}', :at, :left, '[]' from files
"""


class Past:
    """A ledger in which ``files`` reject files of each kind are known: open, settled, superseded, aborted."""

    def __init__(self, path: Path, files: int) -> None:
        self.ledger = SqliteLedger(path)
        self.lease: Lease = self.ledger.take(KEY, "me", duration=MINUTE)
        self.epoch = EpochRecord(
            KEY,
            self.lease.incarnation,
            1,
            "a1",
            self.lease.fence,
            "r1",
            "hash",
            (Range("a", "", None, {}),),
            NOW,
            {"s": 1},
        )
        self.ledger.plan_epoch(self.epoch)
        with closing(sqlite3.connect(path)) as connection, connection:
            for status, left in (("kept", None), ("kept", 0), ("superseded", None), ("aborted", None)):
                connection.execute(
                    _FILES,
                    {
                        **asdict(KEY),
                        "incarnation": self.lease.incarnation,
                        "files": files,
                        "nodes": _NODES,
                        "status": status,
                        "left": left,
                        "at": NOW.isoformat(),
                    },
                )

    def seal(self) -> None:
        outcome = RejectOutcome("kept/0/3", "malformed", None, "replayed", 1, 0, {}, "r1", NOW, 1)
        self.ledger.seal(
            Seal(self.epoch, {"s": RECEIPT}, BALANCE, REJECTS, {}, NOW, outcomes=[outcome], superseded=["a"])
        )

    def steps(self, doing: Callable[[Past], object]) -> int:
        """How many instructions the database takes for it."""
        count = 0

        def counted() -> int:
            nonlocal count
            count += 1
            return 0

        connection = self.ledger._connection
        connection.set_progress_handler(counted, 1)
        doing(self)
        connection.set_progress_handler(None, 1)
        return count


@pytest.mark.parametrize(
    "doing",
    [
        pytest.param(lambda past: past.ledger.nodes_of_open_rejects(KEY, past.lease.incarnation), id="open"),
        pytest.param(lambda past: past.ledger.newest_rejects(KEY), id="newest"),
        pytest.param(lambda past: past.ledger.runs_of_rejects(KEY, ["kept/0/3"]), id="runs"),
        pytest.param(Past.seal, id="seal"),
    ],
)
def test_a_question_of_every_epoch_takes_no_longer_the_more_was_rejected(
    doing: Callable[[Past], object], tmp_path: Path
) -> None:
    short, long = Past(tmp_path / "short.db", 10), Past(tmp_path / "long.db", 2_000)
    with closing(short.ledger), closing(long.ledger):
        assert long.steps(doing) <= 1.1 * short.steps(doing)


def test_the_questions_are_answered_over_a_long_history(tmp_path: Path) -> None:
    past = Past(tmp_path / "ledger.db", 2_000)
    with closing(past.ledger) as ledger:
        nodes = {f"n{number}" for number in range(_NODES)}
        assert ledger.nodes_of_open_rejects(KEY, past.lease.incarnation) == nodes
        assert ledger.newest_rejects(KEY) == dict.fromkeys(nodes, 400)
