"""The linear predictor that the parametric families share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from cfair.interfaces import Values
from cfair.mechanisms.terms import Parent, Term, Unit, added_up, folding, summed
from cfair.spec import NodeSpec, Prior

__all__ = ["Coefficients", "LinearPredictor", "Parent", "Raw", "Unit"]

Raw = float | dict[str, float]  # as written under ``parameters:`` in dag.yaml


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
    """η_m = b_m + Σ_j w_mj·z_j: columns z are real parents (x − c)/s, the indicators of a discrete parent's levels but the first, products.

    Real parents are standardised inside by their unit (c, s), so that one weak prior suits every column; ``raw`` gives
    the coefficients in the parents' own units, and these are what is computed with. Where an intercept is fixed, or has the
    user's own prior, c is 0: that intercept speaks of x = 0. In a product c is 0, too, where weights are fixed or have the user's
    own prior, and where a term that would take up the centring is not declared.

    Args:
        parents: in the order in which their weights come.
        known: what is fixed, one entry per output m.
        intercept: prior of b, as (mean, sd).
        weights: prior of w, as (mean, sd), in the parents' own units where ``weights_raw``, else per standard unit.
        weights_raw: see ``weights``.
        centered: whether real parents are centred.
        interactions: names of parents whose product is a column, too.
    """

    folding: Tensor  # turns coefficients of z into those of x, rows into rows, shape (1 + weights, 1 + weights)
    scale: Tensor  # s, or the product of several, one per weight
    first: Tensor  # 1 for the intercept, 0 for each weight
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
        interactions: Sequence[Sequence[str]] = (),
    ) -> None:
        super().__init__()
        named = {parent.name: parent for parent in parents}
        self.terms = [Term([parent]) for parent in parents] + [Term([named[name] for name in group]) for group in interactions]
        self.names = tuple(name for term in self.terms for name in term.names)
        centered = centered and all(coefficients.intercept is None for coefficients in known)
        products = not weights_raw and all(coefficients.weights is None for coefficients in known)
        matrix, scale = folding(self.terms, centered=centered, products=products)
        self._constant("folding", matrix)
        self._constant("scale", scale)
        self._constant("first", [1.0] + [0.0] * len(self.names))
        intercepts = torch.tensor([c.intercept or 0.0 for c in known], dtype=torch.float64)
        self._parameter("intercept", intercepts, [c.intercept is None for c in known])
        fixed = torch.tensor([[(c.weights or {}).get(name, 0.0) for name in self.names] for c in known], dtype=torch.float64)
        self._parameter("weights", fixed.reshape(len(known), -1) * self.scale, [[c.weights is None] * len(self.names) for c in known])
        self.intercept_prior = intercept
        unit = self.scale if weights_raw else torch.ones_like(self.scale)
        self._constant("weights_mean", weights[0] * unit)
        self._constant("weights_sd", weights[1] * unit)

    @classmethod
    def of_link(cls, node: NodeSpec, parents: Sequence[Parent], known: Sequence[Coefficients]) -> "LinearPredictor":
        """The predictor behind a logit or log link, whose unit needs no standardising; default priors Normal(0, 10) and Normal(0, 2.5)."""
        prior = node.prior or Prior()
        return cls(
            parents,
            known,
            interactions=node.interactions,
            intercept=(prior.intercept.mean, prior.intercept.sd) if prior.intercept else (0.0, 10.0),
            weights=(prior.weights.mean, prior.weights.sd) if prior.weights else (0.0, 2.5),
            weights_raw=prior.weights is not None,
            centered=prior.intercept is None,
        )

    def forward(self, values: Values) -> Tensor:
        """η, shape (..., outputs), where (...) is what the parents' values broadcast to."""
        etas = self.outputs(values)
        return etas[0].unsqueeze(-1) if len(etas) == 1 else torch.stack(torch.broadcast_tensors(*etas)).movedim(0, -1)

    def outputs(self, values: Values) -> list[Tensor]:
        """Each η_m, shape (...)."""
        return added_up(self.terms, self.folded(), values)

    def located(self, values: Values, center: float = 0.0, unit: float = 1.0) -> list[Tensor]:
        """Each center + unit·η_m, shape (...), through which no gradient reaches a parameter; the caller may write in them."""
        rows = [[center + unit * b, *(unit * w for w in weights)] for b, *weights in self.folded().tolist()]
        return summed(self.terms, rows, values)

    def folded(self, center: Tensor | None = None, unit: Tensor | None = None) -> Tensor:
        """Intercept and weights of center + unit·η_m in the parents' own units, shape (outputs, 1 + weights)."""
        rows = torch.cat([self.intercept.unsqueeze(1), self.weights], 1) @ self.folding
        rows = rows if unit is None else rows * unit
        return rows if center is None else torch.addcmul(rows, self.first, center)

    def priors(self) -> dict[str, Distribution]:
        """Prior of each parameter on the scale on which it is learned, of the parameter's shape."""
        mean, sd = self.intercept_prior
        return {
            "intercept": Normal(torch.full_like(self.intercept, mean), sd),
            "weights": Normal(self.weights_mean.expand_as(self.weights), self.weights_sd.expand_as(self.weights), validate_args=False),
        }

    def raw(self, center: Tensor | None = None, unit: Tensor | None = None) -> list[dict[str, Raw]]:
        """Per output, the intercept and weights of center + unit·η in the parents' own units, as under ``parameters:``."""
        rows = self.folded(center, unit).tolist()
        return [{"intercept": b, "weights": dict(zip(self.names, w, strict=True))} for b, *w in rows]

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
        """Whether the weights of ``parent``, and of products with it, are learned under a prior that does not know their sign."""
        own = self._with(parent)
        return bool(self.weights_free[:, own].all()) and bool((self.weights_mean[own] == 0).all())

    def interacts(self, parent: str) -> bool:
        """Whether a product with ``parent`` is a column."""
        return len(self._with(parent)) > self.loading(parent).shape[1]

    def mirror(self, parent: str) -> None:
        """Turn the sign of the weights of ``parent`` and of products with it: what a real parent of the other sign would have."""
        own = self._with(parent)
        self.weights.data[:, own] = -self.weights.data[:, own]

    def is_odd(self) -> bool:
        """Whether the mirror image of η is as probable: no intercept, and all weights learned under priors that do not know their signs."""
        level = bool((self.intercept == 0).all()) and not bool(self.intercept_free.any())
        return level and bool(self.weights_free.all()) and bool((self.weights_mean == 0).all())

    def _of(self, parent: str) -> list[int]:
        """The places of a parent's own weights."""
        return [j for j, term in self._columns() if [each.name for each in term.parents] == [parent]]

    def _with(self, parent: str) -> list[int]:
        """The places of the weights of a parent, and of products with it."""
        return [j for j, term in self._columns() if parent in [each.name for each in term.parents]]

    def _columns(self) -> Iterator[tuple[int, Term]]:
        """The place of each weight, and the term that it belongs to."""
        return enumerate(term for term in self.terms for _ in term.names)

    def _constant(self, name: str, value: Tensor | list[float]) -> None:
        self.register_buffer(name, torch.as_tensor(value, dtype=torch.float64))

    def _parameter(self, name: str, value: Tensor, free: object) -> None:
        setattr(self, name, nn.Parameter(value.to(torch.float64), requires_grad=False))
        self.register_buffer(f"{name}_free", torch.tensor(free, dtype=torch.bool).reshape(value.shape))
