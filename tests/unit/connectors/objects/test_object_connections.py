"""Connections to object stores: what they take, and what driver settings they come to. No store is asked."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from penstock.clock import SystemClock
from penstock.connectors.files.csv_source import CsvSourceParams
from penstock.connectors.objects.config import ObjectConnectionParam
from penstock.connectors.objects.opening import open_store, url_of

ADAPTER: TypeAdapter[Any] = TypeAdapter(ObjectConnectionParam)
S3 = {"type": "s3", "bucket": "b", "access_key_id": "AK", "secret_access_key": "hunter2"}
AZURE = {"type": "azure", "account": "acc", "container": "c", "account_key": "aHVudGVyMg=="}
GCS = {"type": "gcs", "bucket": "b", "token": "hunter2"}


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"type": "s3", "bucket": "b"}, "needs access_key_id and secret_access_key"),
        ({**S3, "anonymous": True}, "anonymous takes no credentials"),
        ({**S3, "endpoint": "http://a.example"}, "allow_http: true"),
        ({**S3, "endpoint": "ftp://a.example"}, "http"),
        ({**S3, "prefix": "a/../b"}, "without"),
        ({**S3, "allow_private": ["a b"]}, "no host"),
        ({"type": "gcs", "bucket": "b"}, "needs one of"),
        ({**GCS, "anonymous": True}, "needs one of"),
        ({"type": "azure", "account": "a", "container": "c"}, "needs one of"),
        ({"type": "azure", "account": "a", "container": "c", "client_id": "x"}, "needs tenant_id"),
        ({"type": "http"}, "type"),
    ],
)
def test_what_does_not_fit_together_is_refused(stated: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ADAPTER.validate_python(stated)


@pytest.mark.parametrize(
    ("stated", "url"),
    [
        ({**S3, "prefix": "/raw//2024/"}, "s3://b/raw/2024"),
        (GCS, "gs://b"),
        (AZURE, "az://acc/c"),
    ],
)
def test_a_store_is_named_without_its_credentials(stated: dict[str, Any], url: str) -> None:
    connection = ADAPTER.validate_python(stated)
    assert url_of(connection) == url
    shown = f"{connection!r}{connection.model_dump()}{connection.model_dump_json()}"
    assert not any(key in shown for key in ("hunter2", "aHVudGVyMg"))


@pytest.mark.parametrize(
    "stated",
    [
        S3,
        {**S3, "session_token": "t", "region": "eu-central-1", "path_style": True},
        {"type": "s3", "bucket": "b", "anonymous": True},
        AZURE,
        {"type": "azure", "account": "a", "container": "c", "sas": "sv=2021&sig=x"},
        {"type": "azure", "account": "a", "container": "c", "tenant_id": "t", "client_id": "i", "client_secret": "s"},
        GCS,
        {"type": "gcs", "bucket": "b", "anonymous": True},
    ],
)
def test_the_driver_takes_every_kind_of_credentials(stated: dict[str, Any]) -> None:
    """The path of Google Cloud Storage is tried no further: no server of tests speaks its XML interface."""
    assert open_store(ADAPTER.validate_python(stated), SystemClock())


def test_contents_are_told_apart_by_names_alone() -> None:
    with pytest.raises(ValidationError, match="same_content"):
        CsvSourceParams.model_validate(
            {
                "type": "csv",
                "path": "a.csv",
                "connection": S3,
                "incremental": {"files": {"same_content": "skip"}},
            }
        )
