"""The uncertainty of an SCM's parameters: each independent part drawn by itself, then all of them side by side."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from cfair.errors import QueryError
from cfair.inference.images import images, inside
from cfair.inference.laplace import draw_normal
from cfair.inference.log_posterior import LogPosterior, log_posteriors
from cfair.inference.profile import shallow
from cfair.inference.straight import loadings_of
from cfair.interfaces import Columns, ExactPosterior, SelfTaught
from cfair.scm import SCM
from cfair.spec import few_indicators
from cfair.uncertainty import Method, Uncertainty

__all__ = ["FEWEST", "check_count", "exact_draws", "laplace", "none_learned", "part_seed", "resampled"]

BLIND = 1.0  # k-hat from which on weights have no mean: what means over such draws are worth
FEWEST = 50  # draws: of fewer, the largest weights are too few to tell whether the others may be trusted


def check_count(count: int) -> None:
    """Refuse a number of draws that is too small.

    Raises:
        QueryError: it is.
    """
    if count < FEWEST:
        raise QueryError("parameter_draws", f"{count} draws are too few to tell how far they can be trusted", f"use {FEWEST} or more")


def laplace(scm: SCM, columns: Columns | None, *, count: int = 64, seed: int = 0) -> Uncertainty:
    """Weighted draws of the parameters around those of a learned ``scm``, the most probable ones given ``columns``;
    of none where all are fixed.

    Where a latent has too few children (see ``few_indicators``), draws around the top may reach none of a ridge that goes on from it, and
    their weights then look well: of few draws none is where they would be large. There the log posterior is followed along the
    loadings, and k-hat is BLIND at least where it falls by less than half of what the normal does.

    Closed-form families are drawn exactly. See ``draw_normal`` for the others. Where several parts do not depend on one another each
    is drawn anew by its own weights, and all draws then weigh the same: a product of many weights would leave hardly a draw.

    Raises:
        FitError: the log posterior does not fall in every direction from the SCM's parameters.
    """
    if columns is None:  # nothing was learned
        return none_learned("laplace", count)
    columns = columns.counted()
    draws, uncovered = exact_draws(scm, columns, count=count, seed=seed)
    log_weights = none_learned("laplace", count).log_weights
    k_hat, ess = dict[str, float](), dict[str, float]()
    parts = log_posteriors(scm, columns)
    for place, density in enumerate(parts):
        own = draw_normal(density, count=count, accept=inside(scm, density), images=images(scm, density), seed=part_seed(seed, place))
        if len(parts) == 1:
            log_weights = own.log_weights
        draws |= density.free.spread(own.thetas if len(parts) == 1 else own.thetas[resampled(own.log_weights, seed=part_seed(seed, place))])
        k_hat[density.part] = max(own.k_hat, BLIND) if _on_a_ridge(scm, density) else own.k_hat
        ess |= dict.fromkeys(density.names, own.ess)
    return Uncertainty("laplace", draws, log_weights.log_softmax(0), k_hat=k_hat, ess=ess, uncovered=uncovered)


def _on_a_ridge(scm: SCM, density: LogPosterior) -> bool:
    """Whether too few children leave a latent's loadings farther open than the curvature says."""
    latents = [latent for latent in few_indicators(scm.spec) if latent in density.nodes]
    loadings = loadings_of(scm, density, latents) if latents else {}
    return bool(loadings) and shallow(density, loadings)


def resampled(log_weights: Tensor, *, count: int | None = None, seed: int) -> Tensor:
    """Positions (count,), or (S,), of draws with weights (S,), each as often as it weighs but for rounding up or down, in random order.

    Source: Kitagawa (1996), systematic resampling.
    """
    source, count = torch.Generator().manual_seed(seed), count or len(log_weights)
    grid = (torch.arange(count, dtype=torch.float64) + torch.rand((), generator=source, dtype=torch.float64)) / count
    chosen = torch.searchsorted(log_weights.softmax(0).cumsum(0), grid).clamp(max=len(log_weights) - 1)
    return chosen[torch.randperm(count, generator=source)]


def none_learned(method: Method, count: int) -> Uncertainty:
    """Draws of the parameters of an SCM that has none to be learned: all alike."""
    return Uncertainty(method, {}, torch.full((count,), -math.log(count), dtype=torch.float64))


def part_seed(seed: int, place: int) -> int:
    """The seed of one part of a model: parts are independent."""
    return seed + 7_368_787 * (place + 1)


def exact_draws(scm: SCM, columns: Columns, *, count: int, seed: int) -> tuple[dict[str, Mapping[str, Tensor]], tuple[str, ...]]:
    """Node -> parameter -> draws (count, ...) of the closed-form families that know their posterior; and the learned nodes that do not."""
    draws: dict[str, Mapping[str, Tensor]] = {}
    uncovered = []
    for place, (node, mechanism) in enumerate(scm.mechanisms.items()):
        if isinstance(mechanism, ExactPosterior) and not mechanism.known:
            source = torch.Generator().manual_seed(part_seed(seed, -2 - place))
            parents = scm.parents(node, columns.coded)
            draws[node] = mechanism.posterior_draws(columns[node], parents, count=count, source=source, weights=columns.weights)
        elif isinstance(mechanism, SelfTaught) and not mechanism.known:
            uncovered.append(node)
    return draws, tuple(uncovered)
