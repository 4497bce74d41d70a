"""Which parameters and priors a node's family allows, and what its weights are called."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING

from cfair.errors import nearest
from cfair.spec.given import OWN, LevelParameters, Parameters
from cfair.spec.mistake import ROUNDING, Mistake
from cfair.spec.places import Path
from cfair.spec.priors import Prior
from cfair.spec.records import NodeSpec
from cfair.spec.tables import row_mistakes

if TYPE_CHECKING:
    from cfair.spec.model import ModelSpec

__all__ = ["parameter_mistakes", "prior_mistakes", "repeated_weights", "scale_weight_names", "weight_names", "weight_parents"]


_ONE_SCALE = "this node has one scale, which no parent changes"
_SPREAD = "write mechanism: {{family: {}, heteroscedastic: true}}, or leave it out"


def weight_names(spec: "ModelSpec", node: str) -> tuple[str, ...]:
    """What ``node``'s weights are called: a real or count parent by its name, a discrete one as ``parent=Level``, each level but the first.

    Parents come in their declared order, levels in theirs. After them come the products of parents that ``interactions`` list, their
    names joined by colons: ``race=Black:ugpa``.
    """
    return _weight_names(spec.nodes, spec.nodes[node])


def weight_parents(spec: "ModelSpec", node: str) -> tuple[tuple[str, ...], ...]:
    """The parents that each of ``node``'s weights multiplies, in the order of ``weight_names``: one, or those of an interaction."""
    declared = spec.nodes[node]
    return tuple(group for group in _groups(declared) for _ in product(*(_columns(spec.nodes, parent) for parent in group)))


def scale_weight_names(spec: "ModelSpec", node: str) -> tuple[str, ...]:
    """What the weights of ``node``'s scale are called: those of its observed parents; none unless it is ``heteroscedastic``."""
    return _scale_weight_names(spec.nodes, spec.nodes[node])


def _weight_names(nodes: Mapping[str, NodeSpec], node: NodeSpec) -> tuple[str, ...]:
    return tuple(":".join(names) for group in _groups(node) for names in product(*(_columns(nodes, parent) for parent in group)))


def _groups(node: NodeSpec) -> list[tuple[str, ...]]:
    """The parents whose products have weights; none where the family has no weights."""
    return [*((parent,) for parent in node.parents), *node.interactions] if "weights" in node.family.parameters else []


def _scale_weight_names(nodes: Mapping[str, NodeSpec], node: NodeSpec) -> tuple[str, ...]:
    if not node.heteroscedastic:
        return ()
    return tuple(name for parent in node.parents if not nodes[parent].latent for name in _columns(nodes, parent))


def _columns(nodes: Mapping[str, NodeSpec], parent: str) -> list[str]:
    return [f"{parent}={level}" for level in nodes[parent].levels[1:]] if nodes[parent].discrete else [parent]


def repeated_weights(nodes: Mapping[str, NodeSpec], node: NodeSpec) -> str | None:
    """A name that two of the node's weights would have."""
    names = _weight_names(nodes, node)
    return next((name for position, name in enumerate(names) if name in names[:position]), None)


def parameter_mistakes(nodes: Mapping[str, NodeSpec], name: str) -> Iterator[Mistake]:
    """What is wrong under ``parameters`` of one node, all of whose parents exist."""
    node, given = nodes[name], nodes[name].parameters
    if given is None:
        return
    path: Path = ("nodes", name, "parameters")
    for parameter in _foreign(node, given):
        mend = nearest(parameter, node.family.parameters) if node.family.parameters else "leave 'parameters' out: all of it is learned"
        yield Mistake((*path, parameter), f"{node.titled} has no parameter '{parameter}'", mend)
        return
    yield from _numbers(node, given, path)
    if given.scale_weights is not None and not node.heteroscedastic:
        yield Mistake((*path, "scale_weights"), _ONE_SCALE, _SPREAD.format(node.mechanism))
        return
    yield from _weights(nodes, node, given.scale_weights, _scale_weight_names(nodes, node), (*path, "scale_weights"))
    yield from _weights(nodes, node, given.weights, _weight_names(nodes, node), (*path, "weights"))
    yield from _levels(nodes, node, given.levels or {}, path)
    yield from _probabilities(node, given, path)
    yield from [] if given.rows is None else row_mistakes(nodes, node, given.rows, (*path, "probabilities"))


