"""The stores of tests by their driver alone, set up by hand: for putting objects there and for looking at them."""

from __future__ import annotations

import json
from datetime import timedelta
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import obstore
from obstore.store import AzureStore, S3Store

if TYPE_CHECKING:
    from obstore.store import ObjectStore


def store_of(connection: dict[str, Any]) -> ObjectStore:
    """The driver itself, set up by hand."""
    options: Any = {"client_options": {"allow_http": True}, "retry_config": {"retry_timeout": timedelta(seconds=30)}}
    if connection["type"] == "azure":
        return AzureStore(
            connection["container"],
            account_name=connection["account"],
            account_key=connection["account_key"],
            endpoint=connection["endpoint"],
            **options,
        )
    return S3Store(
        connection["bucket"],
        endpoint=connection["endpoint"],
        region="us-east-1",
        access_key_id=connection["access_key_id"],
        secret_access_key=connection["secret_access_key"],
        virtual_hosted_style_request=False,
        **options,
    )


def keys_in(store: ObjectStore) -> list[str]:
    """Every key of the bucket, in order."""
    return sorted(item["path"] for chunk in obstore.list(store) for item in chunk)


def content_of(store: ObjectStore, key: str) -> bytes:
    return bytes(obstore.get(store, key).bytes())


def left_in(store: ObjectStore) -> list[str]:
    """What sinks of files have left in their homes, but for their logs and snapshots."""
    return [key for key in keys_in(store) if "_penstock" in key and "/log/" not in key and "/snapshots/" not in key]


def delta_options(connection: dict[str, Any]) -> dict[str, str]:
    """What deltalake itself is told to reach the store."""
    if connection["type"] == "azure":
        return {
            "account_name": connection["account"],
            "account_key": connection["account_key"],
            "endpoint": connection["endpoint"],
            "allow_http": "true",
        }
    return {
        "aws_access_key_id": connection["access_key_id"],
        "aws_secret_access_key": connection["secret_access_key"],
        "aws_endpoint": connection["endpoint"],
        "aws_region": "us-east-1",
        "allow_http": "true",
        "aws_conditional_put": "etag",
    }


def left_by_delta(store: ObjectStore, table: str) -> list[str]:
    """Keys below a table's that no entry of its log ever named."""
    keys = [key.removeprefix(f"{table}/") for key in keys_in(store) if key.startswith(f"{table}/")]
    entries = [content_of(store, f"{table}/{key}") for key in keys if fnmatch(key, "_delta_log/*.json")]
    lines = [json.loads(line) for entry in entries for line in entry.decode().splitlines()]
    named = {unquote(line["add"]["path"]) for line in lines if "add" in line}
    return [key for key in keys if key not in named and not key.startswith("_delta_log/")]
