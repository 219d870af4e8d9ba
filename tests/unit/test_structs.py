"""Values: compared and printed by what they mean, and given as dicts without losing a type."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from rich.pretty import pretty_repr

import penstock
from penstock.structs import Frozen, Mutable, Selective, asdict, field, replace


class Place(Selective):
    name: str
    line: int = 0
    key: str = ""
    uncompared = frozenset({"line"})
    unprinted = frozenset({"key"})


class Below(Place):
    depth: int = 0


class Kept(Mutable):
    rows: list[int] = field(default_factory=list)


class Whole(Frozen):
    at: datetime
    price: Decimal
    raw: bytes
    places: tuple[Place, ...]
    by_name: dict[str, Place]


def test_what_is_uncompared_changes_neither_equality_nor_hash() -> None:
    here, there = Place("a", 1), Place("a", 2)
    assert here == there
    assert not here != there  # noqa: SIM202  # a struct has an operator of its own for it
    assert len({here, there}) == 1
    assert here != Place("b", 1)
    assert here != Place("a", 1, key="x")
    assert Below("a", depth=1) != Below("a", depth=2)
    assert here != Below("a", 1)
    assert here != "a"


def test_what_is_unprinted_is_in_no_text() -> None:
    assert repr(Place("a", 1, "hunter2")) == "Place(name='a', line=1)"
    assert "hunter2" not in f"{[Below('a', key='hunter2')]}"
    assert pretty_repr([Below("a", 1, "hunter2", depth=2)]) == "[Below(name='a', line=1, depth=2)]"


def test_a_value_never_changes_and_an_account_does() -> None:
    with pytest.raises(AttributeError):
        Place("a").line = 2  # type: ignore[misc]
    first, second = Kept(), Kept()
    first.rows.append(1)
    second.rows = [2, 3]
    assert (first.rows, second.rows) == ([1], [2, 3])


def test_replace_makes_another_and_refuses_what_is_no_field() -> None:
    place = Place("a", 1, "k")
    assert replace(place, name="b").key == "k"
    assert place.name == "a"
    with pytest.raises(TypeError):
        replace(place, size=1)  # type: ignore[call-arg]


def test_asdict_goes_into_values_and_keeps_types() -> None:
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    whole = Whole(moment, Decimal("1.10"), b"\x00", (Place("a"),), {"b": Place("b", 2)})
    found = asdict(whole)
    assert found["at"] is moment
    assert (found["price"], found["raw"]) == (Decimal("1.10"), b"\x00")
    assert list(found["places"]) == [{"name": "a", "line": 0, "key": ""}]
    assert found["by_name"] == {"b": {"name": "b", "line": 2, "key": ""}}


def test_no_module_makes_dataclasses() -> None:
    """Each costs every start a millisecond."""
    folder = Path(penstock.__file__).parent
    assert [str(path) for path in folder.rglob("*.py") if "import dataclass" in path.read_text(encoding="utf-8")] == []
