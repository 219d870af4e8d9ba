"""DuckDB's words become named errors of the five classes; each code of the engine is met by a real statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import duckdb
import pytest

from penstock.engines.duckdb.errors import classified, translated
from penstock.errors import ConfigError, DataError, FatalError, InternalError, PenstockError

if TYPE_CHECKING:
    from pathlib import Path

# A statement, its place for files as `?`, and what it is told as. ENG-301 and ENG-302 stand in tests/fault, ENG-313 in
# test_rejected.py, ENG-331 and ENG-332 in test_readers.py.
TOLD: Final[dict[str, tuple[str, type[PenstockError], str]]] = {
    "outside": ("from read_csv('/etc/passwd')", ConfigError, "ENG-303"),
    "missing": ("from read_csv('?/none.csv')", FatalError, "ENG-304"),
    "folder that is none": ("copy (select 1) to '?/none/x.csv'", FatalError, "ENG-304"),
    "text": ("select cast(x as int) from (values ('q')) t(x)", DataError, "ENG-310"),
    "date": ("select strptime(x, '%Y') from (values ('q')) t(x)", DataError, "ENG-310"),
    "quoted disk": ("select cast(x as int) from (values ('IO Error: No space left')) t(x)", DataError, "ENG-310"),
    "quoted memory": ("select cast(x as int) from (values ('Out of Memory Error')) t(x)", DataError, "ENG-310"),
    "quoted file": ("select error('q' || x) from (values ('Permission denied')) t(x)", DataError, "ENG-312"),
    "overflow": ("select x + 1 from (values (9223372036854775807)) t(x)", DataError, "ENG-311"),
    "narrow": ("select cast(x as tinyint) from (values (1000)) t(x)", DataError, "ENG-310"),
    "decimal": ("select cast(x as decimal(4, 2)) from (values (123456)) t(x)", DataError, "ENG-310"),
    "raised": ("select error('no' || x) from (values ('q')) t(x)", DataError, "ENG-312"),
    "scalar": ("select (select x from (values (1), (2)) t(x))", DataError, "ENG-312"),
    "unknown": ("from nothing", InternalError, "ENG-320"),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_duckdb_says_is_told_by_class_and_code(name: str, tmp_path: Path) -> None:
    statement, kind, code = TOLD[name]
    with duckdb.connect(config={"temp_directory": ""}) as con:
        con.execute("set allowed_directories = ?", [[str(tmp_path)]])
        con.execute("set enable_external_access = false")
        with pytest.raises(kind) as caught, translated("testing"):
            con.execute(statement.replace("?", str(tmp_path))).fetchall()
    assert caught.value.code == code
    assert "while testing" in str(caught.value)
    assert "LINE" not in str(caught.value), "the engine's statement is nothing that the document says"


def test_an_interrupt_is_a_keyboard_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), translated("testing"):
        raise duckdb.InterruptException("INTERRUPT Error: Interrupted!")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("IO Error: Could not write file: No space left on device", "ENG-301"),
        (
            "Out of Memory Error: failed to offload data block (1/1 used). ... 'max_temp_directory_size' setting.",
            "ENG-301",
        ),
        ("Out of Memory Error: failed to pin block of size 256.0 KiB", "ENG-302"),
        ('IO Error: Cannot open file "x": Permission denied', "ENG-303"),
        ("IO Error: Could not read from file", "ENG-304"),
        ("Not implemented Error: The Parallel CSV Reader currently does not support a full read", "ENG-312"),
        ("something new", "ENG-320"),
    ],
)
def test_words_that_no_small_test_can_bring_about_are_known(text: str, code: str) -> None:
    assert classified(duckdb.Error(text), "testing").code == code


def test_advice_that_only_a_user_of_duckdb_can_follow_is_left_out() -> None:
    said = "Invalid Input Error: the list is too long\n* Increase it with (SET memory_limit='8GB')"
    (problem,) = classified(duckdb.Error(said), "testing").problems
    assert (problem.code, problem.hint) == ("ENG-312", "raise `run.memory`")
    assert problem.detail is not None
    assert "too long" in problem.detail
    assert "SET" not in problem.detail


def test_long_words_are_cut_and_stand_on_one_line() -> None:
    told = str(classified(duckdb.Error("Conversion Error: " + "x\n" * 5000), "testing"))
    assert len(told) < 1000


def test_errors_that_are_not_duckdbs_pass_unchanged() -> None:
    error = DataError("SRC-110", "a file changed")
    with pytest.raises(DataError) as caught, translated("testing"):
        raise error
    assert caught.value is error
