"""From tree to validated document: what is taken, what is refused, and that all of it is told at once."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.connectors.files.csv_sink import CsvSinkParams
from penstock.document.loader import load
from penstock.document.read import read
from penstock.document.template import Values, fill
from penstock.document.validation import Owner, validate
from penstock.errors import ConfigError
from penstock.errors.catalogue import CATALOGUE
from penstock.secret import Secret
from pipelines import pipeline_of

CONNECTIONS = "eia: {type: web, base_url: https://x.org}\nice: {type: csv, path: x}\nbad: {type: web, base_ur: x}\n"
HEAD = "pipeline: p\nsources: {a: {type: csv, path: x}}\n"


def no_file(_path):
    raise ConfigError("DOC-234", "there is no file in these tests")


def reading(text, tiny):
    return read(load(text, "p.yml"), "p.yml", catalogue=tiny, connections=load(CONNECTIONS, "c.yml"), read_file=no_file)


def told(text, tiny):
    return [(problem.code, problem.at.line) for problem in reading(text, tiny).problems]


def only(text, tiny):
    (problem,) = reading(text, tiny).problems
    assert problem.at is not None
    return problem


def test_a_whole_document_is_taken(tiny):
    found = reading(
        "pipeline: p\ndescription: What it does\n"
        "sources:\n  a: {type: csv, path: x, description: y, labels: {mail: [pii]}}\n  b: {type: web, connection: eia, path: /}\n"
        "transforms:\n  t:\n    from: [a, b]\n    labels: {mail: [pii]}\n    schema: {columns: {d: date, e: int64?}}\n"
        "    steps:\n      - filter: d is not null\n        name: only known\n      - limit: {count: 1, offset: 2}\n"
        "      - derive: {count: {text: x}, e: 1}\n"
        "  q: {sql: select * from t}\n"
        "sinks:\n  out: {from: [t, q], type: csv, path: y, mode: overwrite}\n"
        "run: {guarantee: exactly_once, memory: 2 GiB}\n",
        tiny,
    )
    assert found.problems == ()
    pipeline = found.pipeline
    assert (pipeline.name, pipeline.description, pipeline.run.memory) == ("p", "What it does", 2**31)
    assert list(pipeline.sources) == ["a", "b"]
    transform = pipeline.transforms["t"]
    assert [str(name) for name in transform.inputs] == ["a", "b"]
    assert transform.labels == {"mail": frozenset({"pii"})}
    assert [str(field.type) for field in transform.contract] == ["date", "int64"]
    assert [step.label for step in transform.steps] == ["only known", "limit", "derive"]
    assert (transform.steps[1].params.count, transform.steps[1].params.offset) == (1, 2)
    assert [column.name for column in transform.steps[2].params.columns] == ["count", "e"]
    assert pipeline.transforms["q"].sql == "select * from t"
    assert [(str(name), name.at.line) for name in pipeline.sinks["out"].inputs] == [("t", 18), ("q", 18)]


def test_names_and_expressions_know_their_place(tiny):
    found = reading(HEAD + "transforms:\n  t:\n    from: [a]\n    steps: [{filter: 'x > wrong'}]\n", tiny)
    where = found.pipeline.transforms["t"].steps[0].params.where
    at = where.place(4, 5)
    assert (at.line, at.source[at.column - 1 : at.end_column - 1]) == (6, "wrong")


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("sources: {}", "DOC-202", "give it a name: `pipeline: name`"),
        ("pipeline: My pipeline", "DOC-204", "use a-z, 0-9 and _"),
        ("pipeline: [a]", "DOC-204", "use a-z, 0-9 and _"),
        ("pipeline: 2024", "DOC-204", "use a-z, 0-9 and _"),
        ("pipeline: p\nsuorces: {}", "DOC-201", 'did you mean "sources"?'),
        ("pipeline: p\nrules: {}", "DOC-201", None),
        ("pipeline: p\nchecks: []", "DOC-201", None),
        ("pipeline: p\ndescription: [a]", "DOC-203", None),
        ("pipeline: p\nsources: [a]", "DOC-203", None),
        ("pipeline: p\nsources: {a: csv}", "DOC-203", None),
        ("pipeline: p\nsources: {A: {type: csv, path: x}}", "DOC-204", "use lower-case letters, digits and _"),
        ('pipeline: p\nsources: {"a; drop table x": {type: csv, path: x}}', "DOC-204", None),
        ("pipeline: p\nsources: {a: {path: x}}", "DOC-202", "known types: csv, rare, web"),
        ("pipeline: p\nsources: {a: {type: [csv], path: x}}", "DOC-202", "known types: csv, rare, web"),
        ("pipeline: p\nsources: {a: {type: cvs, path: x}}", "DOC-206", 'did you mean "csv"?'),
        ("pipeline: p\nsources: {a: {type: zzz, path: x}}", "DOC-206", "known types: csv, rare, web"),
        ("pipeline: p\nsinks: {a: {type: web, from: b}}", "DOC-206", "known types: csv"),
        ("pipeline: p\nsources: {a: {type: csv, path: x, pth: y}}", "DOC-201", 'did you mean "path"?'),
        ("pipeline: p\nsources: {a: {type: csv, path: x, incremental: offsets}}", "DOC-203", None),
        ("pipeline: p\nsources: {a: {type: csv}}", "DOC-202", None),
        ("pipeline: p\nsources: {a: {type: csv, path: [x]}}", "DOC-203", None),
        ("pipeline: p\nsources: {a: {type: csv, path: x, header: maybe}}", "DOC-203", None),
        ("pipeline: p\nsources: {a: {type: csv, path: x, on_bad_value: rejct}}", "DOC-203", 'did you mean "reject"?'),
        ("pipeline: p\nsources: {a: {type: web, path: x, connection: eai}}", "DOC-208", 'did you mean "eia"?'),
        ("pipeline: p\nsources: {a: {type: web, path: x, connection: ice}}", "DOC-209", None),
        ("pipeline: p\nsources: {a: {type: web, path: x, connection: [eia]}}", "DOC-203", None),
        ("pipeline: p\nsources: {a: {type: csv, path: x, schema: [a]}}", "DOC-203", None),
        ("pipeline: p\nsources: {a: {type: csv, path: x, schema: {column: {a: date}}}}", "DOC-220", None),
        ("pipeline: p\nsources: {a: {type: csv, path: x, schema: {columns: {a: dat}}}}", "DOC-401", 'did you mean "date"?'),
        ("pipeline: p\nsources: {a: {type: csv, path: x, schema: {file: a.avsc}}}", "DOC-234", None),
        ("pipeline: p\nsinks: {a: {type: csv, path: x, from: b, mode: upsert}}", "DOC-203", None),
        ("pipeline: p\nsinks: {a: {type: csv, path: x, from: b, mode: merge}}", "DOC-207", None),
        ("pipeline: p\nsinks: {a: {type: csv, path: x}}", "DOC-202", None),
        ("pipeline: p\nsinks: {a: {type: csv, path: x, from: []}}", "DOC-203", None),
        ("pipeline: p\nsinks: {a: {type: csv, path: x, from: [b, 5]}}", "DOC-203", None),
        ("pipeline: p\nsinks: {a: {type: csv, path: x, from: {b: c}}}", "DOC-203", None),
        ("pipeline: p\nrun: {memory: much}", "DOC-203", None),
        ("pipeline: p\nrun: {guarantee: exactly-once}", "DOC-203", 'did you mean "exactly_once"?'),
        ("pipeline: p\nrun: {threads: 0}", "DOC-203", None),
        ("pipeline: p\nrun: {trigger: once}", "DOC-201", None),
        (HEAD + "transforms: {t: {}}", "DOC-210", None),
        (HEAD + "transforms: {t: {from: a, sql: select 1}}", "DOC-210", None),
        (HEAD + "transforms: {t: {sql: select 1, steps: []}}", "DOC-210", None),
        (HEAD + "transforms: {t: {sql: [select]}}", "DOC-203", None),
        (HEAD + "transforms: {t: {sql: 5}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: 5}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: []}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: [[a]]}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: a, step: []}}", "DOC-201", 'did you mean "steps"?'),
        (HEAD + "transforms: {t: {from: a, rule: []}}", "DOC-201", 'did you mean "rules"?'),
        (HEAD + "transforms: {t: {from: a, labels: [x]}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: a, labels: {x: pii}}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: a, steps: {limit: 1}}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: a, steps: [limit]}}", "DOC-211", None),
        (HEAD + "transforms: {t: {from: a, steps: [{}]}}", "DOC-211", "begin each step with a dash of its own"),
        (HEAD + "transforms: {t: {from: a, steps: [{name: x}]}}", "DOC-211", None),
        (HEAD + "transforms: {t: {from: a, steps: [{limit: 1, filter: x}]}}", "DOC-211", None),
        (HEAD + "transforms: {t: {from: a, rules: {not_null: a}}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: a, rules: [not_null]}}", "DOC-217", None),
        (HEAD + "transforms: {t: {from: a, rules: [{name: x}]}}", "DOC-217", None),
        (HEAD + "transforms: {t: {from: a, rules: [{not_null: a, between: b}]}}", "DOC-217", None),
        (HEAD + "transforms: {t: {from: a, rules: [{not_nul: a}]}}", "DOC-218", 'did you mean "not_null"?'),
        (HEAD + "transforms: {t: {from: a, rules: [{not_null: a, on_fail: drop}]}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: a, rules: [{not_null: a, max_share: 101 %}]}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: a, rules: [{not_null: a, max_share: 1}]}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: a, rules: [{not_null: a, max_rows: -1}]}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: a, rules: [{not_null: a, on_fail: fail, max_rows: 1}]}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: a, rules: [{not_null: {columns: a, name: x}, name: y}]}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: a, steps: [{limti: 1}]}}", "DOC-212", 'did you mean "limit"?'),
        (HEAD + "transforms: {t: {from: a, steps: [{zzz: 1}]}}", "DOC-212", "known steps: derive, filter, limit"),
        (HEAD + "transforms: {t: {from: a, steps: [{limit: x}]}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: a, steps: [{limit: }]}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: a, steps: [{limit: {count: 1, ofset: 2}}]}}", "DOC-201", 'did you mean "offset"?'),
        (HEAD + "transforms: {t: {from: a, steps: [{filter: [x]}]}}", "DOC-203", None),
        (HEAD + "transforms: {t: {from: a, steps: [{derive: {}}]}}", "DOC-203", None),
        (HEAD + "sinks: {a: {type: csv, path: x, from: a}}", "DOC-205", None),
        (HEAD + "transforms: {a: {from: a}}", "DOC-205", None),
        (HEAD + "transforms: {this: {from: a}}", "DOC-215", None),
    ],
)  # fmt: skip
def test_a_wrong_document_is_refused_at_its_place(tiny, text, code, hint):
    problem = only(text, tiny)
    assert problem.code == code
    assert CATALOGUE[problem.code].error_class == "ConfigError"
    assert problem.at.source[problem.at.column - 1 : problem.at.end_column - 1].strip()
    if hint is not None:
        assert problem.hint == hint


@pytest.mark.parametrize(
    ("text", "underlined"),
    [
        ("sources: {a: {type: cvs, path: x}}", "cvs"),
        ("sources: {a: {type: csv, path: x, pth: y}}", "pth"),
        ("sources: {a: {type: csv}}", "a"),
        ("sources: {a: {type: csv, path: x, header: maybe}}", "maybe"),
        ("sources: {a: {type: web, path: x, connection: {base_url: x, auth: {type: api_kye}}}}", "api_kye"),
        ("sources: {a: {type: web, path: x, connection: {base_url: x, auth: {type: basic, user: x}}}}", None),
        ("sinks: {a: {type: csv, path: x, from: [b, 5]}}", "5"),
        ("transforms: {t: {from: a, steps: [{limit: x}]}}", "x"),
        ("transforms: {t: {from: a, steps: [{limit: {count: x}}]}}", "x"),
        ("run: {memory: much}", "much"),
    ],
)
def test_the_caret_stands_under_what_is_wrong(tiny, text, underlined):
    problems = reading("pipeline: p\n" + text, tiny).problems
    if underlined is None:
        assert {p.code for p in problems} == {"DOC-201", "DOC-202"}
    else:
        at = problems[0].at
        assert at.source[at.column - 1 : at.end_column - 1] == underlined


def test_a_connections_mistake_is_told_where_it_stands(tiny):
    problems = reading("pipeline: p\nsources: {a: {type: web, path: x, connection: bad}}", tiny).problems
    assert [(p.code, p.at.file, p.at.line) for p in problems] == [("DOC-202", "c.yml", 3), ("DOC-201", "c.yml", 3)]


def test_everything_wrong_is_told_at_once_and_in_order(tiny):
    text = (
        "pipeline: My p\n"
        "sources:\n"
        "  a: {type: cvs}\n"
        "  b: {type: csv, pth: x}\n"
        "transforms:\n"
        "  t: {from: a, steps: [{limti: 1}, {limit: x}, {filter: [x]}]}\n"
        "  a: {sql: 5}\n"
        "sinks:\n"
        "  out: {from: t, type: csv, path: x, mode: merge}\n"
        "  out2: {from: t, type: csv, path: x, mode: nix}\n"
        "run: {memory: x, thrads: 1}\n"
        "more: 1\n"
    )
    with pytest.raises(ConfigError) as caught:
        pipeline_of(text, catalogue=tiny, file="p.yml", read_file=no_file)
    assert [(p.code, p.at.line) for p in caught.value.problems] == [
        ("DOC-204", 1), ("DOC-206", 3), ("DOC-202", 4), ("DOC-201", 4), ("DOC-212", 6), ("DOC-203", 6), ("DOC-203", 6),
        ("DOC-205", 7), ("DOC-203", 7), ("DOC-207", 9), ("DOC-203", 10), ("DOC-203", 11), ("DOC-201", 11), ("DOC-201", 12),
    ]  # fmt: skip


def test_empty_sections_are_none(tiny):
    found = reading("pipeline: p\nsources:\ntransforms:\nsinks:\nrun:\ndescription:\n", tiny)
    assert (found.problems, dict(found.pipeline.sources)) == ((), {})


def test_what_is_not_installed_is_named_with_the_command(tiny):
    tiny.missing = {"rare": ("rarelib",)}.get
    problem = only("pipeline: p\nsources: {a: {type: rare, path: x}}", tiny)
    assert (problem.code, problem.hint) == ("DOC-214", "run `pip install 'penstock[rare]'`")
    assert "rarelib" in problem.message
    assert told("pipeline: p\nsources: {a: {type: csv, path: x}}", tiny) == []


def test_a_secret_stands_in_fields_that_are_meant_for_one_only(tiny):
    class Vault:
        def get(self, name):
            return Secret("hunter2") if name == "s" else None

        def names(self):
            return ()

    def filled(text):
        tree = fill(load("pipeline: p\nsources: {a: {type: web, " + text + "}}", "p.yml"), Values({}, Vault()))
        return read(tree, "p.yml", catalogue=tiny, read_file=no_file)

    good = filled(
        "path: x, connection: {base_url: 'https://${secret.s}', auth: {type: api_key, value: '${secret.s}'}},"
        " query: {k: '${secret.s}'}"
    )
    assert good.problems == ()
    assert len(good.secret_places) == 3
    bad = filled("path: '${secret.s}', connection: {base_url: x, timeout: '${secret.s}'}, pages: '${secret.s}'")
    assert [p.code for p in bad.problems] == ["DOC-213"] * 3
    assert "hunter2" not in str(bad)


def test_placeholders_where_sql_has_no_quoting_are_refused_in_queries_too(tiny):
    tree = fill(
        load("pipeline: p\ntransforms: {t: {sql: 'select 1 -- ${env.X}'}}", "p.yml"), Values({"X": "\n;drop"}, None)
    )
    found = read(tree, "p.yml", catalogue=tiny, read_file=no_file)
    assert [p.code for p in found.problems] == ["DOC-157"]


_TEXTS = st.sampled_from(
    ["a", "b", "csv", "web", "limit", "filter", "derive", "type", "path", "from", "steps", "sql", "sources", "sinks",
     "transforms", "pipeline", "run", "schema", "columns", "labels", "connection", "eia", "mode", "auth", "name", "",
     'a"; DROP TABLE x;--']
)  # fmt: skip
_TREES = st.recursive(
    _TEXTS | st.none() | st.booleans() | st.integers(-5, 5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(_TEXTS, _TREES, max_size=6), st.dictionaries(st.sampled_from(["a", "b", "c"]), _TREES, max_size=3)
)
def test_whatever_the_document_says_it_is_taken_or_refused_with_known_codes(tiny, root, parts):
    document = {"pipeline": "p", **root, "sources": parts, "transforms": parts, "sinks": parts}
    found = reading(json.dumps(document), tiny)
    for problem in found.problems:
        assert problem.code in CATALOGUE
        assert problem.at is not None
        assert problem.render()


def test_a_url_in_a_connections_place_is_no_name(tiny):
    problem = only("pipeline: p\nsources: {a: {type: web, path: x, connection: 'web://me:hunter2@x'}}", tiny)
    assert problem.code == "DOC-203"
    assert "hunter2" not in problem.message


def test_values_that_do_not_fit_together_are_told_at_the_first_that_is_named():
    node = load("type: csv\nfrom: a\npath: out.csv\nmode: append\n", "p.yml")
    _, (problem,) = validate(CsvSinkParams, node, Owner('"out"'))
    assert problem.message.startswith('"out": the path has an extension')
    assert (problem.code, problem.at.line, problem.at.column) == ("DOC-203", 3, 7)


# ---------------------------------------------------------------- rules

EVERYWHERE = """pipeline: p
sources: {a: {type: csv, path: x, rules: [{not_null: [m, n]}]}}
transforms:
  t:
    from: a
    rules:
      - between: {column: m, least: 3, on_fail: fail}
        name: enough
      - not_null: m
        max_rows: 3
        max_share: 0.5 %
  q: {sql: select * from t, rules: [{between: {column: m}}]}
