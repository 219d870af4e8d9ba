"""The HTTP client against a server on loopback that misbehaves."""

import datetime as dt
import gzip
import ipaddress
import json
import os
import signal
import socket
import ssl
import threading
from pathlib import Path
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from penstock.clock import SystemClock
from penstock.connectors.http import curl
from penstock.connectors.http.client import HttpClient
from penstock.connectors.http.config import HttpConnection
from penstock.connectors.http.limits import Limits
from penstock.connectors.http.messages import Request
from penstock.connectors.http.urls import parse_url
from penstock.connectors.resilience.cancel import Cancellation
from penstock.errors import ConfigError, FatalError, InternalError, PenstockError, TransientError
from penstock.secret import Secret
from penstock.testing.clock import FakeClock
from penstock.testing.web import Reply, WebServer

KEY = "k3y-of-the-service"
LOOPBACK = ["127.0.0.1"]


@pytest.fixture
def serve():
    servers = []

    def start(answer, tls=None):
        server = WebServer(answer, tls).__enter__()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.__exit__()


@pytest.fixture
def client_of():
    made = []

    def make(base, *, clock=None, allow=LOOPBACK, **settings):
        connection = HttpConnection.model_validate({"base_url": base, "allow_private": allow, **settings})
        client = HttpClient(connection, clock=clock or FakeClock(), random=Random(1))
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()
        client.close()


def refused(client, code, request=None, kind=PenstockError):
    with pytest.raises(kind) as caught:
        client.send(request or Request("/x"))
    assert caught.value.code == code, str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- what goes out


def test_connections_are_kept_alive(serve, client_of):
    server = serve(lambda _: Reply(b"{}"))
    client = client_of(server.url)
    for _ in range(3):
        assert client.send(Request("/x")).body == b"{}"
    assert len({got.client_port for got in server.received}) == 1


def test_query_and_headers_of_connection_and_request_come_together(serve, client_of):
    server = serve(lambda _: Reply())
    client = client_of(
        f"{server.url}/v2",
        query={"lang": "en", "size": "1", "tag": ["a", "b"]},
        headers={"X-Team": "oil", "Accept": "text/plain"},
        auth={"type": "api_key", "in": "query", "name": "api_key", "value": KEY},
    )
    client.send(
        Request("/p%20q", query=(("size", "7"), ("data[0]", "value")), headers=(("Accept", "application/json"),))
    )
    (got,) = server.received
    assert got.path == "/v2/p%20q"
    assert sorted(got.query) == [
        *(("api_key", KEY), ("data[0]", "value"), ("lang", "en"), ("size", "7"), ("tag", "a"), ("tag", "b"))
    ]
    assert (got.header("x-team"), got.header("accept")) == ("oil", "application/json")


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "api_key", "value": KEY}, "x-api-key", KEY),
        ({"type": "api_key", "name": "Ocp-Key", "value": KEY}, "ocp-key", KEY),
        ({"type": "basic", "username": "ann", "password": "pa:ss"}, "authorization", "Basic YW5uOnBhOnNz"),
        ({"type": "bearer", "token": KEY}, "authorization", f"Bearer {KEY}"),
    ],
)
def test_credentials_go_where_they_belong(serve, client_of, auth, header, value):
    server = serve(lambda _: Reply())
    client_of(server.url, auth=auth).send(Request("/x"))
    assert server.received[0].header(header) == value


def test_a_body_is_posted_as_it_is(serve, client_of):
    server = serve(lambda got: Reply(got.body))
    body = json.dumps({"text": "ü" * 2_000_000}).encode()
    request = Request("/x", method="POST", headers=(("Content-Type", "application/json"),), body=body)
    assert client_of(server.url).send(request).body == body


@pytest.mark.parametrize("name", ["Host", "Content-Length", "Transfer-Encoding", "X y", "X\r\nEvil"])
def test_headers_that_could_smuggle_are_refused(serve, client_of, name):
    server = serve(lambda _: Reply())
    refused(client_of(server.url), "NET-106", Request("/x", headers=((name, "1"),)), ConfigError)
    assert server.received == []


# ---------------------------------------------------------------- the guard


def test_loopback_is_refused_where_nobody_allowed_it(serve, client_of):
    server = serve(lambda _: Reply())
    refused(client_of(server.url, allow=[]), "NET-103", kind=ConfigError)
    assert server.received == []


