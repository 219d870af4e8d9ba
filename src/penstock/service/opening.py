"""A pipeline file opened for a use case: read, its systems asked for their columns, compiled, planned."""

from __future__ import annotations

import hashlib
import os
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from penstock.compile.facts import Facts, FactsNeededError
from penstock.compile.pipeline import Compiled, compile_pipeline
from penstock.connectors.api import Allowance, Context, Contract, WriteMode
from penstock.connectors.families import is_family
from penstock.document.assembly import Loaded, load
from penstock.engines.api import Limits
from penstock.errors import ConfigError, InternalError, PenstockError, Problem, together
from penstock.plan.make import make_plan
from penstock.run.feeds import as_they_stand
from penstock.service.ledgers import find_ledger, key_of, open_ledger
from penstock.service.portable import unportable
from penstock.service.rejects_table import SCHEMA, RejectsTable
from penstock.service.scratch import scratch_folder
from penstock.service.targets import collisions, is_local
from penstock.structs import Mutable, field, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlglot import exp

    from penstock.compile.facts import DistinctRequest
    from penstock.connectors.api import Preparation, Rows, Sink, Source, Undivided
    from penstock.document.models import Pipeline, SinkUse, SourceUse
    from penstock.engines.api import Engine
    from penstock.graph import Graph
    from penstock.ledger.api import Ledger, PipelineKey
    from penstock.plan.stages import Plan
    from penstock.service.request import Request
    from penstock.types import Schema

_SHARE_OF_MEMORY: Final = 2  # half of the machine's
_ROUNDS: Final = 100  # of first reads; each answers at least one step


