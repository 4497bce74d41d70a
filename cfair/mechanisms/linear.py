"""The linear predictor that the parametric families share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from cfair.interfaces import Values
from cfair.spec import Prior

__all__ = ["Coefficients", "LinearPredictor", "Parent", "Raw", "Unit"]

Raw = float | dict[str, float]  # as written under ``parameters:`` in dag.yaml


class Unit(NamedTuple):
    """The unit in which a real column is standardised: x = center + scale·z."""

    center: float = 0.0
    scale: float = 1.0


NATURAL = Unit()  # the column's own


@dataclass(frozen=True, slots=True)
class Parent:
    """A parent as a mechanism reads it: by its levels, or in its unit.

    Args:
        name: the node.
        levels: names of its levels, the first being the reference; empty for a real or count parent.
        unit: in which a real or count parent is standardised; a latent's unit is its own.
    """

    name: str
    levels: tuple[str, ...] = ()
    unit: Unit = NATURAL

    @property
    def weight_names(self) -> tuple[str, ...]:
        """One weight for a number, one per level but the first for a discrete node."""
        return tuple(f"{self.name}={level}" for level in self.levels[1:]) if self.levels else (self.name,)


@dataclass(frozen=True, slots=True)
class Coefficients:
    """What is known of one linear predictor before learning, in the node's own units.

    Args:
        intercept: fixed value, or None when it is learned.
        weights: weight name -> fixed value (a name left out is 0), or None when all are learned.
    """

    intercept: float | None = None
    weights: Mapping[str, float] | None = None


class LinearPredictor(nn.Module):
    """η_m = b_m + Σ_p w_mp·(x_p − c_p)/s_p, a discrete parent entering as the indicators of its levels but the first.

    Real parents are standardised inside by their unit (c, s), so that one weak prior suits every column; ``raw`` gives
    the coefficients in the parents' own units. Where an intercept is fixed, or has the user's own prior, c is 0: that
    intercept speaks of x = 0.

    Args:
        parents: in the order in which their terms are added.
        known: what is fixed, one entry per output m.
        intercept: prior of b, as (mean, sd).
        weights: prior of w, as (mean, sd), in the parents' own units where ``weights_raw``, else per standard unit.
        weights_raw: see ``weights``.
        centered: whether real parents are centred.
    """

    center: Tensor  # c, one per weight
    scale: Tensor  # s, one per weight
    intercept: nn.Parameter  # b, shape (outputs,)
    weights: nn.Parameter  # w, shape (outputs, weights)
    intercept_free: Tensor  # which are learned
    weights_free: Tensor
    weights_mean: Tensor
    weights_sd: Tensor

    def __init__(
        self,
        parents: Sequence[Parent],
        known: Sequence[Coefficients],
        *,
        intercept: tuple[float, float],
        weights: tuple[float, float],
        weights_raw: bool = False,
        centered: bool = True,
    ) -> None:
        super().__init__()
        self.parents = tuple(parents)
        self.names = tuple(name for parent in parents for name in parent.weight_names)
        centered = centered and all(coefficients.intercept is None for coefficients in known)
        units = [parent.unit for parent in parents for _ in parent.weight_names]
        self._constant("center", [unit.center if centered else 0.0 for unit in units])
        self._constant("scale", [unit.scale for unit in units])
        intercepts = torch.tensor([c.intercept or 0.0 for c in known], dtype=torch.float64)
        self._parameter("intercept", intercepts, [c.intercept is None for c in known])
        fixed = torch.tensor([[(c.weights or {}).get(name, 0.0) for name in self.names] for c in known], dtype=torch.float64)
        self._parameter("weights", fixed.reshape(len(known), -1) * self.scale, [[c.weights is None] * len(self.names) for c in known])
        self.intercept_prior = intercept
        unit = self.scale if weights_raw else torch.ones_like(self.scale)
        self._constant("weights_mean", weights[0] * unit)
        self._constant("weights_sd", weights[1] * unit)

    @classmethod
    def of_link(cls, parents: Sequence[Parent], known: Sequence[Coefficients], prior: Prior) -> "LinearPredictor":
        """The predictor behind a logit or log link, whose unit needs no standardising; default priors Normal(0, 10) and Normal(0, 2.5)."""
        return cls(
            parents,
            known,
            intercept=(prior.intercept.mean, prior.intercept.sd) if prior.intercept else (0.0, 10.0),
            weights=(prior.weights.mean, prior.weights.sd) if prior.weights else (0.0, 2.5),
            weights_raw=prior.weights is not None,
            centered=prior.intercept is None,
        )

    def forward(self, values: Values) -> Tensor:
        """η, shape (..., outputs), where (...) is what the parents' values broadcast to."""
        first, terms = 0, list[Tensor]([self.intercept])
        for parent in self.parents:
            last = first + len(parent.weight_names)
            terms.append(self._term(parent, values[parent.name], first, last))
            first = last
        terms.sort(key=lambda term: term.numel())  # what is small is added up before it is broadcast
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def _term(self, parent: Parent, x: Tensor, first: int, last: int) -> Tensor:
        weights = self.weights[:, first:last]  # (outputs, weights of this parent)
        if parent.levels:
            reference = weights.new_zeros(len(weights), 1)
            return torch.cat([reference, weights], 1).T[x.long()]
        return ((x - self.center[first]) / self.scale[first]).unsqueeze(-1) * weights[:, 0]

    def priors(self) -> dict[str, Distribution]:
        """Prior of each parameter on the scale on which it is learned, of the parameter's shape."""
        mean, sd = self.intercept_prior
        return {
            "intercept": Normal(torch.full_like(self.intercept, mean), sd),
            "weights": Normal(self.weights_mean.expand_as(self.weights), self.weights_sd.expand_as(self.weights), validate_args=False),
        }

    def raw(self, center: float = 0.0, unit: float = 1.0) -> list[dict[str, Raw]]:
        """Per output, the intercept and weights of center + unit·η in the parents' own units, as under ``parameters:``."""
        slopes = unit * self.weights / self.scale
        intercepts = center + unit * self.intercept - slopes @ self.center
        return [
            {"intercept": float(b), "weights": dict(zip(self.names, w.tolist(), strict=True))}
            for b, w in zip(intercepts, slopes, strict=True)
        ]

    def set_intercept(self, intercept: Tensor) -> None:
        """Set the free intercepts; ``intercept`` has shape (outputs,)."""
        self.intercept.data = torch.where(self.intercept_free, intercept, self.intercept)

    def set_loading(self, parent: str, weights: Tensor) -> None:
        """Set the free weights of ``parent``, a number's per standard unit; ``weights`` broadcasts to (outputs, its weights)."""
        own = self._of(parent)
        self.weights.data[:, own] = torch.where(self.weights_free[:, own], weights, self.weights[:, own])

    def loading(self, parent: str) -> Tensor:
        """The weights of ``parent``, a number's per standard unit, shape (outputs, its weights)."""
        return self.weights[:, self._of(parent)]

    def is_free(self, parent: str) -> bool:
        """Whether all weights of ``parent`` are learned."""
        return bool(self.weights_free[:, self._of(parent)].all())

    def is_mirrored(self, parent: str) -> bool:
        """Whether the weights of ``parent`` are learned under a prior that does not know their sign."""
        return self.is_free(parent) and bool((self.weights_mean[self._of(parent)] == 0).all())

    def is_odd(self) -> bool:
        """Whether the mirror image of η is as probable: no intercept, and all weights learned under priors that do not know their signs."""
        level = bool((self.intercept == 0).all()) and not bool(self.intercept_free.any())
        return level and bool(self.weights_free.all()) and bool((self.weights_mean == 0).all())

    def _of(self, parent: str) -> slice:
        """The places of a parent's weights."""
        names = next(each.weight_names for each in self.parents if each.name == parent)
        return slice(self.names.index(names[0]), self.names.index(names[-1]) + 1)

    def _constant(self, name: str, value: Tensor | list[float]) -> None:
        self.register_buffer(name, torch.as_tensor(value, dtype=torch.float64))

    def _parameter(self, name: str, value: Tensor, free: object) -> None:
        setattr(self, name, nn.Parameter(value.to(torch.float64), requires_grad=False))
        self.register_buffer(f"{name}_free", torch.tensor(free, dtype=torch.bool).reshape(value.shape))
