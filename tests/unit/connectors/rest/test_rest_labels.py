"""A page that is no JSON is shown by its beginning, but where the source has labels."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from penstock.connectors.rest.listing import Listing
from penstock.connectors.rest.params import RestSourceParams
from penstock.errors import DataError

if TYPE_CHECKING:
    from penstock.connectors.http.client import HttpClient
    from penstock.connectors.rest.database import Database


def refused(**more: Any) -> DataError:
    """What is said of a page that breaks off."""
    answer = SimpleNamespace(
        status=200, body=b'[{"mail": "ann@x.org"', headers=SimpleNamespace(get=lambda *_: None), url=None
    )
    client = SimpleNamespace(send=lambda *_: answer, redact=lambda text: text, base=None)
    params = RestSourceParams.model_validate({"type": "rest", "connection": {"base_url": "https://x.org"}, **more})
    with pytest.raises(DataError) as caught:
        Listing(params, cast("HttpClient", client), cast("Database", None)).first()
    return caught.value


@pytest.mark.parametrize(("labels", "is_shown"), [({}, True), ({"mail": ["pii"]}, False)])
def test_the_beginning_of_a_page_is_hidden_beside_labels(labels: dict[str, list[str]], *, is_shown: bool) -> None:
    error = refused(labels=labels)
    assert error.code == "SRC-271"
    assert ("ann@" in str(error.problems[0])) is is_shown
