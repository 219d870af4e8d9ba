"""Finding and reading penstock.yml."""

import os

import pytest

from penstock.document.project import environment_of, find_root, open_project, project_name_of
from penstock.document.tree import plain


def problems(home, text, environment="default"):
    home.write("penstock.yml", text)
    return open_project(home.root, environment=environment)[1]


def test_the_nearest_project_file_above_counts(home):
    home.write("penstock.yml", "project: outer")
    home.write("in/penstock.yml", "project: inner")
    for file, folder in (("p.yml", "."), ("pipelines/deep/p.yml", "."), ("in/p.yml", "in"), ("in/a/p.yml", "in")):
        assert find_root(home.write(file, "")) == (home.root / folder).resolve()


def test_without_a_project_file_there_is_none(home):
    assert find_root(home.write("a/p.yml", "")) is None
    assert find_root(home.root / "not_there.yml") is None


def test_a_file_that_is_reached_through_a_link_belongs_where_it_really_is(home):
    home.write("a/penstock.yml", "project: a")
    file = home.write("a/p.yml", "")
    (home.root / "link.yml").symlink_to(file)
    assert find_root(home.root / "link.yml") == home.root / "a"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_somebody_elses_project_file_above_ours_does_not_count(home):
    stranger = home.write("penstock.yml", "project: x")
    file = home.write("mine/p.yml", "")
    assert find_root(file) == home.root
    os.chown(stranger, 12345, -1)
    assert find_root(file) is None
    assert find_root(home.write("p.yml", "")) == home.root
    os.chown(file, 12345, -1)
    assert find_root(file) == home.root


@pytest.mark.parametrize(
    ("folder", "name"),
    [("oil", "oil"), ("Oil Prices (2)", "oil_prices_2"), ("2024", "p_2024"), ("---", "project"), ("é", "project"),
     ("x" * 100, "x" * 63), ("_a", "a")],
)  # fmt: skip
def test_a_folders_name_becomes_a_projects(tmp_path, folder, name):
    assert project_name_of(tmp_path / folder) == name


@pytest.mark.parametrize(
    ("stated", "variables", "name"),
    [(None, {}, "default"), (None, {"PENSTOCK_ENV": "a"}, "a"), ("b", {"PENSTOCK_ENV": "a"}, "b"), (None, {"PENSTOCK_ENV": ""}, "default")],
)  # fmt: skip
def test_the_environment_is_named_by_the_caller_the_variable_or_nobody(stated, variables, name):
    assert environment_of(stated, variables) == name


def test_a_minimal_and_an_empty_valued_project(home):
    for text in ("project: x", "project: x\nconnections:\nenvironments:\nrun:\n", '{"project": "x"}'):
        home.write("penstock.yml", text)
        project, found = open_project(home.root)
        assert found == ()
        assert (project.name, plain(project.connections.node)) == ("x", {})


def test_an_environment_named_default_is_laid_over_the_base(home):
    home.write(
        "penstock.yml",
        "project: x\nconnections: {a: {type: x, b: 1}}\nenvironments: {default: {connections: {a: {b: 2}}}}",
    )
    project, found = open_project(home.root)
    assert found == ()
    assert plain(project.connections.node) == {"a": {"type": "x", "b": 2}}


def test_an_unknown_environment_is_named_with_the_nearest(home):
    (problem,) = problems(home, "project: x\nenvironments: {prod: {}, test: {}}", "prd")
    assert (problem.code, problem.hint) == ("DOC-240", 'did you mean "prod"?')
    assert "prod, test" in problem.detail
    assert problems(home, "project: x", "prod")[0].code == "DOC-240"


def test_a_folder_without_a_project_file_has_no_environments(home):
    project, found = open_project(home.root, environment="prod")
    assert [p.code for p in found] == ["DOC-240"]
    assert project.environment == "prod"


@pytest.mark.parametrize("name", ["penstock.yaml", "penstock.json"])
def test_a_project_file_of_another_name_is_not_passed_over_in_silence(home, name):
    home.write(name, "project: x")
    assert [problem.code for problem in open_project(home.root)[1]] == ["DOC-242"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("- a", ["DOC-200"]),
        ("connections: {}", ["DOC-202"]),
        ("project: My project", ["DOC-204"]),
        ("project: [x]", ["DOC-204"]),
        ("project: x\nconections: {}", ["DOC-201"]),
        ("project: x\nconnections: [a]", ["DOC-203"]),
        ("project: x\nconnections: {a: b}", ["DOC-203"]),
        ("project: x\nconnections: {A: {type: x}}", ["DOC-204"]),
        ("project: x\nenvironments: {Prod: {}}", ["DOC-204"]),
        ("project: x\nenvironments: {prod: x}", ["DOC-203"]),
        ("project: x\nenvironments: {prod: {conections: {}}}", ["DOC-201"]),
        ("project: x\nrun: fast", ["DOC-203"]),
        ("project: x\nproject: y", ["DOC-113"]),
        ("projct: x\nrun: 5\nconnections: {a: 1, B: 2}\nenvironments: {p: 1}\n",
         ["DOC-202", "DOC-201", "DOC-203", "DOC-203", "DOC-204", "DOC-203", "DOC-203"]),
    ],
)  # fmt: skip
def test_all_that_is_wrong_with_a_project_file_is_told_at_once(home, text, codes):
    found = problems(home, text)
    assert sorted(p.code for p in found) == sorted(codes)
    assert all(p.at is not None for p in found)


def test_the_projects_pipelines_are_found(home):
    home.write("penstock.yml", "project: x")
    for name in ("b.yml", "a.json", "c.yaml", "readme.md", "d.sql"):
        home.write(f"pipelines/{name}", "")
    (home.root / "pipelines" / "folder.yml").mkdir()
    assert [path.name for path in open_project(home.root)[0].pipelines()] == ["a.json", "b.yml", "c.yaml"]
