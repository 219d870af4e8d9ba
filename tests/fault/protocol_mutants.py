"""The commit protocol, broken on purpose: each mutant is a small change of the code that some test must notice.

``scripts/protocol-mutants`` runs them. A mutant names the text that it changes, which must stand in its file exactly once:
where the code has moved on, the mutant is an error of its own and has to be written anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT: Final = Path(__file__).parents[2]
_SOURCE: Final = ROOT / "src"
_LIMIT_S: Final = 600
_TESTS_FAILED: Final = 1  # of pytest: they ran, and some failed
_PYTEST: Final = (
    sys.executable,
    "-m",
    "pytest",
    "-xq",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:randomly",
    "-m",
    "not server and not long",
)


@dataclass(frozen=True, slots=True)
class Edit:
    """``old`` becomes ``new`` in a file of ``src/penstock``."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """``tests`` are those that should notice, as pytest takes them."""

    name: str
    breaks: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


class Verdict(Enum):
    KILLED = "killed"
    SURVIVED = "survived"
    OUTDATED = "no longer applies"
    BROKEN = "tests did not run"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``by``: the tests that failed."""

    mutant: Mutant
    verdict: Verdict
    by: tuple[str, ...]
    seconds: float
    said: str = ""


EPOCH: Final = "run/epoch.py"
_CRASHES: Final = ("tests/fault/test_epoch_crashes.py", "-k", "the_run_after_a_fault and files-raise")
_DIES: Final = "tests/fault/test_incremental_files.py::test_a_run_that_dies_reads_its_files_once"
_PARQUET: Final = "tests/conformance/test_file_sinks.py::TestParquetFolder"
_SQLITE: Final = "tests/conformance/test_sqlite.py::TestSqliteSink"
_LEDGER: Final = "tests/conformance/test_sqlite_ledger.py::TestSqliteLedger"
_DELTA: Final = "tests/conformance/delta/test_delta_sink.py"
_DELTA_FAULTS: Final = "tests/fault/test_delta_faults.py"
_ICEBERG_FAULTS: Final = "tests/fault/test_iceberg_faults.py"
_BOUNDARIES: Final = "tests/fault/test_epoch_boundaries.py"
_FILES: Final = "tests/unit/connectors/files/test_file_commit_log.py"

