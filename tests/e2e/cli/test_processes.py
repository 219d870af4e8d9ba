"""The command line as a process of its own: pipes, signals, a terminal, completion, and the wheel it comes in."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_line import slow

PENSTOCK = (str(Path(sys.executable).with_name("penstock")),)


def penstock(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PENSTOCK, *arguments],
        cwd=folder,
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def shell(folder: Path, line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """``penstock`` in a line of bash."""
    return subprocess.run(
        ["bash", "-c", line.replace("penstock ", f'"{PENSTOCK[0]}" ', 1)],
        cwd=folder,
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def environment(variables: dict[str, str]) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "COLUMNS", "NO_COLOR"))
    }
    return {**kept, **variables}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``penstock init`` makes."""
    folder = tmp_path_factory.mktemp("command_line")
    done = penstock(folder, "init", "x")
    assert done.returncode == 0, done.stderr
    return folder / "x"


def test_a_new_project_runs_at_once_and_again(fresh: Path) -> None:
    for _ in range(2):
        done = shell(fresh, "penstock run pipelines/*.yml")
        assert (done.returncode, done.stderr) == (0, "")
        assert "exactly once" in done.stdout
        assert "\x1b" not in done.stdout
    assert (fresh / "out" / "monthly.csv").is_file()
    runs = json.loads(penstock(fresh, "runs", "list", "--json").stdout)["runs"]
    assert [run["status"] for run in runs[:2]] == ["done", "done"]


# ---------------------------------------------------------------- pipes


@pytest.mark.parametrize(
    "command", ["plan pipelines/prices.yml --sql", "errors", "schema", "--help", "run pipelines/prices.yml"]
)
def test_a_pipe_that_is_closed_early_is_no_error(fresh: Path, command: str) -> None:
    done = shell(fresh, f'penstock {command} | true; echo "${{PIPESTATUS[0]}}"')
    assert done.stdout == "0\n"
    assert done.stderr == ""


@pytest.mark.parametrize(("tail", "code"), [(">&-", 0), ("2>&-", 0), (">/dev/full", 3), (">&- 2>&-", 0)])
def test_streams_that_are_closed_or_full(fresh: Path, tail: str, code: int) -> None:
    done = shell(fresh, f"penstock plan pipelines/prices.yml {tail}")
    assert done.returncode == code
    assert ("error[CLI-113]" in done.stderr) == (code == 3)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        ("--help", ["CLI-113"]),
        ("plan pipelines/prices.yml --json", ["CLI-113"]),
        ("plan nowhere.yml --json", ["DOC-100", "CLI-113"]),
        ("run pipelines/prices.yml --json", ["CLI-113"]),
    ],
)
def test_an_answer_that_cannot_be_written_is_told_to_stderr(fresh: Path, command: str, codes: list[str]) -> None:
    done = shell(fresh, f"penstock {command} >/dev/full")
    assert done.returncode == 3
    assert [line[6:13] for line in done.stderr.splitlines() if line.startswith("error[")] == codes


def test_a_run_goes_on_where_nobody_hears_of_it(fresh: Path) -> None:
    done = shell(fresh, "penstock run pipelines/prices.yml --json --log-level info 2>/dev/full")
    assert done.returncode == 0
    assert json.loads(done.stdout)["status"] == "done"


