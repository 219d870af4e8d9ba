"""``penstock torture``: its page, its JSON, its exit code; what it does to a pipeline is tested at its service."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from penstock.cli.render.torture import torture_page, tortured_json
from penstock.faults.trials import Kind, Trial
from penstock.service import torturing
from penstock.service.torturing import Breach, SinkDifference, Tortured, Tried

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said


def found(*breaches: Breach, guarantee: str = "exactly_once") -> Tortured:
    tried = (Tried(Kind.KILLED_AT, 12, 11, 0, 20, 1), Tried(Kind.OVERTAKEN, 3, 2, 0, 0, 0))
    points = {"run.planned": 1, "sqlite.committed": 2}
    return Tortured("shop", guarantee, 7, 3.4, points, tried, breaches, 1, {"stored": frozenset({"at"})})


def doubled(*, broken: bool) -> Breach:
    trial = Trial(Kind.KILLED_AT, "sqlite.committed", 2)
    return Breach(trial, (SinkDifference("stored", 0, 20),), ("2 epochs are sealed, not 1",), broken)


def shown(tortured: Tortured) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(*torture_page(tortured), sep="\n")
    return console.file.getvalue()  # type: ignore[attr-defined]  # as it was made


def test_the_page_names_what_was_tried_and_what_came_of_it() -> None:
    text = shown(found(doubled(broken=True)))
    for words in (
        "shop  guarantees exactly once",
        "killed at a crash point                         12      11          0            20       1",
        "BROKEN  killed at a crash point: sqlite.committed, time 2",
        "stored: 0 rows lost, 20 doubled",
        "2 epochs are sealed, not 1",
        "not compared: at of stored",
        "1 of 2 crash points were walked in every way",
        "15 trials in 3 s, seed 7",
        "THE GUARANTEE WAS BROKEN",
    ):
        assert words in text, text
    assert "the guarantee held" in shown(found(doubled(broken=False), guarantee="at_least_once"))


def test_the_json_has_it_all() -> None:
    answer = tortured_json(found(doubled(broken=True)))
    assert (answer["holds"], answer["seed"], answer["points_not_walked"]) == (False, 7, 1)
    assert answer["tried"][0] == {
        "what": "killed at a crash point",
        "trials": 12,
        "struck": 11,
        "rows_lost": 0,
        "rows_doubled": 20,
        "broken": 1,
    }
    (breach,) = answer["breaches"]
    assert (breach["point"], breach["time"], breach["sinks"][0]["rows_doubled"]) == ("sqlite.committed", 2, 20)


@pytest.mark.parametrize(("broken", "code"), [(True, 1), (False, 0)])
def test_a_broken_guarantee_is_an_exit_code(
    broken: bool,  # noqa: FBT001 -- a parameter of pytest
    code: int,
    penstock: Callable[..., Said],
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    def torture(request: Any, bounds: Any, *, seed: int, told: Any) -> Tortured:
        asked.append((request.file.name, bounds, seed))
        return found(doubled(broken=broken))

    monkeypatch.setattr(torturing, "torture", torture)
    said = penstock("torture", str(project / "days.yml"), "--for", "90 s", "--seed", "3", "-k", "run.", "--json")
    assert (said.code, said.json["holds"]) == (code, not broken)
    assert asked == [("days.yml", torturing.Bounds(90, None, "run."), 3)]


def test_a_time_is_a_number_and_a_unit(penstock: Callable[..., Said], project: Path) -> None:
    said = penstock("torture", str(project / "days.yml"), "--for", "long")
    assert said.code == 2
    assert "CLI-140" in said.err
