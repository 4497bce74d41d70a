"""Draws of parameters along a ridge, where data hardly hold a latent's loadings."""

import math
from collections.abc import Collection

import torch
from torch import Tensor

from cfair.errors import FitError
from cfair.inference.atlas import Atlas, survey
from cfair.inference.images import first_inside, images, inside
from cfair.inference.laplace import Draws, draw_normal
from cfair.inference.log_posterior import LogPosterior, log_posteriors
from cfair.inference.parameter_draws import exact_draws, none_learned, part_seed, resampled
from cfair.inference.pareto import tail_shape
from cfair.inference.straight import loadings_of, straight
from cfair.interfaces import Columns
from cfair.scm import SCM
from cfair.spec import few_indicators
from cfair.uncertainty import Uncertainty, trusted_k

__all__ = ["ridge"]

PROPOSALS, PER_DRAW = 2_000, 4  # points that are weighed, at least; and per draw
ROWS = 10_000  # from which curvatures are estimated
ALONG, ACROSS = 5.0, 10.0  # degrees of freedom of the proposals along the ridge and across it
WIDE = 0.7  # sd of a proposal along the ridge, in steps of the map
EVEN = 0.1  # share of proposals that are spread over all places alike


def ridge(scm: SCM, columns: Columns | None, *, count: int = 64, seed: int = 0) -> Uncertainty:
    """``count`` equally weighted draws of the parameters of a learned ``scm``, also where no normal describes their posterior.

    Where a latent has too few children to identify its loadings (see ``few_indicators``), the posterior is a curved ridge. It is
    explored place by place in the loadings, all other parameters at their top (see ``survey``); PROPOSALS points or more from a
    mixture of Student t's over these places, and from a Student t across, are weighed by the exact marginal posterior and drawn
    anew by their Pareto-smoothed weights. Parts of the model without such a latent are drawn as by ``laplace``.

    Args:
        scm: at its most probable parameters.
        columns: the table that it learned from; None where nothing was learned.
        count: how many draws.
        seed: of the points.

    Raises:
        FitError: the ridge is too long to be explored, or the weights have a k-hat that is not to be trusted.

    Source: Rue, Martino & Chopin (2009), Integrated nested Laplace approximations, for the exploration; Owen & Zhou (2000), Safe
    and effective importance sampling, for weights by the whole mixture.
    """
    if columns is None:
        return none_learned("ridge", count)
    columns = columns.counted()
    draws, uncovered = exact_draws(scm, columns, count=count, seed=seed)
    k_hat, ess, open_ = dict[str, float](), dict[str, float](), few_indicators(scm.spec)
    for place, density in enumerate(log_posteriors(scm, columns)):
        own = _drawn(scm, density, open_, count=max(PROPOSALS, PER_DRAW * count), seed=part_seed(seed, place))
        chosen = resampled(own.log_weights, count=count, seed=part_seed(seed, place))
        draws |= density.free.spread(own.thetas[chosen])
        k_hat[density.part] = own.k_hat
        ess |= dict.fromkeys(density.names, 1 / (1 / own.ess + 1 / count))
    log_weights = none_learned("ridge", count).log_weights
    weighed = max(PROPOSALS, PER_DRAW * count)
    return Uncertainty("ridge", draws, log_weights, k_hat=k_hat, ess=ess, uncovered=uncovered, weighed=weighed)


def _drawn(scm: SCM, density: LogPosterior, latents: Collection[str], *, count: int, seed: int) -> Draws:
    """Weighted points of one part of the model.

    Raises:
        FitError: they are not to be trusted.
    """
    loadings = loadings_of(scm, density, [latent for latent in latents if latent in density.nodes])
    if not loadings:
        return draw_normal(density, count=count, accept=inside(scm, density), images=images(scm, density), seed=seed)
    try:
        own = draw_along(scm, density, loadings, count=count, seed=seed)
    except FitError as error:
        raise FitError(f"uncertainty of {density.part}", error.problem, error.mend) from error
    if own.k_hat > trusted_k(count):
        limit = f"above the {trusted_k(count):.2f} up to which they can be trusted"
        problem = f"the weights of draws along its ridge have a k-hat of {own.k_hat:.2f}, {limit}"
        raise FitError(f"uncertainty of {density.part}", problem, "give priors, or fix a loading: the data do not determine it")
    return own


def draw_along(scm: SCM, density: LogPosterior, loadings: dict[int, str], *, count: int, seed: int) -> Draws:
    """``count`` weighted points along the ridge of these loadings, place -> node."""
    n = density.log_likelihood.n
    people = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:ROWS] if n > ROWS else None
    bent, keep = straight(density, loadings, people=people), inside(scm, density)
    held = torch.zeros(len(density.start), dtype=torch.bool).index_fill(0, torch.tensor([*loadings]), True)
    turns = images(scm, density, levels=False)
    atlas = survey(
        bent,
        bent.to_phi(density.start),
        held,
        accept=lambda phi: bool(keep(bent.to_theta(phi).unsqueeze(0))),
        signs=turns.diagonal(dim1=1, dim2=2),
    )
    phis, log_q = _proposed(atlas, count, seed)
    thetas = bent.to_theta(phis)
    log_p = _heights(density, thetas)
    log_ratio = log_p + bent.log_volume(phis) - log_q
    thetas, kept = first_inside(torch.einsum("gpq,sq->sgp", turns, thetas), keep)
    k_hat, smooth = tail_shape(log_ratio.nan_to_num(nan=-math.inf).masked_fill(~kept, -math.inf).unsqueeze(1))
    return Draws(thetas, smooth.squeeze(1).log_softmax(0), float(k_hat))


def _heights(density: LogPosterior, thetas: Tensor) -> Tensor:
    """The log densities of points (S, p), of shape (S,); −∞ so far out that a row's equations have no solution in numbers of 64 bits."""
    try:
        return density.values(thetas)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        if len(thetas) == 1:
            return torch.full((1,), -math.inf, dtype=torch.float64)
        return torch.cat([_heights(density, some) for some in thetas.chunk(2)])


def _proposed(atlas: Atlas, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Points φ, (count, p), and the log density from which they come, (count,)."""
    source, k, q = torch.Generator().manual_seed(seed), int(atlas.held.sum()), int((~atlas.held).sum())
    shares = (1 - EVEN) * atlas.log_shares.exp() + EVEN / len(atlas.places)
    chosen = torch.multinomial(shares, count, replacement=True, generator=source)
    x = atlas.places[chosen] + WIDE * _student(count, k, ALONG, source)
    z = _student(count, q, ACROSS, source)
    phis, volume = atlas.carried(x, z)
    apart = torch.cdist(x, atlas.places) / WIDE
    along = (_log_student(apart.square(), ALONG, k) + shares.log()).logsumexp(1) - k * math.log(WIDE)
    return phis, along + _log_student(z.square().sum(1), ACROSS, q) - volume


def _student(count: int, d: int, degrees: float, source: torch.Generator) -> Tensor:
    """Draws of a standard Student t in d dimensions, (count, d)."""
    normal = torch.randn(count, d, generator=source, dtype=torch.float64)
    chi = 2 * torch._standard_gamma(torch.full((count, 1), degrees / 2, dtype=torch.float64), generator=source)
    return normal / (chi / degrees).sqrt()


def _log_student(square: Tensor, degrees: float, d: int) -> Tensor:
    """Its log density at squared distances |t|²."""
    constant = math.lgamma((degrees + d) / 2) - math.lgamma(degrees / 2) - d / 2 * math.log(degrees * math.pi)
    return constant - (degrees + d) / 2 * (square / degrees).log1p()