def test_a_terminal_that_knows_only_ascii_still_gets_json(fresh: Path) -> None:
    (fresh / "prix_é.yml").write_text("pipeline: [é", encoding="utf-8")
    done = penstock(fresh, "validate", "prix_é.yml", "--json", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 2
    assert json.loads(done.stdout)["problems"][0]["file"] == "prix_é.yml"
    assert "Traceback" not in done.stderr
    odd = os.fsdecode(b"odd\xff.yml")
    (fresh / odd).write_text("pipeline: [", encoding="utf-8")
    assert json.loads(penstock(fresh, "validate", odd, "--json").stdout)["problems"][0]["file"] == odd


# ---------------------------------------------------------------- a terminal


def on_terminal(folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """What a terminal of 80 columns sees of stdout and stderr together."""
    ours, theirs = pty.openpty()
    settings = environment({"TERM": "xterm-256color", "COLUMNS": "80", **variables})
    child = subprocess.Popen(
        [*PENSTOCK, *arguments], cwd=folder, env=settings, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen = b""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # the other side is closed
                break
            seen += part
        elif child.poll() is not None:
            break
    os.close(ours)
    return child.wait(10), seen.decode()


def test_a_terminal_sees_progress_and_colours(fresh: Path) -> None:
    code, seen = on_terminal(fresh, "run", "pipelines/prices.yml")
    assert code == 0
    assert "\x1b[" in seen
    assert "reading the document" in seen or "pass 1 of 2" in seen
    assert "exactly once" in seen
    code, plain = on_terminal(fresh, "run", "pipelines/prices.yml", "--quiet")
    assert (code, plain) == (0, "")
    _, plain = on_terminal(fresh, "plan", "pipelines/prices.yml", NO_COLOR="1")
    assert not [part for part in plain.split("\x1b[")[1:] if part[:1] in "34" or part[:2] == "38"]


# ---------------------------------------------------------------- interrupts


def rows_of(database: Path) -> int:
    """Of its table, which may have been made already."""
    connection = sqlite3.connect(database)
    try:
        there = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'busy'").fetchone()[0]
        return connection.execute("SELECT count(*) FROM busy").fetchone()[0] if there else 0
    finally:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_long_run_at_once_and_the_next_one_works(tmp_path: Path, number: signal.Signals) -> None:
    slow(tmp_path)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    child = subprocess.Popen(
        [*PENSTOCK, "run", "slow.yml", "--json", "--log-level", "info"],
        cwd=tmp_path,
        env=environment({"TMPDIR": str(temporary)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    for line in child.stderr:
        if "pass_started" in line:
            break
    time.sleep(1.0)  # into the statement
    assert list(temporary.iterdir()) != []
    assert child.poll() is None
    child.send_signal(number)
    out, err = child.communicate(timeout=60)  # of the hours that the statement would take
    assert child.returncode == 130
    assert "interrupted; the state is consistent\n" in err
    assert "Traceback" not in err
    assert json.loads(out)["status"] == "interrupted"
    assert list(tmp_path.glob("out/*.csv*")) == []
    assert rows_of(tmp_path / "out" / "busy.db") == 0
    assert list(temporary.iterdir()) == []
    (tmp_path / "rows.csv").write_text("n\n1\n2\n", encoding="utf-8")
    done = penstock(tmp_path, "run", "slow.yml", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["balance"]["first"]["out"] == 2


# ---------------------------------------------------------------- completion, the wheel


def test_completion_knows_commands_and_options(fresh: Path) -> None:
    asked = {"_PENSTOCK_COMPLETE": "complete_bash", "COMP_WORDS": "penstock re", "COMP_CWORD": "1"}
    assert penstock(fresh, **asked).stdout.split() == ["reconcile", "rejects"]
    asked = {"_PENSTOCK_COMPLETE": "complete_bash", "COMP_WORDS": "penstock plan --s", "COMP_CWORD": "2"}
    assert penstock(fresh, **asked).stdout.split() == ["--sql"]
    for words, names in (
        ("steps fi", ["fill_null", "filter"]),
        ("connectors sq", ["sqlalchemy", "sqlite"]),
        ("errors LED-10", ["LED-101", "LED-102", "LED-103"]),
    ):
        asked = {"_PENSTOCK_COMPLETE": "complete_bash", "COMP_WORDS": f"penstock {words}", "COMP_CWORD": "2"}
        assert penstock(fresh, **asked).stdout.split() == names
    script = penstock(fresh, "--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert script.returncode == 0
    assert "complete -o default -F _penstock_completion penstock" in script.stdout
