import copy
import json
import pickle
import subprocess
import sys
import traceback

import pytest
from pydantic import BaseModel, ValidationError

from penstock.secret import Secret


def test_secret_never_shows_itself():
    secret = Secret("hunter2")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>9}", json.dumps({"s": secret}, default=str)]
    shown.append(repr(pickle.loads(pickle.dumps(secret)).reveal()))
    shown.append(repr([secret, {"k": secret}]))
    assert "hunter2" not in "".join(shown)
    assert b"hunter2" not in pickle.dumps(secret)
    assert copy.deepcopy(secret).reveal() == "hunter2"


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
