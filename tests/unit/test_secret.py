import copy
import json
import pickle
import traceback

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
