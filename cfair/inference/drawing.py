"""Draws of a latent from each person's posterior: its distribution function, tabulated once per distinct row and inverted."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.inference.neighbourhood import Neighbourhood
from cfair.inference.posterior import distinct
from cfair.inference.shape import equal_steps, mode, panels

__all__ = ["draw"]

PANELS = 80  # on either side of the mode: the distribution function is right to 1e-7
BLOCK = 2_048  # rows tabulated, and people drawn for, at a time: what they need stays in the cache


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """The posterior of m rows on G panels each.

    Args:
        ends: of the panels, shape (m, G + 1).
        density: at the ends, shape (m, G + 1).
        cumulative: mass up to each end, shape (m, G + 1).
    """

    ends: Tensor
    density: Tensor
    cumulative: Tensor


def draw(area: Neighbourhood, uniform: Tensor) -> Tensor:
    """The posterior's quantiles at ``uniform``, numbers in (0, 1) of shape (draws, n), of the same shape."""
    first, place = distinct(area.values, area.n)
    drawn = torch.empty_like(uniform)
    people = place.argsort(stable=True)  # by their row's kind
    for kinds in torch.arange(len(first)).split(BLOCK):
        table = _tabulated(area.take(first[kinds]))
        start, end = torch.searchsorted(place[people], kinds[[0, -1]] + torch.tensor([0, 1]))
        for some in people[start:end].split(BLOCK):
            drawn[:, some] = _inverted(table, place[some] - kinds[0], uniform[:, some].T).T
    return drawn


def _tabulated(area: Neighbourhood) -> _Table:
    """The mass of each panel by Simpson's rule."""
    center, sd = mode(area)
    ends = panels(area, center, sd, equal_steps(PANELS))
    top = area.log_joint(center)
    density, middle = (area.log_joint(ends) - top).exp(), (area.log_joint((ends[1:] + ends[:-1]) / 2) - top).exp()
    mass = ends.diff(dim=0) * (density[1:] + 4 * middle + density[:-1]) / 6
    cumulative = torch.cat([torch.zeros_like(top).unsqueeze(0), mass.cumsum(0)])
    return _Table(ends.T.contiguous(), density.T.contiguous(), cumulative.T.contiguous())


def _inverted(table: _Table, rows: Tensor, uniform: Tensor) -> Tensor:
    """Quantiles at ``uniform``, shape (p, draws), of the rows of the table given by position, shape (p,)."""
    ends, density, cumulative = table.ends[rows], table.density[rows], table.cumulative[rows]
    target = uniform.contiguous() * cumulative[:, -1:]
    upper = torch.searchsorted(cumulative, target).clamp(1, cumulative.shape[1] - 1)
    lower = upper - 1
    start, before = ends.gather(1, lower), cumulative.gather(1, lower)
    width, mass = ends.gather(1, upper) - start, cumulative.gather(1, upper) - before
    per_share = width / mass.clamp(min=1e-300)  # a panel without mass is none that a draw falls into
    within = ((target - before) / mass.clamp(min=1e-300)).clamp(0, 1)
    return start + width * _share_reached(within, density.gather(1, lower) * per_share, density.gather(1, upper) * per_share)


def _share_reached(share: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Where in [0, 1] the cubic with values 0 and 1 and slopes ``left`` and ``right`` at its ends is ``share``, by Newton's method."""
    t = share
    for _ in range(4):
        value = t * (left + t * ((3 - 2 * left - right) + t * (left + right - 2)))
        slope = left + t * (2 * (3 - 2 * left - right) + 3 * t * (left + right - 2))
        t = (t - (value - share) / slope.clamp(min=1e-3)).clamp(0, 1)
    return t