class Rebinding:
    """A name server that answers with a public-looking name's loopback address first, and with another one after."""

    def __init__(self):
        self.asked = []

    def resolve(self, host, *_):
        self.asked.append(host)
        return (ipaddress.ip_address("127.0.0.1" if len(self.asked) == 1 else "127.0.0.2"),)


def test_a_request_connects_to_the_address_that_was_checked_and_to_no_other(serve):
    server = serve(lambda got: Reply((got.header("host") or "").encode()))
    settings = {"base_url": f"http://pinned.example:{server.port}", "allow_private": ["pinned.example"]}
    resolver, clock = Rebinding(), FakeClock()
    client = HttpClient(HttpConnection.model_validate(settings), clock=clock, resolver=resolver)
    assert client.send(Request("/x")).body == f"pinned.example:{server.port}".encode()
    client.send(Request("/x"))
    assert resolver.asked == ["pinned.example"]
    client.close()


def test_an_address_that_was_not_checked_is_not_connected_to(serve, monkeypatch):
    """Even where libcurl got hold of it some other way: the socket is opened by us."""
    monkeypatch.setattr(curl, "_pin", lambda url, _: f"{url.host}:{url.port}:127.0.0.1")
    server = serve(lambda _: Reply())
    transport = curl.CurlTransport(Limits(), curl.TlsFiles())
    wrong = curl.Outgoing("GET", parse_url(server.url), (), None, (ipaddress.ip_address("8.8.8.8"),))
    with pytest.raises(InternalError, match="not checked"):
        transport.send(wrong, 5, Cancellation())
    transport.close()
    assert server.received == []


def test_a_redirect_is_checked_like_a_request(serve, client_of):
    secret = serve(lambda _: Reply(b"internal"))
    server = serve(lambda _: Reply(status=302, headers={"Location": f"http://127.0.0.2:{secret.port}/"}))
    refused(client_of(server.url), "NET-103", kind=ConfigError)
    assert secret.received == []


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/x"])
def test_a_redirect_to_another_scheme_is_refused(serve, client_of, location):
    server = serve(lambda _: Reply(status=302, headers={"Location": location}))
    refused(client_of(server.url), "NET-101", kind=ConfigError)


def test_redirects_are_followed_and_credentials_stay_with_their_origin(serve, client_of):
    other = serve(lambda _: Reply(b"there"))
    server = serve(lambda _: Reply(status=307, headers={"Location": f"{other.url}/y?a=1"}))
    client = client_of(server.url, auth={"type": "bearer", "token": KEY}, headers={"X-Tenant": "t"}, query={"k": "v"})
    response = client.send(Request("/x", headers=(("X-Own", "1"), ("Accept", "text/plain"))))
    assert (response.body, str(response.url)) == (b"there", f"{other.url}/y?a=1")
    (got,) = other.received
    assert got.query == (("a", "1"),)
    assert [got.header(name) for name in ("authorization", "x-tenant", "x-own", "accept")] == [
        *(None, None, None, "text/plain")
    ]


def test_redirects_on_the_same_origin_keep_credentials(serve, client_of):
    server = serve(lambda got: Reply(b"y") if got.path == "/y" else Reply(status=301, headers={"Location": "/y"}))
    client_of(server.url, auth={"type": "bearer", "token": KEY}).send(Request("/x"))
    assert server.received[1].header("authorization") == f"Bearer {KEY}"


def test_circles_and_long_chains_of_redirects_end(serve, client_of):
    circle = serve(lambda _: Reply(status=302, headers={"Location": "/x"}))
    assert "circle" in refused(client_of(circle.url), "NET-107")
    chain = serve(lambda got: Reply(status=302, headers={"Location": f"/{got.number}"}))
    assert "more than 3 times" in refused(client_of(chain.url, max_redirects=3), "NET-107")
    assert len(chain.received) == 4


def test_a_post_is_not_redirected_to_where_it_would_lose_or_leak_its_body(serve, client_of):
    post = Request("/x", method="POST", body=b"{}")
    lost = serve(lambda _: Reply(status=302, headers={"Location": "/y"}))
    refused(client_of(lost.url), "NET-108", post)
    leaked = serve(lambda _: Reply(status=307, headers={"Location": f"{lost.url}/y"}))
    refused(client_of(leaked.url), "NET-108", post)
    nowhere = serve(lambda _: Reply(status=302))
    refused(client_of(nowhere.url), "NET-108")
    after = serve(
        lambda got: Reply(got.method.encode()) if got.path == "/y" else Reply(status=303, headers={"Location": "/y"})
    )
    assert client_of(after.url).send(post).body == b"GET"


