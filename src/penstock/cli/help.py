"""What `--help` prints of a command."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class Command(TyperCommand):
    """Its arguments are told by their names, without the types that Python has for them: what a `FILE` is goes without saying."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        lines: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
        for parameter in self.get_params(ctx):
            found = parameter.get_help_record(ctx)
            if found is None:
                continue
            name, told = found
            if parameter.param_type_name == "argument":
                name = f"{name.partition(' <')[0].removesuffix('...')}{'' if parameter.nargs == 1 else '...'}"
            lines[parameter.param_type_name].append((name, told))
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            if lines[kind]:
                with formatter.section(title):
                    formatter.write_dl(lines[kind])
