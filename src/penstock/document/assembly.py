"""A pipeline file as the rest of Penstock gets it: read, merged with its project, placeholders replaced, validated."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.document.environments import Layer, Merged, MergedValue, merge, text_or_mask, values_of
from penstock.document.ledger import read_ledger
from penstock.document.loader import MAX_BYTES, load_file
from penstock.document.models import FilesConnection
from penstock.document.params import Params, read_params
from penstock.document.paths import Paths
from penstock.document.project import FILE, Project, environment_of, find_root, open_project
from penstock.document.read import Catalogue, read
from penstock.document.secrets import PLAIN_FILE, Secrets
from penstock.document.secrets_file import SecretsFile
from penstock.document.template import SecretSource, Values, try_fill
from penstock.document.tree import Entry, Mapping, Scalar, find, is_null, locate
from penstock.document.validation import Owner, validate
from penstock.errors import ConfigError, Problem, nearest
from penstock.structs import Frozen, field, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Mapping as AbstractMapping

    from penstock.document.ledger import LedgerUse
    from penstock.document.models import Pipeline
    from penstock.document.tree import Value
    from penstock.errors import Location

FILES: Final = "files"  # the type of a connection that only names a root for paths


class Settings(Frozen):
    """What the caller says about a document. ``variables`` are those of the process.

    ``params`` are texts by name; ``allow_paths`` further roots for paths; ``environment`` None: PENSTOCK_ENV or
    ``default``; ``project_root`` None: found from the file; ``secrets`` None: the project's own.
    """

    variables: AbstractMapping[str, str]
    params: AbstractMapping[str, str] = field(default_factory=dict)
    environment: str | None = None
    project_root: Path | None = None
    allow_paths: Sequence[Path] = ()
    secrets: SecretSource | None = None
    catalogue: Catalogue | None = None


class Loaded(Frozen):
    """A valid document in its project.

    ``values`` is everything in force with its origin (``validate --show-merged``): the ledger, where the project names one,
    the connections that the pipeline uses, its parameters, its run settings, and what the document says.
    """

    project: Project
    pipeline: Pipeline
    params: AbstractMapping[str, Value]
    paths: Paths
    values: tuple[MergedValue, ...]
    warnings: tuple[Problem, ...]
    ledger: LedgerUse | None = None


def load(file: Path, settings: Settings) -> Loaded:
    """Read a pipeline file. Touches no system but the file system.

    Raises ConfigError with all problems of the document and its project at once (codes DOC-…).
    """
    return _Assembly(file, settings).load()


def project_of(file: Path | None, settings: Settings) -> Project:
    """The project alone: of a pipeline file, or of ``settings.project_root``, else of the current folder or the nearest
    above it that holds a project file. Raises ConfigError with all that is wrong with the project file.
    """
    root = settings.project_root or _root_of(file if file is not None else Path("penstock.yml"))
    project, problems = open_named(root, settings)
    if problems:
        raise ConfigError.of(problems)
    return project


def ledger_of(project: Project, settings: Settings) -> LedgerUse | None:
    """Where the project's ledger is kept; None: in its state folder. Raises ConfigError with all that is wrong there."""
    return _Assembly(project.root / FILE, settings).only_ledger(project)


def secrets_of(project: Project, variables: AbstractMapping[str, str]) -> SecretsFile:
    """The project's encrypted file, for ``penstock secrets``."""
    return SecretsFile.of(project.root, project.state, project.name, variables)


def open_named(root: Path, settings: Settings) -> tuple[Project, tuple[Problem, ...]]:
    """The project and what is wrong with its file; what problems call the project file is relative to the current folder where that is shorter."""
    environment = environment_of(settings.environment, settings.variables)
    return open_project(root, environment=environment, shown=shown(root / FILE))


def _root_of(file: Path) -> Path:
    return find_root(file) or Path(os.path.realpath(file)).parent


def shown(path: Path) -> str:
    """What a file is called: relative to the current folder where it lies below it."""
    absolute = os.path.realpath(path)
    relative = os.path.relpath(absolute)
    return absolute if relative.startswith("..") else relative


