"""Draws of parameters by the No-U-Turn sampler, the latents integrated out."""

from dataclasses import dataclass
from functools import partial

import pyro
import torch
from pyro.infer import MCMC, NUTS
from torch import Tensor

from cfair.errors import FitError
from cfair.inference.chains import bulk_ess, r_hat
from cfair.inference.images import Keep, first_inside, images, inside
from cfair.inference.laplace import root
from cfair.inference.log_posterior import LogPosterior, log_posteriors
from cfair.inference.parameter_draws import exact_draws, none_learned, part_seed
from cfair.interfaces import Columns
from cfair.scm import SCM
from cfair.uncertainty import Uncertainty

__all__ = ["Chains", "nuts"]

AGREED = 1.01  # largest R-hat of chains that agree (Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021)
LONGER = 4  # times as long are chains that at first did not agree, or diverged
DIVERGED = 0.01  # share of transitions that may diverge
FEWEST = 20  # draws of a chain that must keep the latents' convention


@dataclass(frozen=True, slots=True)
class Chains:
    """How much work to spend on chains.

    Args:
        count: of chains, run one after the other.
        warmup: steps of each that only adapt the sampler.
        length: steps of each after those.
        agreed: largest R-hat that is no failure.
    """

    count: int = 4
    warmup: int = 150
    length: int = 250
    agreed: float = AGREED


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """Chains of one part: θ of shape (chains, length, p), and how many transitions diverged."""

    thetas: Tensor
    divergences: int


def nuts(scm: SCM, columns: Columns | None, *, count: int = 64, seed: int = 0, chains: Chains | None = None) -> Uncertainty:
    """``count`` equally weighted draws of the parameters of a learned ``scm``, spread evenly over chains that begin at its own.

    The posterior is the marginal one of the parameters: no latent is sampled. Its independent parts have chains of their own,
    whitened by the curvature at the top, so that the sampler has next to nothing to adapt. A draw that breaks the convention on a
    latent's sign is turned round, which is as probable; one that breaks the order of levels is left out: their priors differ.
    Closed-form families are drawn exactly.

    Args:
        scm: at its most probable parameters.
        columns: the table that it learned from; None where nothing was learned.
        count: how many draws.
        seed: of the chains.
        chains: how much work to spend.

    Raises:
        FitError: even when they are four times as long, chains do not agree (R-hat above 1.01) or more than 1 % of their transitions
            diverge; or the density does not fall in every direction from the top.

    Source: Hoffman & Gelman (2014), The No-U-Turn sampler; Pyro's implementation.
    """
    if columns is None:
        return none_learned("nuts", count)
    columns, chains = columns.counted(), chains or Chains()
    draws, uncovered = exact_draws(scm, columns, count=count, seed=seed)
    worst, ess, diverged = dict[str, float](), dict[str, float](), 0
    for place, density in enumerate(log_posteriors(scm, columns)):
        sample = _agreeing(scm, density, chains, part_seed(seed, place))
        named = list(zip(density.names, sample.thetas.unbind(2), strict=True))
        worst |= {name: r_hat(chain) for name, chain in named}
        ess |= {name: bulk_ess(chain) for name, chain in named}
        draws |= density.free.spread(_thinned(sample.thetas, count, part_seed(seed, place)))
        diverged += sample.divergences
    return Uncertainty(
        "nuts", draws, none_learned("nuts", count).log_weights, r_hat=worst, ess=ess, divergences=diverged, uncovered=uncovered
    )


