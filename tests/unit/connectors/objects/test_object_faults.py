"""What a store's answers mean, by the texts that the driver makes of them; what no message may show."""

from __future__ import annotations

import pytest
from obstore.exceptions import GenericError

from penstock.clock import SystemClock
from penstock.connectors.objects import opening
from penstock.connectors.objects.config import GcsConnection, S3Connection
from penstock.connectors.objects.faults import classified
from penstock.connectors.objects.opening import open_store
from penstock.connectors.objects.store import ObjectBucket
from penstock.errors import ConfigError

ANSWER = (
    "Generic S3 error: Error performing GET http://a.example/b?X-Amz-Signature=0f in 1ms - Server returned non-2xx status "
    "code: {status} Words: <Error><Code>{code}</Code><Message>{message}</Message><AWSAccessKeyId>AKIA</AWSAccessKeyId>"
    "<StringToSign>AWS4-HMAC</StringToSign></Error>\n\nDebug source:\nGeneric {{ secret }}"
)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "NoSuchBucket", "NET-151"),
        (404, "ContainerNotFound", "NET-151"),
        (403, "SignatureDoesNotMatch", "NET-152"),
        (401, "Unknown", "NET-152"),
        (400, "ExpiredToken", "NET-153"),
        (403, "AccessDenied", "NET-154"),
        (400, "InvalidRequest", "NET-155"),
        (301, "PermanentRedirect", "NET-181"),
        (400, "AuthorizationHeaderMalformed", "NET-181"),
        (503, "SlowDown", "NET-156"),
        (429, "TooManyRequests", "NET-156"),
        (409, "ConditionalRequestConflict", "NET-156"),
    ],
)
def test_an_answer_is_classified_by_its_code_and_status(status: int, code: str, expected: str) -> None:
    error = GenericError(ANSWER.format(status=status, code=code, message="So it is.\nRequestId:0815"))
    problem = classified(error, store="s3://b", doing="reading").problems[0]
    assert problem.code == expected
    assert problem.detail == f"the store says: {code}: So it is."
    assert not any(text in problem.render() for text in ("AKIA", "HMAC", "Signature=", "secret", "0815"))


def test_what_never_came_to_an_answer_may_pass() -> None:
    error = GenericError("Generic S3 error: Error performing GET http://a in 1ms - HTTP error: error sending request")
    problem = classified(error, store="s3://b", doing="reading").problems[0]
    assert (problem.code, problem.detail) == ("NET-156", "error sending request.")


def test_a_redirect_to_nowhere_is_another_region() -> None:
    error = GenericError("Error performing GET http://a in 1ms - Received redirect without LOCATION, this normally …")
    problem = classified(error, store="s3://b", doing="reading").problems[0]
    assert problem.code == "NET-181"
    assert problem.hint == "state the bucket's region in the connection"


def test_without_its_library_a_store_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "find_spec", lambda _: None)
    with pytest.raises(ConfigError) as failure:
        open_store(S3Connection(type="s3", bucket="b", anonymous=True), SystemClock())
    assert failure.value.code == "NET-150"


def test_a_key_that_is_none_is_refused_without_being_shown() -> None:
    connection = GcsConnection.model_validate({"type": "gcs", "bucket": "b", "service_account_key": "{hunter2"})
    with pytest.raises(ConfigError) as failure:
        open_store(connection, SystemClock())
    assert failure.value.code == "NET-155"
    assert "hunter2" not in failure.value.problems[0].render()
    assert failure.value.__cause__ is None


def test_a_store_that_repeats_a_key_is_not_repeated() -> None:
    connection = S3Connection.model_validate(
        {
            "type": "s3",
            "bucket": "b",
            "access_key_id": "AK",
            "secret_access_key": "hunter2",
            "session_token": "swordfish",
        }
    )
    said = ANSWER.format(status=403, code="AccessDenied", message="hunter2 of swordfish may not do that")

    def refuses() -> None:
        raise GenericError(said)

    with pytest.raises(ConfigError) as failure:
        ObjectBucket(connection, SystemClock())._call("reading", refuses)
    assert failure.value.problems[0].detail == "the store says: AccessDenied: *** of *** may not do that."
    assert failure.value.__cause__ is None
