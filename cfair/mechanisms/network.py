"""A small neural network of a node's parents: a linear part and a multilayer perceptron beside it."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import silu

from cfair.interfaces import Values
from cfair.mechanisms.blocks import by_blocks
from cfair.mechanisms.linear import Parent

__all__ = ["Network", "Weights"]

Weights = Mapping[str, Tensor]  # name -> weights, those of ``Network.weights``


class Network(nn.Module):
    """out = V·z + A_L·h_L + b_L,  h_l = silu(A_{l−1}·h_{l−1} + b_{l−1}),  h_0 = z: real parents standardised, discrete ones by indicators.

    The weights are buffers: they are kept with the model, and only ``learn`` of their mechanism sets them.

    Args:
        parents: each a feature, or one per level but the first.
        hidden: widths of the hidden layers.
        outputs: numbers that come out.
    """

    center: Tensor  # of each feature
    scale: Tensor

    def __init__(self, parents: Sequence[Parent], hidden: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.parents = tuple(parents)
        names = [name for parent in parents for name in parent.weight_names]
        self.sizes = (len(names), *hidden, outputs)
        units = [parent.unit for parent in parents for _ in parent.weight_names]
        self.register_buffer("center", torch.tensor([unit.center for unit in units], dtype=torch.float64))
        self.register_buffer("scale", torch.tensor([unit.scale for unit in units], dtype=torch.float64))
        self.register_buffer("linear", torch.zeros(len(names), outputs, dtype=torch.float64))
        for layer, (rows, columns) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            self.register_buffer(f"matrix_{layer}", torch.zeros(rows, columns, dtype=torch.float64))
            self.register_buffer(f"bias_{layer}", torch.zeros(columns, dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        """Outputs, shape (m, outputs), of features (m, k)."""
        weights, hidden = dict(self.named_buffers()), z
        for layer in range(len(self.sizes) - 2):
            hidden = silu(hidden @ weights[f"matrix_{layer}"] + weights[f"bias_{layer}"])
        last = len(self.sizes) - 2
        return z @ weights["linear"] + hidden @ weights[f"matrix_{last}"] + weights[f"bias_{last}"]

    def at(self, parents: Values) -> Tensor:
        """Outputs, shape (..., outputs), where (...) is what the parents' values broadcast to; each person's by themself."""
        z = self.features(parents)
        return by_blocks(self, z.reshape(z.shape[:-1].numel(), z.shape[-1])).reshape(*z.shape[:-1], self.sizes[-1])

    def features(self, parents: Values) -> Tensor:
        """The features z, shape (..., k)."""
        columns = [column for parent in self.parents for column in _columns(parent, parents[parent.name])]
        if not columns:
            return self.center.new_zeros(0)
        return (torch.stack(torch.broadcast_tensors(*columns), -1) - self.center) / self.scale

    @property
    def weights(self) -> dict[str, Tensor]:
        """All that is learned, by name."""
        return {name: weight for name, weight in self.named_buffers() if name not in ("center", "scale")}

    @property
    def count(self) -> int:
        """How many numbers are learned."""
        return sum(weight.numel() for weight in self.weights.values())

    def with_weights(self, weights: Weights, z: Tensor) -> Tensor:
        """Outputs, (m, outputs), of features (m, k) with ``weights`` in the place of its own; differentiable by them."""
        outputs: Tensor = functional_call(self, dict(weights), (z,))
        return outputs

    def fresh(self, seed: int) -> dict[str, Tensor]:
        """Weights to begin from: hidden layers drawn at random, all outputs 0.

        Source: He et al. (2015), equation 10: A ~ Normal(0, 2/inputs).
        """
        source, weights = torch.Generator().manual_seed(seed), {name: torch.zeros_like(weight) for name, weight in self.weights.items()}
        for layer, rows in enumerate(self.sizes[:-2]):
            drawn = torch.randn(weights[f"matrix_{layer}"].shape, generator=source, dtype=torch.float64)
            weights[f"matrix_{layer}"] = drawn * (2 / max(rows, 1)) ** 0.5
        return weights

    def set_weights(self, weights: Weights) -> None:
        """Keep ``weights``, detached."""
        for name, weight in weights.items():
            self.register_buffer(name, weight.detach().clone())


def _columns(parent: Parent, x: Tensor) -> list[Tensor]:
    """A number's own column, or the indicators of a discrete parent's levels but the first."""
    return [(x == level).to(x.dtype) for level in range(1, len(parent.levels))] if parent.levels else [x]