def _agreeing(scm: SCM, density: LogPosterior, chains: Chains, seed: int) -> _Sample:
    """Chains that agree with one another.

    Raises:
        FitError: they do not, or they diverge.
    """
    keep, mirrors, where = inside(scm, density), images(scm, density, levels=False), f"uncertainty of {density.part}"
    for times in (1, LONGER):
        sample = _run(density, Chains(chains.count, chains.warmup, times * chains.length), seed + times)
        count = sample.thetas[:, :, 0].numel()
        if sample.divergences > DIVERGED * count:
            failed = f"{sample.divergences} of {count} transitions diverged: the posterior has a corner", "give priors, or fix a parameter"
            continue
        sample = _Sample(_kept(sample.thetas, keep, mirrors, where), sample.divergences)
        values = [r_hat(chain) for chain in sample.thetas.unbind(2)]
        if max(values) <= chains.agreed:
            return sample
        name = density.names[values.index(max(values))]
        problem = f"chains do not agree on {name}: R-hat is {max(values):.3f}, above {chains.agreed:g}"
        failed = problem, "give priors, or fix a parameter: the data do not determine it"
    raise FitError(where, *failed)


def _run(density: LogPosterior, chains: Chains, seed: int) -> _Sample:
    """Chains one after the other; Pyro's global state and the caller's random numbers are untouched."""
    top, stretch = density.start, root(density, seed=seed)
    found, diverged = [], 0
    for chain in range(chains.count):
        with torch.random.fork_rng(devices=[]), pyro.get_param_store().scope():
            torch.manual_seed(seed + chain)
            begin = torch.randn(len(top), dtype=torch.float64)
            kernel = NUTS(potential_fn=partial(_potential, density, top, stretch), adapt_mass_matrix=False, max_tree_depth=8)
            sampler = MCMC(kernel, chains.length, chains.warmup, initial_params={"phi": begin}, disable_progbar=True)
            sampler.run()
        found.append(top + sampler.get_samples()["phi"] @ stretch.T)
        diverged += sum(map(len, sampler.diagnostics()["divergences"].values()))
    return _Sample(torch.stack(found), diverged)


def _potential(density: LogPosterior, top: Tensor, stretch: Tensor, phi: dict[str, Tensor]) -> Tensor:
    """−log p(top + stretch·φ), shape ()."""
    height: Tensor = _Height.apply(phi["phi"], density, top, stretch)  # type: ignore[no-untyped-call]
    return -height


class _Height(torch.autograd.Function):
    """The log density of parameters, whose gradient comes with it."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, phi: Tensor, density: LogPosterior, top: Tensor, stretch: Tensor) -> Tensor:
        """At top + stretch·φ; −∞ where it is no number."""
        with torch.enable_grad():
            value, slope = density.value_and_slope(top + stretch @ phi.detach())
        ctx.save_for_backward((stretch.T @ slope).nan_to_num(nan=0.0))
        return torch.tensor(value, dtype=torch.float64).nan_to_num(nan=-torch.inf)

    @staticmethod
    def backward(ctx: torch.autograd.function.BackwardCFunction, *outer: Tensor) -> tuple[Tensor, None, None, None]:
        """The gradient by φ."""
        (slope,) = ctx.saved_tensors
        return outer[0] * slope, None, None, None


def _kept(thetas: Tensor, keep: Keep, mirrors: Tensor, where: str) -> Tensor:
    """The draws, or those of their mirror images (g, p, p), that keep the convention, as many of each chain, shape (chains, fewer, p).

    Raises:
        FitError: a chain has too few.
    """
    found = [first_inside(torch.einsum("gpq,sq->sgp", mirrors, chain), keep) for chain in thetas.unbind(0)]
    kept = [own[inside] for own, inside in found]
    fewest = min(map(len, kept))
    if fewest < FEWEST:
        problem = f"of {thetas.shape[1]} draws of a chain {fewest} keep the latents' convention"
        raise FitError(where, problem, "give priors, or fix a loading: the data hardly tell the latents' directions or levels apart")
    return torch.stack([chain[:fewest] for chain in kept])


def _thinned(thetas: Tensor, count: int, seed: int) -> Tensor:
    """``count`` draws (count, p) spread evenly over all chains, in random order: parts of a model are put side by side."""
    pooled = thetas.flatten(0, 1)
    places = torch.linspace(0, len(pooled) - 1, count, dtype=torch.float64).round().long()
    return pooled[places[torch.randperm(count, generator=torch.Generator().manual_seed(seed))]]
