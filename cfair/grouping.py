"""Which hidden nodes hang together, given what is seen."""

from collections.abc import Collection, Sequence

import networkx as nx

from cfair.spec import ModelSpec

__all__ = ["groups"]


def groups(spec: ModelSpec, given: Collection[str], hidden: Sequence[str] | None = None) -> list[tuple[str, ...]]:
    """The hidden nodes in groups that hang together: one is a parent of another, or they share a child in the evidence.

    Args:
        spec: the declared model.
        given: the evidence.
        hidden: what is integrated out; the latents if None.
    """
    hidden = spec.latents if hidden is None else hidden
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(hidden)
    for node in (*hidden, *given):
        together = [parent for parent in spec.nodes[node].parents if parent in hidden]
        nx.add_path(graph, [*together, node] if node in hidden else together)
    return [tuple(node for node in hidden if node in group) for group in nx.connected_components(graph)]
