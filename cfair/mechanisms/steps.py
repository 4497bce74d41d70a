"""Levels in their declared order as steps of a distribution function: one logistic number tells which step it falls on."""

import torch
from torch import Tensor

from cfair.mechanisms.base import HUGE, open_interval
from cfair.mechanisms.tails import Step

__all__ = ["beyond", "log_odds_of_steps", "noise_on_step", "separated", "step_of"]


def log_odds_of_steps(log_probabilities: Tensor) -> Tensor:
    """The log-odds of P(x ≤ j) for each level but the last, shape (..., levels − 1), from log p, shape (..., levels).

    log F − log(1 − F), each summed from its own end, so that no tail rounds to 0 or 1; ±∞ where F is 0 or 1.
    """
    below = log_probabilities.logcumsumexp(-1)[..., :-1]
    above = log_probabilities.flip(-1).logcumsumexp(-1).flip(-1)[..., 1:]
    return separated(below - above, log_probabilities > -torch.inf)


def separated(ends: Tensor, possible: Tensor) -> Tensor:
    """Ends of steps, (..., levels − 1), of which each possible level's, (..., levels), lies above the one before.

    A level whose probability is lost in rounding keeps one floating-point number, so that whoever has it keeps it.
    """
    if not ((ends[..., 1:] <= ends[..., :-1]) & possible[..., 1:-1]).any():
        return ends
    columns = [ends[..., 0]]
    for j in range(1, ends.shape[-1]):
        above = torch.nextafter(columns[-1], torch.full_like(columns[-1], torch.inf))
        columns.append(torch.maximum(ends[..., j], torch.where(possible[..., j], above, columns[-1])))
    return torch.stack(columns, -1)


def step_of(noise: Tensor, ends: Tensor) -> Tensor:
    """The level x = #{j : u > t_j} of the noise u, (...), given the steps' ends t, (..., levels − 1)."""
    first, *others = (beyond(noise, end) for end in ends.unbind(-1))
    return sum(others, start=first)


def beyond(value: Tensor, end: Tensor) -> Tensor:
    """1 where value > end, else 0: as numbers, which takes torch a third of the time that booleans take."""
    return torch.gt(value, end, out=torch.empty(0, dtype=torch.float64))


def noise_on_step(value: Tensor, ends: Tensor, log_mass: Tensor, uniform: Tensor) -> Tensor:
    """The noise u given x: Logistic truncated to (t_{x−1}, t_x], drawn by ``uniform`` from the nearer tail.

    Where x has probability 0 no noise makes it; u is then the finite number nearest to where its step would be.

    Args:
        value: x, shape (...).
        ends: t, shape (..., levels − 1).
        log_mass: log P(x), shape (...).
        uniform: in (0, 1), shape (...).
    """
    levels = ends.shape[-1] + 1
    shape = torch.broadcast_shapes(value.shape, ends.shape[:-1], log_mass.shape, uniform.shape)
    x, ends = value.long().expand(shape).unsqueeze(-1), ends.expand(*shape, levels - 1)
    infinity = torch.full(shape, torch.inf, dtype=ends.dtype)
    above = torch.where(x.squeeze(-1) > 0, ends.gather(-1, (x - 1).clamp(min=0)).squeeze(-1), -infinity)
    upto = torch.where(x.squeeze(-1) < levels - 1, ends.gather(-1, x.clamp(max=levels - 2)).squeeze(-1), infinity)
    lower = above < -upto  # F(x − 1) < 1 − F(x)
    step = Step(lower, torch.nn.functional.logsigmoid(torch.where(lower, above, -upto)), log_mass)
    drawn = step.at(uniform).nan_to_num(nan=0.0, posinf=HUGE, neginf=-HUGE)
    room = open_interval(drawn, above, upto)
    return torch.where((room > above) & (room <= upto), room, upto.clamp(-HUGE, HUGE))
