"""Hostile and broken documents: each a named problem at its place, and never another exception."""

import pytest

from hostile_documents import alias_bomb, outcome
from penstock.document.loader import MAX_BYTES, load
from penstock.errors import ConfigError

PARSERS = pytest.mark.parametrize("pure", [False, True], ids=["libyaml", "pure"])


def problems(text, *, pure=False):
    with pytest.raises(ConfigError) as caught:
        load(text, "p.yml", pure=pure)
    return caught.value.problems


def nested_aliases():
    """Each alias adds ten levels, so that the seventh is deeper than any list that is written out."""
    lines = ["a0: &a0 " + "[" * 10 + "]" * 10]
    lines += [f"a{n}: &a{n} {'[' * 9}*a{n - 1}{']' * 9}" for n in range(1, 7)]
    return "\n".join(lines)


@PARSERS
@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("x" * (2 * 1024 * 1024), "DOC-101", None, None),
        (b"a: " + b"x" * MAX_BYTES, "DOC-101", None, None),
        ("é" * (MAX_BYTES // 2 + 1), "DOC-101", None, None),
        ("a: 1".encode("utf-16"), "DOC-102", None, None),
        ("a: 1".encode("utf-16-le"), "DOC-102", None, None),
        ("a: 1".encode("utf-32"), "DOC-102", None, None),
        (b"a: b\r\nc: \xff\n", "DOC-102", 2, 4),
        (b"\xef\xbb\xbfa: \xc3", "DOC-102", 1, 4),
        (b"a: \xed\xa0\x80", "DOC-102", 1, 4),
        ("a: 1\nb: x\0y", "DOC-103", 2, 5),
        ("a: \x1b[31m", "DOC-103", 1, 4),
        ("a: x\x85y", "DOC-103", 1, 5),
        ("a: x\u2028y", "DOC-103", 1, 5),
        ("a: x\ufeffy", "DOC-103", 1, 5),
        ("a: \ud800", "DOC-103", 1, 4),
        ("", "DOC-104", 1, 1),
        (" \n# only a comment\n\n", "DOC-104", 1, 1),
        ("a: 1\n...\n---\nb: 1\n", "DOC-116", 3, 1),
        ("---\n...\n", "DOC-104", 1, 3),
        ("a: b: c\n", "DOC-105", 1, 5),
        ("a: %x\n", "DOC-105", 1, 4),
        ("a: @x\n", "DOC-105", 1, 4),
        ("path: *.csv\n", "DOC-105", 1, 8),
        ("a: {b: ${param.x}}\n", "DOC-105", 1, 9),
        ("a: 'b' c\n", "DOC-105", 1, 8),
        ('a: "\\q"\n', "DOC-105", 1, None),
        ("a: |x\n  b\n", "DOC-105", 1, 5),
        ("a: 1\n b: 2\n", "DOC-105", 2, 3),
        ("a: |#x\n  b\n", "DOC-105", 1, None),
        ("a:\n\tb: 1\n", "DOC-106", 2, 1),
        ("\ta: 1\n", "DOC-106", 1, 1),
        ("a:\n  - b\n\t- c\n", "DOC-106", 3, 1),
        ("a: |\n\tselect 1\n", "DOC-106", 2, 1),
        ("a: [1,\n 2", "DOC-107", 1, 4),
        ("a: {b: 1", "DOC-107", 1, 4),
        ("a: {b: 1,", "DOC-107", None, None),
        ("a: - b\n", "DOC-105", 1, 4),
        ("{a: 1}}\n", "DOC-105", 1, 7),
        ("- a\n-\tb\n", "DOC-106", 2, 2),
        ("a: b\n\t\nc: d\n", "DOC-106", 2, 1),
        ("a:\n  b: 'text\n", "DOC-107", 2, 6),
        ('{"a": "b', "DOC-107", 1, 7),
        ("a:\n" + "".join(f"{' ' * n}k{n}:\n" for n in range(1, 60)), "DOC-108", None, None),
        ("[" * 100_000, "DOC-108", 1, 51),
        ("{" * 100_000, "DOC-108", 1, 51),
        ("- " * 100_000, "DOC-108", 1, 101),
        (nested_aliases(), "DOC-108", None, None),
        ("a: *b\n", "DOC-110", 1, 4),
        (alias_bomb(), "DOC-111", None, None),
        ("a: &a " + "x" * 100_000 + "\nb: [" + "*a," * 90 + "]\n", "DOC-111", 2, None),
        ("a: &a [1, *a]\n", "DOC-112", 1, 11),
        ("a: 1\nb: 2\na: 3\n", "DOC-113", 3, 1),
        ('{"a": 1, "a": 1}', "DOC-113", 1, 10),
        ("1: x\n", "DOC-114", 1, 1),
        ("null: x\n", "DOC-114", 1, 1),
        ("true: x\n", "DOC-114", 1, 1),
        ("? \n: x\n", "DOC-114", 1, None),
        ("a: 1\n: x\n", "DOC-105", 2, 1),
        ("? [a]\n: x\n", "DOC-114", 1, 3),
        ("{{a: 1}: 2}", "DOC-114", 1, 2),
        ("a: !!python/object/apply:os.system ['true']\n", "DOC-115", 1, 4),
        ("a: !x\n", "DOC-115", 1, 4),
        ("a: ! 12\n", "DOC-115", 1, 4),
        ("!!map {a: 1}\n", "DOC-115", 1, 1),
        ("a: 1\n---\nb: 1\n", "DOC-116", 2, 1),
        ("<<: {a: 1}\n", "DOC-117", 1, 1),
        ("a: 1e400\n", "DOC-118", 1, 4),
        ("a: " + "9" * 1001 + "\n", "DOC-118", 1, 4),
        ("a: 0x" + "f" * 5000 + "\n", "DOC-118", 1, 4),
        ('a: "x\\0y"\n', "DOC-119", 1, 4),
        ('a: "\\ud83d"\n', "DOC-119", 1, 4),
        ('"\\ude00": 1\n', "DOC-119", 1, 1),
    ],
)
def test_a_broken_document_is_a_named_problem_at_its_place(text, code, line, column, pure):
    found = problems(text, pure=pure)
    assert [problem.code for problem in found] == [code]
    if line is not None:
        assert found[0].at.line == line
    if column is not None:
        assert found[0].at.column == column
    assert "\x1b" not in found[0].render()


