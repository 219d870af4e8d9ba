import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.connectors.http.urls import canonical_host, follow, join, parse_url
from penstock.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.COM:443/A", "https://example.com/A"),
        ("http://example.com:80", "http://example.com/"),
        ("http://example.com:", "http://example.com/"),
        ("http://example.com:8080/a?b=c#frag", "http://example.com:8080/a?b=c"),
        ("http://example.com.", "http://example.com/"),
        ("http://bücher.example/ä?ö=ü", "http://xn--bcher-kva.example/%C3%A4?%C3%B6=%C3%BC"),
        ("http://straße.example", "http://xn--strae-oqa.example/"),
        ("http://１２７.0.0.1", "http://127.0.0.1/"),  # noqa: RUF001 -- full-width digits, mapped by UTS 46
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("http://[0:0:0:0:0:0:0:1]/", "http://[::1]/"),
        ("http://my_host.internal/", "http://my_host.internal/"),
        ("http://a/data[0]?q=[1]", "http://a/data%5B0%5D?q=%5B1%5D"),
        ("http://a/%20x%2F", "http://a/%20x%2F"),
        ("http://a?x=1", "http://a/?x=1"),
    ],
)
def test_a_url_has_one_canonical_form(text, canonical):
    url = parse_url(text)
    assert url.reveal() == canonical
    assert parse_url(canonical).reveal() == canonical


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "NET-101"),
        ("example.com/x", "NET-101"),
        ("//example.com/x", "NET-101"),
        ("ftp://example.com", "NET-101"),
        ("file:///etc/passwd", "NET-101"),
        ("gopher://127.0.0.1:70/_x", "NET-101"),
        ("javascript:alert(1)", "NET-101"),
        ("http://", "NET-102"),
        ("http:///path", "NET-102"),
        ("https:example.com", "NET-102"),
        ("http://:80/", "NET-102"),
        ("http://user@example.com/", "NET-100"),
        ("http://user:pw@example.com/", "NET-100"),
        ("http://a@b@example.com/", "NET-100"),
        ("http://example.com:0/", "NET-100"),
        ("http://example.com:65536/", "NET-100"),
        ("http://example.com:-1/", "NET-100"),
        ("http://example.com:8 0/", "NET-100"),
        ("http://example.com:٨٠/", "NET-100"),
        ("http://example.com:80:80/", "NET-100"),
        ("http://example.com/a b", "NET-100"),
        ("http://example.com/\r\nHost: evil", "NET-100"),
        ("http://exa\tmple.com/", "NET-100"),
        ("http://example.com/\x00", "NET-100"),
        ("http://example.com\\@evil.example/", "NET-100"),
        (" http://example.com/", "NET-100"),
        ("http://example.com/" + "a" * 20_000, "NET-100"),
        ("http://[::1/", "NET-100"),
        ("http://[::1]x/", "NET-100"),
        ("http://x[::1]/", "NET-100"),
        ("http://::1/", "NET-100"),
        ("http://[::1%25eth0]/", "NET-102"),
        ("http://[fe80::1%eth0]/", "NET-102"),
        ("http://[v1.x]/", "NET-102"),
        ("http://[]/", "NET-100 NET-102"),  # by the version of Python
        ("http://[127.0.0.1]/", "NET-100 NET-102"),
        ("http://2130706433/", "NET-102"),
        ("http://0x7f000001/", "NET-102"),
        ("http://0x7f.1/", "NET-102"),
        ("http://0177.0.0.1/", "NET-102"),
        ("http://127.1/", "NET-102"),
        ("http://127.0.0.1.2/", "NET-102"),
        ("http://127.0.0.256/", "NET-102"),
        ("http://1/", "NET-102"),
        ("http://0x/", "NET-102"),
        ("http://example..com/", "NET-102"),
        ("http://example.com../", "NET-102"),
        ("http://.example.com/", "NET-102"),
        ("http://./", "NET-102"),
        ("http://-a.example/", "NET-102"),
        ("http://" + "a" * 64 + ".example/", "NET-102"),
        ("http://" + "a." * 130 + "example/", "NET-102"),
        ("http://exa%6dple.com/", "NET-102"),
        ("http://a<b>.example/", "NET-102"),
        ("http://\u2488.example/", "NET-102"),
        ("http://\u202eexample.com/", "NET-102"),
        ("http://xn--/", "NET-102"),
        ("http://exam\ud800ple/", "NET-102"),
    ],
)
def test_odd_urls_are_refused(text, code):
    with pytest.raises(ConfigError) as caught:
        parse_url(text)
    assert caught.value.code in code
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "text",
    [
        "http://user:hunter2@example.com/",
        "http://user:hunter2@exa mple.com/",
        "http://user:hun?ter2@example.com/ x",
        "user:hunter2@example.com",
        "ftp://user:hunter2@example.com",
        "http://example.com/ x?api_key=hunter2",
        "http://user:" + "x" * 200 + "hunter2@example .com",
        "http://example.com:hunter2/",
        "http://[hunter2/",
    ],
)
def test_no_message_about_a_url_shows_a_password(text):
    with pytest.raises(ConfigError) as caught:
        parse_url(text, hidden="@" not in text and "key" not in text)
    assert "hunter2" not in str(caught.value)
    assert "hun?ter2" not in str(caught.value)


