"""``penstock connectors``, ``steps``, ``errors``, ``schema``, ``version``: the catalogue, from the descriptors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.registry import Descriptor

Name = Annotated[str | None, typer.Argument(help="One of them; else all.", show_default=False)]


def register(app: typer.Typer) -> None:
    for command in (connectors, steps, errors, schema, version):
        app.command()(command)


def connectors(name: Name = None, *, json: options.Json = False) -> int:
    """Sources and sinks, or one system with its parameters."""
    from penstock.service import describing

    if name is None:
        return _list(describing.components("sources", "sinks"), json=json)
    return _one(describing.component(name, "sources", "sinks"), json=json)


def steps(name: Name = None, *, json: options.Json = False) -> int:
    """Steps of transforms, or one with its parameters."""
    from penstock.service import describing

    if name is None:
        return _list(describing.components("steps"), json=json)
    return _one(describing.component(name, "steps"), json=json)


def _list(found: Sequence[Descriptor], *, json: bool) -> int:
    from penstock.cli.output import print_json, show
    from penstock.cli.render.catalogue import components_table
    from penstock.service.describing import to_json

    if json:
        print_json({"components": [to_json(item) for item in found]})
    else:
        show(components_table(found))
    return 0


def _one(found: Sequence[Descriptor], *, json: bool) -> int:
    from penstock.cli.output import print_json, show
    from penstock.cli.render.catalogue import component_page
    from penstock.service.describing import to_json

    if json:
        print_json({"components": [to_json(item) for item in found]})
    else:
        for item in found:
            show(*component_page(item))
    return 0


def errors(code: Name = None, *, json: options.Json = False) -> int:
    """Every error code, or what one means."""
    from penstock.cli.output import print_json, show
    from penstock.cli.render.catalogue import errors_table
    from penstock.errors.catalogue import CATALOGUE
    from penstock.service.describing import error_code

    found = [error_code(code)] if code is not None else list(CATALOGUE.values())
    if json:
        shown = [{"code": e.code, "class": e.error_class, "title": e.title, "text": e.text} for e in found]
        print_json({"errors": shown})
    elif code is not None:
        show(f"{found[0].code}: {found[0].title} ({found[0].error_class})", found[0].text)
    else:
        show(errors_table(found))
    return 0


def schema(
    *,
    out: Annotated[Path | None, typer.Option("--out", help="Write it to a file.", show_default=False)] = None,
    json: options.Json = False,
) -> int:
    """The JSON Schema of documents, for completion in an editor."""
    import json as text

    from penstock.cli.output import print_json, show, write
    from penstock.errors import ConfigError
    from penstock.service.describing import json_schema

    found = json_schema()
    if out is None and json:
        print_json(found)
        return 0
    if out is None:
        write(text.dumps(found, ensure_ascii=False, indent=2) + "\n")
        return 0
    try:
        out.write_text(text.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError("CLI-112", f'"{out}" cannot be written', detail=f"{error.strerror}.") from None
    if json:
        print_json({"file": str(out)})
    else:
        show(f"written to {out}")
    return 0


def version(*, json: options.Json = False) -> int:
    """The version of Penstock, and of what it runs on."""
    import platform
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    from penstock import __version__
    from penstock.cli.output import print_json, show

    found = {"penstock": __version__, "python": platform.python_version()}
    for name in ("duckdb", "sqlglot", "pyarrow", "deltalake", "psycopg"):
        try:
            found[name] = version_of(name)
        except PackageNotFoundError:
            continue
    if json:
        print_json(found)
    else:
        show("\n".join(f"{name} {number}" for name, number in found.items()))
    return 0
