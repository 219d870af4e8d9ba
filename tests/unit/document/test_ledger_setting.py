"""``ledger:`` of penstock.yml: where the ledger is kept, and what is wrong with what is said of it."""

from pathlib import Path

import pytest

from penstock.document.assembly import Settings, ledger_of, load, project_of
from penstock.errors import ConfigError

PIPELINE = "pipeline: p\n"
SERVER = "{type: postgres, host: db, database: ops, user: ledger, password: '${secret.LEDGER}'}"
SECRET = {"PENSTOCK_SECRET_LEDGER": "hunter2"}


def loaded(home, project, **settings):
    home.write("penstock.yml", f"project: x\n{project}")
    home.write("pipelines/p.yml", PIPELINE)
    return load(Path("pipelines/p.yml"), Settings({**SECRET, **settings.pop("variables", {})}, **settings))


def problems(home, project, **settings):
    with pytest.raises(ConfigError) as caught:
        loaded(home, project, **settings)
    assert "hunter2" not in str(caught.value)
    return caught.value.problems


def test_without_the_key_it_is_a_file(home):
    assert loaded(home, "").ledger is None
    assert loaded(home, "ledger:").ledger is None


@pytest.mark.parametrize(
    "connection",
    ["main", SERVER.replace("type: postgres, ", ""), "'postgresql://ledger@db/ops'", "'postgresql://ledger:${secret.LEDGER}@db/ops'"],
)  # fmt: skip
def test_its_connection_is_named_or_written_out(home, connection):
    found = loaded(home, f"connections: {{main: {SERVER}}}\nledger: {{connection: {connection}}}").ledger
    assert (found.settings.connection.host, found.settings.connection.database) == ("db", "ops")
    assert found.settings.schema_ == "penstock"
    assert "hunter2" not in repr(found)


def test_an_environment_has_another(home):
    text = (
        f"connections: {{main: {SERVER}}}\nledger: {{connection: main, schema: one}}\n"
        "environments: {prod: {connections: {main: {host: prod}}, ledger: {schema: two}}, dev: }"
    )
    prod = loaded(home, text, environment="prod")
    assert (prod.ledger.settings.connection.host, prod.ledger.settings.schema_) == ("prod", "two")
    assert loaded(home, text, environment="dev").ledger.settings.schema_ == "one"
    shown = {value.path: (value.value, value.environment) for value in prod.values}
    assert shown["ledger.schema"] == ('"two"', "prod")
    only = "environments: {prod: {ledger: {connection: 'postgresql://db/ops'}}, dev: }"
    assert loaded(home, only, environment="prod").ledger.settings.connection.host == "db"
    assert loaded(home, only, environment="dev").ledger is None


def test_what_is_in_force_shows_no_secret(home):
    for connection in (SERVER.replace("type: postgres, ", ""), "'postgresql://ledger:${secret.LEDGER}@db/ops'"):
        shown = [value.value for value in loaded(home, f"ledger: {{connection: {connection}}}").values]
        assert not [value for value in shown if "hunter2" in value]


@pytest.mark.parametrize(
    ("project", "code", "place"),
    [
        ("ledger: {}", "DOC-202", "2:9"),
        ("ledger: main", "DOC-203", "2:9"),
        ("ledger: {connection: main}", "DOC-208", "2:22"),
        ("connections: {main: {type: rest}}\nledger: {connection: main}", "DOC-209", "3:22"),
        ("ledger: {conection: main}", "DOC-201", "2:10"),
        ("ledger: {connection: {host: db, prot: 1}}", "DOC-201", "2:33"),
        ("ledger: {connection: {host: db}, schema: ''}", "DOC-203", "2:42"),
        (f"ledger: {{connection: {{host: db}}, schema: {'ä' * 32}}}", "DOC-203", "2:42"),
        ("ledger: {connection: {host: db, port: '${env.NO_PORT}'}}", "DOC-153", None),
        ("ledger: {connection: {host: db, user: '${param.user}'}}", "DOC-152", None),
        ("ledger: {connection: {host: db, password: '${secret.NONE}'}}", "DOC-190", None),
        ("environments: {default: {ledgr: {}}}", "DOC-201", None),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(home, project, code, place):
    found = problems(home, project)
    assert code in [problem.code for problem in found]
    (problem,) = (problem for problem in found if problem.code == code)
    assert place is None or (problem.at.file, f"{problem.at.line}:{problem.at.column}") == ("penstock.yml", place)


def test_commands_without_a_document_find_it_too(home):
    home.write("penstock.yml", f"project: x\nconnections: {{main: {SERVER}}}\nledger: {{connection: main}}")
    settings = Settings(SECRET)
    assert ledger_of(project_of(None, settings), settings).settings.connection.password.reveal() == "hunter2"
    with pytest.raises(ConfigError) as caught:
        ledger_of(project_of(None, settings), Settings({}))
    assert caught.value.code == "DOC-190"
