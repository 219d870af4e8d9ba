"""Options that several commands have, and what they say together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from penstock.errors import ConfigError
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.events import Events
    from penstock.service.request import Request, Settings


class Told(int):
    """An exit code of which the command has told the reason already."""


LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]

File = Annotated[Path, typer.Argument(metavar="FILE", help="The pipeline file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object to stdout.")]
Env = Annotated[
    str | None, typer.Option("--env", metavar="NAME", help="The environment; else PENSTOCK_ENV.", show_default=False)
]
Param = Annotated[
    list[str] | None,
    typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter's value.", show_default=False),
]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="LABEL", help="Show columns with this label too.", show_default=False),
]
AllowPath = Annotated[
    list[Path] | None,
    typer.Option("--allow-path", metavar="DIR", help="A further folder that paths may name.", show_default=False),
]
Project = Annotated[
    Path | None, typer.Option("--project", metavar="DIR", help="The project's folder; else found.", show_default=False)
]


class Globals(Frozen):
    """What stands before the command."""

    log_level: LogLevel = "warning"
    log_format: LogFormat = "text"
    quiet: bool = False

    def events(self) -> Events:
        from penstock.events import Events

        return Events(self.log_level, self.log_format)


def globals_of(context: typer.Context) -> Globals:
    found = context.obj
    return found if isinstance(found, Globals) else Globals()


def settings_of(
    env: str | None = None,
    param: Sequence[str] | None = None,
    *,
    allow_path: Sequence[Path] | None = None,
    project: Path | None = None,
) -> Settings:
    """Raises ConfigError CLI-101 for a parameter that is no name=value, CLI-106 for a project that is no folder."""
    from penstock.service.request import Settings

    params = {}
    for item in param or ():
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise ConfigError("CLI-101", f'"{item}" is no name=value', hint="write --param since=2024-01-01")
        params[name] = value
    if project is not None and not project.is_dir():
        raise ConfigError("CLI-106", f'there is no folder "{project}"', hint="name the folder that holds penstock.yml")
    return Settings(
        dict(os.environ), params=params, environment=env, project_root=project, allow_paths=tuple(allow_path or ())
    )


def request_of(
    file: Path,
    settings: Settings,
    *,
    reached: Callable[[str], None] | None = None,
    full_refresh: bool = False,
    between: tuple[str | None, str | None] = (None, None),
) -> Request:
    """Raises ConfigError CLI-107 where an interval is to be read in a full refresh."""
    from penstock.service.request import Request, interval_of

    if full_refresh and any(between):
        raise ConfigError(
            "CLI-107",
            "a full refresh reads everything, and --from and --to an interval",
            hint="leave out one of them",
        )
    made = Request(file, settings, full_refresh=full_refresh, interval=interval_of(*between))
    return made if reached is None else replace(made, reached=reached)
