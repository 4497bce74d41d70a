"""Nodes with ordered levels: one logistic number against increasing cutpoints."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal, constraints
from torch.nn.functional import logsigmoid

from cfair.families import Kind
from cfair.interfaces import Values
from cfair.mechanisms.indexed import Indexed
from cfair.mechanisms.linear import Coefficients, LinearPredictor
from cfair.mechanisms.steps import noise_on_step, separated, step_of
from cfair.mechanisms.tails import log1mexp
from cfair.mechanisms.terms import Parent, Unit
from cfair.spec import NodeSpec, Parameters, Prior

__all__ = ["CumulativeLogit", "Ordinal"]

NARROW = -37.0  # of a log step, below which 1 − exp(−step) is the step to rounding, and its logarithm need not be taken
STEP_SD = 2.5  # of the default prior of log(c_j − c_{j−1}): steps from 0.007 to 150 logits within two sds


class Ordinal(Indexed):
    """x = #{j : η + u > c_j},  u ~ Logistic(0, 1),  η = Σ_p w_p·p: P(x ≤ j) = sigmoid(c_j − η), for increasing cutpoints c.

    Learned are c_0, log(c_j − c_{j−1}) and w; there is no intercept beside the cutpoints. Default priors: c_0 ~ Normal(0, 10) at
    the mean of real parents, log(c_j − c_{j−1}) ~ Normal(0, 2.5), w ~ Normal(0, 2.5) per standard unit of real parents. A prior of
    the weights in dag.yaml is in raw units. With two levels the model is ``bernoulli``'s, c_0 being minus its intercept.

    Coupling, an assumption: monotone. u is the log-odds of the uniform number that the inverse CDF reads, so that raising η
    never lowers anyone's level; given x it is Logistic truncated to (c_{x−1} − η, c_x − η], drawn from the nearer tail.

    Source: McCullagh (1980), Regression models for ordinal data, section 2, the proportional-odds model.
    """

    kind: ClassVar[Kind] = "ordinal"
    noise_size: int = 1
    log_steps: nn.Parameter  # log(c_j − c_{j−1}), shape (levels − 2,)
    log_steps_free: Tensor

    def __init__(self, node: NodeSpec, parents: Sequence[Parent], unit: Unit) -> None:
        super().__init__()
        known, self.levels = node.parameters or Parameters(), node.levels
        cutpoints = known.lists.get("cutpoints")
        fixed = torch.tensor(cutpoints or range(len(node.levels) - 1), dtype=torch.float64)
        first = None if cutpoints is None else -float(fixed[0])
        self.linear = LinearPredictor.of_link(parents, [Coefficients(first, known.weights)], node.prior or Prior())  # its intercept is −c_0
        self.log_steps = nn.Parameter(fixed.diff().log(), requires_grad=False)
        self.register_buffer("log_steps_free", torch.full_like(self.log_steps, cutpoints is None, dtype=torch.bool))

    def at(self, eta: Tensor) -> Distribution:
        """P(x ≤ j) = sigmoid(c_j − η)."""
        return CumulativeLogit(eta.squeeze(-1), self.log_steps)

    def noise(self, uniform: Tensor) -> Tensor:
        """The log-odds u = log(uniform / (1 − uniform))."""
        quantile: Tensor = torch.special.logit(uniform)
        return quantile

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """#{j : u > c_j − η}, as a level's index."""
        return step_of(noise, self._ends(self.location(parents)))

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise u given x: Logistic truncated to (c_{x−1} − η, c_x − η]."""
        location = self.location(parents)
        log_mass = CumulativeLogit(location, self.log_steps).log_prob(value)
        return noise_on_step(value, self._ends(location), log_mass, uniform)

    def location(self, parents: Values) -> Tensor:
        """The log-odds η − c_0 of a level above the first."""
        return self.index(parents).squeeze(-1)

    def _ends(self, location: Tensor) -> Tensor:
        """c_j − η, shape (..., levels − 1)."""
        ends = _offsets(self.log_steps) - location.unsqueeze(-1)
        return separated(ends, torch.ones(len(self.levels), dtype=torch.bool))

    def priors(self) -> dict[str, Distribution]:
        """Prior of each parameter, of its shape, on the scale on which it is learned."""
        own = {f"linear.{name}": prior for name, prior in self.linear.priors().items()}
        return {**own, "log_steps": Normal(torch.zeros_like(self.log_steps), STEP_SD, validate_args=False)}

    def start(self, value: Tensor) -> None:
        """Set the free cutpoints where learning begins, from the node's own values (n,)."""
        counts = torch.bincount(value.long(), minlength=len(self.levels)).to(value.dtype) + 0.5
        cutpoints = (counts.cumsum(0)[:-1] / counts.flip(0).cumsum(0).flip(0)[1:]).log()
        self.linear.set_intercept(-cutpoints[:1])
        self.log_steps.data = torch.where(self.log_steps_free, cutpoints.diff().log(), self.log_steps)

    def raw(self) -> dict[str, object]:
        """Cutpoints and weights (log-odds) in the parents' own units, as under ``parameters:``."""
        linear = self.linear.raw()[0]
        first = -torch.tensor(linear["intercept"], dtype=torch.float64)
        return {"cutpoints": (first + _offsets(self.log_steps)).tolist(), "weights": linear["weights"]}


class CumulativeLogit(Distribution):
    """P(x ≤ j) = sigmoid(r_j − location) with r_0 = 0 and r_j − r_{j−1} = exp(log_steps_j): levels by their index.

    Args:
        location: shape (...).
        log_steps: shape (levels − 2,).
    """

    arg_constraints: ClassVar = {"location": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, location: Tensor, log_steps: Tensor, validate_args: bool | None = None) -> None:
        self.location, self.log_steps = location, log_steps
        super().__init__(location.shape, validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> "CumulativeLogit":
        """The same distribution over a larger batch."""
        return type(self)(self.location.expand(torch.Size(batch_shape)), self.log_steps)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Levels, shape sample_shape + batch_shape."""
        with torch.no_grad():
            uniform = torch.rand(self._extended_shape(torch.Size(sample_shape)), dtype=self.location.dtype).clamp(min=2**-54)
            return step_of(torch.special.logit(uniform), _offsets(self.log_steps) - self.location.unsqueeze(-1))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log of P(x), log sigmoid(b) + log sigmoid(−a) + log(1 − e^(a−b)) for the step (a, b] of x, where a − b depends on no parent.

        For the first level a = −∞, for the last b = ∞, and the terms with it are 0.
        """
        offsets, x = _offsets(self.log_steps), value.long()
        last = len(offsets)
        zero = offsets.new_zeros(1)
        widths = torch.cat([zero, _log_widths(self.log_steps), zero])
        under = logsigmoid(offsets[x.clamp(max=last - 1)] - self.location)
        over = logsigmoid(self.location - offsets[(x - 1).clamp(min=0)])
        return torch.where(x < last, under, 0.0) + torch.where(x > 0, over, 0.0) + widths[x]


def _offsets(log_steps: Tensor) -> Tensor:
    """Cutpoints from the first one, which is 0: shape (levels − 1,)."""
    return torch.cat([log_steps.new_zeros(1), log_steps.exp().cumsum(0)])


def _log_widths(log_steps: Tensor) -> Tensor:
    """The log of 1 − exp(−step), whatever the step: shape (levels − 2,)."""
    narrow = log_steps < NARROW
    return torch.where(narrow, log_steps, log1mexp(-torch.where(narrow, 0.0, log_steps).exp()))
