"""``init`` and ``secrets``."""

from __future__ import annotations

import io
import json
import re
import stat
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

VALUE = "pa$$w0rd with spaces"


def test_a_new_project_validates_runs_and_has_its_schema(
    penstock: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = penstock("init", "fresh")
    assert said.code == 0
    assert said.out.endswith("now: cd fresh && penstock run pipelines/*.yml\n")
    folder = tmp_path / "fresh"
    first_line = (folder / "pipelines" / "prices.yml").read_text(encoding="utf-8").splitlines()[0]
    assert first_line == "# yaml-language-server: $schema=../penstock.schema.json"
    assert (folder / "penstock.schema.json").is_file()
    assert ".penstock/" in (folder / ".gitignore").read_text(encoding="utf-8").split()
    assert "project: fresh\n" in (folder / "penstock.yml").read_text(encoding="utf-8")
    monkeypatch.chdir(folder)
    assert penstock("validate").code == 0
    assert penstock("run", "pipelines/prices.yml", "--json").json["status"] == "done"
    assert penstock("run", "pipelines/prices.yml", "--json").json["balance"]["prices_table"]["out"] == 172


def test_an_empty_project_is_empty(penstock: Callable[..., Said], tmp_path: Path) -> None:
    found = penstock("init", "bare", "--template", "empty", "--json").json
    assert found["folder"] == "bare"
    assert sorted(found["files"]) == sorted(
        str(path.relative_to(tmp_path / "bare")) for path in (tmp_path / "bare").rglob("*") if path.is_file()
    )
    assert not list((tmp_path / "bare").rglob("*.csv"))


def test_what_an_empty_project_says_of_pipelines_works(
    penstock: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert penstock("init", "bare", "--template", "empty").code == 0
    folder = tmp_path / "bare"
    monkeypatch.chdir(folder)
    readme = (folder / "pipelines" / "README.md").read_text(encoding="utf-8")
    (document,) = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    (commands,) = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
    (folder / "pipelines" / "orders.yml").write_text(document, encoding="utf-8")
    (folder / "data").mkdir()
    (folder / "data" / "orders.csv").write_text("id,amount\n1,5\n2,0\n", encoding="utf-8")
    for line in commands.splitlines():
        said = penstock(*line.partition("#")[0].split()[1:])
        assert said.code == 0, said.err
    assert pq.read_table(folder / "out" / "orders.parquet").to_pylist() == [{"id": 1, "amount": 5}]
    for words in re.findall(r"`penstock ((?:connectors|steps)[a-z ]*)`", readme):
        assert penstock(*words.split()).code == 0
    assert "penstock secrets set" in readme
    assert penstock("secrets", "set", "--help").code == 0


def test_init_overwrites_nothing(penstock: Callable[..., Said], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "penstock.schema.json").write_text("mine", encoding="utf-8")
    assert penstock("init", "mine", "--json").codes == ["CLI-111"]
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["penstock.schema.json"]
    assert penstock("init", "--json").codes == ["CLI-111"]


@pytest.mark.parametrize("folder", ["penstock.yml", "penstock.yml/below", "/proc/nowhere"])
def test_a_folder_that_cannot_be_made_is_a_problem(penstock: Callable[..., Said], folder: str) -> None:
    assert penstock("init", folder, "--json").codes == ["CLI-112"]


def test_a_template_that_is_not_there_gets_the_nearest(penstock: Callable[..., Said]) -> None:
    said = penstock("init", "other", "--template", "price", "--json")
    assert said.codes == ["CLI-110"]
    assert said.json["problems"][0]["hint"] == 'did you mean "prices"?'


def test_names_of_folders_become_names_of_projects(penstock: Callable[..., Said], tmp_path: Path) -> None:
    assert penstock("init", "My Prices: 2024", "--template", "empty").code == 0
    text = (tmp_path / "My Prices: 2024" / "penstock.yml").read_text(encoding="utf-8")
    assert "project: my_prices_2024\n" in text


# ---------------------------------------------------------------- secrets


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What stands on stdin."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_secret_is_kept_listed_and_forgotten_and_never_shown(
    penstock: Callable[..., Said], project: Path, given: Callable[[str], None]
) -> None:
    given(f"{VALUE}\n")
    said = [
        penstock("secrets", "set", "DB_PASSWORD"),
        penstock("secrets", "list"),
        penstock("secrets", "list", "--json"),
    ]
    assert [one.code for one in said] == [0, 0, 0]
    assert said[1].out == "DB_PASSWORD\n"
    assert said[2].json == {"secrets": ["DB_PASSWORD"]}
    given("other")
    said.append(penstock("secrets", "set", "API_KEY", "--json"))
    assert said[-1].json == {"secret": "API_KEY"}
    assert all(VALUE not in one.out + one.err for one in said)
    for file in (path for path in project.rglob("*") if path.is_file()):
        assert VALUE.encode() not in file.read_bytes()
        if ".penstock" in file.parts:
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0
    assert penstock("secrets", "rm", "DB_PASSWORD", "--json").json == {"removed": "DB_PASSWORD"}
    assert penstock("secrets", "rm", "DB_PASSWORD", "--json").code == 2
    assert penstock("secrets", "list", "--json").json == {"secrets": ["API_KEY"]}


@pytest.mark.parametrize(("name", "text"), [("EMPTY", ""), ("lower-case", "x"), ("", "x"), ("A=B", "x")])
def test_a_secret_without_a_name_or_a_value_is_a_problem(
    penstock: Callable[..., Said], project: Path, given: Callable[[str], None], name: str, text: str
) -> None:
    given(text)
    said = penstock("secrets", "set", name, "--json")
    assert said.code == 2
    assert said.json["ok"] is False
    assert not (project / ".penstock").exists()


def test_the_key_is_rotated_and_never_shown(
    penstock: Callable[..., Said], project: Path, given: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    given(VALUE)
    penstock("secrets", "set", "DB_PASSWORD")
    key_file = project / ".penstock" / "secrets.key"
    keys = [key_file.read_text(encoding="ascii").strip()]
    said = [penstock("secrets", "rotate")]
    keys.append(key_file.read_text(encoding="ascii").strip())
    said.append(penstock("secrets", "rotate", "--json"))
    keys.append(key_file.read_text(encoding="ascii").strip())
    assert len(set(keys)) == 3
    key_id = json.loads((project / "secrets.enc").read_text(encoding="utf-8"))["key_id"]
    assert said[1].json == {"key_id": key_id}
    monkeypatch.setenv("PENSTOCK_KEY", keys[2])
    said.append(penstock("secrets", "rotate"))
    assert (said[2].code, said[2].out) == (2, "")
    assert said[2].err.startswith(
        "error[DOC-198]: the variable PENSTOCK_KEY holds no new key\nhint: put a new key before"
    )
    monkeypatch.setenv("PENSTOCK_KEY", f"{keys[0]} {keys[2]}")
    said.append(penstock("secrets", "rotate"))
    assert re.fullmatch(r"the secrets are under the key [0-9a-f]{16} from now on\n", said[3].out)
    monkeypatch.setenv("PENSTOCK_KEY", keys[2])
    given(VALUE)
    said.append(penstock("secrets", "set", "DB_PASSWORD", "--json"))
    assert said[4].codes == ["DOC-196"]
    assert all(text not in one.out + one.err for one in said for text in [VALUE, *keys])
