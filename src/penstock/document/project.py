"""The project: a folder with ``penstock.yml``, or the folder of a single pipeline file.

``penstock.yml`` holds the project's name, its connections, ``run`` for all pipelines, the ledger where it is not a file of
the state folder, and environments that lay their connections, their ``run`` and their ledger over these. What it says is merged here and replaced later: only the connections that a
pipeline uses need their secrets.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.document.environments import DEFAULT, Layer, merge
from penstock.document.loader import load_file
from penstock.document.paths import STATE
from penstock.document.tree import Mapping, Scalar, is_null
from penstock.document.validation import unknown_keys
from penstock.errors import ConfigError, Location, Problem, nearest
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping as AbstractMapping

    from penstock.document.environments import Merged
    from penstock.document.tree import Node

FILE: Final = "penstock.yml"
PIPELINES: Final = "pipelines"
VARIABLE: Final = "PENSTOCK_ENV"

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_KEYS: Final = ("project", "description", "connections", "environments", "ledger", "run")
_ENVIRONMENT_KEYS: Final = ("connections", "ledger", "run", "description")
_PIPELINE_ENDINGS: Final = (".yml", ".yaml", ".json")


class Project(Frozen):
    """Where a pipeline belongs. ``root`` is absolute and real; ``file`` is the project file, None for a project of one.

    ``connections`` by name, merged for ``environment``, placeholders as written; ``run`` are the layers of settings that
    lie beneath and above a pipeline's own; ``ledger`` as ``connections``, None: a file of the state folder.
    """

    root: Path
    name: str
    environment: str
    connections: Merged
    run_base: Layer | None = None
    run_environment: Layer | None = None
    ledger: Merged | None = None
    file: Path | None = None
    state_elsewhere: Path | None = None  # of a run that is only a trial

    @property
    def state(self) -> Path:
        """The folder of ledger, rejects and spool."""
        return self.state_elsewhere or self.root / STATE

    def pipelines(self) -> tuple[Path, ...]:
        """The project's pipeline files, sorted; they need not be valid."""
        folder = self.root / PIPELINES
        return tuple(sorted(path for path in folder.glob("*") if path.suffix in _PIPELINE_ENDINGS and path.is_file()))


def find_root(file: Path) -> Path | None:
    """The folder that holds the ``penstock.yml`` of a pipeline file: its own or the nearest above it; None: no project.

    Above the file's own folder a project file counts only if it belongs to the file's owner, to us or to root, so that
    nobody else's file in a folder such as /tmp takes part.
    """
    start = Path(os.path.realpath(file)).parent
    for folder in (start, *start.parents):
        candidate = folder / FILE
        if candidate.is_file() and (folder == start or _is_trusted(candidate, file)):
            return folder
    return None


def _is_trusted(candidate: Path, file: Path) -> bool:
    owners = {0, os.geteuid()}
    if file.exists():
        owners.add(file.stat().st_uid)
    return candidate.stat().st_uid in owners


def environment_of(stated: str | None, variables: AbstractMapping[str, str]) -> str:
    """The one that is named, else PENSTOCK_ENV, else ``default``."""
    return stated or variables.get(VARIABLE) or DEFAULT


def project_name_of(folder: Path) -> str:
    """A folder's name as a project's: ``Oil prices (2)`` gives ``oil_prices_2``."""
    word = re.sub(r"[^a-z0-9]+", "_", folder.name.lower()).strip("_")
    return (word if word[:1].isalpha() else f"p_{word}" if word else "project")[:63]


def open_project(
    root: Path, *, environment: str = DEFAULT, shown: str | None = None
) -> tuple[Project, tuple[Problem, ...]]:
    """The project of a folder, as much of it as could be read, and all that is wrong with its file, which problems call
    ``shown``.
    """
    root = Path(os.path.realpath(root))
    path = root / FILE
    if not path.exists():
        return _without_file(root, environment)
    reader = _Reader(root, path, environment)
    try:
        node = load_file(path, name=shown or str(path))
    except ConfigError as error:
        return _bare(root, environment, path), error.problems
    return reader.project(node), tuple(reader.problems)


def _bare(root: Path, environment: str, file: Path | None = None) -> Project:
    nowhere = Location(str(root / FILE), 1, 1, 2)
    return Project(root, project_name_of(root), environment, merge((), nowhere), file=file)


