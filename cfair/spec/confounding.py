"""``confounded: [[a, b]]``: a hidden common cause of two nodes, declared in short."""

from collections.abc import Iterator, Mapping, Sequence

from cfair.errors import nearest
from cfair.spec.mistake import Mistake
from cfair.spec.records import NodeSpec

__all__ = ["confounding_mistakes", "with_confounders"]

Pairs = Sequence[tuple[str, ...]]


def confounding_mistakes(pairs: Pairs, nodes: Mapping[str, NodeSpec]) -> Iterator[Mistake]:
    """What is wrong with the pairs."""
    for position, pair in enumerate(pairs):
        place = ("confounded", position)
        if len(pair) != 2 or pair[0] == pair[-1]:
            yield Mistake(place, "a hidden common cause is of two nodes", "write a pair, as in 'confounded: [[a, b]]'")
            continue
        for side, name in enumerate(pair):
            if name not in nodes:
                yield Mistake((*place, side), f"'{name}' is not a declared node", nearest(name, nodes))
            elif nodes[name].latent:
                yield Mistake((*place, side), f"'{name}' is latent", "name observed nodes, and give latents parents under 'nodes'")
        if any(set(pair) == set(other) for other in pairs[:position]):
            yield Mistake(place, f"{_named(pair)} is repeated", "name it once")
        if _named(pair) in nodes:
            yield Mistake(place, f"a node is called '{_named(pair)}', as this common cause would be", "leave one of them out")


def with_confounders(pairs: Pairs, nodes: Mapping[str, NodeSpec]) -> dict[str, NodeSpec]:
    """The nodes with a latent ``a <-> b`` for each pair: standard normal, the last parent of both, its two loadings to be learned.

    Source: Pearl (2009), Causality, section 3.2.3: a bidirected edge stands for a hidden common cause.
    """
    added = {name: [_named(pair) for pair in pairs if name in pair] for name in nodes}
    children = {name: node.model_copy(update={"parents": (*node.parents, *added[name])}) for name, node in nodes.items()}
    return children | {_named(pair): NodeSpec(mechanism="gaussian", latent=True) for pair in pairs}


def _named(pair: tuple[str, ...]) -> str:
    return " <-> ".join(pair)
