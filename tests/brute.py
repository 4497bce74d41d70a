"""Effects by enumeration of all noises: every node's uniform number is cut into cells within which nothing changes, and each of their
products is a person. Shares no code with the library."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Network:
    """A discrete network with the monotone coupling: a node's level is how many of its cumulative probabilities a uniform exceeds.

    Args:
        parents: node -> parents, in topological order.
        rows: node -> parents' levels -> probabilities.
    """

    def __init__(self, parents: Mapping[str, Sequence[str]], rows: Mapping[str, Mapping[tuple[int, ...], Sequence[float]]]) -> None:
        self.parents, self.rows = dict(parents), rows
        cells = {}
        for node, own in rows.items():
            cuts = sorted({0.0, 1.0, *(float(c) for p in own.values() for c in np.cumsum(p)[:-1])})
            cells[node] = [(low + (high - low) / 2, high - low) for low, high in pairwise(cuts) if high > low]
        grids = np.meshgrid(*(np.arange(len(own)) for own in cells.values()), indexing="ij")
        self.noise = {node: np.array([u for u, _ in cells[node]])[g.ravel()] for node, g in zip(cells, grids, strict=True)}
        sizes = [np.array([size for _, size in cells[node]])[g.ravel()] for node, g in zip(cells, grids, strict=True)]
        self.weight: Floats = np.prod(sizes, axis=0)

    def level(self, node: str, read: Mapping[str, Ints]) -> Ints:
        """The node's level for every person, given what each reads of its parents."""
        found = np.zeros(len(self.weight), dtype=np.int64)
        for levels, p in self.rows[node].items():
            here = np.ones(len(found), dtype=bool)
            for parent, level in zip(self.parents[node], levels, strict=True):
                here &= read[parent] == level
            found[here] = (self.noise[node][here, None] > np.cumsum(p)[:-1]).sum(1)
        return found

    def world(self, do: Mapping[str, int] | None = None) -> dict[str, Ints]:
        """Everybody's levels, some nodes set."""
        values: dict[str, Ints] = {}
        for node in self.parents:
            values[node] = np.full(len(self.weight), do[node]) if do and node in do else self.level(node, values)
        return values

    def nested(self, suffix: tuple[str, ...], attribute: str, levels: tuple[int, int], active: Collection[tuple[str, ...]]) -> Ints:
        """The first node of ``suffix`` as read along it: the attribute is x1 on the paths in ``active``, x0 on all others."""
        node = suffix[0]
        if node == attribute:
            return np.full(len(self.weight), levels[suffix in set(active)])
        return self.level(node, {p: self.nested((p, *suffix), attribute, levels, active) for p in self.parents[node]})

    def terms(self, attribute: str, target: str, x0: int, x1: int, value: Floats) -> dict[str, float]:
        """All ten terms by their definitions; ``value`` is what each level of the target counts."""
        fact, w0, w1 = self.world(), self.world({attribute: x0}), self.world({attribute: x1})
        mediated = self.level(target, {p: w1[p] if p == attribute else w0[p] for p in self.parents[target]})  # y_{x1, W_{x0}}
        y, y0, y1, yd = (value[each] for each in (fact[target], w0[target], w1[target], mediated))

        def mean(of: Floats, given: int | None = None) -> float:
            weight = self.weight if given is None else self.weight * (fact[attribute] == given)
            return float((weight * of).sum() / weight.sum())

        return {
            "tv": mean(y, x1) - mean(y, x0),
            "te": mean(y1) - mean(y0),
            "ett": mean(y1, x0) - mean(y0, x0),
            "nde": mean(yd) - mean(y0),
            "nie": mean(yd) - mean(y1),
            "ctf_de": mean(yd, x0) - mean(y0, x0),
            "ctf_ie": mean(yd, x0) - mean(y1, x0),
            "ctf_se": mean(y1, x0) - mean(y, x1),
            "exp_se_from": mean(y, x0) - mean(y0),
            "exp_se_to": mean(y, x1) - mean(y1),
        }


def network_of(nodes: Mapping[str, Mapping[str, Any]]) -> Network:
    """The network of table nodes as dag.yaml states them, in topological order."""
    parents = {node: tuple(said.get("parents", ())) for node, said in nodes.items()}
    place = {node: {level: i for i, level in enumerate(said["levels"])} for node, said in nodes.items()}
    rows = {
        node: {tuple(place[p][row[p]] for p in parents[node]): row["p"] for row in said["parameters"]["probabilities"]}
        for node, said in nodes.items()
    }
    return Network(parents, rows)


def random_nodes(dice: Any, edges: float = 0.6) -> dict[str, dict[str, Any]]:
    """Table nodes z, v, a, m, w, y with random edges in this order and random rows; a has two or three levels, y as well."""
    nodes: dict[str, dict[str, Any]] = {}
    for name in ["z", "v", "a", "m", "w", "y"]:
        count = dice.choice([2, 3]) if name in "ay" else 2
        before = [p for p in nodes if dice.random() < edges][-3:]  # the nearest: mediators cause one another
        rows = []
        for levels in product(*(nodes[p]["levels"] for p in before)):
            p = np.array([dice.uniform(0.05, 1.0) for _ in range(count)])
            rows.append({**dict(zip(before, levels, strict=True)), "p": (p / p.sum()).tolist()})
        nodes[name] = {
            "mechanism": "table",
            "levels": [f"{name}{j}" for j in range(count)],
            "parents": before,
            "coupling": "monotone",
            "parameters": {"probabilities": rows},
        }
    return nodes
