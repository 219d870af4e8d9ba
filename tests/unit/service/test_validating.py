"""What several documents have together is told once."""

from penstock.errors import Location, Problem
from penstock.service.validating import Validation, told_once


def _of(file: str, detail: str) -> Validation:
    problem = Problem("DOC-216", 'the pipeline "x" stands in 2 files', at=Location(file, 1, 1, 2), detail=detail)
    return Validation(ok=False, problems=(problem, Problem("DOC-100", "else")))


def test_a_name_that_several_files_have_is_told_with_the_first_of_them() -> None:
    results = (_of("a.yml", "they are a.yml, b.yml."), _of("b.yml", "they are a.yml, b.yml."), _of("c.yml", "c, d"))
    told = told_once(results)
    assert [[one.code for one in problems] for problems in told] == [
        ["DOC-216", "DOC-100"],
        ["DOC-100"],
        ["DOC-216", "DOC-100"],
    ]
    assert told[0] == results[0].problems
