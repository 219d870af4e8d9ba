from datetime import UTC, datetime

import pytest

from penstock.connectors.http.curl import Incoming
from penstock.connectors.http.messages import Headers, Request
from penstock.connectors.http.redact import Redactor
from penstock.connectors.http.statuses import judge, retry_after_seconds, said
from penstock.connectors.http.urls import parse_url
from penstock.connectors.resilience.retry import Again

NOW = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)
URL = parse_url("https://api.example/items?api_key=abc")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("-1", None),
        ("1e9", None),
        ("soon", None),
        ("Fri, 01 Mar 2024 12:00:30 GMT", 30),
        ("Fri, 01 Mar 2024 13:00:30 +0100", 30),
        ("Fri, 01 Mar 2024 11:00:00 GMT", 0),
        ("Fri, 01 Mar 99999 11:00:00 GMT", None),
    ],
)
def test_a_wait_is_seconds_or_a_date(text, seconds):
    headers = Headers([("retry-after", text)] if text is not None else [])
    assert retry_after_seconds(headers, NOW) == seconds


def outcome(status, request=None, headers=(), body=b""):
    return judge(
        Incoming(status, Headers(headers), body),
        request or Request("/items"),
        url=URL,
        now=NOW,
        redactor=Redactor(["abc-key"]),
    )


def test_a_limit_that_comes_as_403_is_waited_for():
    limited = outcome(403, headers=[("Retry-After", "9")])
    assert isinstance(limited, Again)
    assert limited.after_seconds == 9
    assert outcome(403).code == "NET-121"


def test_a_request_that_must_not_be_repeated_is_only_where_it_was_not_taken_up():
    post = Request("/items", method="POST")
    assert isinstance(outcome(429, post), Again)
    assert isinstance(outcome(503, post), Again)
    assert outcome(500, post).code == outcome(504, post).code == "NET-124"


def test_messages_name_status_method_and_path_and_hide_the_rest():
    error = outcome(404, body=b"<html><script>alert(1)</script><b>no</b> abc-key\x00\x1b here</html>")
    assert error.problems[0].message == '"api.example" answered 404 Not Found to GET /items'
    assert error.problems[0].detail == "the server says: no *** here."


def test_an_unknown_status_is_its_number():
    assert "answered 799 to GET" in outcome(799).problems[0].message


@pytest.mark.parametrize("body", [b"", b" \n\t ", b"\x00\x01"])
def test_a_server_that_says_nothing_is_not_quoted(body):
    assert said(Incoming(500, Headers(), body), Redactor()) is None


def test_what_a_server_says_is_cut():
    assert len(said(Incoming(500, Headers(), b"x" * 100_000), Redactor())) < 400
