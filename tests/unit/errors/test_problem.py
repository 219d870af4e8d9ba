import ast
import pickle
import re
from pathlib import Path

import pytest

from penstock.errors import ConfigError, Location, Problem, nearest, together

CODE = re.compile(r"[A-Z]{3}-\d{3}")
SOURCES = sorted((Path(__file__).parents[3] / "src").rglob("*.py"))


def test_problem_renders_place_caret_detail_and_hint():
    problem = Problem(
        "CMP-203",
        'column "custmer_id" does not exist in "orders_clean"',
        at=Location("pipelines/orders.yml", 14, 9, 21, "    on: o.custmer_id = c.id"),
        detail='"orders_clean" has the columns customer_id, ordered_at, amount.',
        hint='did you mean "customer_id"?',
    )
    assert problem.render() == (
        'error[CMP-203]: column "custmer_id" does not exist in "orders_clean"\n'
        "  --> pipelines/orders.yml:14:9\n"
        "14 |     on: o.custmer_id = c.id\n"
        "   |         ^^^^^^^^^^^^\n"
        'detail: "orders_clean" has the columns customer_id, ordered_at, amount.\n'
        'hint: did you mean "customer_id"?'
    )


def test_problem_shows_a_window_of_a_very_long_line_without_control_characters():
    line = "x" * 5000 + "\x1b[31mhere"
    text = Problem("DOC-100", "m", at=Location("f", 1, 5001, 5005, line)).render()
    assert "\x1b" not in text
    assert max(len(row) for row in text.splitlines()) < 140


def test_errors_of_a_document_stand_in_its_order():
    later = Problem("DOC-100", "b", at=Location("f", 9, 1, 2))
    sooner = Problem("DOC-100", "a", at=Location("f", 2, 1, 2))
    error = ConfigError.of([later, sooner])
    assert [p.message for p in error.problems] == ["a", "b"]


@pytest.mark.parametrize(
    ("codes", "exit_code"),
    [
        (["SRC-110"], 1),
        (["SRC-110", "NET-110"], 3),
        (["SRC-110", "NET-110", "RUN-110"], 4),
        (["RUN-110", "SRC-110", "DOC-100"], 2),
    ],
)
def test_problems_of_several_classes_are_an_error_of_the_worst(codes, exit_code):
    error = together([Problem(code, "m") for code in codes])
    assert error.exit_code == exit_code
    assert [problem.code for problem in error.problems] == codes


def test_errors_survive_pickling_with_all_problems():
    error = ConfigError("DOC-100", "gone", hint="look")
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, ConfigError)
    assert copy.problems == error.problems


@pytest.mark.parametrize(("name", "expected"), [("Nmae", "name"), ("zzz", None)])
def test_nearest_name(name, expected):
    assert nearest(name, ["name", "other"]) == expected


def test_a_shown_line_hides_the_password_of_a_url_and_keeps_the_caret():
    line = "connection: postgres://me:hunter2@host/db  wrong"
    text = Problem("DOC-100", "m", at=Location("f", 1, 44, 49, line)).render()
    assert "hunter2" not in text
    assert "postgres://me:*******@host/db  wrong\n" in text
    assert text.splitlines()[-1].index("^") - 4 == line.index("wrong")


@pytest.mark.parametrize(
    "line",
    [
        "connection: {type: postgres, user: me, password: hunter2, port: wrong}",
        "connection: {secret_key: hunter2, port: wrong}",  # misspelt
        """connection: {session_token: 'hunter2, or {3}', port: wrong}""",
        """{"connection": {"accessKey": "hunter2 \\" more", "port": "wrong"}}""",
        "auth: {type: api_key, in: query, name: k, value: hunter2}, port: wrong",
        "url: https://host/?api_key=hunter2&port=wrong",
        "PASSWORD = hunter2  # wrong",
    ],
)
def test_a_shown_line_hides_what_sounds_like_a_secret_and_keeps_the_caret(line: str):
    start = line.index("wrong")
    text = Problem("DOC-100", "m", at=Location("f", 1, start + 1, start + 6, line)).render()
    assert "hunter2" not in text
    shown, carets = text.splitlines()[-2:]
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "wrong"


@pytest.mark.parametrize(
    "line", ["password: ${secret.DB}", 'token: "${secret.DB}"', "paginate: {next: token}", "keys: [id]"]
)
def test_a_shown_line_keeps_references_to_secrets_and_other_keys(line: str):
    assert f"1 | {line}\n" in Problem("DOC-100", "m", at=Location("f", 1, 1, 2, line)).render()


def test_a_long_word_is_looked_through_in_no_time():
    line = "a" * 200_000
    assert Problem("DOC-100", "m", at=Location("f", 1, 1, 2, line)).render()


def test_a_span_that_a_line_of_the_screen_would_cut_is_shown_whole():
    line = "key: " + "x" * 100 + " ${secret.ITEMS_KEY} rest"
    start = line.index("$")
    shown, carets = Problem("DOC-100", "m", at=Location("f", 1, start + 1, start + 20, line)).render().splitlines()[-2:]
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "${secret.ITEMS_KEY}"


def test_an_error_stands_at_the_value_that_it_is_about():
    component, path, table = (Location("f", line, 1, 2) for line in (1, 2, 3))
    values = {"path": path, "table": table}
    assert ConfigError("DOC-100", "m", about=("table",)).placed(component, values).problems[0].at == table
    assert ConfigError("DOC-100", "m").placed(component, values).problems[0].at == path, "the system is meant"
    assert ConfigError("DOC-100", "m", about=("table",)).placed(component, {}).problems[0].at == component
    assert ConfigError("DOC-100", "m", at=table).placed(component, values).problems[0].at == table


@pytest.mark.parametrize(
    ("written", "told"), [("it is 5", "it is 5."), ("it is 5.", "it is 5."), ("why?", "why?"), ("a, b, …", "a, b, …")]
)
def test_every_detail_is_a_sentence(written, told):
    assert ConfigError("DOC-100", "m", detail=written).problems[0].detail == told
    assert Problem("DOC-100", "m").detail is None


def _literals(path):
    """Every text that is written as the message or the hint of a problem, with its line."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call):
            continue
        coded = any(isinstance(item, ast.Constant) and CODE.fullmatch(str(item.value)) for item in call.args)
        hints = [item.value for item in call.keywords if item.arg == "hint"]
        for text in (*(call.args if coded else ()), *hints):
            last = text.values[-1] if isinstance(text, ast.JoinedStr) and text.values else text
            if isinstance(last, ast.Constant) and isinstance(last.value, str):
                yield f"{path.name}:{last.lineno}", last.value


def test_no_message_and_no_hint_ends_in_a_full_stop():
    found = [item for path in SOURCES for item in _literals(path)]
    assert len(found) > 500
    assert [item for item in found if item[1].endswith(".")] == []
