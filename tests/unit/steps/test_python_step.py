from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from harness import Ran, problem, run

from penstock.engines.python_function import apply, load_function
from penstock.errors import ConfigError, DataError
from penstock.graph.nodes import Python
from penstock.types import Schema
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COLUMNS = {"a": "int64", "b": "string?"}
_ROWS = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


@pytest.fixture(autouse=True)
def _modules_are_forgotten() -> Iterator[None]:
    """Each test has a project of its own; a process that runs pipelines has one."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def _write(folder: Path, name: str, code: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(code), encoding="utf-8")


def _run(folder: Path, code: str, schema: str = "{a: int64}", more: str = "", rows: object = _ROWS) -> Ran:
    _write(folder, "penstock_test_cleaning.py", code)
    step = f"- python: {{function: 'penstock_test_cleaning:work', schema: {schema}{more}}}"
    return run(step, _COLUMNS, rows, folder=folder)  # type: ignore[arg-type]


def test_a_function_takes_batches_and_gives_the_declared_columns(tmp_path: Path) -> None:
    code = """
        import pyarrow.compute as pc

        def work(batch):
            return batch.append_column("c", pc.multiply(batch["a"], 10))
    """
    ran = _run(tmp_path, code, "{c: int64, b: string?}")
    assert ran.rows == [{"c": 10, "b": "x"}, {"c": 20, "b": None}]
    assert ran.types == {"c": "int64", "b": "string?"}


def test_the_steps_behind_it_see_the_declared_schema(tmp_path: Path) -> None:
    _write(tmp_path, "penstock_test_cleaning.py", "def work(batch):\n    return batch\n")
    steps = "- python: {function: 'penstock_test_cleaning:work', schema: {a: int64}}\n- derive: {d: a * 2}"
    assert run(steps, _COLUMNS, _ROWS, folder=tmp_path).rows[1] == {"a": 2, "d": 4}


def test_a_function_is_not_called_without_rows(tmp_path: Path) -> None:
    assert _run(tmp_path, "def work(batch):\n    raise AssertionError\n", rows=[]).rows == []


def test_a_whole_table_comes_at_once_also_without_rows(tmp_path: Path) -> None:
    code = """
        import pyarrow as pa

        def work(table):
            return pa.table({"a": [table.num_rows]})
    """
    more = ", whole_table: true, max_bytes: 1 MiB"
    assert _run(tmp_path, code, more=more).rows == [{"a": 2}]
    assert _run(tmp_path, code, more=more, rows=[]).rows == [{"a": 0}]


def test_a_function_may_return_a_table_or_more_rows(tmp_path: Path) -> None:
    code = "import pyarrow as pa\n\ndef work(batch):\n    return pa.Table.from_batches([batch, batch])\n"
    assert [row["a"] for row in _run(tmp_path, code).rows] == [1, 2, 1, 2]


def test_neighbours_and_packages_of_the_project_can_be_imported(tmp_path: Path) -> None:
    _write(tmp_path, "penstock_test_pkg/__init__.py", "")
    _write(tmp_path, "penstock_test_pkg/inner.py", "def same(batch):\n    return batch\n")
    _write(tmp_path, "penstock_test_pkg/outer.py", "from penstock_test_pkg.inner import same\nwork = same\n")
    step = "- python: {function: 'penstock_test_pkg.outer:work', schema: {a: int64}}"
    assert len(run(step, _COLUMNS, _ROWS, folder=tmp_path).rows) == 2
    assert str(tmp_path) not in sys.path


# ---------------------------------------------------------------- what is told before a run


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ("{function: cleaning, schema: {a: int64}}", "CMP-263"),
        ("{function: 'cleaning:', schema: {a: int64}}", "CMP-263"),
        ("{function: '../x:f', schema: {a: int64}}", "CMP-263"),
        ("{function: '.x:f', schema: {a: int64}}", "CMP-263"),
        ("{function: 'x:f()', schema: {a: int64}}", "CMP-263"),
        ("{function: 'x:f', schema: {}}", "DOC-203"),
        ("{function: 'x:f'}", "DOC-202"),
        ("{function: 'x:f', schema: {a: integr}}", "DOC-401"),
        ("{function: 'x:f', schema: {a: int64}, whole_table: true}", "DOC-203"),
        ("{function: 'x:f', schema: {a: int64}, max_bytes: 1 MiB}", "DOC-203"),
    ],
)
def test_mistakes_in_the_document(params: str, code: str) -> None:
    assert problem(f"- python: {params}", _COLUMNS).code == code


def test_compiling_imports_nothing() -> None:
    assert (
        problem("- python: {function: 'no_such_module:f', schema: {a: int64}}\n- drop: [x]", _COLUMNS).code == "CMP-203"
    )


# ---------------------------------------------------------------- what is told when it runs


def _node(function: str, **others: object) -> Python:
    return Python("result.python", input="rows", function=function, declared=Schema.of({"a": "int64"}), **others)  # type: ignore[arg-type]


def _code_of(folder: Path, function: str) -> tuple[str, str | None]:
    with pytest.raises(ConfigError) as caught:
        load_function(_node(function), folder)
    return caught.value.code, caught.value.problems[0].detail


@pytest.mark.parametrize("name", ["json", "os.path", "penstock.errors", "pyarrow", "no_such_module", "sys"])
def test_modules_outside_the_project_are_not_found(tmp_path: Path, name: str) -> None:
    assert _code_of(tmp_path, f"{name}:f")[0] == "CMP-264"


def test_a_module_that_hides_a_loaded_one_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, "json.py", "def f(batch):\n    return batch\n")
    assert _code_of(tmp_path, "json:f")[0] == "CMP-264"


def test_a_module_of_a_package_that_is_loaded_from_elsewhere_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, "xml/sax/xmlreader.py", "def f(batch):\n    return batch\n")
    sys.modules.pop("xml.sax.xmlreader", None)
    import xml.sax  # noqa: F401 -- what the process has loaded already

    sys.modules.pop("xml.sax.xmlreader", None)
    assert _code_of(tmp_path, "xml.sax.xmlreader:f")[0] == "CMP-264"


def test_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, "outside/penstock_test_secret.py", "def f(batch):\n    return batch\n")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "penstock_test_secret.py").symlink_to(tmp_path / "outside" / "penstock_test_secret.py")
    assert _code_of(tmp_path / "project", "penstock_test_secret:f")[0] == "CMP-264"


def test_a_module_that_fails_is_told_with_its_line(tmp_path: Path) -> None:
    _write(tmp_path, "penstock_test_bad.py", "x = 1\ny = 1 / 0\n")
    code, detail = _code_of(tmp_path, "penstock_test_bad:f")
    assert (code, detail) == ("CMP-265", "ZeroDivisionError: division by zero (penstock_test_bad.py:2).")


def test_a_module_that_cannot_be_parsed_is_told(tmp_path: Path) -> None:
    _write(tmp_path, "penstock_test_bad.py", "def f(:\n")
    assert _code_of(tmp_path, "penstock_test_bad:f")[0] == "CMP-265"


def test_a_missing_name_gets_the_nearest(tmp_path: Path) -> None:
    _write(tmp_path, "penstock_test_good.py", "def clean(batch):\n    return batch\nnumber = 5\n")
    with pytest.raises(ConfigError) as caught:
        load_function(_node("penstock_test_good:claen"), tmp_path)
    assert (caught.value.code, caught.value.problems[0].hint) == ("CMP-266", 'did you mean "clean"?')
    assert _code_of(tmp_path, "penstock_test_good:number")[0] == "CMP-266"


def _applied(function: object, **others: object) -> list[pa.RecordBatch]:
    schema = to_arrow(Schema.of({"a": "int64"}))
    batches = [pa.RecordBatch.from_pylist([{"a": 1}, {"a": 2}], schema=schema)] * 2
    from pathlib import Path as RealPath

    return list(apply(_node("m:f", **others), function, batches, schema, folder=RealPath()))  # type: ignore[arg-type]


def _fails(batch: object) -> object:
    raise ValueError("a wrong\nthing")


def _leaves(_batch: object) -> object:
    raise SystemExit(0)


def test_what_a_function_prints_is_no_part_of_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    def chatty(batch: object) -> object:
        print("hello")  # noqa: T201 -- as a user's function may
        return batch

    _applied(chatty)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "hello\nhello\n")


@pytest.mark.parametrize(
    ("function", "kind", "code"),
    [
        (_fails, ConfigError, "CMP-267"),
        (_leaves, ConfigError, "CMP-267"),
        (lambda _: None, ConfigError, "CMP-268"),
        (lambda batch: batch.to_pylist(), ConfigError, "CMP-268"),
        (lambda batch: batch.rename_columns(["z"]), ConfigError, "CMP-268"),
        (lambda _: pa.record_batch({"a": ["x"]}), ConfigError, "CMP-268"),
        (lambda _: pa.record_batch({"a": pa.array([None], pa.int64())}), DataError, "DOC-414"),
    ],
)
def test_what_a_function_does_wrong_is_told(function: object, kind: type[Exception], code: str) -> None:
    with pytest.raises(kind) as caught:
        _applied(function)
    assert caught.value.code == code  # type: ignore[attr-defined]


def test_a_table_larger_than_stated_stops_the_run() -> None:
    with pytest.raises(DataError) as caught:
        _applied(lambda table: table, whole_table=True, max_bytes=20)
    assert caught.value.code == "CMP-269"
    assert len(_applied(lambda table: table, whole_table=True, max_bytes=32)) == 2
