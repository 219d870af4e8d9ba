"""A file, its project, its environment, its parameters and secrets become one document; or all that is wrong is told."""

from datetime import date
from pathlib import Path

import pytest

from penstock.document.assembly import Settings, project_of
from penstock.errors import ConfigError
from penstock.secret import Secret

PROJECT = """\
project: oil
connections:
  eia: {type: web, base_url: 'https://${env.HOST}/', auth: {type: api_key, value: '${secret.eia}'}}
  other: {type: web, base_url: '${secret.never_set}'}
run: {memory: 1 GiB, threads: 2}
environments:
  prod:
    connections: {eia: {base_url: https://prod.org, max_bytes: 1 MiB}}
    run: {memory: 8 GiB, temp: 4 GiB}
  empty:
"""
PIPELINE = """\
pipeline: prices
params:
  since: {type: date, default: 2024-01-01}
sources:
  eia: {type: web, connection: eia, path: '/a/${param.since}', query: {start: '${param.since}'}}
transforms:
  few:
    from: eia
    steps:
      - filter: day >= ${param.since}
      - limit: 3
sinks:
  out: {from: few, type: csv, path: out.csv, mode: overwrite}
run: {threads: 4, temp: 1 GiB}
"""
VARIABLES = {"HOST": "base.org", "PENSTOCK_SECRET_EIA": "hunter2"}


@pytest.fixture
def oil(home):
    home.write("penstock.yml", PROJECT)
    return home


def test_a_pipeline_is_read_with_its_project(oil):
    loaded = oil.load(PIPELINE, variables=VARIABLES)
    assert (loaded.project.name, loaded.project.environment, loaded.pipeline.name) == ("oil", "default", "prices")
    assert loaded.project.root == oil.root
    assert loaded.project.state == oil.root / ".penstock"
    source = loaded.pipeline.sources["eia"].params
    assert source.connection.base_url == "https://base.org/"
    assert source.connection.auth.value == Secret("hunter2")
    assert source.path == "/a/2024-01-01"
    assert loaded.params == {"since": date(2024, 1, 1)}
    filter_, limit = loaded.pipeline.transforms["few"].steps
    assert filter_.params.where.sql == "day >= CAST('2024-01-01' AS DATE)"
    assert limit.params.count == 3


def test_a_pipelines_run_lies_between_the_projects_and_the_environments(oil):
    base = oil.load(PIPELINE, variables=VARIABLES).pipeline.run
    prod = oil.load(PIPELINE, variables=VARIABLES, environment="prod").pipeline.run
    assert (base.memory, base.threads) == (2**30, 4)
    assert (prod.memory, prod.threads) == (8 * 2**30, 4)
    assert (base.temp, prod.temp) == (2**30, 4 * 2**30)


def test_an_environment_is_laid_over_the_base_by_key(oil):
    loaded = oil.load(PIPELINE, variables={**VARIABLES, "PENSTOCK_ENV": "prod"})
    connection = loaded.pipeline.sources["eia"].params.connection
    assert loaded.project.environment == "prod"
    assert connection.base_url == "https://prod.org"
    assert connection.max_bytes == 2**20
    assert connection.auth.value == Secret("hunter2")


def test_the_environment_that_is_named_goes_before_the_variable(oil):
    loaded = oil.load(PIPELINE, variables={**VARIABLES, "PENSTOCK_ENV": "nowhere"}, environment="empty")
    assert loaded.project.environment == "empty"
    assert loaded.pipeline.sources["eia"].params.connection.base_url == "https://base.org/"


def test_a_pipeline_needs_no_secret_of_a_connection_it_does_not_use(oil):
    assert oil.load(PIPELINE, variables=VARIABLES)
    problems = oil.problems(PIPELINE.replace("connection: eia", "connection: other"), variables=VARIABLES)
    assert [(p.code, p.at.file, p.at.line) for p in problems] == [("DOC-190", "penstock.yml", 4)]