def _foreign(node: NodeSpec, given: Parameters) -> Iterator[str]:
    """Parameters that are given and that the family does not have."""
    allowed = ("levels", "probabilities") if node.family.by_level else tuple(node.family.parameters)
    shared = (name for name in Parameters.model_fields if name not in OWN and getattr(given, name) is not None)
    rows = () if given.rows is None else ("probabilities",)
    return (name for name in (*shared, *rows, *given.numbers, *given.lists) if name not in allowed)


def _numbers(node: NodeSpec, given: Parameters, path: Path) -> Iterator[Mistake]:
    """Each of the family's own numbers has its form."""
    for parameter, value in given.numbers.items():
        if node.family.parameters[parameter] == "positive" and value <= 0:
            yield Mistake((*path, parameter), f"must be above 0, not {value:g}", "write a positive number such as 1.0")
    for parameter, values in given.lists.items():
        place = (*path, parameter)
        if len(values) != len(node.levels) - 1:
            yield Mistake(place, f"{len(values)} {parameter} for {len(node.levels)} levels", "write one fewer than there are levels")
        for position in range(1, len(values)):
            if values[position] <= values[position - 1]:
                yield Mistake((*place, position), f"{values[position]:g} is not above the one before", f"write increasing {parameter}")


def _levels(nodes: Mapping[str, NodeSpec], node: NodeSpec, given: Mapping[str, LevelParameters], path: Path) -> Iterator[Mistake]:
    for level, parameters in given.items():
        if level not in node.levels:
            yield Mistake((*path, level), f"'{level}' is not a level", nearest(level, node.levels[1:]))
        elif level == node.levels[0]:
            yield Mistake((*path, level), f"'{level}' is the reference level, whose parameters are 0", "leave it out")
        yield from _weights(nodes, node, parameters.weights, _weight_names(nodes, node), (*path, level, "weights"))


def _weights(
    nodes: Mapping[str, NodeSpec], node: NodeSpec, given: Mapping[str, float] | None, names: Sequence[str], path: Path
) -> Iterator[Mistake]:
    references = {f"{parent}={nodes[parent].levels[0]}" for parent in node.parents if nodes[parent].discrete}
    for weight in given or ():
        if weight in names:
            continue
        if references.intersection([weight, *weight.split(":")]):
            yield Mistake((*path, weight), f"'{weight}' is a reference level, whose weight is 0", "leave it out")
        else:
            yield Mistake((*path, weight), f"'{weight}' is not a weight of this node", nearest(weight, names))


def _probabilities(node: NodeSpec, given: Parameters, path: Path) -> Iterator[Mistake]:
    if given.probabilities is None:
        return
    path, count, total = (*path, "probabilities"), len(given.probabilities), sum(given.probabilities)
    if node.parents:
        yield Mistake(path, "only a node without parents has fixed probabilities", "fix {Level: {intercept, weights}} instead")
    elif given.levels:
        yield Mistake(path, "probabilities and levels' parameters are both given", "keep one of them")
    elif count != len(node.levels):
        yield Mistake(path, f"{count} probabilities for {len(node.levels)} levels", "write one per level, in the order of 'levels'")
    elif abs(total - 1) > ROUNDING:
        yield Mistake(path, f"the probabilities sum to {total:g}", "make them sum to 1")


def prior_mistakes(name: str, node: NodeSpec) -> Iterator[Mistake]:
    """What is wrong under ``prior`` of one node."""
    for parameter in Prior.model_fields:
        if node.prior and getattr(node.prior, parameter) is not None and parameter not in node.family.priors:
            problem = f"{node.titled} has no prior for '{parameter}'"
            mend = nearest(parameter, node.family.priors) if node.family.priors else "leave 'prior' out"
            yield Mistake(("nodes", name, "prior", parameter), problem, mend)
    if node.prior and node.prior.scale_weights is not None and "scale_weights" in node.family.priors and not node.heteroscedastic:
        yield Mistake(("nodes", name, "prior", "scale_weights"), _ONE_SCALE, _SPREAD.format(node.mechanism))
