"""What the data cannot say of a latent: the sign of a number, the order of levels. Conventions say it."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import permutations

import torch
from torch import Tensor

from cfair.inference.loadings import predictors
from cfair.mechanisms import LinearPredictor
from cfair.scm import SCM

__all__ = ["is_oriented", "moves", "orient"]


def orient(scm: SCM, nodes: Sequence[str]) -> bool:
    """Put the latents among ``nodes`` into their conventional form, where another is as probable; whether levels changed places.

    A real latent is turned so that the outcome's loading, or else the largest, is positive, unless a loading is fixed, a prior of one
    has a mean, or the latent's own intercept is not 0. The levels of a discrete latent are sorted by their weights on the
    outcome, or else on the child that they move most, unless one of the parameters that would move with them is fixed.

    Args:
        scm: the model.
        nodes: latents that hang together, and their children.
    """
    real, discrete = _latents(scm, nodes)
    for latent in real:
        if _is_reversed(scm, nodes, latent):
            _turn(scm, nodes, latent)
    unsorted = [latent for latent in discrete if not _is_sorted(_order(scm, nodes, latent))]
    for latent in unsorted:
        _sort(scm, nodes, latent, _order(scm, nodes, latent))
    return bool(unsorted)


def is_oriented(scm: SCM, nodes: Sequence[str]) -> bool:
    """Whether ``orient`` would change nothing."""
    real, discrete = _latents(scm, nodes)
    if any(_is_reversed(scm, nodes, latent) for latent in real):
        return False
    return all(_is_sorted(_order(scm, nodes, latent)) for latent in discrete)


def _latents(scm: SCM, nodes: Sequence[str]) -> tuple[list[str], list[str]]:
    """The latents among ``nodes`` that are numbers, and those that are levels, parents before children."""
    latents = [node for node in scm.spec.latents if node in nodes]
    discrete = [latent for latent in latents if scm.spec.nodes[latent].discrete]
    return [latent for latent in latents if latent not in discrete], discrete


def moves(scm: SCM, nodes: Sequence[str], *, levels: bool = True) -> list[list[Callable[[SCM], None]]]:
    """For each latent that a convention speaks of, what may be done to an SCM in place and leaves its likelihood as it is.

    A real latent may be turned round, which leaves the prior too; the ``levels`` of a discrete one may be put into another order.
    """
    real, discrete = _latents(scm, nodes)
    found: list[list[Callable[[SCM], None]]] = [
        [partial(_turn, nodes=nodes, latent=latent)] for latent in real if _may_turn(scm, nodes, latent)
    ]
    for latent in (each for each in discrete if levels and _may_sort(scm, nodes, each)):
        orders = [torch.tensor(order) for order in permutations(range(len(scm.spec.nodes[latent].levels)))][1:]
        found.append([partial(_sort, nodes=nodes, latent=latent, order=order) for order in orders])
    return found


def _is_reversed(scm: SCM, nodes: Sequence[str], latent: str) -> bool:
    """Whether a real latent is to be turned round."""
    touched = _touched(scm, nodes, latent)
    return _may_turn(scm, nodes, latent) and bool(touched[_leading(scm, touched, latent)].loading(latent).sum() < 0)


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


def _order(scm: SCM, nodes: Sequence[str], latent: str) -> Tensor:
    """The levels of a discrete latent in their conventional order, shape (levels,); as they are where nothing is to be sorted."""
    touched = _touched(scm, nodes, latent)
    if not _may_sort(scm, nodes, latent):
        return torch.arange(len(scm.spec.nodes[latent].levels))
    return _with_reference(touched[_leading(scm, touched, latent)].loading(latent)[0], 0).argsort(stable=True)


def _may_sort(scm: SCM, nodes: Sequence[str], latent: str) -> bool:
    """Whether the levels of a discrete latent can change places: all that would move with them is learned."""
    touched = _touched(scm, nodes, latent)
    free = [p.is_free(latent) and not p.interacts(latent) and bool(p.intercept_free.all()) for p in touched.values()]
    free += [bool(each.weights_free.all() and each.intercept_free.all()) for each in predictors(scm, latent)]
    return bool(touched) and all(free) and scm.spec.nodes[latent].kind != "ordinal"


def _is_sorted(order: Tensor) -> bool:
    return bool((order.diff() > 0).all())


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


def _leading(scm: SCM, touched: dict[str, LinearPredictor], latent: str) -> str:
    """The node that decides: the outcome, or else the one that the latent moves most."""
    if scm.spec.outcome in touched:
        return scm.spec.outcome
    return max(touched, key=lambda node: float(touched[node].loading(latent).abs().max()))


def _with_reference(weights: Tensor, dimension: int) -> Tensor:
    """A 0 for the first level before the weights of the others."""
    return torch.cat([torch.zeros_like(weights.narrow(dimension, 0, 1)), weights], dimension)


def _reordered(logits: Tensor, order: Tensor) -> Tensor:
    """Parameters of the logits of all levels but the first, (levels − 1, ...), after the levels changed places."""
    levels = _with_reference(logits, 0)[order]
    return (levels - levels[:1])[1:]
