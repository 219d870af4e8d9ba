"""Names of folders and files, and the texts of partition values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from deltalake import Schema
from deltalake.transaction import AddAction, create_table_with_add_actions

from penstock.connectors.delta import layout
from penstock.connectors.delta.log import _told
from penstock.errors import DataError
from penstock.testing import data
from penstock.testing.sinks import epoch
from penstock.types import parse_type

if TYPE_CHECKING:
    from pathlib import Path


def types(**spelled: str) -> dict[str, object]:
    return {name: parse_type(text)[0] for name, text in spelled.items()}


def test_a_folder_names_the_values_of_its_partition() -> None:
    found = layout.partition_of(
        "a=a%2Fb/n=-3/d=2024-02-29/t=2024-01-01 00%3A00%3A00+00/m=1.50/z=__HIVE_DEFAULT_PARTITION__",
        types(a="string", n="int64", d="date", t="timestamptz", m="decimal(5,2)", z="string"),
    )
    assert found == {
        "a": "a/b",
        "n": "-3",
        "d": "2024-02-29",
        "t": "2024-01-01 00:00:00.000000",
        "m": "1.50",
        "z": None,
    }


def test_the_text_that_names_null_is_told_from_null() -> None:
    found = layout.partition_of("a=%5F_HIVE_DEFAULT_PARTITION__", types(a="string"))
    assert found == {"a": "__HIVE_DEFAULT_PARTITION__"}


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("p=", "string"),
        ("p=0044-03-15 (BC)", "date"),
        ("p=290309-12-22 00%3A00%3A00", "timestamp"),
        ("p=infinity", "timestamptz"),
    ],
)
def test_a_value_that_delta_cannot_name_is_refused(folder: str, kind: str) -> None:
    with pytest.raises(DataError) as caught:
        layout.partition_of(folder, types(p=kind))
    assert caught.value.code == "SNK-252"
    assert '"p"' in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "may"),
    [("string", True), ("int8", True), ("decimal(38,10)", True), ("float64", False), ("binary", False)],
)
def test_only_types_with_one_text_per_value_divide_a_table(kind: str, *, may: bool) -> None:
    assert layout.can_partition(parse_type(kind)[0]) is may


def test_paths_are_spelled_as_deltalake_spells_them(tmp_path: Path) -> None:
    letters = [chr(code) for code in (*range(1, 128), 0xE9, 0x5217, 0x1F6E2) if chr(code) != "/"]
    paths = [f"p=x/{letter}.parquet" for letter in letters]
    schema = Schema.from_json(
        json.dumps({"type": "struct", "fields": [{"name": "id", "type": "long", "nullable": True, "metadata": {}}]})
    )
    adds = [AddAction(path, 1, {}, 0, data_change=True, stats='{"numRecords":1}') for path in paths]
    create_table_with_add_actions(str(tmp_path), schema, adds)
    lines = (tmp_path / "_delta_log" / f"{0:020}.json").read_text().splitlines()
    spelled = [json.loads(line)["add"]["path"] for line in lines if line.startswith('{"add"')]
    assert spelled == [layout.logged(path) for path in paths]


def test_hostile_names_of_sinks_stay_inside_the_staging_folder(tmp_path: Path) -> None:
    folder = layout.sink_folder(tmp_path, epoch(1).sink_id)
    assert folder.parent == tmp_path / layout.STAGING
    assert "/" not in layout.file_stem(epoch(1, attempt="../../x\n"))


def test_attempts_of_other_epochs_and_incarnations_have_other_file_names() -> None:
    names = {
        layout.file_stem(one)
        for one in (
            epoch(1, attempt="a"),
            epoch(1, attempt="b"),
            epoch(2, attempt="a"),
            epoch(1, attempt="a", incarnation=data.ID),
        )
    }
    assert len(names) == 4


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085"])
def test_an_entry_is_read_by_newlines_alone(mark: str) -> None:
    """JSON may hold other marks that end a line of text, and other writers leave them as they are."""
    foreign = '{"commitInfo":{"operationParameters":{"predicate":"a = \'x' + mark + 'y\'"}}}\n{"add":{}}'
    assert _told(foreign) == {}
