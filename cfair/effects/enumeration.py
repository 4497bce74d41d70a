"""Means in worlds where single edges out of the attribute carry another level, exact where all nodes involved are discrete."""

from collections.abc import Collection

import torch
from torch import Tensor

from cfair.effects.contrast import Contrast, Given
from cfair.effects.factors import Factor, factor_of, grid, largest_table, summed
from cfair.errors import QueryError
from cfair.graph import ancestors
from cfair.scm import SCM

__all__ = ["mean", "why_not_enumerable"]

LARGEST = 5_000_000  # numbers in a table on the way: 40 MB


def mean(scm: SCM, contrast: Contrast, heard: Collection[str], given: Given | None = None) -> float:
    """E[y | A = given] when the attribute's children in ``heard`` read x1 of it and its other children x0: exact.

    Σ_v y·P(A = given | pa_A)/P(A = given)·Π_{v ≠ A} P(v | pa_v), with A in pa_v replaced by x1 or x0. Each node has one value in this
    sum, since nothing hears of two levels at once: so only the mechanisms' distributions matter, and not the coupling of their noise.
    Conditioning on A leaves alone the noise of what descends from it. Latents with levels are summed like any other node.

    Args:
        scm: in which every node involved is discrete.
        contrast: the levels and the target.
        heard: children of the attribute that read x1; all: E[y_{x1}]; none: E[y_{x0}]; the target alone: E[y_{x1, W_{x0}}].
        given: among whom; None: everyone.

    Raises:
        QueryError: under the model nobody has the level that is given.

    Source: Pearl (2009), Causality, equation 1.39 with an edge in the place of a node; Shpitser & Tchetgen Tchetgen (2016), section 4.
    """
    keep, scores = _scores(scm, contrast, heard)
    factors = [_held(scm, contrast, node, heard) for node in _involved(scm, contrast, keep, conditional=given is not None)]
    if given is not None:
        factors.append(_indicator(scm, contrast, given))
    joint = summed(factors, keep)
    total = joint.sum()
    if total == 0:
        raise QueryError("attribute", f"under the model nobody has level {given} of '{contrast.attribute}'", "compare other levels")
    return float((joint * scores).sum() / total)


def why_not_enumerable(scm: SCM, contrast: Contrast) -> str | None:
    """Why the sum cannot be had: a node with infinitely many values, or too many combinations; None if it can."""
    keep = _read(scm, contrast)
    involved = _involved(scm, contrast, keep, conditional=True)
    for node in {*involved, contrast.attribute}:
        if not scm.spec.nodes[node].discrete:
            return f"'{node}' is a number"
    if largest_table(scm, involved, keep, contrast.attribute) > LARGEST:
        return f"the sum has a table of more than {LARGEST:,} numbers"
    return None


def _read(scm: SCM, contrast: Contrast) -> tuple[str, ...]:
    """The nodes whose values make the target: itself, or what a prediction reads beside the attribute."""
    target = contrast.target
    if not target.prediction:
        return (target.node,)
    return tuple(parent for parent in scm.spec.nodes[target.node].parents if parent != contrast.attribute)


def _scores(scm: SCM, contrast: Contrast, heard: Collection[str]) -> tuple[tuple[str, ...], Tensor]:
    """The nodes that the target reads, and its value for each combination of their levels."""
    keep, target = _read(scm, contrast), contrast.target
    values = grid(scm, keep)
    if not target.prediction:
        return keep, target.read(values[target.node])
    values[contrast.attribute] = _heard(contrast, target.node, heard)
    none = torch.zeros((), dtype=torch.float64)
    made = scm.mechanisms[target.node].value(none, scm.parents(target.node, values))
    return keep, made.reshape([len(scm.spec.nodes[name].levels) for name in keep])


def _involved(scm: SCM, contrast: Contrast, keep: Collection[str], *, conditional: bool) -> list[str]:
    """The nodes whose distributions enter: what makes ``keep``, no more of the attribute than is read; and what makes it, if given."""
    graph = scm.spec.graph.copy()
    graph.remove_edges_from(list(graph.out_edges(contrast.attribute)))
    ends = {*keep, contrast.attribute} if conditional else set(keep)
    involved = ends | ancestors(graph, ends)
    return [node for node in scm.spec.order if node in involved]


def _held(scm: SCM, contrast: Contrast, node: str, heard: Collection[str]) -> Factor:
    """The node's factor, the attribute in it held at what the node hears of it."""
    return factor_of(scm, node, {contrast.attribute: float(_heard(contrast, node, heard))})


def _heard(contrast: Contrast, node: str, heard: Collection[str]) -> Tensor:
    """What the node reads of the attribute, shape ()."""
    return contrast.level("end" if node in heard else "start")


def _indicator(scm: SCM, contrast: Contrast, given: Given) -> Factor:
    """1 where the attribute has the level, 0 elsewhere."""
    levels = torch.arange(len(scm.spec.nodes[contrast.attribute].levels), dtype=torch.float64)
    return Factor((contrast.attribute,), (levels == contrast.level(given)).to(torch.float64))
