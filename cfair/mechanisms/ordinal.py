"""Nodes with ordered levels: one number against increasing cutpoints."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from cfair.families import Kind
from cfair.interfaces import Values
from cfair.mechanisms.cumulative import CumulativeLogit, CumulativeProbit, offsets
from cfair.mechanisms.indexed import Indexed
from cfair.mechanisms.linear import Coefficients, LinearPredictor
from cfair.mechanisms.links import LINKS
from cfair.mechanisms.steps import noise_on_step, separated, step_of
from cfair.mechanisms.terms import Parent, Unit
from cfair.spec import NodeSpec, Parameters

__all__ = ["Ordinal"]

STEP_SD = 2.5  # of the default prior of log(c_j − c_{j−1}): steps from 0.007 to 150 logits within two sds


class Ordinal(Indexed):
    """x = #{j : u > λ(c_j − η)},  u ~ Logistic(0, 1),  η = Σ_p w_p·p: λ(c_j − η) are the log-odds of P(x ≤ j), for increasing cutpoints c.

    ``link:`` says which: ``logit``, P(x ≤ j) = sigmoid(c_j − η) and λ(t) = t, by default; ``probit``, Φ(c_j − η). The density is
    log-concave in η under both.

    Learned are c_0, log(c_j − c_{j−1}) and w; there is no intercept beside the cutpoints. Default priors: c_0 ~ Normal(0, 10) at
    the mean of real parents, log(c_j − c_{j−1}) ~ Normal(0, 2.5), w ~ Normal(0, 2.5) per standard unit of real parents. A prior of
    the weights in dag.yaml is in raw units. With two levels the model is ``bernoulli``'s, c_0 being minus its intercept.

    Coupling, an assumption: monotone. u is the log-odds of the uniform number that the inverse CDF reads, so that raising η
    never lowers anyone's level; given x it is Logistic truncated to (λ(c_{x−1} − η), λ(c_x − η)], drawn from the nearer tail.

    Source: McCullagh (1980), Regression models for ordinal data, section 2, the proportional-odds model.
    """

    kind: ClassVar[Kind] = "ordinal"
    noise_size: int = 1
    log_steps: nn.Parameter  # log(c_j − c_{j−1}), shape (levels − 2,)
    log_steps_free: Tensor

    def __init__(self, node: NodeSpec, parents: Sequence[Parent], unit: Unit) -> None:
        super().__init__()
        known, self.levels = node.parameters or Parameters(), node.levels
        self.link = LINKS[node.word("link")]
        self._cumulative = CumulativeProbit if node.word("link") == "probit" else CumulativeLogit
        cutpoints = known.lists.get("cutpoints")
        fixed = torch.tensor(cutpoints or range(len(node.levels) - 1), dtype=torch.float64)
        first = None if cutpoints is None else -float(fixed[0])
        self.linear = LinearPredictor.of_link(node, parents, [Coefficients(first, known.weights)])  # its intercept is −c_0
        self.log_steps = nn.Parameter(fixed.diff().log(), requires_grad=False)
        self.register_buffer("log_steps_free", torch.full_like(self.log_steps, cutpoints is None, dtype=torch.bool))

    def at(self, eta: Tensor) -> Distribution:
        """P(x ≤ j) = sigmoid(c_j − η), or Φ(c_j − η)."""
        return self._cumulative(eta.squeeze(-1), self.log_steps)

    def noise(self, uniform: Tensor) -> Tensor:
        """The log-odds u = log(uniform / (1 − uniform))."""
        quantile: Tensor = torch.special.logit(uniform)
        return quantile

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """#{j : u > λ(c_j − η)}, as a level's index."""
        return step_of(noise, self._ends(self.location(parents)))

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise u given x: Logistic truncated to (λ(c_{x−1} − η), λ(c_x − η)]."""
        location = self.location(parents)
        log_mass = self._cumulative(location, self.log_steps).log_prob(value)
        return noise_on_step(value, self._ends(location), log_mass, uniform)

    def location(self, parents: Values) -> Tensor:
        """The predictor η − c_0 of a level above the first."""
        return self.linear.located(parents)[0]

    def _ends(self, location: Tensor) -> Tensor:
        """λ(c_j − η), shape (..., levels − 1)."""
        ends = self.link.log_odds(offsets(self.log_steps) - location.unsqueeze(-1))
        return separated(ends, torch.ones(len(self.levels), dtype=torch.bool))

    def priors(self) -> dict[str, Distribution]:
        """Prior of each parameter, of its shape, on the scale on which it is learned."""
        own = {f"linear.{name}": prior for name, prior in self.linear.priors().items()}
        return {**own, "log_steps": Normal(torch.zeros_like(self.log_steps), STEP_SD, validate_args=False)}

    def start(self, value: Tensor) -> None:
        """Set the free cutpoints where learning begins, from the node's own values (n,)."""
        counts = torch.bincount(value.long(), minlength=len(self.levels)).to(value.dtype) + 0.5
        cutpoints = self.link.predictor(counts.cumsum(0)[:-1] / counts.sum())
        self.linear.set_intercept(-cutpoints[:1])
        self.log_steps.data = torch.where(self.log_steps_free, cutpoints.diff().log(), self.log_steps)

    def raw(self) -> dict[str, object]:
        """Cutpoints and weights (of η) in the parents' own units, as under ``parameters:``."""
        linear = self.linear.raw()[0]
        first = -torch.tensor(linear["intercept"], dtype=torch.float64)
        return {"cutpoints": (first + offsets(self.log_steps)).tolist(), "weights": linear["weights"]}
