"""What each node is to an attribute and a target: a confounder, a mediator, or what hides behind them. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from cfair.errors import QueryError, nearest
from cfair.graph import ancestors, descendants
from cfair.spec import ModelSpec

__all__ = ["Roles", "roles_of"]


@dataclass(frozen=True, slots=True)
class Roles:
    """The parts that nodes play for the effect of ``attribute`` on ``target``, each in topological order.

    Args:
        attribute: what is set.
        target: what is asked for.
        confounders: observed nodes that cause either of them and do not descend from the attribute: what is adjusted for.
        mediators: observed nodes on a directed path from the attribute to the target.
        latent_mediators: latents on such a path.
        touches: latent -> the observed nodes that it causes directly, or through other latents only.
    """

    attribute: str
    target: str
    confounders: tuple[str, ...]
    mediators: tuple[str, ...]
    latent_mediators: tuple[str, ...]
    touches: Mapping[str, tuple[str, ...]]

    @property
    def bidirected(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Pairs of observed nodes with a hidden common cause -> the latents that are one: the edges ``a <-> b`` of the projection.

        Source: Verma & Pearl (1990), Equivalence and synthesis of causal models, the latent projection.
        """
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for latent, touched in self.touches.items():
            for pair in combinations(touched, 2):
                found[pair] = (*found.get(pair, ()), latent)
        return found

    def between(self, first: str, second: str) -> tuple[str, ...]:
        """The hidden common causes of two observed nodes."""
        return tuple(latent for latent, touched in self.touches.items() if first in touched and second in touched)


def roles_of(spec: ModelSpec, attribute: str, target: str) -> Roles:
    """The parts that nodes play, computed from the graph.

    The confounders are all observed causes of either end that the attribute does not cause: if any set of observed nodes blocks the
    back-door paths, this one does.

    Raises:
        QueryError: one of them is no node, the attribute is latent, or they are one node.

    Source: Perković, Textor, Kalisch & Maathuis (2018), Complete graphical characterization of adjustment sets, Corollary 27.
    """
    for place, node in (("attribute", attribute), ("of", target)):
        if node not in spec.nodes:
            raise QueryError(place, f"'{node}' is not a node", nearest(node, spec.nodes))
    if spec.nodes[attribute].latent:
        raise QueryError("attribute", f"'{attribute}' is latent, so that nobody's level is known", nearest(attribute, spec.observed))
    if attribute == target:
        raise QueryError("of", f"'{target}' is the attribute itself", "ask for the effect on another node")
    after = descendants(spec.graph, attribute)
    mediators = [node for node in spec.order if node in after & ancestors(spec.graph, target)]
    causes = ancestors(spec.graph, [attribute, target]) - after - {attribute, target}
    return Roles(
        attribute=attribute,
        target=target,
        confounders=tuple(node for node in spec.order if node in causes and not spec.nodes[node].latent),
        mediators=tuple(node for node in mediators if not spec.nodes[node].latent),
        latent_mediators=tuple(node for node in mediators if spec.nodes[node].latent),
        touches={latent: _touched(spec, latent) for latent in spec.order if spec.nodes[latent].latent},
    )


def _touched(spec: ModelSpec, latent: str) -> tuple[str, ...]:
    """The observed nodes that a latent reaches through nothing but latents, in topological order."""
    hidden = {latent, *descendants(spec.graph.subgraph(spec.latents), latent)}
    return tuple(node for node in spec.order if not spec.nodes[node].latent and hidden & set(spec.nodes[node].parents))
