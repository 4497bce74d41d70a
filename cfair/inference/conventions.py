"""What the data cannot say of a latent: the sign of a number, the order of levels. Conventions say it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import permutations

import torch
from torch import Tensor

from cfair.inference.loadings import predictors
from cfair.mechanisms import LinearPredictor
from cfair.scm import SCM

__all__ = ["are_oriented", "is_oriented", "moves", "orient"]


def orient(scm: SCM, nodes: Sequence[str]) -> bool:
    """Put the latents among ``nodes`` into their conventional form, where another is as probable; whether levels changed places.

    A real latent is turned so that the outcome's loading, or else the largest, is positive, unless a loading is fixed, a prior of one
    has a mean, or the latent's own intercept is not 0. The levels of a discrete latent are sorted by their weights on the
    outcome, or else on the child that they move most, unless one of the parameters that would move with them is fixed.

    Args:
        scm: the model.
        nodes: latents that hang together, and their children.
    """
    real, discrete = _movable(scm, nodes)
    for latent in real:
        if _is_reversed(scm, _loadings(scm, nodes, latent)):
            _turn(scm, nodes, latent)
    orders = {latent: _order(scm, _loadings(scm, nodes, latent))[0] for latent in discrete}
    unsorted = [latent for latent, order in orders.items() if not _is_sorted(order)]
    for latent in unsorted:
        _sort(scm, nodes, latent, orders[latent])
    return bool(unsorted)


def is_oriented(scm: SCM, nodes: Sequence[str]) -> bool:
    """Whether ``orient`` would change nothing."""
    return bool(are_oriented(scm, nodes, lambda _: scm, torch.zeros(1, 0)))


def are_oriented(scm: SCM, nodes: Sequence[str], at: Callable[[Tensor], SCM], thetas: Tensor) -> Tensor:
    """Whether ``orient`` would change nothing, (S,), bool: of ``scm`` with other parameters, the model ``at`` each θ of (S, p)."""
    real, discrete = _movable(scm, nodes)
    kept = torch.ones(len(thetas), dtype=torch.bool)
    if not real and not discrete:
        return kept

    def read(theta: Tensor) -> dict[str, dict[str, Tensor]]:
        model = at(theta)
        return {latent: _loadings(model, nodes, latent) for latent in (*real, *discrete)}

    for latent, stacked in torch.func.vmap(read)(thetas).items():
        loadings = {node: own.squeeze(1) for node, own in stacked.items()}
        kept &= _is_sorted(_order(scm, loadings)) if latent in discrete else ~_is_reversed(scm, loadings)
    return kept


def _movable(scm: SCM, nodes: Sequence[str]) -> tuple[list[str], list[str]]:
    """The latents that a convention speaks of: those that are numbers, and those that are levels; parents before children."""
    latents = [node for node in scm.spec.latents if node in nodes]
    levels = {latent: scm.spec.nodes[latent].discrete for latent in latents}
    real = [latent for latent in latents if not levels[latent] and _may_turn(scm, nodes, latent)]
    return real, [latent for latent in latents if levels[latent] and _may_sort(scm, nodes, latent)]


def moves(scm: SCM, nodes: Sequence[str], *, levels: bool = True) -> list[list[Callable[[SCM], None]]]:
    """For each latent that a convention speaks of, what may be done to an SCM in place and leaves its likelihood as it is.

    A real latent may be turned round, which leaves the prior too; the ``levels`` of a discrete one may be put into another order.
    """
    real, discrete = _movable(scm, nodes)
    found: list[list[Callable[[SCM], None]]] = [[partial(_turn, nodes=nodes, latent=latent)] for latent in real]
    for latent in discrete if levels else ():
        orders = [torch.tensor(order) for order in permutations(range(len(scm.spec.nodes[latent].levels)))][1:]
        found.append([partial(_sort, nodes=nodes, latent=latent, order=order) for order in orders])
    return found


def _loadings(scm: SCM, nodes: Sequence[str], latent: str) -> dict[str, Tensor]:
    """What the latent's children have on it, child -> (1, outputs, columns)."""
    return {node: predictor.loading(latent).unsqueeze(0) for node, predictor in _touched(scm, nodes, latent).items()}


