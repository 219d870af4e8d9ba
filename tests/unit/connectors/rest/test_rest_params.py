import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from penstock.connectors.rest.params import RestSinkParams, RestSourceParams
from penstock.connectors.rest.sink import SINK
from penstock.connectors.rest.source import SOURCE
from penstock.secret import Secret

CONNECTION = {"base_url": "https://api.example/v1"}


def source(**more):
    return RestSourceParams.model_validate({"type": "rest", "connection": CONNECTION, **more})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"body": {"a": 1}}, "method: POST"),
        ({"paginate": {"type": "offset", "in": "body"}}, "method: POST"),
        ({"paginate": {"type": "ofset"}}, "offset"),
        ({"paginate": {"type": "cursor"}}, "cursor"),
        ({"paginate": {"type": "offset", "size": 0}}, "greater"),
        ({"records": "a..b"}, "position 3"),
        ({"paginate": {"type": "link", "allow_origins": ["https://a.example/path"]}}, "origin"),
        ({"paginate": {"type": "link", "allow_origins": ["ftp://a.example"]}}, "http"),
        ({"headers": {"Host": "evil"}}, "itself"),
        ({"headers": {"X": "a\r\nb"}}, "line break"),
        ({"method": "DELETE"}, "GET"),
        ({"concurrency": 1000}, "32"),
        ({"method": "POST", "body": {"a": float("nan")}}, "finite"),
        ({"connection": {"base_url": "https://user:pw@a.example"}}, "auth"),
        ({"connection": {**CONNECTION, "allow_private": ["10.0.0.0/99"]}}, "network"),
        ({"connection": {**CONNECTION, "auth": {"type": "basic", "username": "a:b"}}}, "colon"),
        ({"connection": {**CONNECTION, "timeouts": {"total": "0 s"}}}, "above zero"),
        ({"connection": {**CONNECTION, "tls": {"key_file": "x"}}}, "cert_file"),
        ({"unknown": 1}, "Extra"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_a_reason(wrong, said):
    with pytest.raises(ValidationError) as caught:
        source(**wrong)
    assert said.lower() in str(caught.value).lower()


def test_secrets_stay_secret_in_headers_queries_and_urls():
    made = source(
        connection={"base_url": Secret("https://hooks.example/s3cr3t"), "headers": {"X": Secret("s3cr3t")}},
        query={"k": Secret("s3cr3t")},
    )
    assert "s3cr3t" not in repr(made) + made.model_dump_json() + str(made.model_dump())


def test_a_url_from_a_secret_is_checked_and_never_shown():
    with pytest.raises(ValidationError) as caught:
        source(connection={"base_url": Secret("gopher://s3cr3t.example")})
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("params", [RestSourceParams, RestSinkParams])
def test_the_json_schema_is_valid_and_every_key_is_described(params):
    schema = params.model_json_schema()
    Draft202012Validator.check_schema(schema)
    for model in [schema, *schema["$defs"].values()]:
        for name, field in model.get("properties", {}).items():
            assert name in {"schema", "in"} or "description" in field or "$ref" in field, name


@pytest.mark.parametrize("descriptor", [SOURCE, SINK])
def test_the_example_of_the_descriptor_is_valid(descriptor):
    import yaml

    descriptor.params.model_validate(yaml.safe_load(descriptor.example))
