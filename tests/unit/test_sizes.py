"""The house stays readable: sizes of modules and functions, names of packages, no cycles (CONTRIBUTING.md, Sizes)."""

import ast
import re
from pathlib import Path

import grimp
import pytest

SRC = Path(__file__).parents[2] / "src"
MODULES = sorted(SRC.rglob("*.py"))
MODULE_LINES = 700
FUNCTION_LINES = 70
EMPTY_NAMES = {"utils", "util", "utilities", "common", "helpers", "helper", "base", "misc", "shared"}
REASON = re.compile(r"^\s*# size: \S.{19,}$")


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def has_reason(lines) -> bool:
    return any(REASON.match(line) for line in lines)


def too_long(text) -> list[str]:
    """What is longer than it may be and gives no reason: a module anywhere in it, a function inside itself."""
    lines = text.splitlines()
    found = [f"{len(lines)} lines"] if len(lines) > MODULE_LINES and not has_reason(lines) else []
    for function in functions(ast.parse(text)):
        body = lines[function.lineno - 1 : function.end_lineno]
        if len(body) > FUNCTION_LINES and not has_reason(body):
            found.append(f"{function.name}, {len(body)} lines")
    return found


def test_no_module_and_no_function_is_too_long_without_a_reason():
    assert len(MODULES) > 100
    offenders = {str(path.relative_to(SRC)): too_long(path.read_text(encoding="utf-8")) for path in MODULES}
    assert {path: found for path, found in offenders.items() if found} == {}


def long_function(lines, reason="") -> str:
    return "def act():\n" + reason + "    one = 1\n" * (lines - 1 - bool(reason))


REASONED = "    # size: a table of cases that reads as one piece\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (long_function(FUNCTION_LINES), []),
        (long_function(FUNCTION_LINES + 1), ["act, 71 lines"]),
        (long_function(FUNCTION_LINES + 1, REASONED), []),
        (long_function(FUNCTION_LINES + 1, "    # size: long\n"), ["act, 71 lines"]),
        (REASONED.strip() + "\n" + long_function(FUNCTION_LINES + 1), ["act, 71 lines"]),
        ("one = 1\n" * MODULE_LINES, []),
        ("one = 1\n" * (MODULE_LINES + 1), ["701 lines"]),
        (REASONED.strip() + "\n" + "one = 1\n" * MODULE_LINES, []),
    ],
)
def test_the_gate_sees_what_is_too_long(text, found):
    assert too_long(text) == found


def test_no_package_and_no_module_has_a_name_that_says_nothing():
    assert [str(path) for path in MODULES if EMPTY_NAMES & {*path.relative_to(SRC).parts[:-1], path.stem}] == []


@pytest.fixture(scope="module")
def imports():
    """Who imports whom, at run time: what stands under TYPE_CHECKING ties nothing."""
    return grimp.build_graph("penstock", exclude_type_checking_imports=True, cache_dir=None)


def cycles(graph) -> list[list[str]]:
    """One shortest chain of imports per module that reaches itself."""
    found = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            chain = graph.find_shortest_chain(imported, module)
            if chain:
                found.add(frozenset((*chain, module)))
    return sorted(sorted(members) for members in found)


def test_no_module_imports_itself_through_others(imports):
    assert cycles(imports) == []


def test_the_gate_sees_a_cycle():
    graph = grimp.ImportGraph()
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")):
        graph.add_import(importer=importer, imported=imported)
    assert cycles(graph) == [["a", "b", "c"]]
