"""Secrets of every origin are planted; no output, no file and no name of a file that Penstock writes holds one."""

from __future__ import annotations

import io
import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

from penstock.cli.app import execute
from penstock.testing.web import Reply, WebServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.testing.web import Received

# Of the environment, of the encrypted file, of a plain private file, in a URL, as a part of a header, in a query.
TOKEN, KEPT, PLAIN, HEADER, QUERY = "tok-EN-41a9", "kept-IN-77c2", "plain-TX-90d3", "head-ER-55e1", "que-RY-62f8"
# In the path of a URL: of a connection, of a source, of a sink.
PLACE, PATH = "pla-CE-38b4", "pat-HS-19f0"
SECRETS = (TOKEN, KEPT, PLAIN, HEADER, QUERY, PLACE, PATH)
PROJECT = """\
project: hidden
connections:
  shop:
    type: rest
    base_url: {url}
    allow_private: [127.0.0.1]
    auth: {{type: bearer, token: "${{secret.TOKEN}}"}}
    headers: {{X-Client: "Client ${{secret.HEADER}}"}}
    query: {{sig: "${{secret.QUERY}}"}}
    retries: {{attempts: 1}}
  hook:
    type: rest
    base_url: "{url}/services/${{secret.PLACE}}/x"
    allow_private: [127.0.0.1]
    retries: {{attempts: 1}}
  elsewhere: {{type: rest, base_url: "{url}/services/${{secret.PLACE}}"}}
  warehouse: {{type: postgres, host: 127.0.0.1, port: 1, user: writer, password: "${{secret.KEPT}}", database: shop}}
"""
DOCUMENT = """\
pipeline: hidden
sources:
  orders:
    type: rest
    connection: {connection}
    path: "{path}"
    paginate: {{type: link}}
    schema: {{columns: {{id: int64, amount: "decimal(9,2)"}}}}
transforms:
  large: {{from: orders, steps: [filter: amount > 1]}}
sinks:
  table: {{from: large, {sink}}}
run: {{memory: 256 MiB, threads: 1}}
"""
SQLITE = "type: sqlite, path: out/orders.db, table: orders, mode: append"
ARCHIVE = "postgresql://writer:${secret.PLAIN}@127.0.0.1:1/shop"
RECORDS = [{"id": 1, "amount": "2.50"}, {"id": "x", "amount": "3.50"}, {"id": 3, "amount": "0.50"}]


def answer(request: Received) -> Reply:
    """Refuses everything but one listing, and repeats in its refusal what it was given, as bad servers do."""
    in_path = PLACE in request.path
    if not in_path and (request.header("authorization") != f"Bearer {TOKEN}" or request.parameter("sig") != QUERY):
        return Reply(b"who are you?", 401)
    if request.path.endswith((f"/{PATH}/orders", "/orders")) and request.method == "GET":
        last = request.parameter("page") == "2"
        more = {} if last else {"Link": f'<{request.path}?page=2>; rel="next"'}
        records = [] if last else RECORDS
        return Reply(json.dumps(records).encode(), headers={"Content-Type": "application/json", **more})
    words = " ".join(str(value).removeprefix("Client ") for _, value in sorted(request.headers.items()))
    said = f"{request.path.rpartition('/')[2]} {words} {request.path} {request.query}"
    return Reply(said.encode(), 500 if request.path.endswith("/broken") else 403, {"Content-Type": "text/plain"})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_SECRET_TOKEN", TOKEN)
    monkeypatch.setenv("PENSTOCK_SECRET_HEADER", HEADER)
    monkeypatch.setenv("PENSTOCK_SECRET_QUERY", QUERY)
    monkeypatch.setenv("PENSTOCK_SECRET_PLACE", PLACE)
    monkeypatch.setenv("PENSTOCK_SECRET_PATH", PATH)
    monkeypatch.setenv("PENSTOCK_SECRET_WHOLE", f"ftp://{PLACE}@{PATH}")
    with WebServer(answer) as server:
        (tmp_path / "penstock.yml").write_text(PROJECT.format(url=server.url), encoding="utf-8")
        for name, path, sink in (
            ("good", "/orders", SQLITE),
            ("paths", "/${secret.PATH}/orders", SQLITE.replace("orders.db", "paths.db")),
            ("broken", "/broken", SQLITE),
            ("broken_path", "/${secret.PATH}/broken", SQLITE),
            ("refused", "/refused", SQLITE),
            ("refused_path", "//${secret.PATH}", SQLITE),
            ("guarded", "/${secret.PATH}", SQLITE),
            ("posted", "/orders", "type: rest, connection: hook, path: '/${secret.PATH}'"),
            ("misspelt", "/orders", "type: rest, connection: {base_url: '${secret.WHOLE}'}"),
            ("warehouse", "/orders", "type: postgres, connection: warehouse, table: orders, mode: append"),
            ("archive", "/orders", f"type: postgres, connection: '{ARCHIVE}', table: orders, mode: append"),
            ("wrong", "/orders", "type: postgres, connection: warehouse, tabel: orders"),
        ):
            connection = "elsewhere" if name == "guarded" else "hook" if "secret" in path else "shop"
            text = DOCUMENT.format(connection=connection, path=path, sink=sink)
            text = text.replace("pipeline: hidden", f"pipeline: {name}")
            (tmp_path / f"{name}.yml").write_text(text, encoding="utf-8")
        yield tmp_path


