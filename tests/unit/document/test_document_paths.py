"""Paths stay beneath the project, or beneath a root that somebody named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.document.paths import Paths
from penstock.errors import ConfigError


@pytest.fixture
def place(tmp_path):
    for folder in ("project/data", "outside", "allowed"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "project" / "data" / "a.csv").write_text("a")
    (tmp_path / "outside" / "secret").write_text("s")
    return tmp_path


@pytest.fixture
def paths(place):
    return Paths.of(place / "project", (place / "allowed",))


ROOT = Path("/nonexistent/project")


def code(paths, text):
    with pytest.raises(ConfigError) as caught:
        paths.resolve(str(text))
    return caught.value.code


@pytest.mark.parametrize(
    "text",
    ["data/a.csv", "./data/a.csv", "new/folder/b", "data/*.csv", "**/x?.csv", "~/x", "..a/b..", "a b", "é", "data"],
)
def test_relative_paths_are_the_projects(paths, place, text):
    assert paths.resolve(text) == place / "project" / text


def test_absolute_paths_are_taken_beneath_a_root_only(paths, place):
    for text in (place / "project" / "x", place / "allowed" / "x", place / "allowed", place / "allowed" / "*.csv"):
        assert paths.resolve(str(text)) == text
    for text in (place / "outside" / "secret", place / "allowed_not", "/", "/etc/passwd", place, place / "out*"):
        assert code(paths, text) == "DOC-232"


@pytest.mark.parametrize("text", ["..", "../outside/secret", "data/../../outside", "data/../a", "*/../../x", "/../etc"])
def test_no_path_goes_up(paths, text):
    assert code(paths, text) == "DOC-231"


@pytest.mark.parametrize(
    "text", ["", " ", "a\0b", "x" * 5000, "s3://bucket/x", "https://x.org/a.csv", "file:///etc/passwd"]
)
def test_what_is_no_path_is_refused(paths, text):
    assert code(paths, text) == "DOC-230"


def test_a_name_too_long_for_the_system_is_still_a_path_or_refused(paths):
    text = "data/" + "x" * 300
    assert paths.resolve(text).name == "x" * 300
    with pytest.raises(ConfigError, match="DOC-234"):
        paths.read(text)


def test_no_link_leads_out(paths, place):
    data = place / "project" / "data"
    (data / "file").symlink_to(place / "outside" / "secret")
    (data / "folder").symlink_to(place / "outside")
    (data / "up").symlink_to("../../outside")
    (data / "loop").symlink_to("loop")
    (data / "dangling").symlink_to(place / "outside" / "not_there")
    (data / "st*r").symlink_to(place / "outside")
    for text in (
        "data/file",
        "data/folder/secret",
        "data/folder/new",
        "data/up/*.csv",
        "data/dangling",
        "data/st*r/secret",
        "data/st*r/new",
    ):
        assert code(paths, text) == "DOC-233", text
    assert code(paths, place / "project" / "data" / "file") == "DOC-233"
    for text in ("data/loop", "data/loop/new", "data/loop/*.csv"):
        assert code(paths, text) == "DOC-230", text


def test_what_a_pattern_matched_is_checked_as_well(paths, place):
    (place / "project" / "data" / "b.csv").symlink_to(place / "outside" / "secret")
    matched = sorted((place / "project" / "data").glob("*.csv"))
    assert paths.resolve(str(matched[0])) == matched[0]
    assert code(paths, matched[1]) == "DOC-233"


def test_links_within_the_project_and_between_roots_are_followed(paths, place):
    (place / "project" / "latest").symlink_to("data")
    (place / "project" / "landing").symlink_to(place / "allowed")
    assert paths.resolve("latest/a.csv").read_text() == "a"
    assert paths.resolve("landing/x") == place / "project" / "landing" / "x"


def test_a_root_may_itself_be_reached_through_a_link(place):
    (place / "link").symlink_to(place / "project")
    paths = Paths.of(place / "link")
    assert paths.root == place / "project"
    assert paths.resolve(str(place / "link" / "data" / "a.csv")) == place / "project" / "data" / "a.csv"
    assert code(paths, place / "link" / "data" / ".." / "x") == "DOC-231"


def test_what_penstock_keeps_for_itself_is_no_place_for_documents(paths, place):
    state = place / "project" / ".penstock"
    state.mkdir()
    (place / "project" / "link").symlink_to(state)
    for text in (
        ".penstock/ledger.db",
        ".penstock",
        state / "secrets.key",
        "link/x",
        ".penstock/*.db",
        "./.penstock/x",
    ):
        assert code(paths, text) == "DOC-236", text
    assert paths.resolve(".penstock_not/x")


def test_a_file_is_read_within_bounds(paths, place):
    assert paths.read("data/a.csv") == b"a"
    (place / "project" / "big").write_bytes(b"x" * (1024 * 1024 + 1))
    for text in ("data", "nothing", "big"):
        with pytest.raises(ConfigError, match="DOC-234"):
            paths.read(text)


def test_no_message_shows_a_control_character(paths):
    with pytest.raises(ConfigError) as caught:
        paths.resolve("../\x1b[31m\u202e")
    assert caught.value.problems[0].message.isprintable()


def outcome(paths, text):
    try:
        return paths.resolve(text), None
    except ConfigError as error:
        return None, error.code


@given(st.text(max_size=40))
def test_any_text_stays_inside_or_is_refused(text):
    found, refused = outcome(Paths.of(ROOT), text)
    assert refused in {"DOC-230", "DOC-231", "DOC-232"} if found is None else found.is_relative_to(ROOT)
