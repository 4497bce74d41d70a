"""What the data leave open of the parameters: weighted draws from their posterior, and how far these can be trusted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self, cast

import torch
from torch import Tensor

__all__ = ["LARGEST_K", "Method", "Uncertainty", "trusted_k"]

Method = Literal["laplace", "nuts", "ridge"]

HEADER = "header"  # the name of the tensor that holds, as UTF-8 bytes of JSON, all that is no tensor
LARGEST_K = 0.7  # beyond it no number of draws that one can afford is enough


def trusted_k(draws: int) -> float:
    """The k-hat up to which means over so many Pareto-smoothed draws can be trusted: min(1 − 1/log₁₀ S, 0.7).

    Source: Vehtari, Simpson, Gelman, Yao & Gabry (2024), Pareto smoothed importance sampling, section 3.2.4.
    """
    return min(1 - 1 / float(torch.tensor(max(draws, 11)).log10()), LARGEST_K)


@dataclass(frozen=True, slots=True, eq=False)
class Uncertainty:
    """Draws of the learned parameters from their posterior: draw s of all nodes together is one draw from the joint posterior.

    Means over them are Σ_s exp(log_weights[s])·f(draw s): the weights sum to 1.

    Args:
        method: how they were drawn: "laplace", a normal around the most probable parameters, weighted by importance; "nuts"; or "ridge",
            drawn anew from weighted points along the ridge that parameters lie on which data hardly identify.
        draws: node -> parameter or buffer of its mechanism, by its path there -> (S, *its shape); a node without learned parameters
            has no entry.
        log_weights: of each draw, shape (S,); all −log S where draws weigh the same.
        k_hat: part -> the Pareto shape of its largest weights; a part is the nodes whose parameters are dependent, joined by ", ".
            See ``trusted_k``. At least 1 where draws around the top cannot reach what weighs most. Empty for nuts, and without parts
            that were drawn exactly.
        r_hat: parameter, as "node.parameter[entry]" -> split R-hat of the chains; empty for laplace.
        ess: parameter -> effective number of draws: of the chains' bulk for nuts, Kish's of the weights for laplace.
        divergences: of all chains after their adaptation.
        weighed: from how many weighted points they were drawn anew, to which k_hat belongs; 0 where draws have weights of their own.
        uncovered: nodes that were learned and have no draws: their parameters stand still in every draw.
        learned_from: a hash of the people, by which to know them again; empty where it is not known.
    """

    method: Method
    draws: Mapping[str, Mapping[str, Tensor]]
    log_weights: Tensor
    k_hat: Mapping[str, float] = field(default_factory=dict)
    r_hat: Mapping[str, float] = field(default_factory=dict)
    ess: Mapping[str, float] = field(default_factory=dict)
    divergences: int = 0
    weighed: int = 0
    uncovered: tuple[str, ...] = ()
    learned_from: str = ""

    @property
    def count(self) -> int:
        """How many draws, S."""
        return len(self.log_weights)

    @property
    def largest_k(self) -> float:
        """The k-hat up to which they can be trusted."""
        return trusted_k(self.weighed or self.count)

    @property
    def weights(self) -> Tensor:
        """Of each draw, shape (S,), summing to 1."""
        return self.log_weights.softmax(0)

    def draw(self, s: int) -> dict[str, dict[str, Tensor]]:
        """Node -> parameter -> its value in draw s, a copy."""
        return {node: {name: values[s].clone() for name, values in own.items()} for node, own in self.draws.items()}

    def to_tensors(self) -> dict[str, Tensor]:
        """All of it as named tensors, for a ``state_dict``."""
        header = {
            "method": self.method,
            "draws": [[node, name] for node, own in self.draws.items() for name in own],
            "k_hat": dict(self.k_hat),
            "r_hat": dict(self.r_hat),
            "ess": dict(self.ess),
            "divergences": self.divergences,
            "weighed": self.weighed,
            "uncovered": list(self.uncovered),
            "learned_from": self.learned_from,
        }
        values = [draws for own in self.draws.values() for draws in own.values()]
        text = torch.frombuffer(bytearray(json.dumps(header).encode()), dtype=torch.uint8)
        return {HEADER: text, "log_weights": self.log_weights} | {f"draws.{place}": each for place, each in enumerate(values)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """What ``to_tensors`` was made of.

        Raises:
            KeyError, TypeError, ValueError: ``tensors`` are no such thing.
        """
        header = json.loads(bytes(tensors[HEADER].tolist()))
        draws: dict[str, dict[str, Tensor]] = {}
        for place, (node, name) in enumerate(header.pop("draws")):
            draws.setdefault(node, {})[name] = tensors[f"draws.{place}"].clone()
        method, uncovered = cast("Method", header.pop("method")), tuple(header.pop("uncovered"))
        return cls(method, draws, tensors["log_weights"].clone(), uncovered=uncovered, **header)
