"""The commands of the pages are run as they stand, and print what the pages say."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from pages import ROOT, Block, blocks, pages

BEGIN_IN_AN_EMPTY_FOLDER = ("README.md", "docs/quick-start.md")
VARIES = (
    (re.compile(r"\b\d{8}T\d{6}-[0-9a-f]{8}\b"), "<run>"),
    (re.compile(r"\bplan [0-9a-f]{12}\b"), "plan <hash>"),
    (re.compile(r"\b\d+(\.\d+)? s\b"), "<seconds>"),
    (re.compile(r"\b(\d{4}-)?\d\d-\d\d \d\d:\d\d(:\d\d)?\b"), "<time>"),
    (re.compile(r"\s+"), " "),
)
WITH_COMMANDS = [page for page in pages() if any(one.language == "sh" for one in blocks(page))]


@dataclass
class Shell:
    """Blocks run one after another, each where the one before ended."""

    folder: Path
    output: str = ""

    def run(self, block: Block) -> None:
        end = self.folder / ".where"
        script = f"exec 3>.where\nset -e\n{block.text}\npwd >&3\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=environment(),
            check=False,
            capture_output=True,
            text=True,
            timeout=250,
        )
        self.output = done.stdout + done.stderr
        expected = int(block.marks.get("exit", "0"))
        assert done.returncode == expected, f"{block.place}: status {done.returncode}\n{self.output}"
        where = end.read_text(encoding="utf-8").strip()
        end.unlink()
        if where:
            self.folder = Path(where)


def environment() -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PENSTOCK_", "PYTEST_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "COLUMNS": "120", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}


def same(text: str) -> str:
    for pattern, word in VARIES:
        text = pattern.sub(word, text)
    return text.strip()


def missing_line(expected: str, output: str) -> str | None:
    """The first line of ``expected`` that ``output`` lacks, in this order; ``…`` stands for anything."""
    rest = iter([same(line) for line in output.splitlines()])
    for line in filter(None, map(same, expected.splitlines())):
        pattern = re.compile(re.escape(line).replace("…", ".*"))
        if not any(pattern.fullmatch(found) for found in rest):
            return line
    return None


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.stem)
def test_commands_do_what_the_page_says(page: Path, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    if str(page.relative_to(ROOT)) not in BEGIN_IN_AN_EMPTY_FOLDER:
        shell.run(Block(page, 0, "sh", "penstock init prices\ncd prices\n"))
    ran = 0
    for block in blocks(page):
        if block.language == "sh" and "not run" not in block.marks:
            shell.run(block)
            ran += 1
        elif "output" in block.marks:
            assert ran, f"{block.place}: no command stands before this output"
            lacks = missing_line(block.text, shell.output)
            assert lacks is None, f'{block.place}: "{lacks}" was not printed, but:\n{shell.output}'
        elif "file" in block.marks:
            path = shell.folder / block.marks["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")


def test_first_pages_have_commands_and_outputs() -> None:
    for name in BEGIN_IN_AN_EMPTY_FOLDER:
        found = blocks(ROOT / name)
        assert any(one.language == "sh" and "not run" not in one.marks for one in found), name
        assert any("output" in one.marks for one in found), name


def test_a_line_that_is_not_printed_is_found() -> None:
    assert missing_line("rows 12\n", "rows  12 \n") is None
    assert missing_line("run 20261121T090301-d21a49b1\n", "run 20270101T000000-00000000\n") is None
    assert missing_line("at …/spot.csv\n", "at /somewhere/data/spot.csv\n") is None
    assert missing_line("rows 12\nrows 13\n", "rows 13\nrows 12\n") == "rows 13"
    assert missing_line("rows 12\n", "rows 123\n") == "rows 12"


def test_every_make_target_that_pages_name_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in pages():
        named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= targets, page