sinks: {out: {from: t, type: csv, path: y, rules: [{not_null: [m], name: whole}]}}
"""


def test_rules_stand_on_sources_transforms_and_sinks(tiny):
    found = reading(EVERYWHERE, tiny)
    assert found.problems == ()
    pipeline = found.pipeline
    (source,), (sink,), (query,) = (
        pipeline.sources["a"].rules,
        pipeline.sinks["out"].rules,
        pipeline.transforms["q"].rules,
    )
    assert (source.descriptor.name, source.params.columns, source.params.on_fail) == ("not_null", ("m", "n"), "reject")
    assert (sink.params.name, sink.at.line) == ("whole", 13)
    assert query.params.column == "m"


def test_what_every_rule_has_stands_inside_or_beside_its_name(tiny):
    first, second = reading(EVERYWHERE, tiny).pipeline.transforms["t"].rules
    assert (first.params.name, first.params.on_fail, first.params.least) == ("enough", "fail", 3)
    assert (second.params.columns, second.params.max_rows, str(second.params.max_share)) == (("m",), 3, "0.005")


def test_rules_are_told_with_everything_else(tiny):
    text = EVERYWHERE.replace("least: 3", "leats: 3").replace("whole", "{}").replace("[m, n]", "[]")
    assert told(text, tiny) == [("DOC-203", 2), ("DOC-201", 7), ("DOC-203", 13)]