MUTANTS: Final = (
    Mutant(
        "acknowledge first",
        "sources are told that their rows are taken before the ledger has sealed the epoch",
        (
            Edit(
                EPOCH,
                """        around.ledger.seal(self._sealed(record, receipts, account, now))
        around.faults.reached("run.sealed")
""",
                "",
            ),
            Edit(
                EPOCH,
                """        around.faults.reached("run.acknowledged")
""",
                """        around.faults.reached("run.acknowledged")
        around.ledger.seal(self._sealed(record, receipts, account, now))
        around.faults.reached("run.sealed")
""",
            ),
        ),
        (f"{_BOUNDARIES}::test_a_source_is_told_after_the_seal_and_never_before",),
    ),
    Mutant(
        "seal before commit",
        "the ledger seals the epoch before its sinks have committed it",
        (
            Edit(
                EPOCH,
                """            around.faults.reached("run.accounted")
""",
                """            around.faults.reached("run.accounted")
            if stage is around.plan.passes[0]:
                around.ledger.seal(self._sealed(record, progress.receipts, progress.account, around.clock.now()))
""",
            ),
        ),
        _CRASHES,
    ),
    Mutant(
        "ranges not written before the commit",
        "an epoch's ranges reach the ledger when it is sealed, after its sinks have committed",
        (
            Edit(EPOCH, "        around.ledger.plan_epoch(record)\n", ""),
            Edit(
                EPOCH,
                "        around.ledger.seal(self._sealed(record, receipts, account, now))\n",
                """        around.ledger.plan_epoch(record)
        around.ledger.seal(self._sealed(record, receipts, account, now))
""",
            ),
        ),
        (_DIES,),
    ),
    Mutant(
        "markers not read at the start",
        "what the sinks have committed is not looked at, and an epoch that was cut off is sent again blindly",
        (Edit(EPOCH, "in around.every_sink.items() if sink.remembers\n", "in around.every_sink.items() if not sink.remembers\n"),),
        (_DIES,),
    ),
    Mutant(
        "marker not read after a lost answer",
        "a commit whose answer was lost is taken for one that failed",
        (
            Edit(
                EPOCH,
                "            if marker is not None and marker.epoch == record.sinks[name]:\n",
                "            if marker is not None and marker.epoch == -1:\n",
            ),
        ),
        (f"{_BOUNDARIES}::test_an_unclear_commit_is_settled_by_the_marker", f"{_BOUNDARIES}::test_a_sink_that_has_the_epoch_gets_nothing_again_where_another_ones_commit_failed"),
    ),
    Mutant(
        "lease not checked",
        "a run whose lease was taken by another one goes on writing to the ledger",
        (Edit("ledger/tabular.py", '        if row is None or row["fence"] != fence:\n', "        if row is None:\n"),),
        (f"{_BOUNDARIES}::test_a_run_that_lost_its_lease_seals_nothing",),
    ),
    Mutant(
        "fence not raised by the lease",
        "two runs hold one fence, so that no sink can tell them apart",
        (Edit("ledger/tabular.py", 'max(row["fence"] + 1, int(', 'max(row["fence"], int('),),
        (f"{_LEDGER}::test_each_holder_has_a_larger_fence", f"{_LEDGER}::test_a_zombie_can_neither_plan_nor_prepare_nor_seal"),
    ),
    Mutant(
        "fence not compared",
        "a run that was overtaken commits all the same",
        (Edit("connectors/commits.py", "    if newest > epoch.fence:\n", "    if newest > epoch.fence + 10**12:\n"),),
        ("tests/unit/connectors/test_commit_rules.py", f"{_DELTA_FAULTS}::test_who_was_overtaken_writes_nothing"),
    ),
    Mutant(
        "fence of one incarnation alone",
        "a run that a full refresh has overtaken commits behind it",
        (Edit("connectors/commits.py", "    check_fence(max(fence, newest), epoch)\n", "    check_fence(fence, epoch)\n"),),
        (
            f"{_SQLITE}::test_a_run_that_a_full_refresh_has_overtaken_commits_no_more",
            "tests/conformance/test_delta.py::TestDeltaSink::test_a_run_that_a_full_refresh_has_overtaken_commits_no_more",
        ),
    ),
    Mutant(
        "fence not taken at the sink",
        "who opens a writer leaves no trace of it, and an older run may still commit before the new one has",
        (Edit("connectors/files/commit/folder.py", "        self.log.raise_fence(epoch)\n", "        self.log.check_fence(epoch)\n"),),
        (f"{_FILES}::test_an_older_runner_is_thrown_out_as_soon_as_a_newer_one_writes", f"{_PARQUET}::test_of_two_runners_only_one_commits_an_epoch"),
    ),
    Mutant(
        "position saved before sealing",
        "where a source has got to is written when the epoch is planned",
        (
            Edit(
                "ledger/tabular.py",
                "        self._write(tables.PUT_EPOCH, records.of_epoch(epoch))\n",
                """        self._write(tables.PUT_EPOCH, records.of_epoch(epoch))
        for item in (item for item in epoch.ranges if not item.aside):
            self._write(tables.PUT_POSITION, records.of_position(epoch, item))
""",
            ),
        ),
        (f"{_LEDGER}::test_an_unsealed_epoch_may_be_planned_anew", f"{_LEDGER}::test_sealing_writes_everything_at_once", _DIES),
    ),
    Mutant(
        "rejects indexed after sealing",
        "a reject's place in the index is written by another transaction than the one that seals",
        (
            Edit("ledger/tabular.py", '        self._add_rejects(epoch, seal.rejects, status="kept", at=seal.sealed_at)\n', ""),
            Edit(
                EPOCH,
                '        around.faults.reached("run.sealed")\n',
                """        around.faults.reached("run.sealed")
        around.ledger._transact(  # type: ignore[attr-defined]
            lambda: around.ledger._add_rejects(record, account.rejects, status="kept", at=now)  # type: ignore[attr-defined]
        )
""",
            ),
        ),
        (f"{_LEDGER}::test_sealing_writes_everything_at_once",),
    ),
    Mutant(
        "incarnation left out of the marker's name",
        "a full refresh finds the markers of the epochs that it replaces",
        (Edit("connectors/files/commit/names.py", "    return json.dumps(sink_id.parts)\n", '    return json.dumps([*sink_id.lasting, "x"])\n'),),
        (f"{_FILES}::test_a_new_incarnation_overwrites_what_the_old_one_left", f"{_PARQUET}::test_another_incarnation_has_a_history_of_its_own"),
    ),
    Mutant(
        "marker outside the transaction: SQLite",
        "rows are committed, and the marker after them",
        (
            Edit("connectors/sqlite/sink.py", "        marker_tables.write(connection, epoch, receipt)\n", ""),
            Edit(
                "connectors/sqlite/sink.py",
                '            self._context.reached("sqlite.committed")\n',
                """            self._context.reached("sqlite.committed")
            marker_tables.write(connection, epoch, receipt)
""",
            ),
        ),
        ("tests/fault/test_sqlite_commit_crashes.py", "-k", "raise"),
    ),
    Mutant(
        "marker not read before a commit: SQLite",
        "an epoch that a sink has is committed once more",
        (Edit("connectors/sqlite/sink.py", "if is_committed(marker, epoch, newest=marker_tables.newest(connection, epoch)) and marker and marker.receipt:", "if False and marker:"),),
        (
            f"{_SQLITE}::test_committing_the_same_staged_rows_again_writes_once",
            f"{_SQLITE}::test_redoing_a_committed_epoch_with_another_attempt_writes_once",
        ),
    ),
    Mutant(
        "no fsync of files before the commit",
        "rows may be lost with the power after their epoch was sealed",
        (Edit("connectors/files/commit/disk.py", "        os.fsync(stream.fileno())\n", ""),),
        (_FILES,),
    ),
    Mutant(
        "no fsync of the commit",
        "the rename that commits may be lost with the power after the epoch was sealed",
        (Edit("connectors/files/commit/disk.py", "    sync_folder(target.parent)\n", ""),),
        (_FILES,),
    ),
    Mutant(
        "temporary names used again",
        "two attempts at an epoch stage their files in one folder",
        (
            Edit(
                "connectors/files/commit/names.py",
                'return f"{epoch.fence}-{slug(epoch.attempt)}-{fingerprint(epoch.attempt, str(epoch.number), epoch.sink_id.incarnation)}"',
                'return f"{epoch.fence}-x-{fingerprint(str(epoch.number), epoch.sink_id.incarnation)}"',
            ),
        ),
        (f"{_FILES}::test_an_attempt_that_is_committed_takes_no_file_of_another_one_with_it",),
    ),
    Mutant(
        "manifest overwritten",
        "a version of the log that another writer has taken is taken again",
        (
            Edit(
                "connectors/files/commit/disk.py",
                "        source.rename(target)\n    except OSError as error:\n        if error.errno in _TAKEN:\n            return False\n",
                "        shutil.rmtree(target, ignore_errors=True)\n        source.rename(target)\n    except OSError as error:\n        if error.errno in _TAKEN:\n            return False\n",
            ),
        ),
        (_FILES, "tests/property/test_file_commits.py"),
    ),
    Mutant(
        "Delta written by its path",
        "the entry goes behind whatever the log has by now, and not behind what was looked at",
        (
            Edit(
                "connectors/delta/commit.py",
                "    table.handle.create_write_transaction(\n",
                "    from deltalake import DeltaTable\n\n    DeltaTable(str(root)).create_write_transaction(\n",
            ),
        ),
        (f"{_DELTA}::test_a_foreign_commit_in_between_is_taken_into_account", f"{_DELTA_FAULTS}::test_who_was_overtaken_writes_nothing", f"{_DELTA_FAULTS}::test_three_competitors_commit_every_epoch_once"),
    ),
    Mutant(
        "Delta's own retries on",
        "the library puts a commit that lost behind the one that won, by itself",
        (
            Edit(
                "connectors/delta/commit.py",
                "        max_commit_retries=0,\n        app_transactions",
                "        max_commit_retries=15,\n        app_transactions",
            ),
        ),
        (f"{_DELTA}::test_a_foreign_commit_in_between_is_taken_into_account", f"{_DELTA_FAULTS}::test_who_was_overtaken_writes_nothing", f"{_DELTA_FAULTS}::test_three_competitors_commit_every_epoch_once"),
    ),
    Mutant(
        "no fsync of Delta's entry",
        "an entry of the log may be lost with the power after the epoch was sealed",
        (Edit("connectors/delta/sink.py", "        self._place.settle(int(done.version))\n", ""),),
        (f"{_DELTA}::test_what_the_log_names_was_made_durable_before_and_the_log_after",),
    ),
    Mutant(
        "Iceberg's own retries on",
        "the library puts a commit that lost behind the one that won, by itself",
        (Edit("connectors/iceberg/catalog.py", '"commit.retry.num-retries": "0"', '"commit.retry.num-retries": "4"'),),
        (f"{_ICEBERG_FAULTS}::test_who_was_overtaken_writes_nothing", f"{_ICEBERG_FAULTS}::test_three_competitors_commit_every_epoch_once"),
    ),
    Mutant(
        "no fsync before Iceberg's commit",
        "the catalog names files that may be lost with the power",
        (Edit("connectors/iceberg/storage.py", "            os.fsync(self.fileno())\n", ""),),
        (f"{_ICEBERG_FAULTS}::test_all_that_a_commit_names_is_durable_before_the_catalog_names_it",),
    ),
)  # fmt: skip


