"""What the parser of arguments refuses is a problem like any other, with the nearest right name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from penstock.cli.app import app
from penstock.cli.arguments import arranged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from command_line import Said

FILE = "pipelines/days.yml"


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["runz"], 'no such command "runz"', 'did you mean "run"?'),
        (["frobnicate"], 'no such command "frobnicate"', "`penstock --help` shows what there is"),
        (["rejects", "lst"], 'no such command "lst"', 'did you mean "list"?'),
        (["plan"], 'missing argument "FILE"', "name a pipeline: here are pipelines/days.yml"),
        (["plan", FILE, "--sqll"], "no such option: --sqll", 'did you mean "--sql"?'),
        (["run", FILE, "--log-leve", "info"], "no such option: --log-leve", 'did you mean "--log-level"?'),
        (["run", FILE, "--log-level", "loud"], '"loud" is not one of "debug"', "`penstock --help`"),
        (["preview", FILE, "raw", "--rows", "0"], '"-n": it should be greater than', "`penstock preview --help`"),
        (["preview", FILE, "raw", "--rows", "many"], '"--rows"', "`penstock preview --help`"),
        (["lineage", FILE, "--format", "xml"], '"xml" is not one of "text"', "`penstock lineage --help`"),
        (["plan", FILE, "other.yml"], "unexpected extra argument", "`penstock plan --help`"),
        (["run", FILE, "--param"], '"--param" requires an argument', "`penstock --help`"),
        (["--log-level"], '"--log-level" requires an argument', "`penstock --help`"),
    ],
)
def test_wrong_arguments_are_problems_with_a_hint(
    penstock: Callable[..., Said], arguments: Sequence[str], message: str, hint: str
) -> None:
    said = penstock(*arguments)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("error[CLI-100]: ")
    assert message in said.err.replace("option ", "")
    assert f"hint: {hint}" in said.err


def test_wrong_arguments_are_json_too(penstock: Callable[..., Said]) -> None:
    said = penstock("plan", "--json")
    assert said.codes == ["CLI-100"]
    assert said.json["problems"][0]["detail"] == "usage: penstock plan [OPTIONS] FILE."
    assert said.json["ok"] is False
    assert penstock("run", "--json").json["problems"][0]["detail"] == "usage: penstock run [OPTIONS] FILE..."
    assert "CLI-100" in said.err
    assert penstock("--json").json["problems"][0]["message"] == "missing command"


def test_a_group_without_a_command_shows_its_help(penstock: Callable[..., Said]) -> None:
    assert penstock().code == 2
    assert "Commands:" in penstock().err
    assert "export" in penstock("rejects").err


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_asked_for_and_is_no_error(penstock: Callable[..., Said], flag: str) -> None:
    said = penstock("run", flag)
    assert (said.code, said.err) == (0, "")
    assert "--full-refresh" in said.out


def test_without_pipelines_a_missing_file_points_at_the_help(penstock: Callable[..., Said], project: Path) -> None:
    (project / FILE).unlink()
    assert "hint: `penstock run --help` shows what there is" in penstock("run").err


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, found in getattr(command, "commands", {}).items():
        yield from _commands(found, (*path, name))


def test_help_has_no_types_of_python(penstock: Callable[..., Said]) -> None:
    for path in _commands(get_command(app)):
        said = penstock(*path, "--help")
        for word in ("<str>", "<path>", "<list[", "<int", "<float", " range>"):
            assert word not in said.out, path
    assert "FILE..." in penstock("run", "--help").out.partition("Arguments:")[2]


def test_no_line_of_help_is_cut(penstock: Callable[..., Said]) -> None:
    for group in ([], ["runs"], ["rejects"], ["secrets"]):
        assert "..." not in penstock(*group, "--help").out.replace("[ARGS]...", "")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "a", "-q"], ["-q", "run", "a"]),
        (["run", "--log-format=json", "a"], ["--log-format=json", "run", "a"]),
        (["--json", "runs", "list"], ["runs", "list", "--json"]),
        (["plan", "--json", "--json", "a"], ["plan", "a", "--json"]),
        (["plan", "--", "--json"], ["plan", "--", "--json"]),
        (["--json", "plan", "--", "-q"], ["plan", "--json", "--", "-q"]),
        (["--json"], []),
        (["run", "--log-level"], ["--log-level", "run"]),
        ([], []),
    ],
)
def test_global_options_may_stand_anywhere(arguments: Sequence[str], expected: Sequence[str]) -> None:
    assert arranged(arguments) == expected


def test_version_in_three_ways(penstock: Callable[..., Said]) -> None:
    from penstock import __version__

    assert penstock("--version").out == f"penstock {__version__}\n"
    assert penstock("version").out.startswith(f"penstock {__version__}\npython 3.")
    found = penstock("--json", "version").json
    assert found["penstock"] == __version__
    assert {"python", "duckdb", "sqlglot", "pyarrow"} <= found.keys()
