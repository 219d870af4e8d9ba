"""How problems of documents look to people: everything at once, carets, nearest names.

A case is a text file: files under ``=== path`` lines, then what is told under ``=== errors``. After a wanted change:
PENSTOCK_WRITE_GOLDEN=1 pytest tests/unit/document/test_golden_errors.py, and read the difference.
"""

import os
import re
from pathlib import Path

import pytest

from penstock.errors.catalogue import CATALOGUE

ROOT = Path(__file__).parents[3]
CASES = sorted((ROOT / "tests" / "fixtures" / "errors" / "documents").glob("*.txt"))
CODE = re.compile(r'"(DOC-[12]\d\d)"')
VARIABLES = {"REGION": "eu", "PENSTOCK_SECRET_PATH": "hunter2", "PENSTOCK_SECRET_PASSWORD": "hunter2"}


def parts_of(text):
    pieces = re.split(r"^=== (.+)\n", text, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_a_wrong_document_is_told_as_written(case, home):
    parts = parts_of(case.read_text(encoding="utf-8"))
    expected = parts.pop("errors", "")
    for path, text in parts.items():
        home.write(path, text)
    (name,) = (path for path in parts if path.startswith("pipelines/"))
    problems = home.problems(name=Path(name), variables=VARIABLES)
    told = "\n\n".join(problem.render() for problem in problems).replace(f"{home.root}/", "") + "\n"
    if os.environ.get("PENSTOCK_WRITE_GOLDEN"):
        files = "".join(f"=== {path}\n{text}" for path, text in parts.items())
        case.write_text(f"{files}=== errors\n{told}", encoding="utf-8")
    else:
        assert told == expected
    assert "hunter2" not in told


def codes_in(folder, pattern="*.py"):
    return {code for path in (ROOT / folder).rglob(pattern) for code in CODE.findall(path.read_text(encoding="utf-8"))}


def test_every_code_that_documents_raise_stands_in_the_catalogue():
    raised = codes_in("src/penstock/document")
    assert raised <= CATALOGUE.keys()
    assert {code for code in CATALOGUE if CODE.fullmatch(f'"{code}"')} == raised


def test_every_code_of_documents_has_a_test_that_triggers_it():
    assert codes_in("src/penstock/document") <= codes_in("tests")