# ---------------------------------------------------------------- limits


def test_an_answer_is_taken_up_to_the_limit_and_not_beyond(serve, client_of):
    server = serve(lambda got: Reply(b"x" * int(got.parameter("n"))))
    client = client_of(server.url, max_response_bytes="10 kB")
    assert len(client.send(Request("/x", query=(("n", "10000"),))).body) == 10_000
    refused(client, "NET-115", Request("/x", query=(("n", "10001"),)))


def test_a_gzip_bomb_is_stopped_while_it_unfolds(serve, client_of):
    bomb = gzip.compress(b"0" * 200_000_000)
    server = serve(lambda _: Reply(bomb, headers={"Content-Encoding": "gzip"}))
    refused(client_of(server.url, max_response_bytes="1 MiB"), "NET-115")


def test_compressed_answers_are_unpacked_and_damaged_ones_tried_again(serve, client_of):
    packed = gzip.compress(b"hello" * 1000)
    damaged = packed[:-20] + bytes(20)
    server = serve(lambda got: Reply(damaged if got.number < 3 else packed, headers={"Content-Encoding": "gzip"}))
    assert client_of(server.url).send(Request("/x")).body == b"hello" * 1000
    assert len(server.received) == 3


def test_an_unknown_encoding_is_named(serve, client_of):
    server = serve(lambda _: Reply(b"abc", headers={"Content-Encoding": "lzma-of-mine"}))
    refused(client_of(server.url), "NET-116", kind=ConfigError)


def test_endless_headers_are_stopped(serve, client_of):
    server = serve(lambda _: Reply(headers={f"X-{n}": "y" * 1000 for n in range(90)}))
    refused(client_of(server.url), "NET-115")


@pytest.mark.timeout(60)
def test_a_silent_server_is_left_after_the_time(serve, client_of):
    server = serve(lambda _: Reply(hold=True))
    client = client_of(server.url, timeouts={"total": "300 ms"}, retries={"attempts": 2}, clock=SystemClock())
    message = refused(client, "NET-111", kind=TransientError)
    assert "tried 2 times" in message
    assert len(server.received) == 2


# ---------------------------------------------------------------- failures and retries


def test_a_connection_that_breaks_is_tried_again(serve, client_of):
    server = serve(lambda got: Reply(b"0123456789", cut=5) if got.number < 3 else Reply(b"0123456789"))
    assert client_of(server.url).send(Request("/x")).body == b"0123456789"
    assert len(server.received) == 3


def test_nobody_listening_is_said_so_after_all_tries(client_of):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    clock = FakeClock()
    assert "tried 5 times" in refused(client_of(f"http://127.0.0.1:{port}", clock=clock), "NET-110")
    assert clock.sleeps


def test_garbage_instead_of_http_is_an_error(client_of):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.recv(1000)
                connection.sendall(b"\x00\x01garbage\r\n\r\n")
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
        client = client_of(f"http://127.0.0.1:{listener.getsockname()[1]}", retries={"attempts": 2})
        refused(client, "NET-112", kind=TransientError)
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529])
def test_statuses_that_may_pass_are_tried_again(serve, client_of, status):
    server = serve(lambda got: Reply(status=status) if got.number < 3 else Reply(b"ok"))
    assert client_of(server.url).send(Request("/x")).body == b"ok"


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "NET-123"), (401, "NET-121"), (403, "NET-121"), (404, "NET-122"), (410, "NET-122"), (422, "NET-123")],
)
def test_statuses_that_will_not_pass_are_errors_at_once(serve, client_of, status, code):
    server = serve(lambda _: Reply(b'{"error": "no such thing"}', status=status))
    assert "no such thing" in refused(client_of(server.url), code, kind=ConfigError)
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [304, 300, 501, 505])
def test_other_statuses_are_no_answer(serve, client_of, status):
    server = serve(lambda _: Reply(status=status))
    refused(client_of(server.url), "NET-125", kind=ConfigError)


