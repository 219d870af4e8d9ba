"""The generated pages are those that the descriptors give now."""

import importlib.util
from importlib.machinery import SourceFileLoader
from types import ModuleType

import pytest
from pages import ROOT


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    path = str(ROOT / "scripts" / "generate")
    spec = importlib.util.spec_from_file_location("generate", path, loader=SourceFileLoader("generate", path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_fresh(generate: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    code = generate.main(["--check"])
    assert code == 0, capsys.readouterr().out


def test_a_stale_page_is_found(
    generate: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = ROOT / "docs" / "reference" / "errors.md"
    monkeypatch.setattr(generate, "pages", lambda: iter([(page, "another content\n")]))
    assert generate.main(["--check"]) == 1
    assert "docs/reference/errors.md" in capsys.readouterr().out
    assert page.read_text(encoding="utf-8") != "another content\n"
