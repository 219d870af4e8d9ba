from ipaddress import ip_address

import pytest

from penstock.connectors.http.guard import Guard, parse_allowed
from penstock.connectors.http.resolver import SystemResolver
from penstock.connectors.http.urls import parse_url
from penstock.connectors.resilience.cancel import Cancellation
from penstock.errors import ConfigError, TransientError
from penstock.testing.clock import FakeClock


class TableResolver:
    """Answers from a table; a list of lists is one answer per look-up, the last one for good."""

    def __init__(self, **table):
        self.table = {name.replace("_", "."): answers for name, answers in table.items()}
        self.asked = []

    def resolve(self, host, *_):
        self.asked.append(host)
        answers = self.table[host]
        answer = answers[min(self.asked.count(host), len(answers)) - 1] if isinstance(answers[0], list) else answers
        return tuple(ip_address(text) for text in answer)


def admit(url, allowed=(), resolver=None, clock=None):
    guard = Guard([parse_allowed(entry) for entry in allowed], resolver or TableResolver(), clock or FakeClock())
    return [str(address) for address in guard.admit(parse_url(url), 5, Cancellation())]


def test_a_public_host_gets_all_its_addresses():
    resolver = TableResolver(api_example=["8.8.8.8", "2606:4700::1111"])
    assert admit("https://api.example/x", resolver=resolver) == ["8.8.8.8", "2606:4700::1111"]


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1/", "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://100.64.0.1/"),
        *("http://0.0.0.0/", "http://224.0.0.1/", "http://255.255.255.255/", "http://198.18.0.1/", "http://240.0.0.1/"),
        *("http://[::1]/", "http://[::]/", "http://[::ffff:127.0.0.1]/", "http://[fe80::1]/", "http://[fd00::1]/"),
        *("http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://[2001::1]/", "http://[ff02::1]/"),
    ],
)
def test_addresses_that_are_not_public_are_refused(url):
    with pytest.raises(ConfigError) as caught:
        admit(url)
    assert caught.value.code == "NET-103"


def test_one_bad_address_among_good_ones_refuses_the_host():
    resolver = TableResolver(api_example=["8.8.8.8", "10.0.0.7"])
    with pytest.raises(ConfigError, match=r'"api.example" resolves to 10.0.0.7, a private address') as caught:
        admit("http://api.example/", resolver=resolver)
    assert 'allow_private: ["api.example"]' in caught.value.problems[0].hint


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("http://127.0.0.1:9000/", "127.0.0.1"),
        ("http://127.0.0.1:9000/", "127.0.0.1:9000"),
        ("http://127.0.0.1:9000/", "127.0.0.0/8"),
        ("http://[::ffff:127.0.0.1]/", "127.0.0.1"),
        ("http://127.0.0.1/", "[::ffff:127.0.0.1]"),
        ("http://[::1]:9000/", "[::1]:9000"),
        ("http://[::1]/", "::1"),
        ("http://[fd00::5]/", "fd00::/8"),
        ("http://[64:ff9b::a00:1]/", "10.0.0.0/8"),
        ("http://169.254.169.254/", "169.254.169.254"),
        ("http://198.18.0.1/", "198.18.0.0/15"),
        ("http://db.internal/", "db.internal"),
        ("http://db.internal/", "DB.Internal."),
        ("http://db.internal:8080/", "db.internal:8080"),
        ("http://db.internal/", "10.0.0.0/8"),
        ("http://db.internal/", " 10.0.0.7 "),
    ],
)
def test_an_entry_of_allow_private_admits(url, entry):
    assert admit(url, [entry], TableResolver(db_internal=["10.0.0.7"]))


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("http://127.0.0.1:9001/", "127.0.0.1:9000"),
        ("http://127.0.0.2/", "127.0.0.1"),
        ("http://db.internal/", "internal"),
        ("http://db.internal/", "x.db.internal"),
        ("http://evil.internal/", "db.internal"),
        ("http://evil.internal/", "10.0.0.8"),
        ("http://db.internal:81/", "db.internal:80"),
        ("http://meta.internal/", "meta.internal"),  # a name never allows a link-local address
        ("http://zero.internal/", "zero.internal"),
        ("http://0.0.0.0/", "0.0.0.0"),
        ("http://0.0.0.0/", "0.0.0.0/0"),
        ("http://224.0.0.1/", "224.0.0.0/4"),
    ],
)
def test_an_entry_of_allow_private_admits_nothing_else(url, entry):
    resolver = TableResolver(
        db_internal=["10.0.0.7"],
        evil_internal=["10.0.0.7"],
        meta_internal=["169.254.169.254"],
        zero_internal=["0.0.0.0"],
    )
    with pytest.raises(ConfigError) as caught:
        admit(url, [entry], resolver)
    assert caught.value.code == "NET-103"