def test_every_value_in_force_is_shown_with_its_origin(oil):
    loaded = oil.load(PIPELINE, variables=VARIABLES, environment="prod", params={"since": "2025-02-03"})
    shown = {value.path: value for value in loaded.values}
    assert shown["connections.eia.auth.value"].value == "***"
    assert shown["connections.eia.base_url"].value == '"https://prod.org"'
    assert shown["connections.eia.base_url"].environment == "prod"
    assert shown["connections.eia.base_url"].at.line == 8
    assert shown["connections.eia.type"].environment is None
    assert shown["run.memory"].environment == "prod"
    assert (shown["run.threads"].environment, shown["run.threads"].value) == (None, "4")
    assert Path(shown["run.threads"].at.file).name == "p.yml"
    assert (shown["params.since"].value, shown["params.since"].at) == ("2025-02-03", None)
    assert shown["sources.eia.path"].value == '"/a/2025-02-03"'
    assert shown["sources.eia.path"].written == "/a/${param.since}"
    assert shown["transforms.few.steps[1].limit"].value == "3"
    assert not any(path.startswith("connections.other") for path in shown)
    assert "hunter2" not in str(loaded)


def test_a_secret_that_stands_there_in_the_clear_is_not_shown_either(home):
    loaded = home.load(
        "pipeline: p\nsources:\n  a:\n    type: web\n    path: x\n    connection:\n"
        "      base_url: https://me:hunter2@x.org/\n"
        "      auth: {type: basic, username: me, password: pa55word}\n"
    )
    shown = {value.path: value.value for value in loaded.values}
    assert shown["sources.a.connection.auth.password"] == "***"
    assert shown["sources.a.connection.base_url"] == '"https://me:***@x.org/"'
    assert "hunter2" not in str(loaded.values)
    assert "pa55word" not in str(loaded.values)


def test_a_single_file_is_a_project_of_one(home):
    loaded = home.load(
        '{"pipeline": "p", "sources": {"a": {"type": "csv", "path": "x.csv"}}}', name="My data (2)/p.json"
    )
    assert loaded.project.name == "my_data_2"
    assert loaded.project.root == home.root / "My data (2)"
    assert loaded.project.file is None
    assert loaded.project.environment == "default"


def test_all_problems_of_document_project_and_placeholders_come_at_once(oil):
    oil.write("penstock.yml", PROJECT.replace("run: {memory: 1 GiB", "runs: 1\nrun: {memory: lots"))
    problems = oil.problems(
        PIPELINE.replace("type: date", "type: dat")
        .replace("/a/", "/a/${secret.nope}")
        .replace("- limit: 3", "- limt: 3\n      - limit: many"),
        variables={"PENSTOCK_SECRET_EIA": "x"},
        params={"sinse": "2024-01-01"},
    )
    assert sorted(p.code for p in problems) == sorted(
        ["DOC-159", "DOC-201", "DOC-203", "DOC-153", "DOC-401", "DOC-190", "DOC-212", "DOC-203"]
    )


def test_what_follows_from_a_missing_value_is_not_said_again(home):
    problems = home.problems(
        "pipeline: p\nparams: {n: {type: int32}, m: {type: int32, default: x}}\n"
        "sources: {a: {type: web, path: x, connection: {base_url: x}, pages: '${param.n}'}}\n"
        "transforms: {t: {from: a, steps: [{limit: '${param.m}'}]}}\n"
    )
    assert sorted(p.code for p in problems) == ["DOC-158", "DOC-161"]


def test_a_broken_project_file_does_not_hide_what_is_wrong_in_the_pipeline(oil):
    oil.write("penstock.yml", "connections: [\n")
    problems = oil.problems(PIPELINE.replace("limit: 3", "limt: 3"), variables=VARIABLES)
    assert {p.code for p in problems} == {"DOC-107", "DOC-212"}


def test_both_files_may_be_unreadable_at_once(oil):
    oil.write("penstock.yml", "a: {")
    assert [p.code for p in oil.problems("b: [", variables=VARIABLES)] == ["DOC-107", "DOC-107"]


def test_a_secrets_file_that_cannot_be_used_is_said_once(oil):
    oil.write("secrets.enc", "not json")
    problems = oil.problems(PIPELINE.replace("/a/", "/${secret.a}/${secret.b}/"), variables={"HOST": "x"})
    assert [p.code for p in problems] == ["DOC-191"]
    assert problems[0].at is not None


def test_a_run_that_is_no_map_is_refused_and_an_empty_one_is_none(home):
    assert home.load("pipeline: p\nrun:\n").pipeline.run.engine == "duckdb"
    assert [p.code for p in home.problems("pipeline: p\nrun: fast\n")] == ["DOC-203"]


