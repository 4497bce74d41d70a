"""Draws of latents from each person's joint posterior: distribution functions, tabulated once per distinct row and inverted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.inference.distinct import distinct
from cfair.inference.importance import proposal
from cfair.inference.landscape import Landscape, landscape
from cfair.inference.neighbourhood import Neighbourhood
from cfair.inference.quadrature import NODES, gauss_hermite, integrate, log_integral
from cfair.inference.resampling import resampled
from cfair.inference.shape import FAR, equal_steps, panels, summit
from cfair.inference.summit import Summit

__all__ = ["draw"]

PANELS = 80  # on either side of the mode: the distribution function of one latent is right to 1e-7
FEW = 16  # panels where several are drawn, each given those before it: right to 1e-4
NEAR = 0.02  # sds within which the mode of those that are integrated out is found
EQUAL = 480  # equal panels of the prior where a density is not log-concave
BLOCK = 2_048  # rows tabulated, and people drawn for, at a time: what they need stays in the cache

Density = Callable[[Tensor], Tensor]  # log density of points (..., n)


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """The posterior of one latent of m rows on G panels each.

    Args:
        ends: of the panels, shape (m, G + 1).
        density: at the ends, shape (m, G + 1).
        cumulative: mass up to each end, shape (m, G + 1).
    """

    ends: Tensor
    density: Tensor
    cumulative: Tensor


def draw(area: Neighbourhood, uniform: Mapping[str, Tensor], shift: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Joint posterior draws of the latents of ``area``, latent -> (draws, n), made by their numbers in (0, 1) of that shape.

    Where importance sampling integrates out, draws are resampled from proposals that a real latent's ``shift``, (n,), in (0, 1), moves.

    Levels come first, from their posterior; numbers given these levels, each given those before it: by Cholesky's factor where the
    posterior is normal, else by the inverse of its distribution function, the numbers after it integrated out.
    """
    first, place = distinct(area.values, area.n)
    levels, combination = _levels(area, first, place, uniform)
    if not area.real:
        return levels
    drawn = {latent: torch.empty_like(uniform[latent]) for latent in area.real}
    people = place.argsort(stable=True)  # by their row's kind
    for kinds in torch.arange(len(first)).split(BLOCK):
        start, end = torch.searchsorted(place[people], kinds[[0, -1]] + torch.tensor([0, 1]))
        for c in range(area.combinations):
            rows = area.take(first[kinds]).enumerated().take(torch.arange(len(kinds)) + c * len(kinds))
            quantiles = _quantiles(rows)
            for some in people[start:end].split(BLOCK):
                numbers = torch.stack([uniform[latent][:, some].T for latent in area.real])
                found = quantiles(place[some] - kinds[0], numbers, torch.stack([shift[latent][some] for latent in area.real]))
                for latent, values in zip(area.real, found, strict=True):
                    here = combination[:, some] == c
                    drawn[latent][:, some] = torch.where(here, values.T, drawn[latent][:, some])
    return levels | drawn


def _levels(area: Neighbourhood, first: Tensor, place: Tensor, uniform: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
    """Draws of the discrete latents, and the combination that they are, (draws, n)."""
    if not area.discrete:
        return {}, torch.zeros(1, area.n, dtype=torch.int64)
    columns = area.levels()
    possible = torch.cat([integrate(area.take(kinds)).combinations for kinds in first.split(BLOCK)])[place]
    left = possible.expand(len(uniform[area.discrete[0]]), *possible.shape)  # P(combination, levels drawn | row), (draws, n, combinations)
    drawn = {}
    for latent, column in columns.items():
        marginal = torch.stack([left[..., column == j].sum(-1) for j in column.unique()], -1)
        cumulative = marginal.cumsum(-1)
        level = (uniform[latent].unsqueeze(-1) * cumulative[..., -1:] > cumulative[..., :-1]).sum(-1)
        drawn[latent] = level.to(torch.float64)
        left = torch.where(column == level.unsqueeze(-1), left, 0.0)
    return drawn, left.argmax(-1)


def _quantiles(rows: Neighbourhood) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """From positions of rows (p,), numbers in (0, 1), (d, p, draws), and shifts (d, p), to joint draws (d, p, draws)."""
    land = landscape(rows)
    if land.normal:
        top = summit(land)
        return lambda at, uniform, shift: (
            top.center[:, at].unsqueeze(-1) + torch.einsum("ijp,jpd->ipd", top.root[:, :, at], torch.special.ndtri(uniform))
        )
    if land.sampled:
        return resampled(land, proposal(rows, land))
    table = _tabulated(land, PANELS if land.d == 1 else FEW)

    def quantiles(at: Tensor, uniform: Tensor, shift: Tensor) -> Tensor:
        values = _inverted(table, at, uniform[0])
        return torch.stack([values, *_later(land, at, values, uniform[1:])])

    return quantiles


def _later(land: Landscape, at: Tensor, values: Tensor, uniform: Tensor) -> list[Tensor]:
    """The other latents given the first's ``values``, (p, draws), for the people at ``at``, (p,): each draw is a row of its own."""
    if not len(uniform):
        return []
    rows, known, numbers = at.repeat_interleave(values.shape[1]), values.flatten(), uniform.flatten(1)
    drawn = []
    for some in torch.arange(len(rows)).split(BLOCK):
        rest, own = land.take(rows[some]).given_first(known[some].unsqueeze(0)), numbers[:, some].unsqueeze(-1)
        each = torch.arange(len(some))
        found = _inverted(_tabulated(rest, FEW), each, own[0])
        drawn.append(torch.stack([found, *_later(rest, each, found, own[1:])]).squeeze(-1))
    return [each.reshape(values.shape) for each in torch.cat(drawn, 1)]


def _tabulated(land: Landscape, count: int) -> _Table:
    """The first latent's posterior, the others integrated out: the mass of each panel by Simpson's rule."""
    top = summit(land)
    density = _marginal(land, top)
    center, spread = (each[0] for each in land.prior())
    if land.concave:
        ends = panels(density, top.center[0], top.sd[0], spread, equal_steps(count)).sort(0).values  # the margin's mode is another
    else:
        ends = center + spread * torch.linspace(-FAR, FAR, EQUAL + 1, dtype=torch.float64).unsqueeze(-1)
    at_ends, at_middles = density(ends), density((ends[1:] + ends[:-1]) / 2)
    highest = torch.maximum(at_ends.amax(0), at_middles.amax(0))
    height, middle = (at_ends - highest).exp(), (at_middles - highest).exp()
    mass = ends.diff(dim=0) * (height[1:] + 4 * middle + height[:-1]) / 6
    cumulative = torch.cat([torch.zeros_like(mass[:1]), mass.cumsum(0)])
    return _Table(ends.T.contiguous(), height.T.contiguous(), cumulative.T.contiguous())


def _marginal(land: Landscape, top: Summit) -> Density:
    """The log posterior density of the first latent, up to a constant per row, of points (..., n)."""
    if land.d == 1:
        return lambda k: land(k.unsqueeze(0))

    def density(k: Tensor) -> Tensor:
        first = k.reshape(-1, land.n)
        rest = land.given_first(first)
        start = top.center[1:].unsqueeze(1) + (top.root[1:, 0] / top.root[0, 0]).unsqueeze(1) * (first - top.center[0])  # its regression
        settled = summit(rest, start.flatten(1), close=NEAR)
        return log_integral(rest, gauss_hermite(rest, settled, NODES[rest.d])).reshape(k.shape)

    return density


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
