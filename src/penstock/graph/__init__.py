"""The document, resolved: a typed relational graph whose expressions are SQLGlot trees in DuckDB's dialect."""

from penstock.graph.graph import Graph
from penstock.graph.nodes import Node, NodeKind

__all__ = ["Graph", "Node", "NodeKind"]
