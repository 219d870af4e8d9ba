"""What of a Delta log's names counts for a mirror of it."""

from __future__ import annotations

from penstock.connectors.delta.mirror import _TELLS, _checkpoints, _version

UUID = "3a0d65cd-4056-49b8-937b-95f9e3ee90e5"


def test_a_checkpoint_counts_once_all_its_parts_are_there() -> None:
    parts = [f"{7:020}.checkpoint.{part:010}.{3:010}.parquet" for part in (1, 2, 3)]
    assert _checkpoints(parts) == {7}
    assert _checkpoints(parts[:2]) == set()


def test_checkpoints_of_every_kind_are_known() -> None:
    names = [f"{5:020}.checkpoint.parquet", f"{6:020}.checkpoint.{UUID}.parquet", f"{8:020}.checkpoint.{UUID}.json"]
    assert _checkpoints([*names, f"{9:020}.json", "_sidecars/a.parquet"]) == {5, 6, 8}


def test_a_sidecar_is_of_no_version_that_is_left_out() -> None:
    assert _version(f"{5:020}.json") == _version(f"{5:020}.checkpoint.parquet") == 5
    assert _version("_sidecars/5.parquet") > 10**18


def test_names_that_lead_elsewhere_count_for_nothing() -> None:
    for name in ("_sidecars/../../x", "_sidecars/..", f"{5:020}.checkpoint./../x", f"{5:020}.json/x", "x/_sidecars/a"):
        assert _TELLS.match(name) is None
    assert _TELLS.match(f"_sidecars/{UUID}.parquet")
