import pytest

from penstock.connectors.http.redact import Redactor, shown_target, tells_a_secret


@pytest.mark.parametrize(
    "name",
    [
        "key",
        "api_key",
        "apikey",
        "X-Api-Key",
        "access_token",
        "client_secret",
        "password",
        "pwd",
        "sig",
        "auth",
        "Session-Id",
    ],
)
def test_names_that_tell_a_secret(name):
    assert tells_a_secret(name)


@pytest.mark.parametrize("name", ["", "page", "country_code", "monkey", "keyword", "author", "limit", "since"])
def test_names_that_do_not(name):
    assert not tells_a_secret(name)


def test_the_target_keeps_its_shape():
    assert shown_target("/a") == "/a"
    assert shown_target("/a?") == "/a?"
    assert shown_target("/a?token&x=1&token=&token=2=3") == "/a?token&x=1&token=***&token=***"


def test_known_values_are_blanked_in_every_usual_encoding():
    redact = Redactor(['p@ss "word'])
    for form in ('p@ss "word', "p%40ss%20%22word", "p%40ss+%22word", r"p@ss \"word"):
        assert redact(f"before {form} after") == "before *** after"


def test_a_longer_secret_is_not_left_in_parts():
    redact = Redactor(["abcd", "abcdefgh"])
    assert redact("x abcdefgh y abcd") == "x *** y ***"


def test_a_very_short_value_is_left_alone():
    assert Redactor(["a", ""])("a banana") == "a banana"