def test_a_url_from_a_secret_shows_its_host_only():
    url = parse_url("https://hooks.example/services/T0/hunter2?x=hunter2", hidden=True)
    assert str(url) == repr(url) == "https://hooks.example/***"
    assert "hunter2" in url.reveal()


def test_telling_parameters_are_blanked_when_shown():
    url = parse_url("https://a.example/x?page=2&api_key=hunter2&X-Amz-Signature=abc&Access%5FToken=t&flag")
    assert str(url) == "https://a.example/x?page=2&api_key=***&X-Amz-Signature=***&Access%5FToken=***&flag"


def url_or_code(text):
    try:
        return parse_url(text)
    except ConfigError as error:
        return error.code


def host_or_code(text):
    try:
        return canonical_host(text)
    except ConfigError as error:
        return error.code


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_a_clear_error(text):
    for candidate in (text, f"http://{text}", f"http://a.example/{text}", f"http://a.example?{text}"):
        url = url_or_code(candidate)
        if url not in ("NET-100", "NET-101", "NET-102"):
            assert parse_url(url.reveal()) == url
            assert url.reveal().isascii()
            assert not any(c.isspace() for c in url.reveal())


@given(st.text(max_size=20))
def test_any_text_is_a_host_or_a_clear_error(text):
    host = host_or_code(text)
    if host != "NET-102":
        assert canonical_host(f"[{host}]" if ":" in host else host) == host


@pytest.mark.parametrize(
    ("base", "path", "joined"),
    [
        ("https://a.example/v2", "/items", "https://a.example/v2/items"),
        ("https://a.example/v2/", "items", "https://a.example/v2/items"),
        ("https://a.example", "", "https://a.example/"),
        ("https://a.example/v2", "", "https://a.example/v2"),
        ("https://a.example/v2?a=1", "items?b=2", "https://a.example/v2/items?a=1&b=2"),
        ("https://a.example/v2", "items?b=2", "https://a.example/v2/items?b=2"),
        ("https://a.example/v2", "https://b.example/x", "https://b.example/x"),
        ("https://a.example/v2", "time/12:30", "https://a.example/v2/time/12:30"),
    ],
)
def test_paths_are_joined_below_the_base(base, path, joined):
    assert join(parse_url(base), path) == joined


def test_a_path_that_names_another_host_is_refused():
    with pytest.raises(ConfigError) as caught:
        join(parse_url("https://a.example/v2"), "//evil.example/x")
    assert caught.value.code == "NET-100"


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("/b", "https://a.example/b"),
        ("b?x=1", "https://a.example/v2/b?x=1"),
        ("../b", "https://a.example/b"),
        ("?page=2", "https://a.example/v2/items?page=2"),
        ("//b.example/x", "https://b.example/x"),
        ("https://b.example", "https://b.example/"),
        ("/with space/ü", "https://a.example/with%20space/%C3%BC"),
        ("  /b  ", "https://a.example/b"),
    ],
)
def test_links_are_followed_as_rfc_3986_reads_them(reference, url):
    assert follow(parse_url("https://a.example/v2/items"), reference).reveal() == url


@pytest.mark.parametrize("reference", ["http://[", "ftp://a/", "http://a@b/", "https://0x7f000001/", "\\\\evil\\x"])
def test_links_to_odd_places_are_refused(reference):
    with pytest.raises(ConfigError):
        follow(parse_url("https://a.example/v2/items"), reference)


def test_parameters_are_added_encoded():
    url = parse_url("http://a.example/x?y=1").with_query([("data[0]", "a&b=c d"), ("ü", "\r\n")])
    assert url.reveal() == "http://a.example/x?y=1&data%5B0%5D=a%26b%3Dc%20d&%C3%BC=%0D%0A"
    assert url.query_names() == {"y", "data[0]", "ü"}
    assert parse_url("http://a.example/x").with_query([("b", "")]).reveal() == "http://a.example/x?b="
