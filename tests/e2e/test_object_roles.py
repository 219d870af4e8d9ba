"""A role taken on for a connection: how it is asked for, what goes to the store, when it is renewed; against a token service
and a store on loopback.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError

from penstock.connectors.objects.config import S3Connection
from penstock.connectors.objects.store import ObjectBucket
from penstock.errors import ConfigError, PenstockError, TransientError
from penstock.testing.clock import FakeClock
from penstock.testing.web import Reply, WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.testing.web import Received

NOW = datetime(2024, 1, 1, tzinfo=UTC)
ARN = "arn:aws:iam::123456789012:role/penstock/lake"
EMPTY = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


def granted(number: int, until: datetime) -> Reply:
    return Reply(
        f"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>TEMP{number}</AccessKeyId>"
        f"<SecretAccessKey>temporary-key-{number}</SecretAccessKey><SessionToken>temporary-token-{number}</SessionToken>"
        f"<Expiration>{until:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>".encode()
    )


def refused(status: int, code: str) -> Callable[[Received], Reply]:
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>So it is.</Message></Error></ErrorResponse>"
    return lambda _: Reply(body.encode(), status)


@pytest.fixture
def tokens() -> Iterator[WebServer]:
    with WebServer(lambda got: granted(got.number, NOW + timedelta(hours=got.number))) as server:
        yield server


@pytest.fixture
def store() -> Iterator[WebServer]:
    with WebServer(lambda _: Reply(EMPTY)) as server:
        yield server


def connection(tokens: WebServer, store: WebServer, **more: Any) -> S3Connection:
    given = {
        "type": "s3",
        "bucket": "b",
        "region": "eu-central-1",
        "endpoint": store.url,
        "allow_http": True,
        "allow_private": ["127.0.0.1"],
        "access_key_id": "AKIALONGTERM",
        "secret_access_key": "long-term-key",
        "retries": {"attempts": 1},
        "role": {"arn": ARN, "external_id": "hunter2", "endpoint": tokens.url},
    }
    return S3Connection.model_validate({**given, **more})


def signature(got: Received, key: str) -> str:
    """As the documentation of Signature Version 4 says it is made, from what arrived."""
    told = dict(re.findall(r"(Credential|SignedHeaders|Signature)=([^, ]+)", got.header("authorization") or ""))
    _, day, region, service, end = told["Credential"].split("/")
    signed = told["SignedHeaders"].split(";")
    headers = "".join(f"{name}:{(got.header(name) or '').strip()}\n" for name in signed)
    canonical = "\n".join([got.method, got.path, "", headers, ";".join(signed), hashlib.sha256(got.body).hexdigest()])
    scope = f"{day}/{region}/{service}/{end}"
    moment = got.header("x-amz-date")
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    made = f"AWS4{key}".encode()
    for part in (day, region, service, end):
        made = hmac.digest(made, part.encode(), "sha256")
    assert hmac.new(made, text.encode(), "sha256").hexdigest() == told["Signature"]
    return f"{told['Credential'].split('/')[0]} {scope.partition('/')[2]}"


def test_the_role_is_asked_for_with_the_connections_keys(tokens: WebServer, store: WebServer) -> None:
    ObjectBucket(connection(tokens, store), FakeClock(NOW)).list("")
    (asked,) = tokens.received
    assert signature(asked, "long-term-key") == "AKIALONGTERM eu-central-1/sts/aws4_request"
    assert {name: value for name, (value,) in parse_qs(asked.body.decode()).items()} == {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": ARN,
        "RoleSessionName": "penstock",
        "DurationSeconds": "3600",
        "ExternalId": "hunter2",
    }


def test_a_session_token_goes_with_the_keys_that_it_belongs_to(tokens: WebServer, store: WebServer) -> None:
    ObjectBucket(connection(tokens, store, session_token="given-token"), FakeClock(NOW)).list("")
    assert tokens.received[0].header("x-amz-security-token") == "given-token"
    assert "x-amz-security-token" in (tokens.received[0].header("authorization") or "")
    signature(tokens.received[0], "long-term-key")


def test_requests_to_the_store_go_with_the_temporary_credentials_alone(tokens: WebServer, store: WebServer) -> None:
    bucket = ObjectBucket(connection(tokens, store, session_token="given-token"), FakeClock(NOW))
    bucket.list("")
    bucket.list("")
    assert len(tokens.received) == 1
    for got in store.received:
        assert "Credential=TEMP1/" in (got.header("authorization") or "")
        assert got.header("x-amz-security-token") == "temporary-token-1"


def test_without_a_role_a_session_token_given_by_hand_goes_to_the_store(tokens: WebServer, store: WebServer) -> None:
    ObjectBucket(connection(tokens, store, role=None, session_token="given-token"), FakeClock(NOW)).list("")
    assert store.received[0].header("x-amz-security-token") == "given-token"
    assert tokens.received == []


def test_credentials_are_renewed_before_they_run_out(store: WebServer) -> None:
    """The driver, too, asks for others: by the machine's clock, so that these times are after now."""
    start = datetime.now(UTC)
    with WebServer(lambda got: granted(got.number, start + timedelta(hours=got.number))) as tokens:
        clock = FakeClock(start)
        bucket = ObjectBucket(connection(tokens, store), clock)
        bucket.list("")
        clock.advance(timedelta(minutes=50).total_seconds())
        bucket.list("")
        assert len(tokens.received) == 1
        clock.advance(timedelta(minutes=5).total_seconds())
        bucket.list("")
        assert len(tokens.received) == 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refused(403, "AccessDenied"), "NET-180"),
        (refused(400, "ValidationError"), "NET-180"),
        (refused(403, "InvalidClientTokenId"), "NET-152"),
        (refused(403, "SignatureDoesNotMatch"), "NET-152"),
        (refused(403, "ExpiredToken"), "NET-153"),
        (lambda _: Reply(b"<html>welcome</html>"), "NET-180"),
    ],
)
def test_what_the_token_service_says_is_named(store: WebServer, answer: Callable[[Received], Reply], code: str) -> None:
    with WebServer(answer) as tokens:
        bucket = ObjectBucket(connection(tokens, store), FakeClock(NOW))
        if code is None:
            bucket.list("")
            return
        with pytest.raises(ConfigError) as failure:
            bucket.list("")
    assert failure.value.code == code
    shown = failure.value.problems[0].render()
    assert not any(secret in shown for secret in ("hunter2", "long-term-key"))
    assert store.received == []


