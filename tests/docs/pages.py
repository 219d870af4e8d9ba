"""The pages of the documentation, taken apart into fenced blocks with the marks that stand before them.

A mark is a comment on the line before a fence, or before another mark:
``<!-- not run: why -->`` a shell block that the tests leave alone, ``<!-- exit: 2 -->`` the status with which one ends,
``<!-- output -->`` lines that the shell block before printed, ``<!-- file: data/a.csv -->`` a file that the page's documents
read, ``<!-- component: steps -->`` a piece of a document, ``<!-- fails: CMP-203 -->`` a document that is refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GENERATED = DOCS / "reference"
_MARK = re.compile(r"<!-- ([a-z ]+?)(?:: (.*?))? -->")
_FENCE = re.compile(r"(`{3,})(\w*)")


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Everything that people write and read: not the generated reference."""
    written = [path for path in DOCS.rglob("*.md") if not path.is_relative_to(GENERATED)]
    return sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *written])


def blocks(page: Path) -> list[Block]:
    return list(_blocks(page, page.read_text(encoding="utf-8").splitlines()))


def _blocks(page: Path, lines: list[str]) -> Iterator[Block]:
    marks: dict[str, str] = {}
    numbered = iter(enumerate(lines, start=1))
    for number, line in numbered:
        if mark := _MARK.fullmatch(line.strip()):
            marks[mark[1]] = mark[2] or ""
        elif fence := _FENCE.fullmatch(line):
            inside = []
            for _, content in numbered:
                if content == fence[1]:
                    break
                inside.append(content)
            else:
                raise AssertionError(f"{page}:{number}: the block is not closed")
            yield Block(page, number, fence[2], "\n".join(inside) + "\n", marks)
            marks = {}
        elif line.strip():
            marks = {}


def prose(page: Path) -> str:
    """The page without its blocks."""
    kept, inside = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)
