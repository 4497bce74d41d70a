"""A latent integrated out: adaptive Gauss-Hermite quadrature centred on each row's own mode, checked by doubling its nodes.

Sources: Naylor & Smith (1982) and Liu & Pierce (1994).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from cfair.errors import FitError
from cfair.inference.neighbourhood import Neighbourhood
from cfair.inference.shape import equal_steps, mode, panels

__all__ = ["Rule", "RuleOf", "gauss_hermite", "gauss_legendre", "integrate", "ladder"]

SETTLED = 1e-8  # how far mean and sd may move when nodes double, in posterior sds
DOUBLINGS = 4  # of the first rule's nodes, before panels take over
PANELS = (40, 80, 160, 320, 640)  # on either side of the mode
HALVINGS = 12  # of the panels next to the mode
ROUNDING = 1e-12  # of an expectation
ENOUGH = 1e-5  # how far the finest rule may move them, for a density with a cliff of a ten-thousandth of the prior sd


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """∫ f(k) dk ≈ Σ_q exp(log_weights)·f(points), each of shape (Q, n)."""

    points: Tensor
    log_weights: Tensor


RuleOf: TypeAlias = Callable[[Neighbourhood, Tensor, Tensor], Rule]  # of a latent's neighbourhood, its modes and sds there, (n,) each


def ladder(nodes: int) -> list[RuleOf]:
    """Rules to try in turn until two agree: Gauss-Hermite with ``nodes`` and their doublings, then Gauss-Legendre on panels."""
    hermite = [partial(gauss_hermite, nodes=nodes * 2**i) for i in range(DOUBLINGS + 1)]
    return [*hermite, *(partial(gauss_legendre, count=count) for count in PANELS)]


def gauss_hermite(area: Neighbourhood, center: Tensor, sd: Tensor, nodes: int) -> Rule:
    """The rule that is exact for Normal(center, sd) times a polynomial of degree 2·nodes − 1, whatever ``area``; both of shape (n,)."""
    t, log_weights = _hermite(nodes)
    scale = 2**0.5 * sd
    return Rule(center + scale * t, log_weights + scale.log())


@cache
def _hermite(nodes: int) -> tuple[Tensor, Tensor]:
    points, weights = np.polynomial.hermite.hermgauss(nodes)
    return torch.from_numpy(points).unsqueeze(-1), torch.from_numpy(np.log(weights) + points**2).unsqueeze(-1)


def gauss_legendre(area: Neighbourhood, center: Tensor, sd: Tensor, count: int) -> Rule:
    """Four nodes on each panel of the posterior: ``count`` panels on either side of its mode, the first of them halved HALVINGS times.

    With a steep logistic child the mode lies on the brow of a cliff, where the density bends within a fraction of a panel.
    """
    r = equal_steps(count)
    brow = r[0] / 2.0 ** torch.arange(HALVINGS, 0, -1, dtype=torch.float64)
    ends = panels(area, center, sd, torch.cat([brow, r]))
    t, weights = (torch.from_numpy(each).view(-1, 1, 1) for each in np.polynomial.legendre.leggauss(4))
    half = ends.diff(dim=0) / 2
    points = ends[:-1] + half * (1 + t)
    return Rule(points.flatten(0, 1), (half * weights).log().flatten(0, 1))


def integrate(area: Neighbourhood, nodes: int, function: Callable[[Tensor, Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Posterior mean and sd of the latent, and E[function(k)], each of shape (n,), to SETTLED posterior sds.

    Up the ladder, row by row, until they stand still; a row at its end is content with ENOUGH. E[function(k)] stands still in
    posterior sds of the function.

    Args:
        area: the latent and its evidence.
        nodes: to begin with.
        function: of points (Q, m) and of the positions (m,) of the rows they belong to, to (Q, m); the identity if None.

    Raises:
        FitError: some row's moments still move at the finest rule.
    """
    center, sd = mode(area)
    answer = torch.full((4, area.n), torch.nan, dtype=torch.float64)
    rows, rules = torch.arange(area.n), ladder(nodes)
    for rule in rules:
        part = area.take(rows)
        finer = _moments(part, rule(part, center[rows], sd[rows]), rows, function)
        settled = _settled(answer[:, rows], finer, last=rule is rules[-1])
        answer[:, rows] = finer
        rows = rows[~settled]
        if not len(rows):
            break
    else:
        first = ", ".join(f"{node} = {float(column[rows[0]]):g}" for node, column in area.values.items())  # levels by position
        count = "1 row does" if len(rows) == 1 else f"{len(rows)} distinct rows do"
        problem = f"{count} not settle with {PANELS[-1]} panels on either side; the first has {first}"
        raise FitError(f"posterior of '{area.latent}'", problem, "look for an extreme value or loading")
    mean, spread, expected, _ = answer
    return mean, spread, expected


def _settled(coarse: Tensor, fine: Tensor, *, last: bool) -> Tensor:
    """Whether a row's moments stand still, False for nan; of a function that is not smooth the last rule's expectation must do."""
    tolerance = ENOUGH if last else SETTLED
    change, (_, sd, expected, spread) = (fine - coarse).abs(), fine
    smooth = change[2] <= tolerance * spread + ROUNDING * expected.abs()
    still: Tensor = (change[:2].amax(0) <= tolerance * sd) & (smooth | last)
    return still


def _moments(area: Neighbourhood, rule: Rule, rows: Tensor, function: Callable[[Tensor, Tensor], Tensor] | None) -> Tensor:
    """Mean, sd, E[function] and sd[function], stacked, shape (4, n)."""
    weights = (area.log_joint(rule.points) + rule.log_weights).softmax(0)
    mean = (weights * rule.points).sum(0)
    sd = (weights * (rule.points - mean).square()).sum(0).sqrt()
    if function is None:
        return torch.stack([mean, sd, mean, sd])
    values = function(rule.points, rows)
    expected = (weights * values).sum(0)
    return torch.stack([mean, sd, expected, (weights * (values - expected).square()).sum(0).sqrt()])
