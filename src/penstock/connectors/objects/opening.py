"""From a connection to obstore's own store: with what the document says, and with nothing of the machine's."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, assert_never

from penstock.connectors.http.guard import Guard, parse_allowed
from penstock.connectors.http.resolver import SystemResolver
from penstock.connectors.http.urls import parse_url
from penstock.connectors.objects.config import AzureConnection, GcsConnection, S3Connection, url_of
from penstock.connectors.resilience.cancel import Cancellation
from penstock.errors import ConfigError
from penstock.fields import reveal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore.store import ObjectStore

    from penstock.clock import Clock
    from penstock.connectors.objects.config import ObjectConnection
    from penstock.connectors.objects.roles import RoleSession

# What obstore takes from the environment whatever it is told: endpoints, keys, roles, files with keys.
_AMBIENT: Final = ("AWS_", "AZURE_", "GOOGLE_", "MSI_", "IDENTITY_", "FABRIC_")
_ENVIRONMENT: Final = threading.Lock()


def open_store(connection: ObjectConnection, clock: Clock, role: RoleSession | None = None) -> ObjectStore:
    """Asks nobody yet, but for the endpoint's address: it is checked as every outgoing request's is. ``role``: whose
    credentials requests go with.

    Raises ConfigError NET-103, NET-104 (the endpoint), NET-150 (obstore is not installed), NET-155 (the driver does not take
    what the connection says); TransientError NET-105.
    """
    if find_spec("obstore") is None:
        raise ConfigError(
            "NET-150", "object stores need what is not installed", hint="run `pip install 'penstock[objects]'`"
        )
    _check_endpoint(connection, clock)
    from obstore.exceptions import BaseError

    with _nothing_ambient():
        try:
            return _made(connection, role)
        except (BaseError, ValueError):  # its words may hold a key
            raise ConfigError(
                "NET-155", f'the driver does not take the settings of "{url_of(connection)}"', about=("connection",)
            ) from None


def _made(connection: ObjectConnection, role: RoleSession | None) -> ObjectStore:
    from obstore.store import AzureStore, GCSStore, S3Store

    options: Any = {"client_options": _client(connection), "retry_config": _no_retries()}
    match connection:
        case S3Connection():
            return S3Store(connection.bucket, config=_s3(connection, role), **_of_role(role), **options)
        case GcsConnection():
            return GCSStore(connection.bucket, config=_gcs(connection), **_token(connection), **options)
        case AzureConnection():
            return AzureStore(connection.container, config=_azure(connection), **options)
        case _:
            assert_never(connection)


def _of_role(role: RoleSession | None) -> Any:
    return {} if role is None else {"credential_provider": role.credential}


def _s3(connection: S3Connection, role: RoleSession | None) -> Any:
    path_style = connection.endpoint is not None if connection.path_style is None else connection.path_style
    return _stated(
        region=connection.region,
        endpoint=connection.endpoint,
        access_key_id=_revealed(connection.access_key_id) if role is None else None,
        secret_access_key=_revealed(connection.secret_access_key) if role is None else None,
        session_token=_revealed(connection.session_token) if role is None else None,
        skip_signature=connection.anonymous,
        virtual_hosted_style_request=not path_style,
        conditional_put="etag",
    )


def _gcs(connection: GcsConnection) -> Any:
    return _stated(
        base_url=connection.endpoint,
        service_account_key=_revealed(connection.service_account_key),
        skip_signature=connection.anonymous,
    )


def _token(connection: GcsConnection) -> Any:
    token = connection.token
    if token is None:
        return {}
    return {"credential_provider": lambda: {"token": token.reveal(), "expires_at": None}}


def _azure(connection: AzureConnection) -> Any:
    return _stated(
        account_name=connection.account,
        account_key=_revealed(connection.account_key),
        sas_key=_revealed(connection.sas),
        tenant_id=connection.tenant_id,
        client_id=connection.client_id,
        client_secret=_revealed(connection.client_secret),
        endpoint=connection.endpoint,
        skip_signature=connection.anonymous,
    )


def _client(connection: ObjectConnection) -> Any:
    timeouts = connection.timeouts
    return {
        "allow_http": connection.allow_http,
        "connect_timeout": timeouts.connect,
        "read_timeout": timeouts.idle,
        "timeout": timeouts.total,
    }


def _no_retries() -> Any:
    """They are ours (connectors.resilience)."""
    return {"max_retries": 0, "retry_timeout": timedelta(seconds=1)}


def _stated(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _revealed(value: Any) -> str | None:
    return None if value is None else reveal(value)


def _check_endpoint(connection: ObjectConnection, clock: Clock) -> None:
    """A host of one's own is looked up here and checked; the driver then looks it up for itself."""
    if connection.endpoint is None:
        return
    guard = Guard(map(parse_allowed, connection.allow_private), SystemResolver(), clock)
    guard.admit(parse_url(connection.endpoint), connection.timeouts.connect.total_seconds(), Cancellation())


@contextmanager
def _nothing_ambient() -> Iterator[None]:
    """While a store is made the environment has nothing for it: its credentials are the connection's, and no other's."""
    with _ENVIRONMENT:
        hidden = {name: value for name, value in os.environ.items() if name.upper().startswith(_AMBIENT)}
        for name in hidden:
            del os.environ[name]
        try:
            yield
        finally:
            os.environ.update(hidden)
