"""Latents integrated out: sums over levels, and for numbers adaptive Gauss-Hermite quadrature centred on each row's own mode.

Whether a rule is fine enough is checked by a finer one. Sources: Naylor & Smith (1982) and Liu & Pierce (1994).
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from cfair.errors import FitError
from cfair.inference.importance import CLOUDS, importance, proposal
from cfair.inference.landscape import Landscape, landscape
from cfair.inference.neighbourhood import Neighbourhood
from cfair.inference.pareto import HEAVY, tail_shape
from cfair.inference.rule import Rule, carried, log_volume
from cfair.inference.shape import FAR, equal_steps, panels
from cfair.inference.summit import Summit

__all__ = ["Integral", "Rule", "RuleOf", "integrate", "ladder", "log_integral"]

SETTLED = {1: 1e-8, 2: 1e-7, 3: 1e-6}  # by dimensions, how far mean and sd may move from one rule to the next, in posterior sds
ENOUGH = {1: 1e-5, 2: 1e-4, 3: 1e-3}  # how far the finest rule may move them: with one latent, a cliff of a ten-thousandth of the prior sd
NODES = {1: 9, 2: 7, 3: 5}  # by dimensions, Gauss-Hermite nodes per dimension of the first rule
DOUBLINGS = {1: 4, 2: 4, 3: 3}  # of them
SAMPLED = 0.005  # posterior sds within which they agree
EXACT = 3  # nodes with which moments, and the likelihood with its slope and curvature by parameters, are exact where all is normal
PANELS = (40, 80, 160, 320, 640)  # on either side of the mode, where one latent wants more than Gauss-Hermite nodes
HALVINGS = 12  # of the panels next to the mode
ROUNDING = 1e-12  # of an expectation
RARE = 0.01  # probability of a combination of levels below which its k-hat does not matter
NOTHING = 36.0  # nats below the likeliest combination of levels at which another counts for nothing

PointFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # of points (d, Q, m) and of the positions (m,) of their rows, to (Q, m, c)


RuleOf: TypeAlias = Callable[[Landscape, Summit], Rule]


class Integral(NamedTuple):
    """What is known of the latents of n people once they are integrated out.

    ``mean`` and ``sd`` are the real latents' posterior moments, ``combinations`` the posterior of the discrete ones' levels together.
    """

    log_evidence: Tensor  # log p(evidence), up to what does not depend on latents, (n,)
    mean: Tensor  # (d, n)
    sd: Tensor  # (d, n)
    combinations: Tensor  # (n, combinations)
    k_hat: Tensor  # of the importance weights, (n,); 0 of a product rule, and where all weights are equal
    expected: Tensor  # of the c numbers of the function asked for, (n, c)


def ladder(land: Landscape, nodes: int | None = None) -> list[RuleOf]:
    """Rules to try in turn until two agree: Gauss-Hermite with ``nodes`` per dimension (NODES if None) and their doublings, then panels.

    Where the posterior is normal one rule is exact. Where latents are ``sampled``, importance sampling with more and more points.
    """
    if land.sampled:
        return [partial(importance, count=count) for count in (CLOUDS[:1] if land.normal else CLOUDS)]
    if land.normal or not land.d:
        return [partial(gauss_hermite, nodes=EXACT)]
    first = nodes or NODES[land.d]
    hermite = [partial(gauss_hermite, nodes=first * 2**i) for i in range(DOUBLINGS[land.d] + 1)]
    return [*hermite, *(partial(gauss_legendre, count=count) for count in PANELS)] if land.d == 1 else [*hermite]


def gauss_hermite(land: Landscape, top: Summit, nodes: int) -> Rule:
    """The rule that is exact for the normal approximation at the mode times a polynomial of degree 2·nodes − 1 in each direction."""
    z, log_weights = (each.to(top.center) for each in _hermite(nodes, land.d))
    return Rule(carried(top.center, top.root, z), log_weights.unsqueeze(-1), log_volume(top.root), z)


@cache
def _hermite(nodes: int, dimensions: int) -> tuple[Tensor, Tensor]:
    """Points z (d, Q) and log weights (Q,) of the product rule for ∫ f(z) dz."""
    points, weights = np.polynomial.hermite.hermgauss(nodes)
    grids = np.meshgrid(*[points] * dimensions, indexing="ij")
    logs = np.meshgrid(*[np.log(2**0.5 * weights) + points**2] * dimensions, indexing="ij")
    t = np.stack([grid.ravel() for grid in grids]) if dimensions else np.zeros((0, 1))
    return 2**0.5 * torch.from_numpy(t), torch.from_numpy(np.sum([each.ravel() for each in logs], 0) if dimensions else np.zeros(1))


def gauss_legendre(land: Landscape, top: Summit, count: int) -> Rule:
    """Four nodes on each panel of one latent's posterior: ``count`` panels on either side of its mode, the first halved HALVINGS times.

    With a steep logistic child the mode lies on the brow of a cliff, where the density bends within a fraction of a panel.
    Where the density is not log-concave the panels are equal, over FAR prior sds.
    """
    r = equal_steps(count)
    brow = r[0] / 2.0 ** torch.arange(HALVINGS, 0, -1, dtype=torch.float64)
    center, spread = (each[0] for each in land.prior())
    if land.concave:
        ends = panels(lambda k: land(k.unsqueeze(0)), top.center[0], top.sd[0], spread, torch.cat([brow, r]))
    else:
        ends = center + spread * torch.linspace(-FAR, FAR, 4 * count + 1, dtype=torch.float64).unsqueeze(-1)
    t, weights = (torch.from_numpy(each).view(-1, 1, 1) for each in np.polynomial.legendre.leggauss(4))
    half = ends.diff(dim=0) / 2
    points = ends[:-1] + half * (1 + t)
    return Rule(points.flatten(0, 1).unsqueeze(0), (half * weights).log().flatten(0, 1), torch.zeros((), dtype=torch.float64))


def log_integral(land: Landscape, rule: Rule) -> Tensor:
    """The log of ∫ p(u, evidence) du, shape (n,); differentiable by the parameters."""
    return land.height + (land.over(rule.points) + rule.log_weights).logsumexp(0) + rule.log_volume


def integrate(area: Neighbourhood, function: PointFunction | None = None, *, outputs: int = 1, nodes: int | None = None) -> Integral:
    """Posterior moments of latents, and E[function(u)], to SETTLED posterior sds.

    Up the ladder, row by row, until they stand still; a row at its end is content with ENOUGH. E[function(u)] stands still in
    posterior sds of the function. Importance sampling stands still within SAMPLED; at its end, k-hat says what it is worth.

    Args:
        area: the latents and their evidence.
        function: of points of the real latents and of the positions of their rows in ``area.enumerated()``; 0 if None.
        outputs: how many numbers c the function gives of each point.
        nodes: per dimension, of the first rule.

    Raises:
        FitError: some row's moments still move at the finest rule.
    """
    rows = area.enumerated()
    land = landscape(rows)
    top = proposal(rows, land)
    moments = torch.full((2 * (land.d + outputs + 1), rows.n), torch.nan, dtype=torch.float64)
    left, rules = torch.arange(rows.n), ladder(land, nodes)
    for rule in rules:
        part = land if len(left) == rows.n else land.take(left)
        finer = _moments(part, rule(part, Summit(top.center[:, left], top.root[:, :, left])), left, function, outputs)
        last = rule is rules[-1]
        exact = len(rules) == 1 or (land.sampled and last)
        settled = finer.isfinite().all(0) if exact else _settled(moments[:, left], finer, land, last=last)
        moments[:, left] = finer
        left = left[~settled]
        if not len(left):
            break
    else:
        _check_weight(area, moments, left)
    return _mixed(area, moments)


def _settled(coarse: Tensor, fine: Tensor, land: Landscape, *, last: bool) -> Tensor:
    """Whether a row's moments stand still, False for nan; of a function that is not smooth the last rule's expectation must do."""
    d = land.d
    tolerance = SAMPLED if land.sampled else (ENOUGH if last else SETTLED)[max(d, 1)]
    change, sd = (fine - coarse).abs(), fine[d : 2 * d]
    expected, spread = fine[2 * d : -2].chunk(2)
    smooth = (change[2 * d : -2].chunk(2)[0] <= tolerance * spread + ROUNDING * expected.abs()).all(0)
    if land.sampled:
        smooth = smooth & ~(fine[-2] > HEAVY)  # more points tell whether the tail is heavy
        last = False
    still: Tensor = (change[: 2 * d] <= tolerance * torch.cat([sd, sd])).all(0) & (change[-1] <= tolerance) & (smooth | last)
    return still


def _moments(land: Landscape, rule: Rule, rows: Tensor, function: PointFunction | None, outputs: int) -> Tensor:
    """Means and sds of d latents, E[function] and sd[function], k-hat and the log evidence, stacked, shape (2·(d + outputs + 1), n)."""
    log_mass = land(rule.points) + rule.log_weights
    k_hat, log_mass = tail_shape(log_mass) if land.sampled else (torch.zeros_like(log_mass[0]), log_mass)
    whole = log_mass.logsumexp(0)
    weights = (log_mass - whole).exp()
    mean = (weights * rule.points).sum(1)
    sd = (weights * (rule.points - mean.unsqueeze(1)).square()).sum(1).sqrt()
    values = weights.new_zeros(*weights.shape, outputs) if function is None else function(rule.points, rows)
    expected = (weights.unsqueeze(-1) * values).sum(0)
    spread = (weights.unsqueeze(-1) * (values - expected).square()).sum(0).sqrt()
    return torch.cat([mean, sd, expected.T, spread.T, torch.stack([k_hat, whole + rule.log_volume])])


def _mixed(area: Neighbourhood, moments: Tensor) -> Integral:
    """The combinations of levels put together, each by its probability."""
    d = len(area.real)
    by_combination = moments.reshape(len(moments), area.combinations, area.n)
    means, sds, expected = by_combination[:d], by_combination[d : 2 * d], by_combination[2 * d : -2].chunk(2)[0]
    k_hats, log_mass = by_combination[-2:]
    weights = log_mass.softmax(0)
    possible = weights > 0  # of what cannot be, nothing is known
    means, sds, expected = (torch.where(possible, part, 0.0) for part in (means, sds, expected))
    mean = (weights * means).sum(1)
    sd = (weights * (sds.square() + (means - mean.unsqueeze(1)).square())).sum(1).sqrt()
    k_hat = torch.where(weights > RARE, k_hats, 0.0).amax(0)
    return Integral(log_mass.logsumexp(0), mean, sd, weights.T, k_hat, (weights * expected).sum(1).T)


def _check_weight(area: Neighbourhood, moments: Tensor, left: Tensor) -> None:
    """Rows that never settle matter where their combination of levels is not negligible."""
    log_mass = moments[-1].reshape(area.combinations, area.n)
    matters = ~(log_mass < log_mass.nan_to_num(nan=-torch.inf).amax(0) - NOTHING).flatten()
    left = left[matters[left]]
    if not len(left):
        return
    first = ", ".join(f"{node} = {float(column[left[0] % area.n]):g}" for node, column in area.values.items())  # levels by position
    count = "1 row does" if len(left) == 1 else f"{len(left)} distinct rows do"
    problem = f"{count} not settle with the finest quadrature; the first has {first}"
    names = ", ".join(f"'{latent}'" for latent in area.latents)
    raise FitError(f"posterior of {names}", problem, "look for an extreme value or loading")