def _without_file(root: Path, environment: str) -> tuple[Project, tuple[Problem, ...]]:
    problems = []
    near = next((name for name in ("penstock.yaml", "penstock.json") if (root / name).exists()), None)
    if near is not None:
        problems.append(
            Problem("DOC-242", f'the project file is named "{FILE}", not "{near}"', hint=f"rename {root / near}")
        )
    if environment != DEFAULT:
        problems.append(
            Problem(
                "DOC-240",
                f'there is no environment "{environment}"',
                detail=f'"{root}" has no {FILE}, which is where environments are.',
            )
        )
    return _bare(root, environment), tuple(problems)


class _Reader:
    def __init__(self, root: Path, file: Path, environment: str) -> None:
        self.problems: list[Problem] = []
        self._root = root
        self._file = file
        self._environment = environment

    def project(self, node: Node) -> Project:
        if not isinstance(node, Mapping):
            self._problem("DOC-200", "a project file is a map", node.at, hint="start with `project: name`")
            return _bare(self._root, self._environment, self._file)
        self._closed(node, _KEYS, "a project file")
        name = self._name(node)
        environments = self._map(node, "environments") or Mapping({}, node.at)
        for title, entry in environments.entries.items():
            self._check_environment(title, entry.value, entry.key.at)
        chosen = self._chosen(environments)
        merged = merge(self._layers(node, chosen, "connections"), node.at)
        self._check_connections(merged.node)
        ledger = self._layers(node, chosen, "ledger")
        run, run_above = self._map(node, "run"), self._map(chosen, "run") if chosen is not None else None
        return Project(
            self._root,
            name,
            self._environment,
            merged,
            run_base=Layer(run) if run is not None else None,
            run_environment=Layer(run_above, self._environment) if run_above is not None else None,
            ledger=merge(ledger, ledger[0].node.at) if ledger else None,
            file=self._file,
        )

    def _layers(self, node: Mapping, chosen: Mapping | None, title: str) -> list[Layer]:
        """The map of that title in the file, and the one of the environment over it, where there are any."""
        base, above = self._map(node, title), self._map(chosen, title) if chosen is not None else None
        layers = [] if base is None else [Layer(base)]
        return layers if above is None else [*layers, Layer(above, self._environment)]

    def _name(self, node: Mapping) -> str:
        stated = node.get("project")
        if stated is None:
            self._problem("DOC-202", 'the project file has no "project"', node.at, hint="name it: `project: name`")
        elif not isinstance(stated, Scalar) or not isinstance(stated.value, str) or not NAME.fullmatch(stated.value):
            self._problem("DOC-204", "a project's name is a lower-case word", stated.at, hint="use a-z, 0-9 and _")
        else:
            return stated.value
        return project_name_of(self._root)

    def _chosen(self, environments: Mapping) -> Mapping | None:
        entry = environments.entries.get(self._environment)
        if entry is not None:
            return entry.value if isinstance(entry.value, Mapping) else None
        if self._environment != DEFAULT:
            near = nearest(self._environment, environments.entries)
            known = ", ".join(environments.entries)
            self.problems.append(
                Problem(
                    "DOC-240",
                    f'there is no environment "{self._environment}"',
                    detail=f"{self._file.name} has {known}." if known else f"{self._file.name} has none.",
                    hint=f'did you mean "{near}"?' if near else None,
                )
            )
        return None

    def _check_environment(self, title: str, node: Node, at: Location) -> None:
        if not NAME.fullmatch(title):
            self._problem("DOC-204", f'"{title}" is not a name', at, hint="use lower-case letters, digits and _")
        if isinstance(node, Mapping):
            self._closed(node, _ENVIRONMENT_KEYS, f'the environment "{title}"')
        elif not is_null(node):
            self._problem("DOC-203", f'"{title}" is a map of settings', node.at)

    def _check_connections(self, merged: Mapping) -> None:
        for name, entry in merged.entries.items():
            if not NAME.fullmatch(name):
                at = entry.key.at
                self._problem("DOC-204", f'"{name}" is not a name', at, hint="use lower-case letters, digits and _")
            if not isinstance(entry.value, Mapping):
                self._problem("DOC-203", f'the connection "{name}" is a map of settings', entry.value.at)

    def _map(self, node: Mapping, title: str) -> Mapping | None:
        part = node.get(title)
        if part is None or is_null(part) or isinstance(part, Mapping):
            return part if isinstance(part, Mapping) else None
        self._problem("DOC-203", f'"{title}" is a map', part.at)
        return None

    def _closed(self, node: Mapping, known: tuple[str, ...], owner: str) -> None:
        self.problems.extend(unknown_keys(node, known, owner))

    def _problem(
        self, code: str, message: str, at: Location, *, detail: str | None = None, hint: str | None = None
    ) -> None:
        self.problems.append(Problem(code, message, at=at, detail=detail, hint=hint))
