"""``penstock init`` and ``penstock secrets``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli import options
from penstock.cli.help import Command

SecretName = Annotated[str, typer.Argument(metavar="NAME", help="Its name, as in ${secret.NAME}.")]


def register(app: typer.Typer) -> None:
    app.command(cls=Command)(init)
    secrets = typer.Typer(help="The project's encrypted secrets.", no_args_is_help=True, rich_markup_mode=None)
    secrets.command("set", cls=Command)(set_secret)
    secrets.command("list", cls=Command)(list_secrets)
    secrets.command("rm", cls=Command)(remove_secret)
    secrets.command("rotate", cls=Command)(rotate_key)
    app.add_typer(secrets, name="secrets")


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project's folder.")] = Path(),
    *,
    template: Annotated[str, typer.Option(metavar="NAME", help="What it begins with: prices or empty.")] = "prices",
    json: options.Json = False,
) -> int:
    """A project that runs at once, with sample data.

    penstock.yml, one pipeline, and a schema for completion in an editor. Nothing is overwritten.
    """
    from penstock.cli.output import print_json, show
    from penstock.service.starting import init as start

    written = start(folder, template)
    if json:
        print_json({"folder": str(folder), "files": list(written)})
        return 0
    show(*(f"  {name}" for name in written))
    where = "" if folder == Path() else f"cd {folder} && "
    show(f"\nnow: {where}penstock run pipelines/*.yml" if template != "empty" else "\nnow write pipelines/*.yml")
    return 0


def set_secret(
    name: SecretName,
    *,
    project: options.Project = None,
    json: options.Json = False,
) -> int:
    """Keep a secret; its value is asked for, or read from stdin."""
    import sys

    from penstock.cli.output import print_json, show
    from penstock.service import secrets

    if sys.stdin.isatty():
        value = str(typer.prompt(name, hide_input=True, err=True))
    else:
        value = sys.stdin.read().removesuffix("\n")
    secrets.keep(options.settings_of(project=project), name, value)
    if json:
        print_json({"secret": name})
    else:
        show(f"{name} is kept")
    return 0


def list_secrets(*, project: options.Project = None, json: options.Json = False) -> int:
    """The names of what is kept; values are never shown."""
    from penstock.cli.output import print_json, show
    from penstock.service import secrets

    names = secrets.names(options.settings_of(project=project))
    if json:
        print_json({"secrets": list(names)})
    else:
        show("\n".join(names) if names else "no secrets are kept")
    return 0


def remove_secret(name: SecretName, *, project: options.Project = None, json: options.Json = False) -> int:
    """Forget a secret."""
    from penstock.cli.output import print_json, show
    from penstock.service import secrets

    secrets.forget(options.settings_of(project=project), name)
    if json:
        print_json({"removed": name})
    else:
        show(f"{name} is forgotten")
    return 0


def rotate_key(*, project: options.Project = None, json: options.Json = False) -> int:
    """Put the secrets under a new key; their values stay as they are.

    Where PENSTOCK_KEY holds the key, put a new one before it: "NEW OLD".
    """
    from penstock.cli.output import print_json, show
    from penstock.service import secrets

    key_id = secrets.rotate(options.settings_of(project=project))
    if json:
        print_json({"key_id": key_id})
    else:
        show(f"the secrets are under the key {key_id} from now on")
    return 0