def test_the_tries_end(serve, client_of):
    server = serve(lambda _: Reply(b"overloaded", status=503))
    message = refused(client_of(server.url, retries={"attempts": 4}), "NET-120", kind=TransientError)
    assert "tried 4 times" in message
    assert "overloaded" in message
    assert len(server.received) == 4


@pytest.mark.parametrize(
    ("asked", "waited"), [("7", 7.0), ("Fri, 01 Mar 2024 00:00:20 GMT", 20.000001), ("9999", 120.0)]
)
def test_a_wait_that_the_server_asks_for_is_kept(serve, client_of, asked, waited):
    server = serve(lambda got: Reply(status=429, headers={"Retry-After": asked}) if got.number == 1 else Reply())
    clock = FakeClock()
    client_of(server.url, clock=clock, retries={"first_wait": "1 ms"}).send(Request("/x"))
    assert clock.monotonic() == pytest.approx(waited, abs=0.2)


@pytest.mark.parametrize("asked", ["soon", "-5", "99999999999999", "Fri, 99 Foo 2024", ""])
def test_a_wait_that_cannot_be_read_is_our_own(serve, client_of, asked):
    server = serve(lambda got: Reply(status=503, headers={"Retry-After": asked}) if got.number == 1 else Reply())
    clock = FakeClock()
    client_of(server.url, clock=clock).send(Request("/x"))
    assert clock.monotonic() <= 0.5


def test_the_rate_is_kept_over_all_requests(serve, client_of):
    server = serve(lambda _: Reply())
    clock = FakeClock()
    client = client_of(server.url, clock=clock, rate_limit={"requests": 2, "per": "1 s"})
    for _ in range(5):
        client.send(Request("/x"))
    assert clock.monotonic() == pytest.approx(2.0)


def test_a_post_that_may_have_arrived_is_not_sent_again(serve, client_of):
    post = Request("/x", method="POST", body=b"{}")
    cut = serve(lambda _: Reply(b"0123456789", cut=3))
    refused(client_of(cut.url), "NET-124", post, FatalError)
    assert len(cut.received) == 1
    failing = serve(lambda _: Reply(status=500))
    refused(client_of(failing.url), "NET-124", post, FatalError)
    assert len(failing.received) == 1


def test_a_post_with_a_key_and_one_that_was_not_taken_up_are_sent_again(serve, client_of):
    server = serve(lambda got: Reply(b"0123456789", cut=3) if got.number < 3 else Reply(b"done"))
    keyed = Request("/x", method="POST", body=b"{}", headers=(("Idempotency-Key", "abc"),))
    assert client_of(server.url).send(keyed).body == b"done"
    busy = serve(lambda got: Reply(status=429) if got.number == 1 else Reply(b"done"))
    assert client_of(busy.url).send(Request("/x", method="POST", body=b"{}")).body == b"done"


# ---------------------------------------------------------------- secrets


@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_no_error_shows_a_secret_even_if_the_server_echoes_it(serve, client_of, status):
    server = serve(
        lambda got: Reply(f"you sent {got.query} {dict(got.headers)} {'x' * 99} bearer".encode(), status=status)
    )
    settings = {
        "headers": {"X-Extra": "pla!n&hidden"},
        "query": {"sig": "pla!n&hidden"},
        "auth": {"type": "api_key", "in": "query", "name": "api_key", "value": "s3cr&t key=1"},
        "retries": {"attempts": 1},
    }
    client = client_of(server.url, **settings)
    client.redact.add("pla!n&hidden")
    with pytest.raises(PenstockError) as caught:
        client.send(Request("/x", query=(("page", "1"),)))
    shown = str(caught.value) + repr(caught.value) + json.dumps([p.to_json() for p in caught.value.problems])
    assert "you sent" in shown
    for secret in ("s3cr&t", "s3cr%26t", "pla!n&hidden", "pla%21n"):
        assert secret not in shown


def test_a_secret_in_a_path_is_not_shown_when_the_outcome_is_unknown(serve, client_of):
    server = serve(lambda _: Reply(b"0123456789", cut=3))
    client = client_of(server.url, auth={"type": "bearer", "token": KEY})
    message = refused(client, "NET-124", Request(f"/hooks/{KEY}", method="POST", body=b"{}"), FatalError)
    assert KEY not in message
    assert "/hooks/***" in message