def _is_reversed(scm: SCM, loadings: Mapping[str, Tensor]) -> Tensor:
    """Whether a real latent is to be turned round in each of S models, (S,), by its loadings (S, outputs, columns)."""
    return _leading(scm, loadings, lambda own: own.sum((1, 2))) < 0


def _may_turn(scm: SCM, nodes: Sequence[str], latent: str) -> bool:
    """Whether a real latent's mirror image is as probable."""
    touched = _touched(scm, nodes, latent)
    mirrored = [predictor.is_mirrored(latent) for predictor in touched.values()] + [each.is_odd() for each in predictors(scm, latent)]
    return bool(touched) and all(mirrored)


def _turn(scm: SCM, nodes: Sequence[str], latent: str) -> None:
    """Turn a real latent round."""
    for predictor in _touched(scm, nodes, latent).values():
        predictor.mirror(latent)
    for predictor in predictors(scm, latent):
        predictor.weights.data = -predictor.weights.data


def _order(scm: SCM, loadings: Mapping[str, Tensor]) -> Tensor:
    """A discrete latent's levels in their conventional order in each of S models, (S, levels), by loadings (S, outputs, levels − 1)."""
    return _with_reference(_leading(scm, loadings, lambda own: own[:, 0]), 1).argsort(dim=1, stable=True)


def _may_sort(scm: SCM, nodes: Sequence[str], latent: str) -> bool:
    """Whether the levels of a discrete latent can change places: all that would move with them is learned."""
    touched = _touched(scm, nodes, latent)
    free = [p.is_free(latent) and not p.interacts(latent) and bool(p.intercept_free.all()) for p in touched.values()]
    free += [bool(each.weights_free.all() and each.intercept_free.all()) for each in predictors(scm, latent)]
    return bool(touched) and all(free) and scm.spec.nodes[latent].kind != "ordinal"


def _is_sorted(order: Tensor) -> Tensor:
    return (order.diff() > 0).all(-1)


def _sort(scm: SCM, nodes: Sequence[str], latent: str, order: Tensor) -> None:
    """Put the levels of a discrete latent into ``order``."""
    for predictor in _touched(scm, nodes, latent).values():
        levels = _with_reference(predictor.loading(latent), 1)[:, order]
        predictor.set_intercept(predictor.intercept + levels[:, 0])
        predictor.set_loading(latent, (levels - levels[:, :1])[:, 1:])
    for predictor in predictors(scm, latent):
        predictor.intercept.data = _reordered(predictor.intercept, order)
        predictor.weights.data = _reordered(predictor.weights, order)


def _touched(scm: SCM, among: Sequence[str], latent: str) -> dict[str, LinearPredictor]:
    """The nodes that the latent is a parent of, with the predictors that read it."""
    nodes = [node for node in among if latent in scm.spec.nodes[node].parents]
    return {node: predictor for node in nodes for predictor in predictors(scm, node)}


def _leading(scm: SCM, loadings: Mapping[str, Tensor], read: Callable[[Tensor], Tensor]) -> Tensor:
    """What is read, (S, ...), of the node that decides in each of S models: the outcome, or else the one that the latent moves most."""
    if scm.spec.outcome in loadings:
        return read(loadings[scm.spec.outcome])
    every = torch.stack([read(own) for own in loadings.values()], 1)
    most = torch.stack([own.abs().amax((1, 2)) for own in loadings.values()], 1).argmax(1)
    return every[torch.arange(len(every)), most]


def _with_reference(weights: Tensor, dimension: int) -> Tensor:
    """A 0 for the first level before the weights of the others."""
    return torch.cat([torch.zeros_like(weights.narrow(dimension, 0, 1)), weights], dimension)


def _reordered(logits: Tensor, order: Tensor) -> Tensor:
    """Parameters of the logits of all levels but the first, (levels − 1, ...), after the levels changed places."""
    levels = _with_reference(logits, 0)[order]
    return (levels - levels[:1])[1:]
