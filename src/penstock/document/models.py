"""A pipeline document after validation: frozen, typed, each part with its place; nothing is resolved yet."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field, model_validator

from penstock.fields import ByteSize, Duration, Params
from penstock.structs import Frozen, field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from penstock.connectors.params import SinkParams, SourceParams
    from penstock.document import tree
    from penstock.errors import Location
    from penstock.fields import Located
    from penstock.registry import Descriptor
    from penstock.types import Schema

# How the sink of rejects is called in the ledger and by its markers: no node can be named so.
REJECTS: Final = "rejects-"
Guarantee = Literal["exactly_once", "at_least_once", "at_most_once"]


class EpochSize(Params):
    """``run.epoch``: a long load is cut into epochs of about this size; at least one of the two is given."""

    rows: int | None = Field(default=None, ge=1, description="Rows of each source that is cut.")
    bytes: ByteSize | None = Field(default=None, description="Bytes of each source that is cut.")

    @model_validator(mode="after")
    def _is_bound(self) -> EpochSize:
        if self.rows is None and self.bytes is None:
            raise ValueError("takes `rows`, `bytes`, or both")
        return self


class SparkRun(Params):
    """``run.spark``: the session of Spark that runs the pipeline; one that the process has already is taken."""

    master: str | None = Field(
        default=None,
        description="The cluster, such as `spark://host:7077`; default what the environment says, or `local[*]`.",
    )
    jars: str | None = Field(
        default=None, description="A folder of jars; default the one that `penstock spark jars` fills."
    )
    settings: dict[str, str] = Field(default_factory=dict, description="Spark's own settings, by name.")


class RunSettings(Params):
    """``run:`` of a document, of penstock.yml, of an environment."""

    engine: Literal["duckdb", "spark"] = Field(default="duckdb", description="What runs the pipeline.")
    spark: SparkRun | None = Field(default=None, description="The session, where the engine is Spark.")
    guarantee: Guarantee | None = Field(
        default=None, description="The delivery guarantee that is asked for; less is refused before a row moves."
    )
    memory: ByteSize | None = Field(default=None, description="Memory the engine may use; default half of the machine.")
    threads: int | None = Field(default=None, ge=1, le=1024, description="Threads of the engine; default all cores.")
    temp: ByteSize | None = Field(default=None, description="Disk space for what does not fit into memory.")
    grace: Duration = Field(
        default=timedelta(seconds=30),
        description="How long the epoch that is at work may go on once the run is asked to stop; then it is aborted.",
    )
    epoch: EpochSize | None = Field(
        default=None,
        description="About how much an epoch takes of a long load, which is cut into a series of them; unsaid, all of it.",
    )


class ParamSpec(Params):
    """One entry of ``params:``; the type is one of the document's types."""

    type: str = Field(default="string", description="Its type, such as date or decimal(12,4).")
    default: str | int | float | bool | None = Field(default=None, description="Used where none is given.")
    description: str = Field(default="", description="What it is, for people.")


class FilesConnection(Params):
    """A connection of the type ``files``: a folder of this machine that pipelines may name by absolute paths."""

    type: Literal["files"] = Field(description="A root for absolute paths.")
    root: str = Field(min_length=1, description="The folder, absolute; what lies beneath it may be read and written.")
    description: str = Field(default="", description="What it is, for people.")


class RuleUse(Frozen):
    """A rule on a source, transform or sink; ``params`` are its own and those of every rule (rules/params.py)."""

    descriptor: Descriptor
    params: Params
    at: Location


class SourceUse(Frozen):
    """A source of the document. ``contract`` is its ``schema:``, read; ``places`` has where the values of its keys stand,
    ``columns`` the columns of its schema.
    """

    name: str
    at: Location
    descriptor: Descriptor
    params: SourceParams
    contract: Schema | None = None
    places: Mapping[str, Location] = field(default_factory=dict)
    columns: Mapping[str, Location] = field(default_factory=dict)
    rules: tuple[RuleUse, ...] = ()


class SinkUse(Frozen):
    """A sink of the document; ``inputs`` are the names under ``from``, the rest as of a source."""

    name: str
    at: Location
    descriptor: Descriptor
    params: SinkParams
    inputs: tuple[Located, ...]
    contract: Schema | None = None
    places: Mapping[str, Location] = field(default_factory=dict)
    columns: Mapping[str, Location] = field(default_factory=dict)
    rules: tuple[RuleUse, ...] = ()


class StepUse(Frozen):
    """A step in a transform; ``label`` is its ``name:`` or the step's own name. ``scope``: over an incremental input it means
    the rows of one epoch.
    """

    descriptor: Descriptor
    params: Params
    at: Location
    label: str
    scope: Literal["epoch"] | None = None


class Transform(Frozen):
    """``from`` and ``steps``, or one ``sql`` SELECT over node names; ``scope`` is that of all its steps."""

    name: str
    at: Location
    inputs: tuple[Located, ...] = ()
    steps: tuple[StepUse, ...] = ()
    sql: Located | None = None
    contract: Schema | None = None
    columns: Mapping[str, Location] = field(default_factory=dict)
    labels: Mapping[str, frozenset[str]] = field(default_factory=dict)
    scope: Literal["epoch"] | None = None
    rules: tuple[RuleUse, ...] = ()


class GivenRows(Frozen):
    """What a test puts in the place of a source, or of a sink's table; the rows are typed when the pipeline is compiled."""

    at: Location
    rows: tuple[tree.Mapping, ...]


class ExpectedReject(Frozen):
    """One rejected row: why, by which column, and some of its values; None: whichever."""

    at: Location
    cause: str
    column: str | None = None
    row: tree.Mapping | None = None


class Expectation(Frozen):
    """What a test expects of a node; None: it says nothing about that."""

    at: Location
    rows: tuple[tree.Mapping, ...] | None = None
    count: int | None = None
    rejects: tuple[ExpectedReject, ...] | None = None


class PipelineTest(Frozen):
    """An entry of ``tests:``. ``params`` are texts, as on the command line; ``moment`` is what ``now()`` gives, None: the
    time of the test.
    """

    name: str
    at: Location
    given: Mapping[str, GivenRows]
    expect: Mapping[str, Expectation]
    params: Mapping[str, str] = field(default_factory=dict)
    moment: datetime | None = None


class Pipeline(Frozen):
    """The whole document. Names are unique over sources, transforms and sinks; insertion order is the document's."""

    name: str
    file: str
    sources: Mapping[str, SourceUse]
    transforms: Mapping[str, Transform]
    sinks: Mapping[str, SinkUse]
    run: RunSettings
    description: str = ""
    tests: tuple[PipelineTest, ...] = ()
    rejects: SinkUse | None = None  # where they go besides the ledger's own folder

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.sources, *self.transforms, *self.sinks)
