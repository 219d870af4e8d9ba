"""Connections, names, parameters, and how the driver's errors are sorted: without a server."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest
from psycopg import errors
from pydantic import ValidationError

from penstock.connectors.postgres.catalogue import PgType, Relation
from penstock.connectors.postgres.driver import Place, classified, fault_of, require, translated
from penstock.connectors.postgres.family import SOURCE
from penstock.connectors.postgres.names import parse_name
from penstock.connectors.postgres.params import PostgresConnection, PostgresSinkParams, PostgresSourceParams
from penstock.connectors.postgres.ranges import by_place
from penstock.connectors.postgres.sink import SINK
from penstock.errors import ConfigError, DataError, FatalError, InternalError, TransientError
from penstock.secret import Secret

PLACE = Place("db:5432/shop", "SRC", ("hunter2",))


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("postgresql://u:p%40ss@db:5433/shop?sslmode=require", ("db", 5433, "shop", "u", "p@ss", "require")),
        ("postgres://db", ("db", 5432, None, None, None, "prefer")),
        ("postgresql:///shop?host=/var/run/postgresql", ("/var/run/postgresql", 5432, "shop", None, None, "prefer")),
        ("postgresql://u@[::1]/x", ("::1", 5432, "x", "u", None, "prefer")),
    ],
)
def test_a_url_says_the_same_as_keys(url: str, wanted: tuple[object, ...]) -> None:
    for given in (url, Secret(url), {"url": url}):
        made = PostgresConnection.model_validate(given)
        password = made.password.reveal() if made.password else None
        assert (made.host, made.port, made.database, made.user, password, made.sslmode) == wanted


@pytest.mark.parametrize(
    "given",
    [
        "mysql://u:hunter2@db/x",
        "postgresql://u:hunter2@db:port/x",
        "postgresql://u:hunter2@[::1/x",
        "postgresql://u:hunter2@db/x?options=-c%20a",
        "postgresql://u:hunter2@db/x#part",
        {"url": "postgresql://u:hunter2@db/x", "user": "v"},
        {"url": 7},
        {"hostt": "db"},
        {"port": 70000},
    ],
)
def test_a_connection_that_cannot_be_meant_is_refused_without_showing_a_password(given: object) -> None:
    with pytest.raises(ValidationError) as caught:
        PostgresConnection.model_validate(given)
    assert all("hunter2" not in problem["msg"] for problem in caught.value.errors())


def test_a_connection_never_shows_its_password() -> None:
    made = PostgresConnection.model_validate("postgresql://u:hunter2@db/x")
    assert "hunter2" not in f"{made!r} {made} {made.model_dump_json()}"


@pytest.mark.parametrize(
    ("text", "schema", "name"),
    [
        ("t", None, "t"),
        ("sales.Orders", "sales", "Orders"),
        ('"a.b"', None, "a.b"),
        ('"a.b"."c""d"', "a.b", 'c"d'),
        ('"a""; DROP TABLE x;--"', None, 'a"; DROP TABLE x;--'),
        ("with space.été", "with space", "été"),
    ],
)
def test_a_name_is_taken_as_it_is(text: str, schema: str | None, name: str) -> None:
    found = parse_name(text, "SRC")
    assert (found.schema, found.name) == (schema, name)


@pytest.mark.parametrize("text", ["", ".", "a.", "a.b.c", 'a"b', '"open', "x" * 64, "é" * 32, '"nul\0"'])
def test_what_is_no_name_is_refused(text: str) -> None:
    for area in ("SRC", "SNK"):
        with pytest.raises(ConfigError) as caught:
            parse_name(text, area)  # type: ignore[arg-type]
        assert caught.value.code == f"{area}-203"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "exactly one"),
        ({"table": "a", "query": "select 1"}, "exactly one"),
        ({"tables": ["a"], "split_by": "id"}, "split_by"),
        ({"table": "a", "parallel": 0}, "parallel"),
        ({"tables": []}, "tables"),
        ({"table": "t", "on_table_error": "stop"}, "is for tables"),
    ],
)
def test_a_source_says_one_thing(keys: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PostgresSourceParams.model_validate({"type": "postgres", "connection": "postgresql://db", **keys})


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"mode": "merge", "keys": ["a", "a"]}, "twice"),
        ({"mode": "overwrite_partitions"}, "append, overwrite and merge"),
    ],
)
def test_a_sink_says_what_its_mode_needs(keys: dict[str, object], words: str) -> None:
    given = {"type": "postgres", "from": "x", "connection": "postgresql://db", "table": "t", **keys}
    with pytest.raises(ValidationError, match=words):
        PostgresSinkParams.model_validate(given)


def test_the_examples_are_valid() -> None:
    import yaml

    for descriptor in (SOURCE, SINK):
        descriptor.params.model_validate(yaml.safe_load(descriptor.example))


@pytest.mark.parametrize(
    ("error", "kind", "number"),
    [
        (errors.UndefinedTable, ConfigError, "204"),
        (errors.InsufficientPrivilege, ConfigError, "204"),
        (errors.ProgramLimitExceeded, ConfigError, "204"),
        (errors.InvalidPassword, ConfigError, "202"),
        (errors.InvalidCatalogName, ConfigError, "202"),
        (errors.AdminShutdown, TransientError, "201"),
        (errors.ConnectionFailure, TransientError, "201"),
        (errors.SerializationFailure, TransientError, "205"),
        (errors.DeadlockDetected, TransientError, "205"),
        (errors.LockNotAvailable, TransientError, "205"),
        (errors.QueryCanceled, TransientError, "205"),
        (errors.DiskFull, TransientError, "205"),
        (errors.TooManyConnections, TransientError, "205"),
        (errors.UniqueViolation, DataError, "206"),
        (errors.NumericValueOutOfRange, DataError, "206"),
        (errors.WithCheckOptionViolation, DataError, "206"),
        (errors.DataCorrupted, FatalError, "207"),
        (errors.ConfigFileError, FatalError, "207"),
    ],
)
def test_each_kind_of_refusal_has_its_class(error: type[psycopg.Error], kind: type[Exception], number: str) -> None:
    for area in ("SRC", "SNK"):
        found = classified(error("it said hunter2"), Place("db", area, ("hunter2",)), "reading")  # type: ignore[arg-type]
        assert isinstance(found, kind)
        assert found.code == f"{area}-{number}"
        assert "hunter2" not in str(found)
        assert "***" in str(found)


def test_every_sqlstate_has_a_class() -> None:
    for name in dir(errors):
        state = getattr(getattr(errors, name), "sqlstate", None)
        if isinstance(state, str):
            assert fault_of(state)


def test_a_lost_connection_is_transient_and_misuse_is_our_bug() -> None:
    with pytest.raises(TransientError) as caught, translated(PLACE, "reading"):
        raise psycopg.OperationalError("server closed the connection unexpectedly\n\tThis probably means hunter2")
    assert caught.value.code == "SRC-201"
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InternalError), translated(PLACE, "reading"):
        raise psycopg.ProgrammingError("the query has 0 placeholders")


@pytest.mark.parametrize("area", ["SRC", "SNK"])
def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, area: str) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError) as caught:
        require(area)  # type: ignore[arg-type]
    assert caught.value.code == f"{area}-200"
    assert "penstock[postgres]" in str(caught.value)


@pytest.mark.parametrize(
    ("blocks", "kind", "version", "parts"),
    [
        (10, "r", 150000, 1),
        (5000, "r", 150000, 3),
        (5000, "p", 150000, 3),
        (5000, "r", 130000, 1),
        (5000, "v", 150000, 1),
    ],
)
def test_only_large_tables_are_cut(blocks: int, kind: str, version: int, parts: int) -> None:
    relation = Relation(1, "public", "t", kind, (), blocks)
    found = by_place(relation, 3, version)
    assert len(found) == parts
    assert (found == [None]) is (parts == 1)


@pytest.mark.parametrize(
    ("modifier", "wanted"),
    [(-1, None), ((10 << 16 | 2) + 4, (10, 2)), ((3 << 16 | 0x7FE) + 4, (3, -2)), ((2 << 16 | 4) + 4, (2, 4))],
)
def test_a_numeric_modifier_is_precision_and_scale(modifier: int, wanted: tuple[int, int] | None) -> None:
    assert PgType("numeric", "numeric", modifier).precision_and_scale == wanted


def test_a_descriptor_s_module_imports_no_driver() -> None:
    modules = "penstock.connectors.postgres.family, penstock.connectors.postgres.sink"
    code = f"import sys, {modules}; print(sorted({{'psycopg', 'numpy', 'pyarrow', 'duckdb'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