@pytest.mark.parametrize(
    "entry",
    [
        "",
        " ",
        "*",
        "*.internal",
        "http://a",
        "10.0.0.0/33",
        "a:b",
        "a:0",
        "a:70000",
        "[::1",
        "a b",
        "010.0.0.1",
        "1:2:3",
    ],
)
def test_an_entry_that_means_nothing_is_refused(entry):
    with pytest.raises(ValueError, match="is no host, host:port or network"):
        parse_allowed(entry)


def test_a_host_is_looked_up_once_and_again_after_a_minute():
    clock, resolver = FakeClock(), TableResolver(api_example=[["8.8.8.8"], ["10.0.0.7"]])
    guard = Guard([], resolver, clock)
    url = parse_url("http://api.example/")
    for _ in range(5):
        assert [str(a) for a in guard.admit(url, 5, Cancellation())] == ["8.8.8.8"]
    assert resolver.asked == ["api.example"]
    clock.advance(61)
    with pytest.raises(ConfigError):  # rebound meanwhile: checked again
        guard.admit(url, 5, Cancellation())


def test_an_address_needs_no_look_up():
    resolver = TableResolver()
    assert admit("http://8.8.8.8/", resolver=resolver) == ["8.8.8.8"]
    assert resolver.asked == []


def test_the_system_resolver_knows_this_machine():
    assert ip_address("127.0.0.1") in SystemResolver().resolve("localhost", 80, 10, Cancellation())


def test_a_host_that_does_not_exist_is_the_authors_mistake(monkeypatch):
    import socket

    def answer(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    with pytest.raises(ConfigError) as caught:
        SystemResolver().resolve("no-such-host.example", 80, 10, Cancellation())
    assert caught.value.code == "NET-104"


@pytest.mark.parametrize("error", ["again", "other", "unicode"])
def test_a_name_server_that_cannot_answer_now_may_answer_later(monkeypatch, error):
    import socket

    def answer(*_, **__):
        match error:
            case "again":
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            case "other":
                raise OSError(24, "Too many open files")
            case _:
                "\ud800".encode()

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    with pytest.raises(TransientError) as caught:
        SystemResolver().resolve("a.example", 80, 10, Cancellation())
    assert caught.value.code == "NET-105"


def test_an_empty_answer_is_no_host(monkeypatch):
    import socket

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    with pytest.raises(ConfigError) as caught:
        SystemResolver().resolve("a.example", 80, 10, Cancellation())
    assert caught.value.code == "NET-104"


def test_a_slow_name_server_is_left_behind_and_a_cancelled_look_up_too(monkeypatch):
    import socket
    import threading

    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(20) and [])
    try:
        with pytest.raises(TransientError) as caught:
            SystemResolver().resolve("a.example", 80, 0.05, Cancellation())
        assert caught.value.code == "NET-105"
        cancellation = Cancellation()
        cancellation.cancel()
        with pytest.raises(TransientError) as caught:
            SystemResolver().resolve("a.example", 80, 10, cancellation)
        assert caught.value.code == "NET-140"
    finally:
        release.set()