@pytest.mark.parametrize(
    "reply", [Reply(status=404), Reply(status=500), Reply(b"0123456789", cut=3), Reply(status=302)]
)
def test_nothing_of_a_url_that_came_from_a_secret_is_shown_but_its_host(serve, client_of, reply):
    server = serve(lambda _: reply)
    client = client_of(Secret(f"{server.url}/hooks/T0K3N?k=v4lue"), retries={"attempts": 1})
    for request in (Request(), Request(method="POST", body=b"{}")):
        with pytest.raises(PenstockError) as caught:
            client.send(request)
        assert not any(part in str(caught.value) for part in ("T0K3N", "v4lue", "hooks"))


# ---------------------------------------------------------------- OAuth 2


def oauth(server, **more):
    given = {"token_url": f"{server.url}/token", "client_id": "id", "client_secret": "the/secret", **more}
    return {"type": "oauth2", **given}


def token_server(got, life=3600):
    if got.path == "/token":
        body = {"access_token": f"token-{got.number}", "token_type": "Bearer", "expires_in": life}
        return Reply(json.dumps(body).encode())
    return Reply((got.header("authorization") or "").encode())


def test_a_token_is_fetched_once_and_used(serve, client_of):
    server = serve(token_server)
    client = client_of(server.url, auth=oauth(server, scopes=["a", "b"], audience="x"), headers={"X-A": "1"})
    assert [client.send(Request("/x")).body for _ in range(3)] == [b"Bearer token-1"] * 3
    asked = server.received[0]
    assert asked.body == b"grant_type=client_credentials&scope=a+b&audience=x"
    assert asked.header("authorization") == "Basic aWQ6dGhlJTJGc2VjcmV0"
    assert asked.header("x-a") is None


def test_a_token_is_renewed_before_it_runs_out(serve, client_of):
    server = serve(lambda got: token_server(got, life="600"))
    clock = FakeClock()
    client = client_of(server.url, auth=oauth(server, client_in="body"), clock=clock)
    client.send(Request("/x"))
    clock.advance(539)
    assert client.send(Request("/x")).body == b"Bearer token-1"
    clock.advance(2)
    assert client.send(Request("/x")).body == b"Bearer token-4"
    assert b"client_secret=the%2Fsecret" in server.received[0].body


def test_a_token_that_is_refused_is_renewed_once(serve, client_of):
    server = serve(
        lambda got: Reply(status=401) if got.header("authorization") == "Bearer token-1" else token_server(got)
    )
    client = client_of(server.url, auth=oauth(server))
    assert client.send(Request("/x")).body == b"Bearer token-3"
    refusing = serve(lambda got: token_server(got) if got.path == "/token" else Reply(status=401))
    refused(client_of(refusing.url, auth=oauth(refusing)), "NET-121", kind=ConfigError)
    assert [got.path for got in refusing.received] == ["/token", "/x", "/token", "/x"]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"no", status=400),
        Reply(b"no", status=401),
        Reply(b"<html>"),
        Reply(b"[]"),
        Reply(b'{"access_token": 5}'),
        Reply(b'{"access_token": "t", "token_type": "mac"}'),
        Reply(b'{"access_token": ""}'),
        Reply(b"[" * 10_000),
    ],
)
def test_a_token_url_without_a_token_is_named(serve, client_of, reply):
    server = serve(lambda got: reply if got.path == "/token" else Reply())
    assert "the/secret" not in refused(client_of(server.url, auth=oauth(server)), "NET-130", kind=ConfigError)
    assert {got.path for got in server.received} == {"/token"}


def test_a_token_url_that_came_from_a_secret_is_not_shown(serve, client_of):
    server = serve(lambda got: Reply(b"no", status=400) if got.path.startswith("/s3cr3t") else Reply())
    auth = {**oauth(server), "token_url": Secret(f"{server.url}/s3cr3t/token")}
    assert "s3cr3t" not in refused(client_of(server.url, auth=auth), "NET-130", kind=ConfigError)


def test_the_token_url_is_guarded_too(serve, client_of):
    server = serve(lambda _: Reply())
    client = client_of(server.url, auth={**oauth(server), "token_url": "http://169.254.169.254/token"})
    refused(client, "NET-103", kind=ConfigError)


# ---------------------------------------------------------------- stopping


