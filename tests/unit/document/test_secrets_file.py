"""Encrypted secrets: what is put in comes out, and a file that was touched, cut, or copied from elsewhere does not open."""

import base64
import json
import os
import stat

import pytest

from penstock.document.envelope import Key, spell_keys
from penstock.document.secrets import Secrets
from penstock.document.secrets_file import SecretsFile
from penstock.errors import ConfigError
from penstock.secret import Secret


def store(folder, variables=None, project="oil"):
    return SecretsFile.of(folder, folder / ".penstock", project, variables or {})


def problem(call, *args):
    with pytest.raises(ConfigError) as caught:
        call(*args)
    assert "hunter2" not in str(caught.value)
    return caught.value.problems[0]


def code(call, *args):
    return problem(call, *args).code


def spelled(*keys):
    return spell_keys(keys)


@pytest.fixture
def filled(tmp_path):
    secrets = store(tmp_path)
    secrets.put("eia", Secret("hunter2"))
    secrets.put("ice", Secret("é\n😀"))
    return tmp_path


def test_what_is_put_in_comes_out_in_another_process(filled):
    assert store(filled).get("eia") == Secret("hunter2")
    assert store(filled).get("ice") == Secret("é\n😀")
    assert store(filled).get("none") is None
    assert store(filled).names() == ("eia", "ice")


def test_a_secret_is_replaced_and_removed(filled):
    secrets = store(filled)
    secrets.put("eia", Secret("new"))
    assert store(filled).get("eia") == Secret("new")
    secrets.remove("eia")
    assert store(filled).names() == ("ice",)
    assert store(filled).get("eia") is None
    assert code(secrets.remove, "eia") == "DOC-190"


def test_neither_the_file_nor_a_repr_shows_a_secret_or_the_key(filled):
    content = (filled / "secrets.enc").read_text()
    key = (filled / ".penstock" / "secrets.key").read_text().strip()
    secrets = store(filled, {"PENSTOCK_KEY": key})
    secrets.get("eia")
    for text in (content, repr(secrets._opened), repr(Key(b"x" * 32))):
        assert "hunter2" not in text
        assert key not in text
        assert "xxx" not in text


