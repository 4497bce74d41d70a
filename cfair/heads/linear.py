"""Least squares."""

from typing import ClassVar, Self

import torch
from torch import Tensor

from cfair.families import Kind
from cfair.heads.base import Batches, LinearHead, standard_of

__all__ = ["Linear"]


class Linear(LinearHead):
    """ŷ = b + Σ_j w_j·x_j, with Σ_i v_i·(y_i − ŷ_i)² as small as can be, v_i the weight of row i.

    Where features are collinear (an absent level, all levels of an attribute), the standardised weights of least norm; a constant feature
    weighs 0. With no features, the mean outcome. Rows of integer weights teach it what rows repeated so
    often do.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"real", "count"})

    def fit(self, batches: Batches) -> Self:
        """Learn from batches of features (m, k), outcomes (m,) and perhaps weights (m,) in two walks; memory is that of one batch.

        The triangular factor R of √v·[Z y], Z the standardised features and v the weights, is updated batch by batch, which keeps the
        digits that forming Z'Z loses.

        Raises:
            FitError: there are no rows of weight above 0, or a value is infinite or NaN.

        Source: Golub & Van Loan (2013), Matrix Computations, sections 5.3 (QR), 5.5 (least norm) and 6.5 (updating).
        """
        standard = standard_of(batches, "linear head")
        mean, scale = standard.mean[-1], standard.scale[-1]
        factor = torch.zeros(0, len(standard.mean), dtype=torch.float64)
        for features, outcome, weights in standard.apply(batches):
            rows = torch.cat([features, ((outcome - mean) / scale)[:, None]], -1) * weights.sqrt()[:, None]
            factor = torch.linalg.qr(torch.cat([factor, rows]), mode="r").R
        rounding = torch.finfo(torch.float64).eps * max(standard.n, len(standard.mean))  # a smaller singular value is 0 but for rounding
        weights = torch.linalg.pinv(factor[:, :-1], rtol=rounding) @ factor[:, -1]
        return self.hold(mean, weights * scale if scale.isfinite() else weights * 0, standard)

    def predict(self, features: Tensor) -> Tensor:
        """Features (..., k) to predicted values (...), in the outcome's unit."""
        return self.score(features)
