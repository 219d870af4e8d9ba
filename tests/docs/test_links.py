"""Links lead to pages and headings that are there; codes are codes; no file names a place outside the project."""

import os
import re
from pathlib import Path

import pytest
from pages import DOCS, ROOT, pages

from penstock.errors.catalogue import CATALOGUE

LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"\b(?:DOC|CMP|ENG|SRC|SNK|NET|RUN|LED|FLT|CLI|INT)-\d{3}\b")
OUTSIDE = re.compile(r"(?<![\w.>}\]])/(?:work|home|Users|root|mnt)/\w")
TEXTS = {".md", ".py", ".toml", ".yml", ".yaml", ".json", ".csv", ".lock", ""}


def anchors(page: Path) -> set[str]:
    """As the usual renderers of Markdown name headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in headings}


def broken_links(page: Path, text: str) -> list[str]:
    broken = []
    for link in LINK.findall(text):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.is_relative_to(ROOT) or not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", [*pages(), *sorted((DOCS / "reference").glob("*.md"))], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    assert not broken_links(page, page.read_text(encoding="utf-8"))


def test_a_broken_link_is_found() -> None:
    readme = ROOT / "README.md"
    assert broken_links(readme, "[a](docs/nowhere.md) [b](docs/glossary.md#nothing) [c](../outside.md)") == [
        "docs/nowhere.md",
        "docs/glossary.md#nothing",
        "../outside.md",
    ]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_codes_are_in_the_catalogue(page: Path) -> None:
    assert set(CODE.findall(page.read_text(encoding="utf-8"))) <= CATALOGUE.keys()


def test_no_file_names_a_path_outside_the_project() -> None:
    found = []
    for path in files():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if OUTSIDE.search(line) and "OUTSIDE" not in line:
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


def test_such_a_path_is_found() -> None:
    assert OUTSIDE.search("see /home/somebody/notes")  # OUTSIDE
    assert not OUTSIDE.search("penstock/home/page")


def files() -> list[Path]:
    """What is written by hand or kept: no caches, nothing that the bench or the demo leaves."""
    lists = [path.read_text(encoding="utf-8") for path in (ROOT / ".gitignore", *ROOT.glob("examples/*/.gitignore"))]
    ignored = {line.rstrip("/") for text in lists for line in text.split() if line.endswith("/")}
    found = [path for path in ROOT.iterdir() if path.is_file()]
    for part in ("src", "tests", "docs", "examples", "bench", "scripts"):
        for folder, folders, names in os.walk(ROOT / part):
            folders[:] = [name for name in folders if not name.startswith(".") and name not in ignored]
            found += [Path(folder, name) for name in names]
    return sorted(path for path in found if path.suffix in TEXTS and not path.name.startswith("."))