class _Assembly:
    """One call of ``load``: collects problems on the way."""

    def __init__(self, file: Path, settings: Settings) -> None:
        self._file = file
        self._settings = settings
        self._problems: list[Problem] = []
        self._unresolved: set[Location] = set()

    def load(self) -> Loaded:
        project, project_problems = open_named(self._settings.project_root or _root_of(self._file), self._settings)
        self._problems.extend(project_problems)
        document = self._document(project)
        if document is None:
            raise ConfigError.of(self._problems)
        self._problems.extend(_namesakes(project, self._file, document))
        params, values = self._params(project, document)
        ledger, of_ledger = self._ledger(project, values)
        merged = self._replaced(document, project, values)
        connections, used = self._connections(project, merged.node, values)
        paths = self._paths(project, values)
        reading = read(
            merged.node,
            str(self._file),
            catalogue=self._settings.catalogue or _registered(),
            connections=connections,
            read_file=paths.read,
        )
        no_connections = bool(project_problems) and not project.connections.node.entries
        self._problems.extend(self._news(reading.problems, project_is_whole=not no_connections))
        problems = tuple(dict.fromkeys(self._problems))
        if reading.pipeline is None or any(problem.severity == "error" for problem in problems):
            raise ConfigError.of(problems)
        in_force = (
            *of_ledger,
            *values_of(used, hidden=reading.secret_places),
            *_values_of_params(document, params, self._settings.params),
            *values_of(merged, hidden=reading.secret_places),
        )
        return Loaded(project, reading.pipeline, params.values, paths, in_force, problems, ledger)

    def _document(self, project: Project) -> Mapping | None:
        try:
            node = load_file(self._file)
        except ConfigError as error:
            hint = self._meant(project)
            self._problems.extend(
                replace(problem, hint=hint) if problem.code == "DOC-100" else problem for problem in error.problems
            )
            return None
        if isinstance(node, Mapping):
            return node
        hint = "start with `pipeline: name`"
        self._problems.append(Problem("DOC-200", "a pipeline document is a map", at=node.at, hint=hint))
        return None

    def _meant(self, project: Project) -> str | None:
        """Another pipeline of the project whose file is nearly called what was asked for."""
        files = {shown(path): path for path in project.pipelines()}
        known = {name: file for file, path in files.items() for name in (path.stem, path.name)}
        near = nearest(self._file.name, [name for name, file in known.items() if file != str(self._file)])
        return f'did you mean "{known[near]}"?' if near else None

    def _news(self, problems: Iterable[Problem], *, project_is_whole: bool) -> Iterator[Problem]:
        """Without what follows from a placeholder that has no value, or from a project file that could not be read."""
        for problem in problems:
            follows = problem.code == "DOC-208" and not project_is_whole
            if not follows and problem.at not in self._unresolved:
                yield problem

    # ------------------------------------------------------------ placeholders

    def _params(self, project: Project, document: Mapping) -> tuple[Params, Values]:
        values = Values(self._settings.variables, self._settings.secrets or self._secrets(project))
        params = read_params(document.get("params"), self._settings.params, values)
        self._problems.extend(params.problems)
        return params, replace(values, params=params.values, broken=params.broken)

    def _secrets(self, project: Project) -> Secrets:
        variables = self._settings.variables
        return Secrets(variables, secrets_of(project, variables), project.state / PLAIN_FILE)

    def _filled(self, node: Mapping, values: Values) -> Mapping:
        filled = try_fill(node, values)
        said = {(problem.code, problem.message) for problem in self._problems if problem.code in _OF_THE_STORE}
        self._problems.extend(problem for problem in filled.problems if (problem.code, problem.message) not in said)
        self._unresolved.update(filled.unresolved)
        assert isinstance(filled.node, Mapping)
        return filled.node

    def _replaced(self, document: Mapping, project: Project, values: Values) -> Merged:
        """The document with its placeholders replaced and ``run`` merged, without ``params``."""
        entries = {name: entry for name, entry in document.entries.items() if name != "params"}
        run = entries.get("run")
        own = Layer(run.value) if run is not None and isinstance(run.value, Mapping) else None
        layers = [part for part in (project.run_base, own, project.run_environment) if part is not None]
        merged = merge(layers, document.at)
        if merged.node.entries and (run is None or own is not None or is_null(run.value)):
            entries["run"] = Entry(run.key if run else Scalar("run", "run", merged.node.at), merged.node)
        origins = {("run", *path): environment for path, environment in merged.origins.items()}
        return Merged(self._filled(Mapping(entries, document.at), values), origins)

    def _connections(self, project: Project, document: Mapping, values: Values) -> tuple[Mapping, Merged]:
        """All by name, with those replaced that the document names, and these alone, under ``connections``.

        The others stay as they were written: a pipeline needs the secrets of what it uses, and of nothing else.
        """
        known = project.connections.node
        used = set(_connections_named_in(document))
        named = Mapping({name: entry for name, entry in known.entries.items() if name in used}, known.at)
        filled = self._filled(named, values)
        origins = {("connections", *path): text for path, text in project.connections.origins.items()}
        shown = Mapping({"connections": Entry(Scalar("connections", "connections", known.at), filled)}, known.at)
        return Mapping({**known.entries, **filled.entries}, known.at), Merged(shown, origins)

    # ------------------------------------------------------------ the ledger

    def only_ledger(self, project: Project) -> LedgerUse | None:
        values = Values(self._settings.variables, self._settings.secrets or self._secrets(project))
        ledger, _ = self._ledger(project, values)
        if self._problems:
            raise ConfigError.of(self._problems)
        return ledger

    def _ledger(self, project: Project, values: Values) -> tuple[LedgerUse | None, tuple[MergedValue, ...]]:
        """Where it is kept, and what is in force there. A document's parameters stand for nothing in it: commands that know
        no document ask it too.
        """
        stated = project.ledger
        if stated is None:
            return None, ()
        alone = replace(values, params={}, broken=())
        node = self._filled(stated.node, alone)
        name = node.get("connection")
        known = project.connections.node
        named = {
            title: entry for title, entry in known.entries.items() if isinstance(name, Scalar) and title == name.value
        }
        filled = self._filled(Mapping(named, known.at), alone)
        reading = read_ledger(
            node,
            catalogue=self._settings.catalogue or _registered(),
            connections=Mapping({**known.entries, **filled.entries}, known.at),
        )
        self._problems.extend(self._news(reading.problems, project_is_whole=True))
        whole = Mapping({"ledger": Entry(Scalar("ledger", "ledger", node.at), node)}, node.at)
        origins = {("ledger", *path): environment for path, environment in stated.origins.items()}
        return reading.ledger, values_of(Merged(whole, origins), hidden=reading.secret_places)

    # ------------------------------------------------------------ paths

    def _paths(self, project: Project, values: Values) -> Paths:
        roots = []
        for name, entry in project.connections.node.entries.items():
            if isinstance(entry.value, Mapping) and _type_of(entry.value) == FILES:
                root = self._files_root(name, entry.value, values)
                if root is not None:
                    roots.append(root)
        return Paths.of(project.root, (*roots, *self._settings.allow_paths))

    def _files_root(self, name: str, node: Mapping, values: Values) -> Path | None:
        filled = self._filled(node, values)
        connection, problems = validate(FilesConnection, filled, Owner(f'the connection "{name}"'))
        self._problems.extend(self._news(problems, project_is_whole=True))
        if connection is None:
            return None
        root = Path(connection.root)
        if not root.is_absolute() or ".." in root.parts:
            message = f'the root of "{name}" is not an absolute path'
            self._problems.append(Problem("DOC-235", message, at=locate(filled, ("root",))))
            return None
        return root


