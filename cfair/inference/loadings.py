"""Latents' loadings: where learning begins."""

from collections import Counter
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from cfair.inference.neighbourhood import Neighbourhood
from cfair.mechanisms import Indexed, LinearPredictor
from cfair.scm import SCM

__all__ = ["perturb_loadings", "predictors", "start_loadings"]

WEAKEST, STRONGEST = 0.1, 0.9  # share of a child's residual sd that a first loading may be: at 0 the likelihood is flat


def start_loadings(area: Neighbourhood) -> None:
    """Set the free loadings of the children, each learned without the latents so far, to a factor analysis of their residuals.

    λ_j = v_j·√((e − 1)·J/(J − 1)), with e and v the largest eigenvalue and its vector of the correlations of the J children's Pearson
    residuals: exact when all correlations are equal. Latents with the same children take one eigenvector after another. The levels of
    a discrete latent begin at equal steps of such a factor.
    """
    scores = {child: _pearson(area, child) for child in area.children if isinstance(area.scm.mechanisms[child], Indexed)}
    taken: Counter[tuple[str, ...]] = Counter()
    for latent in area.latents:
        children = tuple(child for child in scores if latent in area.scm.spec.nodes[child].parents)
        if children:
            _start(area, latent, children, {child: scores[child] for child in children}, rank=taken[children] % len(children))
            taken[children] += 1


def _start(area: Neighbourhood, latent: str, children: tuple[str, ...], scores: dict[str, tuple[Tensor, Tensor]], *, rank: int) -> None:
    """Set the loadings of one latent."""
    loadings = _factor(torch.stack([scores[child][0] for child in children]), rank)
    steps = _steps(area.scm, latent)
    held = {child: sum(float(p.loading(latent).sum()) for p in predictors(area.scm, child) if not p.is_free(latent)) for child in children}
    agreement = sum(held[child] * float(loading) for child, loading in zip(children, loadings, strict=True))
    sign = -1.0 if agreement < 0 else 1.0  # a loading that is held keeps its sign, and the others follow it
    for child, loading in zip(children, loadings, strict=True):
        for predictor in predictors(area.scm, child):
            predictor.set_loading(latent, sign * loading * scores[child][1] * steps)


def _steps(scm: SCM, latent: str) -> Tensor:
    """What a factor of sd 1 is worth at each level but the first, against the first; 1 for a latent that is a number."""
    levels = len(scm.spec.nodes[latent].levels)
    if not levels:
        return torch.ones(1, dtype=torch.float64)
    middle = torch.special.ndtri((torch.arange(levels, dtype=torch.float64) + 0.5) / levels)
    steps: Tensor = (middle - middle[0])[1:] / middle.std(correction=0)
    return steps


def perturb_loadings(area: Neighbourhood, *, seed: int) -> None:
    """Other loadings of the discrete latents to begin with, of about the size of the present ones."""
    source = torch.Generator().manual_seed(seed)
    for latent in area.discrete:
        for child in area.children:
            for predictor in predictors(area.scm, child):
                if latent in area.scm.spec.nodes[child].parents:
                    own = predictor.loading(latent)
                    size = own.abs().amax().clamp(min=WEAKEST)
                    predictor.set_loading(latent, own + size * torch.randn(own.shape, generator=source, dtype=torch.float64))


def predictors(scm: SCM, node: str) -> Iterator[LinearPredictor]:
    """The linear predictors of a node's mechanism."""
    module = cast("nn.Module", scm.mechanisms[node])
    return (part for part in module.modules() if isinstance(part, LinearPredictor))


def _pearson(area: Neighbourhood, child: str) -> tuple[Tensor, Tensor]:
    """Residuals s/√−h of a child without the latents, shape (n,), and what a residual sd is worth on the child's predictor, shape ().

    s and h are the slope and curvature of its log density in a real latent's contribution to its predictor.
    """
    spec = area.scm.spec
    parents = [latent for latent in area.latents if latent in spec.nodes[child].parents]
    for predictor in predictors(area.scm, child):
        for latent in parents:
            predictor.set_loading(latent, torch.zeros(1, dtype=torch.float64))
    mechanism = area.scm.mechanisms[child]
    assert isinstance(mechanism, Indexed)
    values = {**area.values, **dict.fromkeys(parents, torch.zeros(area.n, dtype=torch.float64))}
    eta = mechanism.index(area.scm.parents(child, values))
    with torch.enable_grad():
        shift = torch.zeros(area.n, 1, dtype=torch.float64, requires_grad=True)
        height = mechanism.at(eta + shift).log_prob(values[child]).sum()
        (slope,) = torch.autograd.grad(height, shift, create_graph=True)
        curvature = torch.autograd.grad(slope.sum(), shift)[0] if slope.requires_grad else torch.zeros_like(slope)
    information = (-curvature).clamp(min=1e-8).squeeze(-1)
    residual = slope.detach().squeeze(-1) / information.sqrt()
    return residual, residual.std(correction=0) / information.sqrt().mean()


def _factor(residuals: Tensor, rank: int) -> Tensor:
    """Loadings (J,) of the residuals (J, n) on their factor of this rank, in residual sds."""
    count = len(residuals)
    if count == 1:
        return torch.tensor([0.5], dtype=torch.float64)
    centred = residuals - residuals.mean(1, keepdim=True)
    scaled = centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-12)
    values, vectors = torch.linalg.eigh(scaled @ scaled.T)
    loadings = vectors[:, -1 - rank] * ((values[-1 - rank] - 1).clamp(min=0) * count / (count - 1)).sqrt()
    size: Tensor = loadings.abs().clamp(WEAKEST, STRONGEST)
    return torch.where(loadings < 0, -size, size)
