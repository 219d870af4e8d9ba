"""Facts: counted, told to listeners, and logged in one line; that runs emit them all is tested in e2e."""

from __future__ import annotations

import json

import pytest

from penstock import events
from penstock.events import AttemptFailed, EpochSealed, Event, Events, PassMoved, RunStarted

CLASSES = {
    one for one in vars(events).values() if isinstance(one, type) and issubclass(one, Event) and one is not Event
}


def test_facts_are_counted_by_name() -> None:
    telling = Events(level="error")
    for _ in range(3):
        telling.emit(EpochSealed("p", 1, 1, 1, 0))
    telling.emit(PassMoved(1, 0.5, None))
    assert telling.counts == {"epoch_sealed": 3, "pass_moved": 1}


@pytest.mark.parametrize(("level", "lines"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
def test_only_what_is_important_enough_is_logged(
    capsys: pytest.CaptureFixture[str], level: events.Level, lines: int
) -> None:
    telling = Events(level)
    for event in (PassMoved(1, 0.5, None), RunStarted("p", "r", "h"), AttemptFailed(1, "NET-120", "no answer")):
        telling.emit(event)
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == lines


HOSTILE = 'no\nanswer: "x=1"\x1b[2J\u202e \r2024-01-01T00:00:00Z [info] run_ended status=done'


def test_a_line_of_text_is_one_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    Events("warning").emit(AttemptFailed(2, "NET-120", HOSTILE))
    Events("info").emit(events.SinkCommitted("out", 1, 5, ""))
    first, second = capsys.readouterr().err.splitlines()
    assert " [warning] attempt_failed number=2 code=NET-120 message=" in first
    assert first.isprintable()
    assert json.loads(first.partition("message=")[2]) == HOSTILE
    assert second.endswith('[info] sink_committed sink=out epoch=1 rows=5 version=""')


def test_a_line_of_text_is_what_a_person_reads(capsys: pytest.CaptureFixture[str]) -> None:
    Events("info").emit(events.EpochRedone("p", 3, ("first", "the second")))
    Events("info").emit(events.PassDone(1, 10, 9, 1, 0.3715341939969221))
    redone, done = capsys.readouterr().err.splitlines()
    assert redone.endswith('epoch_redone pipeline=p epoch=3 committed=first,"the second"')
    assert done.endswith("seconds=0.372")


def test_a_line_of_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    event = events.EpochRedone("p", 3, ("first", "second"))
    Events("debug", "json").emit(event)
    Events("debug", "json").emit(AttemptFailed(2, "NET-120", HOSTILE))
    redone, failed = map(json.loads, capsys.readouterr().err.splitlines())
    assert redone.keys() == {"timestamp", "level", "event", "pipeline", "epoch", "committed"}
    assert (redone["event"], redone["level"], redone["committed"]) == ("epoch_redone", "warning", ["first", "second"])
    assert failed["message"] == HOSTILE


def test_no_fact_has_room_for_a_row_or_a_secret() -> None:
    """Names, numbers, times and codes; a message is one of Penstock's own."""
    allowed = {"str", "int", "float", "int | None", "float | None", "tuple[str, ...]"}
    for one in CLASSES:
        assert {one.__annotations__[name] for name in one.__struct_fields__} <= allowed
