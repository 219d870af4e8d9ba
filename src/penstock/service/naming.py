"""Which node of a graph a person means by a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import ConfigError, nearest
from penstock.graph.nodes import Write

if TYPE_CHECKING:
    from penstock.errors import Location
    from penstock.graph import Graph


def node_of(name: str, graph: Graph, at: Location | None = None) -> str:
    """The id of the node: of a source or a transform the last of its own, of a sink what it is sent, else a step
    (``transform.step``). Raises ConfigError CMP-201 with the nearest name.
    """
    if name in graph.outputs and not isinstance(graph.by_id.get(name), Write):
        return graph.outputs[name]
    if name in graph.by_id:
        return name
    own = name.partition(".")[0]
    steps = [node_id for node_id in graph.by_id if own in graph.outputs and node_id.startswith(f"{own}.")]
    known = [*graph.outputs, *(node_id for node_id in graph.by_id if "." not in node_id), *steps]
    near = nearest(name, known)
    raise ConfigError(
        "CMP-201",
        f'there is no node "{name}"',
        at=at,
        hint=f'did you mean "{near}"?' if near else None,
        detail=f"known nodes: {', '.join(dict.fromkeys(known))}.",
    )
