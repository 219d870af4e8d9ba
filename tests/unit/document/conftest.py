"""Tiny descriptors, so that these tests know every key, and a project on disk."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from penstock.connectors.params import SinkParams, SourceParams
from penstock.document.assembly import Settings, load
from penstock.document.read import Catalogue
from penstock.errors import ConfigError
from penstock.fields import ByteSize, ColumnMap, Duration, Expression, Name, Names, Params, TextOrSecret
from penstock.registry import Descriptor
from penstock.rules.params import RuleParams
from penstock.secret import Secret
from penstock.steps.params import StepParams


class Key(Params):
    type: Literal["api_key"] = Field(description="A key.")
    value: Secret = Field(description="The key.")


class Login(Params):
    type: Literal["basic"] = Field(description="A login.")
    username: str = Field(description="The user.")
    password: Secret = Field(description="The password.")


class Service(Params):
    base_url: TextOrSecret = Field(description="Where it is.")
    auth: Annotated[Key | Login, Field(discriminator="type")] | None = Field(default=None, description="Who we are.")
    timeout: Duration | None = Field(default=None, description="How long to wait.")
    max_bytes: ByteSize = Field(default=1024, description="How much to take.")


class WebSource(SourceParams):
    connection: Service = Field(description="The service.")
    path: str = Field(description="Below the base URL.")
    query: dict[str, TextOrSecret] = Field(default_factory=dict, description="Query parameters.")
    pages: int = Field(default=1, ge=1, description="How many.")


class CsvSource(SourceParams):
    path: str = Field(description="The file.")
    header: bool | None = Field(default=None, description="Whether it has one.")


class CsvSink(SinkParams):
    path: str = Field(description="The file.")


class Limit(StepParams):
    short = "count"
    count: int = Field(ge=0, description="How many rows.")
    offset: int = Field(default=0, description="How many rows before.")


class Filter(StepParams):
    short = "where"
    where: Expression = Field(description="What must be true.")


class NotNull(RuleParams):
    short = "columns"
    columns: Names = Field(description="Which.")


class Between(RuleParams):
    column: Name = Field(description="Which.")
    least: int | None = Field(default=None, description="The least.")


class Derive(StepParams):
    short = "columns"
    whole = True
    columns: ColumnMap = Field(description="New columns.")


def _nothing(*_):
    raise AssertionError("documents make nothing")


def descriptor(name, group, params, example, **more):
    return Descriptor(name, group, f"The {name}.", params, _nothing, example, **more)


DESCRIPTORS = (
    descriptor(
        "web",
        "sources",
        WebSource,
        "type: web\nconnection: {base_url: https://x.org, auth: {type: api_key, value: '${secret.key}'}}\npath: /a\n",
    ),
    descriptor("csv", "sources", CsvSource, "type: csv\npath: data/*.csv\n"),
    descriptor("rare", "sources", CsvSource, "type: rare\npath: x\n", extra="rare"),
    descriptor("csv", "sinks", CsvSink, "from: a\ntype: csv\npath: out.csv\n", modes=("append", "overwrite")),
    descriptor("limit", "steps", Limit, "- limit: 3\n", short="count"),
    descriptor("filter", "steps", Filter, "- filter: a > 1\n", short="where"),
    descriptor("between", "rules", Between, "- between: {column: a, least: 1}\n"),
    descriptor("not_null", "rules", NotNull, "- not_null: [a]\n", short="columns"),
    descriptor("derive", "steps", Derive, "- derive: {b: a + 1}\n", short="columns"),
)


def everything_is_installed(_extra):
    return ()


def catalogue(missing=everything_is_installed):
    found = {(item.group, item.name): item for item in DESCRIPTORS}
    return Catalogue(
        lambda group, name: found.get((group, name)),
        lambda group: tuple(sorted(name for known, name in found if known == group)),
        missing,
    )


class Home:
    """A project's folder; ``load`` reads ``pipelines/p.yml`` unless another file is named."""

    def __init__(self, root):
        self.root = root

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def load(
        self, text=None, *, name=Path("pipelines/p.yml"), variables=None, missing=everything_is_installed, **settings
    ):
        file = self.write(name, text) if text is not None else name
        return load(file, Settings(variables or {}, catalogue=catalogue(missing), **settings))

    def problems(self, text=None, **settings):
        with pytest.raises(ConfigError) as caught:
            self.load(text, **settings)
        assert str(caught.value)
        return caught.value.problems


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path)


@pytest.fixture
def tiny():
    return catalogue()


@pytest.fixture(scope="session")
def tiny_descriptors():
    return DESCRIPTORS