def test_a_token_service_that_is_down_is_named(tokens: WebServer, store: WebServer) -> None:
    role = {"arn": ARN, "endpoint": "http://127.0.0.1:1"}
    with pytest.raises(TransientError) as failure:
        ObjectBucket(connection(tokens, store, role=role), FakeClock(NOW)).list("")
    assert failure.value.code == "NET-110"


def test_nothing_of_the_machines_environment_is_used(
    tokens: WebServer, store: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN"):
        monkeypatch.setenv(name, "ambient")
    ObjectBucket(connection(tokens, store), FakeClock(NOW)).list("")
    for got in (*tokens.received, *store.received):
        assert "ambient" not in repr((got.headers, got.body))


@pytest.mark.parametrize(
    "more",
    [
        {"role": {"arn": "lake"}},
        {"role": {"arn": ARN, "duration": "5m"}},
        {"role": {"arn": ARN, "session_name": "a b"}},
        {"anonymous": True, "access_key_id": None, "secret_access_key": None},
        {"allow_http": False, "endpoint": None, "role": {"arn": ARN, "endpoint": "http://sts.example"}},
    ],
)
def test_a_role_that_cannot_be_is_refused(tokens: WebServer, store: WebServer, more: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, PenstockError)):
        connection(tokens, store, **more)
