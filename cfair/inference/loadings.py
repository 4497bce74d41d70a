"""A latent's loadings: where learning begins, and the sign that is a convention."""

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from cfair.inference.neighbourhood import Neighbourhood
from cfair.mechanisms import LinearPredictor
from cfair.scm import SCM

__all__ = ["orient", "start_loadings"]

WEAKEST, STRONGEST = 0.1, 0.9  # share of a child's residual sd that a first loading may be: at 0 the likelihood is flat


def start_loadings(area: Neighbourhood) -> None:
    """Set the free loadings of the children, each learned without the latent so far, to a one-factor analysis of their residuals.

    λ_j = v_j·√((e − 1)·J/(J − 1)), with e and v the largest eigenvalue and its vector of the correlations of the J children's Pearson
    residuals: exact when all correlations are equal.
    """
    children = [(child, predictor) for child in area.children for predictor in _predictors(area.scm, child)]
    if not children:
        return
    for _, predictor in children:
        predictor.set_loading(area.latent, torch.ones(()))
    scores = [_pearson(area, child) for child in area.children]
    loadings = _one_factor(torch.stack([residual for residual, _ in scores]))
    held = torch.tensor([not predictor.is_free(area.latent) for _, predictor in children])
    sign = -1.0 if loadings[held].sum() < 0 else 1.0  # residuals are seen along the latent: a loading that is held should look positive
    for (_, predictor), loading, (_, worth) in zip(children, loadings, scores, strict=True):
        predictor.set_loading(area.latent, sign * loading * worth)


def orient(scm: SCM, area: Neighbourhood) -> None:
    """Turn the latent so that the outcome's loading, or else the largest, is positive, where its mirror image is as probable.

    It is not where a loading is fixed, where a prior of a loading has a mean, or where the latent's own intercept is not 0.
    """
    predictors = {child: predictor for child in area.children for predictor in _predictors(scm, child)}
    own = list(_predictors(scm, area.latent))
    mirrored = [predictor.is_mirrored(area.latent) for predictor in predictors.values()] + [predictor.is_odd() for predictor in own]
    if not predictors or not all(mirrored):
        return
    leading = (
        scm.spec.outcome if scm.spec.outcome in predictors else max(predictors, key=lambda child: _size(predictors[child], area.latent))
    )
    if predictors[leading].loading(area.latent).sum() < 0:
        for predictor in predictors.values():
            predictor.set_loading(area.latent, -predictor.loading(area.latent))
        for predictor in own:
            predictor.weights.data = -predictor.weights.data


def _predictors(scm: SCM, node: str) -> Iterator[LinearPredictor]:
    module = cast("nn.Module", scm.mechanisms[node])
    return (part for part in module.modules() if isinstance(part, LinearPredictor))


def _size(predictor: LinearPredictor, latent: str) -> float:
    return float(predictor.loading(latent).abs().max())


def _pearson(area: Neighbourhood, child: str) -> tuple[Tensor, Tensor]:
    """Residuals s/√−h of a child at k = 0, shape (n,), and what a residual sd is worth on the child's predictor, shape ().

    s and h are the slope and curvature of its log density in its predictor.
    """
    with torch.enable_grad():
        k = torch.zeros(area.n, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(area.log_prob(child, k).sum(), k, create_graph=True)
        curvature = torch.autograd.grad(slope.sum(), k)[0] if slope.requires_grad else torch.zeros_like(slope)
    information = (-curvature).clamp(min=1e-8)
    residual = slope.detach() / information.sqrt()
    return residual, residual.std(correction=0) / information.sqrt().mean()


def _one_factor(residuals: Tensor) -> Tensor:
    """Loadings (J,) of the residuals (J, n), in residual sds."""
    count = len(residuals)
    if count == 1:
        return torch.tensor([0.5], dtype=torch.float64)
    centred = residuals - residuals.mean(1, keepdim=True)
    scaled = centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-12)
    values, vectors = torch.linalg.eigh(scaled @ scaled.T)
    loadings = vectors[:, -1] * ((values[-1] - 1).clamp(min=0) * count / (count - 1)).sqrt()
    size: Tensor = loadings.abs().clamp(WEAKEST, STRONGEST)
    return torch.where(loadings < 0, -size, size)