def test_no_secret_is_shown_or_kept_anywhere(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def call(*arguments: str) -> int:
        code = execute(["--log-level", "debug", *arguments])
        streams = capfd.readouterr()
        said.extend([*streams, " ".join(arguments)])
        return code

    monkeypatch.setattr("sys.stdin", io.StringIO(KEPT))
    assert call("secrets", "set", "KEPT") == 0
    plain = project / ".penstock" / "secrets.yml"
    plain.write_text(f"PLAIN: {PLAIN}\n", encoding="utf-8")
    assert call("validate", "archive.yml") == 2  # others may read the file
    plain.chmod(0o600)
    assert call("secrets", "list") == 0
    for form in ("text", "json"):
        assert call("run", "good.yml", "--json", "--log-format", form) == 0
    ran = json.loads(said[-3])
    assert ran["rejects"]["total"] == 1
    assert ran["balance"]["table"]["out"] == 1
    for command in ("validate", "plan", "lineage", "run"):
        for name in sorted(path.stem for path in project.glob("*.yml") if path.stem != "penstock"):
            call(command, f"{name}.yml", "--json")
            call(command, f"{name}.yml")
    codes = {"broken": 3, "refused": 2, "warehouse": 3, "wrong": 2, "paths": 0, "broken_path": 3, "refused_path": 2}
    codes |= {"guarded": 2, "posted": 4, "misspelt": 2}
    assert {name: call("run", f"{name}.yml") for name in codes} == codes
    assert any("NET-103" in text for text in said)  # the guard holds for a URL that has a secret in it
    assert any('"connection.base_url" of "table"' in text and "DOC-203" in text for text in said)
    assert call("validate", "good.yml", "warehouse.yml", "archive.yml", "--show-merged", "--connect") == 3
    assert any("connections.shop.auth.token = ***" in text for text in said)
    for command in (
        ["plan", "good.yml", "--sql"],
        ["preview", "good.yml", "orders"],
        ["rejects", "show"],
        ["runs", "show"],
    ):
        assert call(*command) == 0
        assert call(*command, "--json") == 0
    assert call("rejects", "export", "bad.json") == 0
    _none_in("\n".join(said))
    plain.unlink()
    _none_in_files(project)


def _none_in(text: str) -> None:
    assert [secret for secret in SECRETS if secret in text] == []


def _none_in_files(project: Path) -> None:
    """Nor in names; the ledger is read as bytes and as rows."""
    files = [path for path in project.rglob("*") if path.is_file()]
    assert [path for path in files if ".penstock" in path.parts]
    for path in files:
        assert [secret for secret in SECRETS if secret.encode() in path.read_bytes()] == [], path
        _none_in(str(path))
    ledger = sqlite3.connect(project / ".penstock" / "ledger.db")
    _none_in("\n".join(ledger.iterdump()))
    ledger.close()
