"""``penstock connectors``, ``steps``, ``rules``, ``errors``, ``schema``, ``version``: the catalogue, from the descriptors;
and ``schema accept``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli import options
from penstock.cli.help import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.service.accepting import Accepted
    from penstock.service.describing import Descriptor


def _systems() -> Sequence[str]:
    from penstock.service.describing import components

    return [item.name for item in components("sources", "sinks")]


def _steps() -> Sequence[str]:
    from penstock.service.describing import components

    return [item.name for item in components("steps")]


def _rules() -> Sequence[str]:
    from penstock.service.describing import components

    return [item.name for item in components("rules")]


def _codes() -> Sequence[str]:
    from penstock.errors.catalogue import CATALOGUE

    return list(CATALOGUE)


def _one_of(metavar: str, names: Callable[[], Sequence[str]]) -> Any:
    """An argument that may be left out, completed from the names."""

    def begun(incomplete: str) -> list[str]:
        return sorted({name for name in names() if name.startswith(incomplete)})

    return typer.Argument(metavar=metavar, help="One of them; else all.", show_default=False, autocompletion=begun)


Code = Annotated[str | None, _one_of("CODE", _codes)]
System = Annotated[str | None, _one_of("NAME", _systems)]
Step = Annotated[str | None, _one_of("NAME", _steps)]
Rule = Annotated[str | None, _one_of("NAME", _rules)]


def register(app: typer.Typer) -> None:
    for command in (connectors, steps, rules, errors, version):
        app.command(cls=Command)(command)
    schemas = typer.Typer(rich_markup_mode=None, invoke_without_command=True, help=schema.__doc__)
    schemas.callback()(schema)
    schemas.command(cls=Command)(accept)
    app.add_typer(schemas, name="schema")


def connectors(name: System = None, *, json: options.Json = False) -> int:
    """Sources and sinks, or one system with its parameters."""
    from penstock.service import describing

    if name is None:
        return _list(describing.components("sources", "sinks"), json=json)
    return _one(describing.component(name, "sources", "sinks"), json=json)


def steps(name: Step = None, *, json: options.Json = False) -> int:
    """Steps of transforms, or one with its parameters."""
    from penstock.service import describing

    if name is None:
        return _list(describing.components("steps"), json=json)
    return _one(describing.component(name, "steps"), json=json)


def rules(name: Rule = None, *, json: options.Json = False) -> int:
    """Rules about rows, or one with its parameters."""
    from penstock.service import describing

    if name is None:
        return _list(describing.components("rules"), json=json)
    return _one(describing.component(name, "rules"), json=json)


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


def errors(code: Code = None, *, json: options.Json = False) -> int:
    """Every error code, or what one means."""
    from penstock.cli.output import print_json, show
    from penstock.cli.render.catalogue import errors_table
    from penstock.errors.catalogue import CATALOGUE
    from penstock.service.describing import error_code

    found = [error_code(code)] if code is not None else list(CATALOGUE.values())
    if json:
        shown = [{"code": one.code, "class": one.error_class, "title": one.title, "text": one.text} for one in found]
        print_json({"errors": shown})
    elif code is not None:
        show(f"{found[0].code}: {found[0].title} ({found[0].error_class})", found[0].text)
    else:
        show(errors_table(found))
    return 0


def schema(
    context: typer.Context,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it to a file.", show_default=False)
    ] = None,
    json: options.Json = False,
) -> int:
    """The JSON Schema of documents, for completion in an editor."""
    if context.invoked_subcommand is not None:
        return 0
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


def accept(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The pipeline.")],
    *,
    param: options.Param = None,
    env: options.Env = None,
    allow_path: options.AllowPath = None,
    json: options.Json = False,
) -> int:
    """Take sources that have changed as they are now.

    Of a source without `schema:` the columns of its first run are its contract until they are accepted anew.
    """
    from penstock.cli.output import print_json, show
    from penstock.service.accepting import accept as accepted

    found = accepted(options.request_of(file, options.settings_of(env, param, allow_path=allow_path)))
    if json:
        print_json({"sources": [one.to_json() for one in found]})
        return 0
    if not found:
        show("every source declares its `schema:`; nothing is recorded")
    for one in found:
        show(f"{one.source}: {_accepted(one)}")
    return 0


def _accepted(one: Accepted) -> str:
    if one.before is None:
        return f"its {len(one.now)} columns are recorded"
    return ", ".join(map(str, one.changes)) or "as it was recorded"


def version(*, json: options.Json = False) -> int:
    """The version of Penstock, and of what it runs on."""
    from penstock.cli.output import print_json, show
    from penstock.service.describing import versions

    found = versions()
    if json:
        print_json(found)
    else:
        show("\n".join(f"{name} {number}" for name, number in found.items()))
    return 0
