"""Which pipelines a person means by a name."""

from __future__ import annotations

import pytest

from penstock.ledger.api import PipelineKey
from penstock.service.remembering import is_called


@pytest.mark.parametrize(
    ("asked", "is_meant"),
    [(None, True), ("shop", True), ("shop/crm.orders", True), ("crm.orders", False), ("sho", False), ("", False)],
)
def test_a_table_of_a_family_goes_by_its_pipelines_name_too(asked: str | None, is_meant: bool) -> None:  # noqa: FBT001 -- a case
    assert is_called(PipelineKey("project", "default", "shop/crm.orders"), asked) is is_meant