@PARSERS
def test_all_problems_of_a_document_come_at_once(pure):
    found = problems("a: 1\na: 2\nb: !t x\n<<: y\n1: z\nb: 1e999\nc: [\n", pure=pure)
    assert [p.code for p in found] == ["DOC-113", "DOC-115", "DOC-117", "DOC-114", "DOC-118", "DOC-113", "DOC-107"] or [
        p.code for p in found
    ] == ["DOC-113", "DOC-115", "DOC-117", "DOC-114", "DOC-113", "DOC-118", "DOC-107"]


def test_every_duplicate_names_its_first_place():
    first, second = problems("a: 1\nb: {x: 1, x: 2}\n'a': 3\n")
    assert (first.at.line, first.at.column, first.detail) == (2, 11, "the first is at p.yml:2:5.")
    assert (second.at.line, second.detail) == (3, "the first is at p.yml:1:1.")


def test_a_long_list_of_problems_is_cut():
    assert len(problems("a: 1\n" * 50_000)) == 100


@pytest.mark.parametrize("where", range(0, 120, 3))
def test_a_truncated_document_is_read_or_refused_never_more(where):
    text = 'pipeline: p\nsources:\n  a: {type: csv, path: "x.csv"}\nsinks:\n  b:\n    from: [a]\n    sql: |\n      select\n'
    outcome(text[:where], pure=False)
    outcome(text[:where], pure=True)
