"""Monotone maps of the real line, one per person: an affine map and a rational-quadratic spline whose ends are straight."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from cfair.mechanisms.blocks import by_blocks

if TYPE_CHECKING:
    from zuko.transforms import MonotonicRQSTransform

__all__ = ["BOX", "Spline", "free_log_scale", "noise_and_log_slope", "numbers_of"]

BOX = 6.0  # R is the identity outside of (−BOX, BOX)
STEEPEST = 15.0  # |l| stays below it, so that no parent, however far out, makes e^l infinite or 0
SLOPE = 1e-3  # least and, inverted, largest slope that a knot may have; widths and heights of bins differ by no more
NEWTON = 1  # steps that polish zuko's closed form of the inverse
HALVINGS = 60  # of the box, where a step of Newton's left its bin
CLOSE = 1e-12  # of u, at which an inverse is one

Rowwise: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # of maps' numbers (m, numbers) and points (m,), to (m, ...)


def free_log_scale(log_scale: Tensor) -> Tensor:
    """The number that stands for l among a map's numbers, which may be anything: l = 15·tanh(number/15)."""
    free: Tensor = STEEPEST * torch.atanh(log_scale / STEEPEST)
    return free


def _log_scale(numbers: Tensor) -> Tensor:
    """The log scale l of each row of numbers."""
    return STEEPEST * torch.tanh(numbers[:, 1] / STEEPEST)


def numbers_of(bins: int) -> int:
    """How many numbers make one map: location, log scale, widths and heights of the bins, and slopes at the inner knots."""
    return 2 + 3 * bins - 1


class Spline:
    """T, with T⁻¹(y) = R((y − m)/e^l): both are finite, increasing, and each other's inverse on the whole line.

    Args:
        numbers: m, l, then R's own, shape (..., numbers_of(bins)).
    """

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers
        self.batch_shape = numbers.shape[:-1]

    def expand(self, batch_shape: Sequence[int]) -> "Spline":
        """The same maps over a larger batch."""
        return Spline(self.numbers.expand(*batch_shape, self.numbers.shape[-1]))

    def noise(self, y: Tensor) -> Tensor:
        """T⁻¹(y), shape (...)."""
        return self._each(_noise, y)

    def value(self, u: Tensor) -> Tensor:
        """T(u), shape (...), to rounding: zuko's closed form polished by Newton's method, and by halving where that fails."""
        return self._each(_value, u)

    def noise_and_log_slope(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """T⁻¹(y) and log dT⁻¹/dy, each of shape (...)."""
        both = self._each(noise_and_log_slope, y)
        return both[..., 0], both[..., 1]

    def _each(self, function: Rowwise, x: Tensor) -> Tensor:
        """``function`` of each person's numbers and x, in the shape that both broadcast to."""
        shape = torch.broadcast_shapes(self.batch_shape, x.shape)
        people = torch.arange(self.batch_shape.numel()).reshape(self.batch_shape).expand(shape).reshape(-1)
        numbers = self.numbers.reshape(-1, self.numbers.shape[-1])
        out = by_blocks(lambda own, each: function(numbers[own], each), people, x.expand(shape).reshape(-1))
        return out.reshape(*shape, *out.shape[1:])


def _noise(numbers: Tensor, y: Tensor) -> Tensor:
    """T⁻¹(y), all of shape (m,)."""
    noise: Tensor = _knots(numbers)((y - numbers[:, 0]) * (-_log_scale(numbers)).exp())
    return noise


def noise_and_log_slope(numbers: Tensor, y: Tensor) -> Tensor:
    """T⁻¹(y) and its log slope, shape (m, 2), of maps' numbers (m, numbers) and points (m,), all in one go."""
    log_scale = _log_scale(numbers)
    u, log_slope = _knots(numbers).call_and_ladj((y - numbers[:, 0]) * (-log_scale).exp())
    return torch.stack([u, log_slope - log_scale], -1)


def _value(numbers: Tensor, u: Tensor) -> Tensor:
    """The sum m + e^l·R⁻¹(u), shape (m,)."""
    return numbers[:, 0] + _log_scale(numbers).exp() * _inverse(_knots(numbers), u)


def _inverse(knots: "MonotonicRQSTransform", u: Tensor) -> Tensor:
    """R⁻¹(u), shape (m,)."""
    w: Tensor = knots.inv(u).nan_to_num(nan=0.0)
    for _ in range(NEWTON):
        reached, log_slope = knots.call_and_ladj(w)
        w = w - (reached - u) * (-log_slope).exp()
    lost = ~((knots(w) - u).abs() <= CLOSE * (1 + u.abs()))
    return torch.where(lost, _halved(knots, u), w) if lost.any() else w


def _halved(knots: "MonotonicRQSTransform", u: Tensor) -> Tensor:
    """R⁻¹(u) by halving the box, or u itself outside of it."""
    low, high = torch.full_like(u, -BOX), torch.full_like(u, BOX)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = knots(middle) < u
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return torch.where(u.abs() < BOX, (low + high) / 2, u)


def _knots(numbers: Tensor) -> "MonotonicRQSTransform":
    """The spline R of each row of numbers."""
    from zuko.transforms import MonotonicRQSTransform  # only where a model has a flow

    bins = numbers.shape[-1] // 3
    widths, heights, slopes = numbers[:, 2:].split([bins, bins, bins - 1], -1)
    return MonotonicRQSTransform(widths, heights, slopes, bound=BOX, slope=SLOPE)
