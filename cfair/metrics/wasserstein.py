"""The distance between the distributions of predictions before and after."""

import torch
from torch import Tensor

from cfair.interfaces import Measured
from cfair.metrics.base import average

__all__ = ["wasserstein"]

ROUNDING = 1e-12  # of a distribution function: below it two agree


def wasserstein(before: Tensor, after: Tensor, weights: Tensor | None = None) -> Measured:
    """Wasserstein's first distance W = ∫ |F(t) − G(t)| dt between the predictions of the same people before (F) and after (G).

    At most the mean absolute change, and less where people trade places. With H(x) = ∫_x^∞ sign(F − G) dt, W is the mean over people of
    H(x_i) − H(y_i), whose spread is also that of its influence function; where the two distributions are equal the interval is too wide.

    Args:
        before: x, shape (n,).
        after: y, shape (n,).
        weights: of the people, shape (n,); all the same if None.

    Raises:
        QueryError: nobody to average over.

    Source: Villani (2003), Topics in Optimal Transportation, section 2.2: on the line, the area between distribution functions.
    """
    own = torch.ones_like(before) if weights is None else weights
    points, order = torch.cat([before, after]).sort()
    signed = torch.cat([own, -own])[order].cumsum(0) / own.sum()
    side = torch.where(signed.abs() > ROUNDING, signed.sign(), 0.0)[:-1] * points.diff()
    area = torch.cat([side.flip(0).cumsum(0).flip(0), side.new_zeros(1)])  # H at each of the points
    at = torch.empty_like(area).scatter(0, order, area)
    return average(at[: len(before)] - at[len(before) :], weights)
