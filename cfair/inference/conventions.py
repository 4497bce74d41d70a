"""What the data cannot say of a latent: the sign of a number, the order of levels. Conventions say it."""

import torch
from torch import Tensor

from cfair.inference.loadings import predictors
from cfair.inference.neighbourhood import Neighbourhood
from cfair.mechanisms import LinearPredictor
from cfair.scm import SCM

__all__ = ["orient"]


def orient(scm: SCM, area: Neighbourhood) -> bool:
    """Put the latents into their conventional form, where another is as probable; whether levels changed places.

    A real latent is turned so that the outcome's loading, or else the largest, is positive, unless a loading is fixed, a prior of one
    has a mean, or the latent's own intercept is not 0. The levels of a discrete latent are sorted by their weights on the
    outcome, or else on the child that they move most, unless one of the parameters that would move with them is fixed.
    """
    for latent in area.real:
        _turn(scm, area, latent)
    moved = [latent for latent in area.discrete if _sort(scm, area, latent)]
    return bool(moved)


def _turn(scm: SCM, area: Neighbourhood, latent: str) -> None:
    """Turn a real latent round, if it is to be."""
    touched = _touched(scm, area, latent)
    own = list(predictors(scm, latent))
    mirrored = [predictor.is_mirrored(latent) for predictor in touched.values()] + [predictor.is_odd() for predictor in own]
    if not touched or not all(mirrored) or touched[_leading(scm, touched, latent)].loading(latent).sum() >= 0:
        return
    for predictor in touched.values():
        predictor.mirror(latent)
    for predictor in own:
        predictor.weights.data = -predictor.weights.data


def _sort(scm: SCM, area: Neighbourhood, latent: str) -> bool:
    """Sort the levels of a discrete latent, if they are to be; whether they changed places."""
    touched = _touched(scm, area, latent)
    own = list(predictors(scm, latent))
    free = [p.is_free(latent) and not p.interacts(latent) and bool(p.intercept_free.all()) for p in touched.values()]
    free += [bool(predictor.weights_free.all() and predictor.intercept_free.all()) for predictor in own]
    if not touched or not all(free) or scm.spec.nodes[latent].kind == "ordinal":
        return False
    order = _with_reference(touched[_leading(scm, touched, latent)].loading(latent)[0], 0).argsort(stable=True)
    if bool((order.diff() > 0).all()):
        return False
    for predictor in touched.values():
        levels = _with_reference(predictor.loading(latent), 1)[:, order]
        predictor.set_intercept(predictor.intercept + levels[:, 0])
        predictor.set_loading(latent, (levels - levels[:, :1])[:, 1:])
    for predictor in own:
        predictor.intercept.data = _reordered(predictor.intercept, order)
        predictor.weights.data = _reordered(predictor.weights, order)
    return True


def _touched(scm: SCM, area: Neighbourhood, latent: str) -> dict[str, LinearPredictor]:
    """The nodes that the latent is a parent of, with the predictors that read it."""
    nodes = [node for node in area.factors if latent in scm.spec.nodes[node].parents]
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
