"""Connections as documents write them, names of tables, and what the server's errors mean."""

from __future__ import annotations

import pymysql
import pytest
from pydantic import ValidationError

from penstock.connectors.mariadb import driver
from penstock.connectors.mariadb.driver import Place, connect, translated, without_values
from penstock.connectors.mariadb.names import parse_name, unfit
from penstock.connectors.mariadb.params import MariadbConnection, MariadbSinkParams, MariadbSourceParams
from penstock.connectors.mariadb.sql import identifier, literal
from penstock.errors import ConfigError, PenstockError

ERRORS = [
    (2003, "SRC-231", "SNK-231"),
    (2013, "SRC-231", "SNK-231"),
    (1045, "SRC-232", "SNK-232"),
    (1064, "SRC-234", "SNK-234"),
    (1213, "SRC-235", "SNK-235"),
    (1205, "SRC-235", "SNK-235"),
    (1292, "SRC-236", "SNK-236"),
    (1142, "SRC-237", "SNK-237"),
    (1049, "SRC-238", "SNK-238"),
    (1194, "SRC-239", "SNK-239"),
]


@pytest.mark.parametrize("area", [0, 1])
@pytest.mark.parametrize("known", ERRORS)
def test_every_error_of_the_server_has_a_class(known: tuple[int, str, str], area: int) -> None:
    number, *codes = known
    place = Place("h:3306/d", ("SRC", "SNK")[area], hidden=("hunter2",))
    with pytest.raises(PenstockError) as caught, translated(place, "trying"):
        raise pymysql.OperationalError(number, "no, hunter2")
    assert caught.value.code == codes[area]
    assert "hunter2" not in str(caught.value)


def test_a_server_that_takes_no_rows_from_clients_says_so() -> None:
    with pytest.raises(ConfigError) as caught, translated(Place("h:3306", "SNK"), "sending rows"):
        raise pymysql.OperationalError(3948, "Loading local data is disabled")
    assert caught.value.code == "SNK-246"
    assert "local_infile" in str(caught.value)


def test_a_socket_that_fails_is_an_unreachable_server() -> None:
    with pytest.raises(PenstockError) as caught, translated(Place("h:3306", "SRC"), "trying"):
        raise BrokenPipeError
    assert caught.value.code == "SRC-231"


@pytest.mark.parametrize("area", ["SRC", "SNK"])
def test_the_driver_may_be_missing(area: driver.Area, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "find_spec", lambda _: None)
    with pytest.raises(ConfigError) as caught:
        connect(MariadbConnection(), Place("h:3306", area))
    assert caught.value.code == {"SRC": "SRC-230", "SNK": "SNK-230"}[area]
    assert "penstock[mariadb]" in str(caught.value)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("Duplicate entry 'a 'b' for key' for key 'PRIMARY'", "Duplicate entry '***' for key 'PRIMARY'"),
        (
            "Incorrect integer value: 'x' for column 'n' at row 1",
            "Incorrect integer value: '***' for column 'n' at row 1",
        ),
        ("Truncated incorrect DOUBLE value: 'x'", "Truncated incorrect DOUBLE value: '***'"),
        ("Data too long for column 'n' at row 1", "Data too long for column 'n' at row 1"),
    ],
)
def test_messages_show_no_values(words: str, shown: str) -> None:
    assert without_values(words) == shown


def test_a_url_says_what_the_keys_say() -> None:
    url = "mysql://me:p%40ss@db.example:3307/shop?tls=verify&tls_ca=ca.pem"
    made = MariadbConnection.model_validate(url)
    assert (made.host, made.port, made.user, made.database) == ("db.example", 3307, "me", "shop")
    assert (made.tls, made.tls_ca) == ("verify", "ca.pem")
    assert made.password is not None
    assert made.password.reveal() == "p@ss"
    assert "p@ss" not in repr(made)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@h/d",
        "mariadb://u:hunter2@h:port/d",
        "mariadb://u:hunter2@h/d?x=1",
        "mariadb://u:hunter2@h/d#x",
        {"url": "mariadb://u:hunter2@h", "host": "other"},
        {"url": 7},
    ],
)
def test_a_url_that_is_not_understood_is_refused_without_its_password(url: object) -> None:
    with pytest.raises(ValidationError) as caught:
        MariadbConnection.model_validate(url)
    assert all("hunter2" not in error["msg"] for error in caught.value.errors())


@pytest.mark.parametrize(
    ("text", "parts"),
    [("t", (None, "t")), ("d.t", ("d", "t")), ("`a.b`.`c``d`", ("a.b", "c`d")), ("T x", (None, "T x"))],
)
def test_names_are_taken_as_they_are(text: str, parts: tuple[str | None, str]) -> None:
    name = parse_name(text, "SRC")
    assert (name.database, name.name) == parts


@pytest.mark.parametrize("text", ["a.b.c", "", ".", "x" * 65, "\U0001f6e2", "a "])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_name(text, "SNK")
    assert caught.value.code == "SNK-233"


def test_names_and_texts_are_quoted() -> None:
    assert identifier("a`b", "c") == "`a``b`.`c`"
    assert literal("it's \\ \n") == "'it\\'s \\\\ \\n'"
    assert literal(None) == "NULL"
    assert unfit("x" * 64) is None


def test_keys_that_do_not_fit_together_are_refused() -> None:
    given = {"type": "mariadb", "connection": "mariadb://h/d"}
    for source in ({}, {"table": "t", "query": "SELECT 1"}):
        with pytest.raises(ValidationError):
            MariadbSourceParams.model_validate({**given, **source})
    for sink in ({"mode": "overwrite_partitions"}, {"mode": "merge", "keys": ["a", "a"]}):
        with pytest.raises(ValidationError):
            MariadbSinkParams.model_validate({**given, "from": "x", "table": "t", **sink})