class Opened(Mutable):
    """Everything that a use case may touch; closed by the block that opened it."""

    request: Request
    loaded: Loaded
    engine: Engine
    scratch: Path
    sources: dict[str, Source] = field(default_factory=dict)
    sinks: dict[str, Sink] = field(default_factory=dict)
    rejects: RejectsTable | None = None  # where rejected rows go besides the ledger's folder
    facts: Facts = field(default_factory=Facts)
    problems: list[Problem] = field(default_factory=list)
    offline: bool = False  # whether only what lies in local files is asked
    _ledger: Ledger | None = None
    _looked: bool = False  # for a ledger

    @property
    def pipeline(self) -> Pipeline:
        return self.loaded.pipeline

    @property
    def key(self) -> PipelineKey:
        return key_of(self.loaded)

    @property
    def state(self) -> Path:
        return self.loaded.project.state

    @property
    def ledger(self) -> Ledger:
        """Opened, and made where there is none, when it is first asked for."""
        if self._ledger is None:
            self._ledger = open_ledger(self.loaded.project, self.loaded.ledger, self.request.clock)
        return self._ledger

    @property
    def memory(self) -> Ledger | None:
        """The ledger, None where nothing ever ran, and ``offline`` where it is kept on a server; asking makes none."""
        if not self._looked and self._ledger is None and not (self.offline and self.loaded.ledger is not None):
            self._looked = True
            self._ledger = find_ledger(self.loaded.project, self.loaded.ledger, self.request.clock)
        return self._ledger

    def recorded(self) -> Mapping[str, Schema]:
        """The contracts that earlier runs recorded; none where nothing ever ran."""
        memory = self.memory
        return memory.schemas(self.key) if memory is not None else {}

    # ------------------------------------------------------------ systems

    def connect(self, *, offline: bool = False) -> None:
        """Makes every source and sink and asks them for their columns; every failure is a located problem.

        ``offline`` asks only what lies in local files: of another source the declared or recorded columns stand in.
        """
        self.offline = offline
        recorded = self.recorded()
        columns: dict[str, Schema] = {}
        for name, use in self.pipeline.sources.items():
            with self._noted(use):
                found = self._source_columns(use, recorded.get(name), offline=offline)
                if found is not None:
                    columns[name] = found
        targets: dict[str, Schema | None] = {}
        for name, sink_use in self.pipeline.sinks.items():
            with self._noted(sink_use):
                self.sinks[name] = sink_use.descriptor.make(self._sink_params(sink_use), self._context(sink_use))
                targets[name] = self.sinks[name].describe() if is_local(sink_use) or not offline else None
        rejects_use = self.pipeline.rejects
        if rejects_use is not None and (is_local(rejects_use) or not offline):
            with self._noted(rejects_use):
                context = replace(self._context(rejects_use), refreshes=False)
                made = rejects_use.descriptor.make(rejects_use.params, context)
                self.rejects = RejectsTable(rejects_use, made, self.state, context.allowance)
                made.preview(SCHEMA)
        self.problems.extend(collisions(self.pipeline, self.loaded.paths.resolve))
        self.facts = Facts(columns, targets, self.replaces, recorded, self._takes, self._undivided)

    def inferred(self, name: str) -> Schema:
        """The columns that a source has where nothing is expected of it."""
        use = self.pipeline.sources[name]
        made = use.descriptor.make(use.params, self._context(use))
        try:
            found: Schema = made.describe()
        finally:
            made.close()
        return found.relaxed()

    def _source_columns(self, use: SourceUse, recorded: Schema | None, *, offline: bool) -> Schema | None:
        contract = use.contract or recorded
        many = is_family(use.descriptor, use.params)  # only offline: else each table has its own document (families)
        if offline and (many or not is_local(use)):
            contract = None if many else contract
            if contract is None:
                self.problems.append(
                    Problem(
                        "CMP-330",
                        f'the columns of "{use.name}" are not known offline',
                        at=use.at,
                        hint="declare its `schema:`, or validate with --connect",
                        severity="warning",
                    )
                )
            return contract
        params: Any = use.params
        held = (
            Contract(
                contract,
                params.on_new_column,
                params.on_missing_column,
                params.on_type_change,
                params.on_bad_value,
            )
            if contract is not None
            else None
        )
        source = self.sources[use.name] = use.descriptor.make(use.params, self._context(use, held))
        described: Schema = source.describe()
        return described

    def _sink_params(self, use: SinkUse) -> object:
        """A full refresh replaces what is there, whatever the mode; so does the run after one that was cut off.

        Raises ConfigError RUN-112 where the sink cannot replace anything.
        """
        if not self.replaces:
            return use.params
        if "overwrite" not in use.descriptor.modes:
            raise ConfigError(
                "RUN-112",
                f'the sink "{use.name}" cannot be refreshed: {use.descriptor.name} replaces nothing',
                at=use.at,
                hint="run without --full-refresh",
            )
        return use.params.model_copy(update={"mode": WriteMode.OVERWRITE})

    @property
    def replaces(self) -> bool:
        """Whether this run replaces what the sinks hold."""
        if self.request.full_refresh:
            return True
        memory = self.memory
        return memory is not None and memory.replacing(self.key)

    def _context(self, use: SourceUse | SinkUse, contract: Contract | None = None) -> Context:
        folder = self.scratch / f"use-{len(self.sources) + len(self.sinks)}"
        folder.mkdir(exist_ok=True)
        return Context(
            use.name,
            self.loaded.paths.resolve,
            folder,
            self.request.clock,
            contract,
            self.request.reached,
            allowance_of(self.loaded, folder),
            self.replaces,
            self.request.wards,
        )

    def _takes(self, source: str, predicate: exp.Expr) -> bool:
        return source in self.sources and self.sources[source].takes(predicate)

    def _undivided(self, source: str) -> Undivided | None:
        return self.sources[source].undivided() if source in self.sources else None

    @contextmanager
    def _noted(self, use: SourceUse | SinkUse) -> Iterator[None]:
        """A problem without a place gets the component's, and the others are still asked; not after our own bugs."""
        try:
            yield
        except InternalError as error:
            raise error.placed(use.at, use.places) from None
        except PenstockError as error:
            self.problems.extend(error.placed(use.at, use.places).problems)

    # ------------------------------------------------------------ compiling

    def compile(self, *, may_read: bool = True, pipeline: Pipeline | None = None) -> Compiled:
        """Raises every problem so far and every one of compiling, in the worst class of theirs. ``pipeline``: another one of
        the same sources and sinks.
        """
        errors = self._errors()
        for _ in range(_ROUNDS):
            try:
                compiled = compile_pipeline(pipeline or self.pipeline, self.facts, self.engine)
            except FactsNeededError as needed:
                if not may_read or errors:
                    raise needed.as_error() from None
                self.facts = self.facts.with_values({item.key: self._values(item) for item in needed.requests})
                continue
            except ConfigError as error:
                raise together([*errors, *error.problems]) from None
            if errors:
                raise together(errors)
            refused = unportable(compiled.graph, self.engine) if self.engine.name == "spark" else ()
            if refused:
                raise together(refused)
            warnings = tuple(problem for problem in self.problems if problem.severity != "error")
            return replace(compiled, warnings=(*warnings, *compiled.warnings))
        raise InternalError("INT-900", "a first read answered nothing")

    def _values(self, request: DistinctRequest) -> list[str | None]:
        found = self.engine.sample(request.graph, request.node, self.inputs(request.graph), request.rows)
        return [value.as_py() for value in found.table.column("value")]

    def inputs(self, graph: Graph) -> Mapping[str, Sequence[Rows]]:
        """What the sources and the sinks' tables hold now, by node id: for reads outside of a run."""
        return as_they_stand(graph, self.sources, sinks=self.sinks, scratch=self.scratch)

    def changes(self, compiled: Compiled) -> dict[str, Preparation]:
        """What preparing each sink would do. Raises what previewing raises, of all sinks, in the worst class of theirs."""
        found: dict[str, Preparation] = {}
        for write in compiled.graph.writes:
            if write.sink not in self.sinks or write.schema is None:
                continue
            with self._noted(self.pipeline.sinks[write.sink]):
                found[write.sink] = self.sinks[write.sink].preview(write.schema)
        errors = self._errors()
        if errors:
            raise together(errors)
        return found

    def _errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]

    def plan(self) -> tuple[Compiled, Plan]:
        compiled = self.compile()
        return compiled, self.plan_of(compiled)

    def plan_of(self, compiled: Compiled) -> Plan:
        made = make_plan(compiled, self.changes(compiled))
        if self.rejects is not None:  # an epoch that it lacks is finished with it, or not at all
            made = replace(made, hash=hashlib.sha256(f"{made.hash} {self.rejects.name}".encode()).hexdigest())
        return made

    def close(self) -> None:
        made: list[Source | Sink] = [*self.sources.values(), *self.sinks.values()]
        made += [self.rejects.sink] if self.rejects is not None else []
        for thing in made:
            with suppress(PenstockError):
                thing.close()
        self.engine.close()
        if self._ledger is not None:
            self._ledger.close()