@pytest.mark.parametrize("text", ["- a\n", "x\n", "5\n"])
def test_a_document_that_is_no_map_is_refused(home, text):
    assert [p.code for p in home.problems(text)] == ["DOC-200"]


def test_a_file_that_is_not_there_is_named(home):
    (problem,) = home.problems(name=Path("nowhere.yml"))
    assert (problem.code, "nowhere.yml" in problem.message) == ("DOC-100", True)


def test_the_project_of_a_folder(oil):
    assert project_of(None, Settings({})).name == "oil"
    assert project_of(None, Settings({}, project_root=oil.root)).root == oil.root
    oil.write("penstock.yml", "project: 5")
    with pytest.raises(ConfigError, match="DOC-204"):
        project_of(None, Settings({}))


def test_what_is_wrong_with_a_shared_connection_is_told_once(home):
    home.write("penstock.yml", "project: oil\nconnections: {eia: {type: web, max_bytes: some, tmeout: 10 s}}\n")
    sources = "{a: {type: web, connection: eia, path: a}, b: {type: web, connection: eia, path: b}}"
    with pytest.raises(ConfigError) as refused:
        home.load(f"pipeline: p\nsources: {sources}\nsinks: {{out: {{from: [a, b], type: csv, path: out}}}}\n")
    assert sorted(problem.message.partition(" takes ")[0] for problem in refused.value.problems) == [
        '"max_bytes" of the connection "eia"',
        'the connection "eia" has no key "tmeout"',
        'the connection "eia" needs "base_url"',
    ]


def test_paths_under_a_files_connection_are_allowed(home, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    home.write("penstock.yml", f"project: x\nconnections:\n  land: {{type: files, root: {elsewhere}}}\n")
    paths = home.load("pipeline: p").paths
    assert paths.resolve(str(elsewhere / "a.csv")) == elsewhere / "a.csv"
    with pytest.raises(ConfigError, match="DOC-232"):
        paths.resolve("/etc/passwd")
    allowed = home.load("pipeline: p", allow_paths=[Path("/etc")]).paths
    assert allowed.resolve("/etc/hostname") == Path("/etc/hostname")


@pytest.mark.parametrize(
    ("connection", "code"),
    [("{type: files, root: data}", "DOC-235"), ("{type: files, root: /a/../b}", "DOC-235"),
     ("{type: files}", "DOC-202"), ("{type: files, root: /a, rot: 1}", "DOC-201")],
)  # fmt: skip
def test_a_files_connection_that_names_no_root_is_refused(home, connection, code):
    home.write("penstock.yml", f"project: x\nconnections: {{land: {connection}}}\n")
    assert [p.code for p in home.problems("pipeline: p")] == [code]


def test_a_schema_file_is_read_below_the_project_only(home):
    home.write("penstock.yml", "project: x\n")
    home.write("a.avsc", '{"type": "record", "name": "r", "fields": [{"name": "a", "type": "long"}]}')
    source = "pipeline: p\nsources: {a: {type: csv, path: x, schema: {file: FILE}}}\n"
    contract = home.load(source.replace("FILE", "a.avsc")).pipeline.sources["a"].contract
    assert [str(column.type) for column in contract] == ["int64"]
    for file, code in (("/etc/passwd", "DOC-232"), ("../x.avsc", "DOC-231"), ("b.avsc", "DOC-234"), (".", "DOC-234")):
        (problem,) = home.problems(source.replace("FILE", file))
        assert (problem.code, problem.at.line) == (code, 2)


@pytest.mark.parametrize("other", [PIPELINE, "{pipeline: prices}", "pipeline: &n prices\nsources: {}\n"])
def test_two_pipelines_of_one_name_in_a_project_are_refused(oil, other):
    oil.write("pipelines/broken.yml", "pipeline: prices\n  nonsense: [")
    oil.write("pipelines/else.yml", PIPELINE.replace("pipeline: prices", "pipeline: prices_2"))
    oil.load(PIPELINE, variables=VARIABLES)
    oil.write("pipelines/second.yml", other)
    with pytest.raises(ConfigError) as caught:
        oil.load(PIPELINE, variables=VARIABLES)
    (problem,) = caught.value.problems
    assert problem.code == "DOC-216"
    assert problem.message == 'the pipeline "prices" stands in 2 files'
    assert "second.yml" in problem.detail
    assert "else.yml" not in problem.detail
    assert problem.at.line == 1
