"""What each family asks of a node: levels, parents, and a coupling that it can have."""

from collections.abc import Iterator, Mapping, Sequence

from cfair.errors import nearest
from cfair.families import FAMILIES
from cfair.spec.mistake import Mistake
from cfair.spec.parameters import repeated_weights
from cfair.spec.places import Path
from cfair.spec.records import NodeSpec

__all__ = ["node_mistakes"]


def node_mistakes(nodes: Mapping[str, NodeSpec], name: str) -> Iterator[Mistake]:
    """What is wrong with a node, all of whose parents exist, save its parameters and priors."""
    node = nodes[name]
    yield from _kind(name, node)
    if node.latent:
        yield from _latent(node, ("nodes", name, "latent"))
    if node.family.discrete_parents:
        for position, problem in _not_discrete(nodes, node):
            mend = "take it out, or choose categorical, whose parents may be anything"
            yield Mistake(("nodes", name, "parents", position), f"{problem}, and {node.titled} has discrete, observed parents only", mend)
    if not node.family.latent_parents:
        for position, parent in enumerate(node.parents):
            if nodes[parent].latent:
                problem = f"the latent '{parent}' cannot be a parent of {node.titled}, which is learned from its parents' own values"
                mend = "choose gaussian, or another family whose weights are learned with the latent integrated out"
                yield Mistake(("nodes", name, "parents", position), problem, mend)
    if node.coupling is not None:
        yield from _coupling(nodes, node, ("nodes", name, "coupling"))
    yield from _interactions(nodes, node, ("nodes", name, "mechanism", "interactions"))


def _interactions(nodes: Mapping[str, NodeSpec], node: NodeSpec, path: Path) -> Iterator[Mistake]:
    """Groups of two or more different parents, at most one of them latent, none of them given twice, their weights' names distinct."""
    found = [mistake for i, group in enumerate(node.interactions) for mistake in _group(nodes, node, group, (*path, i))]
    groups = [frozenset(group) for group in node.interactions]
    for position, group in enumerate(groups):
        if group in groups[:position]:
            found.append(Mistake((*path, position), "this interaction is given twice", "keep one of them"))
    yield from found
    if not found and (name := repeated_weights(nodes, node)):
        yield Mistake(path, f"two weights would be called '{name}'", "rename a parent, or leave an interaction out")


def _group(nodes: Mapping[str, NodeSpec], node: NodeSpec, group: Sequence[str], path: Path) -> Iterator[Mistake]:
    latents = [parent for parent in group if parent in node.parents and nodes[parent].latent]
    foreign = [(position, parent) for position, parent in enumerate(group) if parent not in node.parents]
    for position, parent in foreign[:1]:
        yield Mistake((*path, position), f"'{parent}' is not a parent of this node", nearest(parent, node.parents))
    if len(set(group)) < len(group):
        yield Mistake(path, "a parent is repeated", "name each parent of an interaction once")
    elif len(group) < 2:
        yield Mistake(path, "an interaction is of two or more parents", "name at least two, or leave it out")
    elif len(latents) > 1:
        problem = f"an interaction of two latents, {' and '.join(latents)}, cannot be integrated out"
        yield Mistake(path, problem, "keep at most one of them")


def _latent(node: NodeSpec, path: Path) -> Iterator[Mistake]:
    """A latent can be integrated out; one that learns in closed form from its own values is known."""
    if not node.family.latent:
        names = ", ".join(name for name, family in FAMILIES.items() if family.latent)
        yield Mistake(path, f"{node.titled} cannot be latent", f"make it one of: {names}")
    elif "rows" in node.family.parameters.values() and (node.parameters is None or node.parameters.rows is None):
        problem = f"{node.titled} that is latent has no values to learn its probabilities from"
        yield Mistake(path, problem, "fix its 'probabilities' under 'parameters', or make it categorical")


def _not_discrete(nodes: Mapping[str, NodeSpec], node: NodeSpec) -> Iterator[tuple[int, str]]:
    """Position of each parent without observed levels, and what it is."""
    for position, parent in enumerate(node.parents):
        if nodes[parent].latent:
            yield position, f"'{parent}' is latent"
        elif not nodes[parent].discrete:
            yield position, f"'{parent}' is {nodes[parent].titled}"


def _coupling(nodes: Mapping[str, NodeSpec], node: NodeSpec, path: Path) -> Iterator[Mistake]:
    if not node.family.couplings:
        yield Mistake(path, f"{node.titled} has additive noise, which leaves no coupling to choose", "leave 'coupling' out")
    elif node.coupling not in node.family.couplings:
        mend = f"use one of: {', '.join(node.family.couplings)}" if len(node.family.couplings) > 1 else "leave 'coupling' out"
        yield Mistake(path, f"the noise of {node.titled} is coupled by '{node.family.couplings[0]}', not by '{node.coupling}'", mend)
    elif node.coupling == "independent":
        for _, problem in _not_discrete(nodes, node):
            yield Mistake(path, f"'independent' needs discrete, observed parents, and {problem}", "use gumbel or monotone")


def _kind(name: str, node: NodeSpec) -> Iterator[Mistake]:
    """Levels for discrete nodes, two of them for a binary one; rounding for counts."""
    levels = ("nodes", name, "levels")
    if node.levels and not node.discrete:
        yield Mistake(levels, f"{node.titled} has no levels", "leave them out, or choose bernoulli or categorical, ordinal or table")
    elif node.discrete and not node.levels:
        yield Mistake(("nodes", name), f"{node.titled} needs levels", "list them, the reference first, as in 'levels: [no, yes]'")
    elif node.kind == "binary" and len(node.levels) != 2:
        yield Mistake(levels, f"{node.titled} has two levels, not {len(node.levels)}", "list two, or choose categorical")
    elif node.discrete and len(node.levels) < 2:
        yield Mistake(levels, "a discrete node has at least two levels", "list the others")
    if node.round and node.kind != "count":
        yield Mistake(("nodes", name, "round"), f"{node.titled} is not a count", "leave 'round' out")