def test_both_files_are_the_owners_alone(filled):
    for path in (filled / "secrets.enc", filled / ".penstock" / "secrets.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_same_text_is_never_sealed_the_same_way_twice(filled):
    first = (filled / "secrets.enc").read_bytes()
    store(filled).put("eia", Secret("hunter2"))
    assert (filled / "secrets.enc").read_bytes() != first


def test_a_key_in_the_environment_is_used_and_none_is_written(tmp_path):
    key = {"PENSTOCK_KEY": spelled(Key(bytes(range(32))))}
    store(tmp_path, key).put("eia", Secret("hunter2"))
    assert store(tmp_path, key).get("eia") == Secret("hunter2")
    assert not (tmp_path / ".penstock" / "secrets.key").exists()
    assert code(store(tmp_path).get, "eia") == "DOC-194"
    assert code(store(tmp_path).put, "b", Secret("hunter2")) == "DOC-194"
    assert store(tmp_path).names() == ("eia",)
    assert code(store(tmp_path, {"PENSTOCK_KEY": spelled(Key(b"y" * 32))}).get, "eia") == "DOC-196"


def test_who_lacks_the_key_is_told_what_to_do(tmp_path):
    store(tmp_path, {"PENSTOCK_KEY": spelled(OLD)}).put("eia", Secret("hunter2"))
    for variables in ({}, {"PENSTOCK_KEY": spelled(NEW)}):
        hint = problem(store(tmp_path, variables).get, "eia").hint
        assert hint.startswith("set PENSTOCK_KEY to the key that the file was written with, or put its key file back")
        assert hint.endswith("remove secrets.enc and set the secrets anew")
    assert "`openssl rand -base64 32`" in problem(store(tmp_path, {"PENSTOCK_KEY": "no key"}).get, "eia").hint


@pytest.mark.parametrize("text", ["hunter2", "x" * 44, base64.b64encode(b"x" * 31).decode(), "é", "a b"])
def test_what_is_no_key_is_refused_without_showing_it(filled, text):
    assert code(store(filled, {"PENSTOCK_KEY": text}).get, "eia") == "DOC-195"
    (filled / ".penstock" / "secrets.key").write_text(text)
    assert code(store(filled).get, "eia") == "DOC-195"


OLD, NEW = Key(b"y" * 32), Key(b"z" * 32)


def envelope_of(folder):
    return json.loads((folder / "secrets.enc").read_text())


def test_rotation_changes_the_key_and_no_secret(filled):
    old = (filled / ".penstock" / "secrets.key").read_text()
    before = envelope_of(filled)
    key = store(filled).rotate()
    after = envelope_of(filled)
    assert before["secrets"] == after["secrets"]
    assert before["key_id"] != after["key_id"] == key.id
    assert before["data_key"] != after["data_key"]
    assert (filled / ".penstock" / "secrets.key").read_text() == spelled(key)
    assert store(filled).get("eia") == Secret("hunter2")
    assert code(store(filled, {"PENSTOCK_KEY": old}).get, "eia") == "DOC-196"


def test_a_key_in_the_environment_is_rotated_to_the_first_of_two(tmp_path):
    store(tmp_path, {"PENSTOCK_KEY": spelled(OLD)}).put("eia", Secret("hunter2"))
    both = {"PENSTOCK_KEY": f"  {spelled(NEW).strip()} {spelled(OLD).strip()}"}
    assert store(tmp_path, both).get("eia") == Secret("hunter2")
    assert envelope_of(tmp_path)["key_id"] == OLD.id
    for _ in range(2):
        assert store(tmp_path, both).rotate() == NEW
        assert store(tmp_path, {"PENSTOCK_KEY": spelled(NEW)}).get("eia") == Secret("hunter2")
        assert code(store(tmp_path, {"PENSTOCK_KEY": spelled(OLD)}).get, "eia") == "DOC-196"
    assert not (tmp_path / ".penstock" / "secrets.key").exists()


@pytest.mark.parametrize("keys", [(OLD,), (OLD, OLD)])
def test_one_key_in_the_environment_cannot_be_rotated(tmp_path, keys):
    variables = {"PENSTOCK_KEY": spelled(*keys)}
    store(tmp_path, variables).put("eia", Secret("hunter2"))
    before = envelope_of(tmp_path)
    assert code(store(tmp_path, variables).rotate) == "DOC-198"
    assert envelope_of(tmp_path) == before


def test_what_is_written_under_several_keys_is_under_the_first(tmp_path):
    store(tmp_path, {"PENSTOCK_KEY": spelled(OLD)}).put("eia", Secret("hunter2"))
    store(tmp_path, {"PENSTOCK_KEY": spelled(NEW, OLD)}).put("ice", Secret("x"))
    assert envelope_of(tmp_path)["key_id"] == NEW.id


def test_nothing_is_rotated_without_secrets_or_with_another_key(filled, tmp_path):
    other = tmp_path / "other"
    store(other).put("eia", Secret("hunter2"))
    (other / "secrets.enc").unlink()
    key = (other / ".penstock" / "secrets.key").read_bytes()
    assert code(store(other).rotate) == "DOC-198"
    (other / "secrets.enc").write_bytes((filled / "secrets.enc").read_bytes())
    assert code(store(other).rotate) == "DOC-196"
    assert (other / ".penstock" / "secrets.key").read_bytes() == key


class Killed(BaseException):
    """Nothing of the process's own runs after it."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_rotation_that_is_killed_leaves_secrets_that_open_and_the_next_one_ends_it(filled, monkeypatch, place, after):
    from pathlib import Path

    replace, calls = Path.replace, []
    before = envelope_of(filled)

    def crash(self, target):
        calls.append(target)
        if len(calls) == place and not after:
            raise Killed
        replace(self, target)
        if len(calls) == place:
            raise Killed

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(Killed):
        store(filled).rotate()
    monkeypatch.undo()
    assert [path.name for path in calls] == ["secrets.key", "secrets.enc", "secrets.key"][:place]
    assert store(filled).get("eia") == Secret("hunter2")
    key = store(filled).rotate()
    assert (filled / ".penstock" / "secrets.key").read_text() == spelled(key)
    assert store(filled).get("ice") == Secret("é\n😀")
    assert envelope_of(filled)["secrets"] == before["secrets"]
    assert envelope_of(filled)["key_id"] == key.id != before["key_id"]


def test_a_file_of_another_project_is_refused(filled):
    assert code(store(filled, project="gas").get, "eia") == "DOC-192"
    content = (filled / "secrets.enc").read_text().replace('"oil"', '"gas"')
    (filled / "secrets.enc").write_text(content)
    assert code(store(filled, project="gas").get, "eia") == "DOC-192"


@pytest.mark.parametrize("keep", [0, 1, 10, 100, 300, -1, -2, -30])
def test_a_file_that_was_cut_off_is_refused(filled, keep):
    path = filled / "secrets.enc"
    content = path.read_bytes()
    path.write_bytes(content[: keep or None] if keep else b"")
    if keep == -1:  # only the last line break is gone
        assert store(filled).get("eia") == Secret("hunter2")
    else:
        assert code(store(filled).get, "eia") == "DOC-191"


def outcome(secrets):
    try:
        return secrets.get("eia")
    except ConfigError as error:
        return error.code


def test_every_byte_that_is_changed_is_found_out_or_changes_nothing(filled):
    path = filled / "secrets.enc"
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert outcome(store(filled)) in {"DOC-191", "DOC-192", "DOC-196", None, Secret("hunter2")}, place


def change(folder, edit):
    path = folder / "secrets.enc"
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))


def test_secrets_that_changed_places_are_refused(filled):
    change(filled, lambda data: data["secrets"].update(eia=data["secrets"]["ice"]))
    assert code(store(filled).get, "eia") == "DOC-192"


def test_a_removed_secret_is_found_out(filled):
    change(filled, lambda data: data["secrets"].pop("ice"))
    assert code(store(filled).get, "eia") == "DOC-192"


def test_an_older_version_of_one_secret_is_found_out(filled):
    old = json.loads((filled / "secrets.enc").read_text())["secrets"]["eia"]
    store(filled).put("eia", Secret("newer"))
    change(filled, lambda data: data["secrets"].update(eia=old))
    assert code(store(filled).get, "eia") == "DOC-192"


@pytest.mark.parametrize(
    "edit",
    [
        lambda data: data.update(format="penstock secrets 2"),
        lambda data: data.update(more=1),
        lambda data: data.pop("key_id"),
        lambda data: data.update(secrets=[]),
        lambda data: data.update(data_key=5),
        lambda data: data.update(data_key="é"),
        lambda data: data["secrets"].update(x={"version": 0, "sealed": ""}),
        lambda data: data["secrets"].update(x={"version": True, "sealed": ""}),
        lambda data: data["secrets"].update(x=None),
        lambda data: data.update(project=5),
    ],
)
def test_another_form_is_refused(filled, edit):
    change(filled, edit)
    assert code(store(filled).names) == "DOC-191"


def test_a_data_key_that_is_too_short_is_refused(filled):
    change(filled, lambda data: data.update(data_key=""))
    assert code(store(filled).get, "eia") == "DOC-192"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_key_that_others_may_read_is_refused(filled, mode):
    (filled / ".penstock" / "secrets.key").chmod(mode)
    assert code(store(filled).get, "eia") == "DOC-193"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_somebody_else_is_refused(filled):
    os.chown(filled / ".penstock" / "secrets.key", 12345, -1)
    assert code(store(filled).get, "eia") == "DOC-193"


def test_a_key_that_is_no_file_is_refused(filled):
    key = filled / ".penstock" / "secrets.key"
    key.unlink()
    os.mkfifo(key, 0o600)
    assert code(store(filled).get, "eia") == "DOC-191"


@pytest.mark.parametrize(
    ("name", "text"),
    [("a b", "x"), ("", "x"), ("é", "x"), ("1a", "x"), ("x" * 64, "x"), ("EIA", "x"), ("a", ""), ("a", "x\0y"),
     ("a", "\ud800"), ("a", "x" * 65537)],
)  # fmt: skip
def test_a_name_or_a_text_that_cannot_be_a_secret_is_refused(filled, name, text):
    assert code(store(filled).put, name, Secret(text)) == "DOC-197"


def test_changes_made_at_the_same_time_are_all_kept(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    names = [f"s{number}" for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: store(tmp_path).put(name, Secret(name)), names))
    assert {name: store(tmp_path).get(name) for name in names} == {name: Secret(name) for name in names}


def test_a_crash_before_the_file_is_replaced_leaves_the_old_one(filled, monkeypatch):
    from pathlib import Path

    def crash(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", crash)
    assert code(store(filled).put, "new", Secret("hunter2")) == "DOC-191"
    monkeypatch.undo()
    assert store(filled).names() == ("eia", "ice")
    assert sorted(path.name for path in filled.iterdir()) == [".penstock", "secrets.enc"]


def test_a_folder_that_takes_no_file_is_a_named_error(tmp_path):
    (tmp_path / ".penstock").write_text("a file in the folder's place")
    assert code(store(tmp_path).put, "a", Secret("hunter2")) == "DOC-191"


# ---------------------------------------------------------------- the chain


def plain_file(folder, text, mode=0o600):
    path = folder / "secrets.yml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_environment_goes_before_the_files_and_the_encrypted_before_the_plain_one(filled):
    plain = plain_file(filled, "eia: plain\nmore: 007\n")
    chain = Secrets({"PENSTOCK_SECRET_EIA": "env"}, store(filled), plain)
    assert chain.get("eia") == Secret("env")
    assert Secrets({"PENSTOCK_SECRET_EIA": ""}, store(filled), plain).get("eia") == Secret("hunter2")
    assert Secrets({}, None, plain).get("eia") == Secret("plain")
    assert chain.get("more") == Secret("007")
    assert chain.get("nothing") is None
    assert Secrets({"PENSTOCK_SECRET_X": "y", "PENSTOCK_SECRET_": "z"}, store(filled), plain).names() == [
        "eia", "ice", "more", "x",
    ]  # fmt: skip


def test_files_are_not_touched_while_variables_answer(filled):
    (filled / "secrets.enc").write_text("broken")
    assert Secrets({"PENSTOCK_SECRET_EIA": "env"}, store(filled)).get("eia") == Secret("env")


def test_there_need_be_no_file(tmp_path):
    chain = Secrets({}, store(tmp_path), tmp_path / "secrets.yml")
    assert chain.get("a") is None
    assert chain.names() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["- hunter2", "eia: {a: hunter2}", "eia: [hunter2", "eia:", "eia: 'hunter2", "\tx: hunter2"]
)
def test_a_plain_file_of_another_form_is_refused_without_showing_it(tmp_path, text):
    assert code(Secrets({}, None, plain_file(tmp_path, text)).get, "eia") == "DOC-191"


def test_an_empty_plain_file_holds_nothing(tmp_path):
    assert Secrets({}, None, plain_file(tmp_path, " \n")).get("eia") is None


def test_a_plain_file_that_others_may_read_is_refused(tmp_path):
    plain = plain_file(tmp_path, "eia: hunter2", 0o644)
    assert code(Secrets({}, None, plain).get, "eia") == "DOC-193"


def test_a_huge_file_is_refused(tmp_path):
    plain = plain_file(tmp_path, "eia: " + "hunter2" * 200_000)
    assert code(Secrets({}, None, plain).get, "eia") == "DOC-191"


def test_a_variable_that_is_not_text_is_refused():
    assert code(Secrets({"PENSTOCK_SECRET_A": "x\udcff"}).get, "a") == "DOC-191"