@pytest.mark.timeout(60)  # long before the client's own time is over
def test_cancelling_ends_a_request_that_waits_for_its_answer(serve, client_of):
    server = serve(lambda _: Reply(hold=True))
    client = client_of(server.url, clock=SystemClock(), timeouts={"idle": "10 min", "total": "10 min"})
    cancellation = Cancellation()
    threading.Timer(0.2, cancellation.cancel).start()
    with pytest.raises(TransientError) as caught:
        client.send(Request("/x"), cancellation)
    assert caught.value.code == "NET-140"
    client.cancel()
    refused(client, "NET-140")
    assert len(server.received) == 1


@pytest.mark.timeout(60)  # as above
def test_ctrl_c_ends_a_request_that_waits_for_its_answer(serve, client_of):
    server = serve(lambda _: Reply(hold=True))
    client = client_of(server.url, clock=SystemClock(), timeouts={"idle": "10 min", "total": "10 min"})
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        client.send(Request("/x"))
    assert len(server.received) == 1


# ---------------------------------------------------------------- TLS


def certificate(folder: Path, name: str, issuer=None):
    """A certificate for 127.0.0.1, self-signed or signed by ``issuer``; its files and its parts."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    signer, signer_key = issuer or (subject, key)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(signer_key, hashes.SHA256())
    )
    pem = folder / f"{name}.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"pw")
        )
    )
    return (subject, key), pem, folder / f"{name}.key"


@pytest.fixture
def authority(tmp_path):
    return certificate(tmp_path, "authority")


def server_context(pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair[1], pair[2], password="pw")
    return context


def test_a_certificate_that_nobody_trusts_is_refused(serve, client_of, authority):
    server = serve(lambda _: Reply(b"ok"), server_context(authority))
    refused(client_of(server.url), "NET-113", kind=ConfigError)
    assert server.received == []


def test_an_authority_of_our_own_is_trusted_for_its_names(serve, client_of, authority, tmp_path):
    server = serve(lambda _: Reply(b"ok"), server_context(certificate(tmp_path, "server", authority[0])))
    tls = {"ca_file": str(authority[1])}
    assert client_of(server.url, tls=tls).send(Request("/x")).body == b"ok"
    other_name = server.url.replace("127.0.0.1", "localhost")
    refused(client_of(other_name, tls=tls, allow=["localhost"]), "NET-113", kind=ConfigError)


def test_a_client_certificate_is_shown_where_it_is_asked_for(serve, client_of, authority, tmp_path):
    context = server_context(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority[1])
    server = serve(lambda _: Reply(b"ok"), context)
    _, own, key = certificate(tmp_path, "client", authority[0])
    tls = {"ca_file": str(authority[1]), "cert_file": str(own), "key_file": str(key), "key_password": "pw"}
    assert client_of(server.url, tls=tls).send(Request("/x")).body == b"ok"
    refused(client_of(server.url, tls={**tls, "key_password": "wrong"}), "NET-117", kind=ConfigError)
    once = {"attempts": 1}
    with pytest.raises(TransientError) as caught:
        client_of(server.url, tls={"ca_file": str(authority[1])}, retries=once).send(Request("/x"))
    assert caught.value.code in {"NET-112", "NET-114"}


def test_tls_files_that_are_no_files_are_named(serve, client_of, authority, tmp_path):
    server = serve(lambda _: Reply(b"ok"), server_context(authority))
    with pytest.raises(ConfigError) as caught:
        client_of(server.url, tls={"ca_file": str(tmp_path / "nothing.pem")})
    assert caught.value.code == "NET-117"
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    refused(client_of(server.url, tls={"ca_file": str(junk)}), "NET-117", kind=ConfigError)


def test_plain_http_on_a_tls_port_fails_clearly(serve, client_of):
    server = serve(lambda _: Reply(b"ok"))
    url = server.url.replace("http:", "https:")
    refused(client_of(url, retries={"attempts": 1}), "NET-114", kind=TransientError)


def test_https_is_never_left_for_http(serve, client_of, authority):
    plain = serve(lambda _: Reply(b"plain"))
    server = serve(lambda _: Reply(status=302, headers={"Location": plain.url}), server_context(authority))
    refused(client_of(server.url, tls={"ca_file": str(authority[1])}), "NET-101", kind=ConfigError)
    assert plain.received == []
