"""Which latents hang together, given what is seen."""

from collections.abc import Collection

import networkx as nx

from cfair.spec import ModelSpec

__all__ = ["groups"]


def groups(spec: ModelSpec, given: Collection[str]) -> list[tuple[str, ...]]:
    """The latents in groups that hang together: one is a parent of another, or they share a child in the evidence."""
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(spec.latents)
    for node in (*spec.latents, *given):
        together = [parent for parent in spec.nodes[node].parents if parent in spec.latents]
        nx.add_path(graph, [*together, node] if node in spec.latents else together)
    return [tuple(latent for latent in spec.latents if latent in group) for group in nx.connected_components(graph)]
