"""Lineage as text, as a Mermaid graph, as an event of OpenLineage (specification 2.0.2: JobEvent)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from penstock import __version__
from penstock.cli.render.hanging import Hanging

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from rich.console import RenderableType

    from penstock.service.inspecting import Origin, Traced

_SHAPES: Final = {"source": ("[(", ")]"), "transform": ("[", "]"), "sink": ("[/", "/]")}
_EVENT: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/JobEvent"
_FACET: Final = "https://openlineage.io/spec/facets/1-2-0/ColumnLineageDatasetFacet.json"
_PRODUCER: Final = f"urn:penstock:{__version__}"


def text(traced: Traced) -> Iterator[RenderableType]:
    return (Hanging(Text(line), indent=6) for line in _lines(traced))


def _lines(traced: Traced) -> Iterator[str]:
    for node, columns in traced.lineage.items():
        if traced.kinds.get(node) == "source":
            continue
        yield f"{node} ({traced.kinds.get(node, 'node')})"
        deciding = {found.predicates for found in columns.values()}
        for name, found in columns.items():
            yield f"  {name} <- {_listed(found.values) or 'no column'}"
            if found.predicates and len(deciding) > 1:
                yield f"    decided by {_listed(found.predicates)}"
        if len(deciding) == 1 and any(deciding):
            yield f"  all decided by {_listed(*deciding)}"
        yield ""


def _listed(origins: frozenset[Origin]) -> str:
    return ", ".join(f"{origin.node}.{origin.column}" for origin in sorted(origins))


def mermaid(traced: Traced) -> str:
    lines = ["flowchart LR"]
    for name, kind in traced.kinds.items():
        left, right = _SHAPES[kind]
        lines.append(f'  {name}{left}"{name}"{right}')
    lines += [f"  {source} --> {target}" for source, target in traced.edges]
    return "\n".join(lines)


def openlineage(traced: Traced, at: datetime) -> dict[str, Any]:
    """The event of a job as it is designed: one dataset per sink, with the column lineage facet; namespaces are the
    pipeline's.
    """
    outputs = []
    for node, columns in traced.lineage.items():
        if traced.kinds.get(node) != "sink":
            continue
        fields = {
            name: {
                "inputFields": [
                    *(
                        _input(traced, origin, kind="DIRECT", subtype="TRANSFORMATION")
                        for origin in sorted(found.values)
                    ),
                    *(_input(traced, origin, kind="INDIRECT", subtype="FILTER") for origin in sorted(found.predicates)),
                ]
            }
            for name, found in columns.items()
        }
        facet = {"_producer": _PRODUCER, "_schemaURL": _FACET, "fields": fields}
        outputs.append({"namespace": traced.pipeline, "name": node, "facets": {"columnLineage": facet}})
    inputs = [{"namespace": traced.pipeline, "name": name} for name, kind in traced.kinds.items() if kind == "source"]
    return {
        "eventTime": at.isoformat(),
        "producer": _PRODUCER,
        "schemaURL": _EVENT,
        "job": {"namespace": "penstock", "name": traced.pipeline},
        "inputs": inputs,
        "outputs": outputs,
    }


def _input(traced: Traced, origin: Origin, *, kind: str, subtype: str) -> dict[str, Any]:
    transformation = {"type": kind, "subtype": subtype, "description": "", "masking": False}
    return {
        "namespace": traced.pipeline,
        "name": origin.node,
        "field": origin.column,
        "transformations": [transformation],
    }