# ---------------------------------------------------------------- running


def objections(mutant: Mutant, source: Path = _SOURCE) -> list[str]:
    """Why the mutant cannot be made of the code as it is."""
    found = []
    for edit in mutant.edits:
        path = source / "penstock" / edit.file
        times = path.read_text("utf-8").count(edit.old) if path.is_file() else 0
        if times != 1:
            found.append(f"{edit.file}: the text to change stands there {times} times")
    return found


def untested(mutants: Iterable[Mutant]) -> list[str]:
    """What pytest says where it does not find their tests."""
    asked = {mutant.tests for mutant in mutants}
    picked = [tests for tests in asked if "-k" in tests]
    named = tuple(test for tests in asked.difference(picked) for test in tests)
    found = (_collected(*tests) for tests in (*picked, named))
    return [said for code, said in found if code]


def _collected(*tests: str) -> tuple[int, str]:
    done = subprocess.run([*_PYTEST, "--collect-only", *tests], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def run(mutant: Mutant) -> Outcome:
    """Its tests against a copy of the code that has the change."""
    why = objections(mutant)
    if why:
        return Outcome(mutant, Verdict.OUTDATED, (), 0.0, "; ".join(why))
    with tempfile.TemporaryDirectory(prefix="penstock-mutant-") as folder:
        source = Path(folder) / "src"
        shutil.copytree(_SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
        for edit in mutant.edits:
            path = source / "penstock" / edit.file
            path.write_text(path.read_text("utf-8").replace(edit.old, edit.new), "utf-8")
        return _tested(mutant, source)


def unharmed(mutant: Mutant) -> Outcome:
    """Its tests against the code as it is: they must pass, else their failing says nothing."""
    return _tested(mutant, _SOURCE)


def _tested(mutant: Mutant, source: Path) -> Outcome:
    started = time.monotonic()
    try:
        done = subprocess.run(
            [*_PYTEST, *mutant.tests],
            cwd=ROOT,
            env=_environment(source),
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:  # it waits for what never comes: nobody could miss that
        return Outcome(mutant, Verdict.KILLED, (f"more than {_LIMIT_S} s",), time.monotonic() - started)
    seconds = time.monotonic() - started
    by = tuple(line.split(" ")[1] for line in done.stdout.splitlines() if line.startswith("FAILED "))
    match done.returncode:
        case 0:
            return Outcome(mutant, Verdict.SURVIVED, (), seconds)
        case code if code == _TESTS_FAILED and by:
            return Outcome(mutant, Verdict.KILLED, by, seconds)
        case _:
            return Outcome(mutant, Verdict.BROKEN, by, seconds, (done.stdout + done.stderr)[-2000:])


def _environment(source: Path) -> Mapping[str, str]:
    """The copy comes before the installed code, here and in every process that a test starts."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(source), os.environ.get("PYTHONPATH", "")]))}


def table(outcomes: tuple[Outcome, ...]) -> str:
    """As Markdown."""
    lines = ["| mutant | what it breaks | verdict | by | seconds |", "|---|---|---|---|---:|"]
    for one in outcomes:
        by = ", ".join(f"`{test.rpartition('::')[2] or test}`" for test in one.by) or one.said
        lines.append(f"| {one.mutant.name} | {one.mutant.breaks} | {one.verdict.value} | {by} | {one.seconds:.1f} |")
    return "\n".join(lines) + "\n"
