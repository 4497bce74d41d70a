"""Where the posterior of a person's latents is highest, and how wide it is there."""

from typing import NamedTuple

from torch import Tensor

__all__ = ["Summit"]


class Summit(NamedTuple):
    """The mode of each person's posterior, and its normal approximation there.

    ``root`` is the lower triangular S with S·Sᵀ the covariance of that approximation; ``turn`` turns a cloud of points before it is
    carried there.
    """

    center: Tensor  # (d, n)
    root: Tensor  # (d, d, n)
    turn: Tensor | None = None  # (d, d, n), orthogonal

    @property
    def sd(self) -> Tensor:
        """Each latent's sd, shape (d, n)."""
        return self.root.square().sum(1).sqrt()