# Problems that stand for a whole store of secrets, and are met again wherever a secret is asked for.
_OF_THE_STORE: Final = frozenset({"DOC-191", "DOC-192", "DOC-193", "DOC-194", "DOC-195", "DOC-196"})
_LISTED: Final = 10  # files with a pipeline of one name


def _registered() -> Catalogue:
    from penstock import registry

    return Catalogue(registry.find, registry.names)


def _namesakes(project: Project, file: Path, document: Mapping) -> Iterator[Problem]:
    """One problem where other files of the project have a pipeline of this name: all would have one state. It reads the
    same for each of them.
    """
    name = find(document, ("pipeline",))
    if not isinstance(name, Scalar) or not isinstance(name.value, str):
        return
    own = os.path.realpath(file)
    others = [path for path in project.pipelines() if os.path.realpath(path) != own]
    having = sorted(shown(path) for path in others if _name_in(path, name.value) == name.value)
    if having:
        files = sorted([*having, shown(file)])
        more = f" and {len(files) - _LISTED:,} more" if files[_LISTED:] else ""
        yield Problem(
            "DOC-216",
            f'the pipeline "{name.value}" stands in {len(files):,} files',
            at=name.at,
            detail=f"they are {', '.join(files[:_LISTED])}{more}.",
            hint="one of them keeps the name, each other needs its own: a pipeline's state goes by its name",
        )


def _name_in(path: Path, wanted: str) -> Value:
    """The name of the pipeline in a file that holds the wanted text; what is wrong with that file is told elsewhere."""
    try:
        if wanted.encode() not in path.read_bytes()[:MAX_BYTES]:
            return None
        name = find(load_file(path), ("pipeline",))
    except (OSError, ConfigError):
        return None
    return name.value if isinstance(name, Scalar) else None


def _connections_named_in(document: Mapping) -> Iterator[str]:
    sections = [document.get(title) for title in ("sources", "sinks")]
    uses = [entry.value for section in sections if isinstance(section, Mapping) for entry in section.entries.values()]
    for use in (*uses, document.get("rejects")):
        name = find(use, ("connection",)) if isinstance(use, Mapping) else None
        if isinstance(name, Scalar) and isinstance(name.value, str):
            yield name.value


def _values_of_params(document: Mapping, params: Params, given: AbstractMapping[str, str]) -> Iterator[MergedValue]:
    for name, value in params.values.items():
        default = find(document, ("params", name, "default"))
        at = default.at if default is not None and name not in given else None
        shown = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else text_or_mask(value)
        yield MergedValue(f"params.{name}", shown, at)


def _type_of(node: Mapping) -> Value:
    kind = node.get("type")
    return kind.value if isinstance(kind, Scalar) else None