@contextmanager
def opened(request: Request, loaded: Loaded | None = None) -> Iterator[Opened]:
    """Reads the document, unless it is handed in, and makes the engine; nothing is asked of any system yet."""
    loaded = loaded or load(request.file, request.settings)
    with (
        scratch_folder() as scratch,
        closing(Opened(request, loaded, _engine(loaded, scratch), scratch, problems=[*loaded.warnings])) as found,
    ):
        yield found


def _engine(loaded: Loaded, scratch: Path) -> Engine:
    from penstock.engines.duckdb.engine import DuckDBEngine

    folder = scratch / "engine"
    folder.mkdir()
    readable = (loaded.paths.root, *loaded.paths.allowed, loaded.project.state, scratch, Path("/dev/fd"))
    local = DuckDBEngine(_limits(loaded), folder, readable, project=loaded.paths.root)
    return local if loaded.pipeline.run.engine == "duckdb" else _on_spark(loaded, local, scratch)


def both_engines(found: Opened) -> tuple[Engine, Engine]:
    """The one that runs where the pipeline does, and Spark, which uses it; closed with ``found``."""
    if found.engine.name == "duckdb":
        return found.engine, _on_spark(found.loaded, found.engine, found.scratch)
    return found.engine.local, found.engine


def _on_spark(loaded: Loaded, local: Engine, scratch: Path) -> Engine:
    from penstock.engines.spark.engine import SparkEngine
    from penstock.engines.spark.session import SparkSettings

    told = loaded.pipeline.run.spark
    if told is None:
        return SparkEngine(local, SparkSettings(), scratch)
    jars = loaded.paths.resolve(told.jars) if told.jars is not None else None
    return SparkEngine(local, SparkSettings(told.master, jars, told.settings), scratch)


def _limits(loaded: Loaded) -> Limits:
    settings = loaded.pipeline.run
    return Limits(
        memory_bytes=settings.memory or machine_memory() // _SHARE_OF_MEMORY,
        threads=settings.threads or len(os.sched_getaffinity(0)),
        temp_bytes=settings.temp,
    )


def allowance_of(loaded: Loaded, spill: Path) -> Allowance:
    """What the run's limits leave to the databases of connectors; ``spill`` is present and private."""
    limits = _limits(loaded)
    return Allowance(limits.memory_bytes, limits.threads, spill, limits.temp_bytes)


def machine_memory() -> int:
    """Bytes of memory that this process may use: the machine's, or its control group's where that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    with suppress(OSError, ValueError):
        return min(total, int(limit.read_text(encoding="ascii")))
    return total
