import copy
import dataclasses
import json
import pickle
import pprint
import string
import subprocess
import sys
import traceback

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from penstock.secret import Secret


def test_secret_never_shows_itself():
    secret = Secret("hunter2")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>9}", json.dumps({"s": secret}, default=str)]
    shown.append(repr(pickle.loads(pickle.dumps(secret)).reveal()))
    shown.append(repr([secret, {"k": secret}]))
    assert "hunter2" not in "".join(shown)
    assert b"hunter2" not in pickle.dumps(secret)
    assert copy.deepcopy(secret).reveal() == "hunter2"


def test_a_secret_knows_the_secrets_within_it():
    url = Secret("https://host/hunter2/{table}", ("hunter2",)).replace("{table}", "t")
    assert url.reveal() == "https://host/hunter2/t"
    assert url.hidden() == ("https://host/hunter2/t", "hunter2")
    assert pickle.loads(pickle.dumps(url)).hidden() == ("***",)


def test_secret_does_not_show_in_a_traceback_with_locals():
    def fail(password):
        raise ValueError(password)

    try:
        fail(Secret("hunter2"))
    except ValueError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "hunter2" not in text.replace('Secret("hunter2")', "")


class Login(BaseModel):
    password: Secret
    tokens: dict[str, Secret] = {}


def test_a_model_field_of_type_secret_takes_text_and_never_shows_it():
    login = Login.model_validate({"password": "hunter2", "tokens": {"a": Secret("hunter2")}})
    assert login.password.reveal() == "hunter2"
    shown = [
        repr(login),
        str(login),
        login.model_dump_json(),
        repr(login.model_dump()),
        repr(login.model_dump(mode="json")),
    ]
    assert "hunter2" not in "".join(shown)
    assert login.model_dump(mode="json") == {"password": "***", "tokens": {"a": "***"}}


@pytest.mark.parametrize("wrong", [1, None, ["hunter2"], True])
def test_a_secret_field_refuses_what_is_no_text(wrong):
    with pytest.raises(ValidationError, match="takes text"):
        Login(password=wrong)


def test_the_json_schema_of_a_secret_is_write_only_text():
    assert Login.model_json_schema()["properties"]["password"]["writeOnly"] is True


def test_secret_does_not_import_pydantic():
    code = "import sys, penstock.secret; print('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"False"


FORMS = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "f-string": lambda secret: f"{secret} {secret!s} {secret!r} {secret!a} {secret:>20} {secret:.40}",
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 -- the form is what is tested
    "format": lambda secret: "{} {!r} {:x<12}".format(secret, secret, secret),  # noqa: UP032 -- the same
    "template": lambda secret: string.Template("$it").substitute(it=secret),
    "json": lambda secret: json.dumps({"it": secret}, default=str),
    "pretty print": lambda secret: pprint.pformat({"it": [secret]}),
    "exception": lambda secret: repr(ValueError(secret)) + str(ValueError(secret)) + str(KeyError(secret)),
    "container": lambda secret: f"{[secret]} {(secret,)} { ({'it': secret}) } { ({secret}) }",
}


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_text_shows_the_value(form):
    shown = FORMS[form](Secret("hunter2"))
    assert "***" in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_pickle_holds_the_value(protocol):
    content = pickle.dumps([Secret("hunter2")], protocol)
    assert b"hunter2" not in content
    assert pickle.loads(content)[0].reveal() == "***"


def test_plain_json_refuses_a_secret():
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(Secret("hunter2"))


def test_a_secret_shows_nothing_through_its_attributes():
    secret = Secret("hunter2")
    assert not hasattr(secret, "__dict__")
    with pytest.raises(TypeError):
        vars(secret)
    with pytest.raises(AttributeError):
        secret.note = "hunter2"


@dataclasses.dataclass(frozen=True)
class Server:
    host: str
    password: Secret


def test_a_dataclass_that_holds_a_secret_does_not_show_it():
    server = Server("db", Secret("hunter2"))
    shown = [repr(server), repr(dataclasses.asdict(server)), repr(dataclasses.astuple(server))]
    shown.append(json.dumps(dataclasses.asdict(server), default=str))
    assert "hunter2" not in "".join(shown)
    assert dataclasses.asdict(server)["password"].reveal() == "hunter2"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda secret: copy.deepcopy([secret])[0]])
def test_a_copy_within_the_process_is_as_good(copied):
    assert copied(Secret("hunter2")).reveal() == "hunter2"


def test_a_traceback_with_locals_of_nested_frames_does_not_show_it():
    def log_in(given):
        held = {"password": given, "tried": [given]}
        raise RuntimeError("log in failed", held)

    with pytest.raises(RuntimeError) as caught:
        log_in(Secret("hunter2"))
    text = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "***" in text
    assert "hunter2" not in text.replace('Secret("hunter2")', "")


def test_a_refused_model_does_not_show_its_secrets():
    class Strict(BaseModel, extra="forbid"):
        password: Secret
        port: int

    with pytest.raises(ValidationError) as caught:
        Strict.model_validate({"password": Secret("hunter2"), "port": "none", "more": 1})
    assert "hunter2" not in str(caught.value) + repr(caught.value.errors()) + caught.value.json()


def test_a_list_of_secrets_is_dumped_masked():
    adapter = TypeAdapter(list[Secret])
    assert adapter.dump_json(adapter.validate_python(["hunter2"])) == b'["***"]'


def test_secrets_are_equal_by_content_and_hashed_without_it():
    one, same, other = Secret("a"), Secret("a"), Secret("b")
    assert one == same
    assert one != other
    assert one != "a"
    assert hash(one) == hash(other)
    assert (bool(one), bool(Secret(""))) == (True, False)
    assert str(Secret("")) == "***"
