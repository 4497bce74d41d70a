"""Between a declaration and a plain ``networkx.DiGraph`` with attributes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import networkx as nx

from cfair.errors import SpecError
from cfair.graph import Graph
from cfair.spec.plain import plain_head, plain_node
from cfair.spec.records import NodeSpec

if TYPE_CHECKING:
    from cfair.spec.model import ModelSpec

__all__ = ["attributed", "bare", "declaration"]


def bare(nodes: Mapping[str, NodeSpec]) -> Graph:
    """Names and edges only, in declared order; frozen."""
    graph: Graph = nx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(_edges(nodes))
    nx.freeze(graph)
    return graph


def attributed(spec: "ModelSpec") -> Graph:
    """The graph whose attributes are those of dag.yaml, and whose edges, in order, are the nodes' parents."""
    graph: Graph = nx.DiGraph()
    graph.graph.update(plain_head(spec))
    for name, node in spec.nodes.items():
        graph.add_node(name, **{key: value for key, value in plain_node(node).items() if key != "parents"})
    graph.add_edges_from(_edges(spec.nodes))
    return graph


def declaration(graph: Graph) -> dict[str, object]:
    """What dag.yaml would hold for ``graph``; an attribute that is None counts as not given.

    Raises:
        SpecError: ``graph`` is not a ``networkx.DiGraph``, a node is not text, an edge has attributes, or the graph has an
            attribute ``nodes``, or a node one called ``parents``: both would say twice what the graph says.
    """
    if not isinstance(graph, nx.DiGraph) or graph.is_multigraph():
        raise SpecError("graph", f"a {type(graph).__name__} is not a networkx.DiGraph", "build it with networkx.DiGraph()")
    if "nodes" in graph.graph:
        raise SpecError("graph attribute nodes", "nodes are the graph's own", "leave the attribute out")
    for parent, child, attributes in graph.edges(data=True):
        if attributes:
            problem = f"an edge has no attributes, and this one has '{next(iter(attributes))}'"
            raise SpecError(f"graph edge '{parent}' -> '{child}'", problem, "fix weights by the node attribute 'parameters'")
    return {**_given(graph.graph), "nodes": {name: _node(graph, name) for name in graph}}


def _edges(nodes: Mapping[str, NodeSpec]) -> list[tuple[str, str]]:
    """Child by child, so that ``graph.predecessors`` gives each its parents in order."""
    return [(parent, name) for name, node in nodes.items() for parent in node.parents]


def _node(graph: Graph, name: object) -> dict[str, object]:
    if not isinstance(name, str):
        raise SpecError(f"graph node {name!r}", "a node's name must be text", "relabel it: networkx.relabel_nodes(graph, str)")
    if "parents" in graph.nodes[name]:
        raise SpecError(f"graph node '{name}', parents", "parents are the graph's edges", "leave the attribute out, and add edges")
    return {**_given(graph.nodes[name]), "parents": list(graph.predecessors(name))}


def _given(attributes: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in attributes.items() if value is not None}
