"""Mechanisms that read their parents through linear predictors only."""

from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.distributions import Distribution

from cfair.interfaces import Values
from cfair.mechanisms.linear import LinearPredictor

__all__ = ["Indexed"]


class Indexed(nn.Module, ABC):
    """x | parents ~ at(η), with η linear in every single parent: what inference of a latent need know of the other parents is η without it.

    Attributes:
        log_concave: whether the log density is concave in x and η together.
        quadratic: whether it is a quadratic function of them.
    """

    linear: LinearPredictor
    log_concave: bool = True
    quadratic: bool = False

    def forward(self, parents: Values) -> Distribution:
        """The node's distribution given its parents."""
        return self.at(self.index(parents))

    distribution = forward

    def index(self, parents: Values) -> Tensor:
        """η, shape (..., outputs)."""
        eta: Tensor = self.linear(parents)
        return eta

    @abstractmethod
    def at(self, eta: Tensor) -> Distribution:
        """The node's distribution, of batch shape (...), where its predictors are ``eta``, shape (..., outputs)."""

    def bend(self, x: Tensor, eta: Tensor) -> tuple[Tensor, Tensor] | None:
        """Slope and curvature of log p(x | η) in the only predictor, ``eta`` of shape (..., 1), each (...); None where unwritten.

        What is not written is differentiated.
        """
        return None
