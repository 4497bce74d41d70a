"""What the engine ``svi`` learns about where latents lie, and keeps with the SCM: it travels with the ``state_dict``."""

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from cfair.grouping import groups
from cfair.interfaces import Values
from cfair.spec import ModelSpec

__all__ = ["Guide", "Normal", "Sampler", "bearing", "sampler_for"]

WIDTH = 32  # of the two hidden layers
FARTHEST = 8.0  # sds from the training rows' mean at which an input is held: beyond them the network has seen nothing
SMALLEST = 1e-4  # of the scales: none is 0


class Normal(NamedTuple):
    """One normal distribution per row."""

    center: Tensor  # (d, n)
    root: Tensor  # lower triangular S with covariance S·Sᵀ, (d, d, n)


class Guide(nn.Module):
    """q(u | evidence) = Normal(m, S·Sᵀ) of d latents, m and S a small network's answer to the evidence; Normal(0, I) at first.

    Numbers enter in sds from their mean (counts by log(1 + x)), levels as indicators. A node that is not among ``inputs`` cannot enter.

    Args:
        spec: says which inputs have levels.
        real: the latents.
        inputs: the nodes of the evidence that bear on them, discrete latents, whose levels are taken as known, among them.
        seed: of the first weights.
    """

    center: Tensor  # of the numbers, (inputs,); 0 for levels
    scale: Tensor  # likewise; 1 for levels

    def __init__(self, spec: ModelSpec, real: Sequence[str], inputs: Collection[str], *, seed: int = 0) -> None:
        super().__init__()
        self.real = tuple(real)
        self.levels = {name: len(spec.nodes[name].levels) for name in spec.order if name in inputs}
        self._counts = [spec.nodes[name].kind == "count" for name in self.levels]
        self.register_buffer("center", torch.zeros(len(self.levels), dtype=torch.float64))
        self.register_buffer("scale", torch.ones(len(self.levels), dtype=torch.float64))
        d = len(self.real)
        sizes = [sum(levels or 1 for levels in self.levels.values()), WIDTH, WIDTH, d + d * (d + 1) // 2]
        self.layers = nn.ModuleList(skip_init(nn.Linear, size, after, dtype=torch.float64) for size, after in pairwise(sizes))
        _begin(cast("list[nn.Linear]", list(self.layers)), seed)

    def fit_units(self, values: Values) -> None:
        """Take the units of the numbers from these rows, node -> (n,)."""
        for j, (name, levels) in enumerate(self.levels.items()):
            if not levels:
                column = self._number(j, values[name])
                self.center[j], self.scale[j] = column.mean(), column.std(correction=0).clamp(min=1e-12)

    def forward(self, values: Values, n: int) -> Normal:
        """The normal distribution of each of n rows, node -> (n,)."""
        hidden = self._inputs(values, n)
        for layer in list(self.layers)[:-1]:
            hidden = torch.nn.functional.silu(layer(hidden))
        out = self.layers[-1](hidden).T
        d = len(self.real)
        rows, columns = torch.tril_indices(d, d)
        entries = torch.where((rows == columns).unsqueeze(-1), _positive(out[d:]), out[d:])
        root = torch.zeros(d, d, n, dtype=torch.float64).index_put((rows, columns), entries)
        return Normal(out[:d], root)

    def normal(self, values: Values, n: int) -> Normal:
        """The same without derivatives."""
        with torch.no_grad():
            return self.forward(values, n)

    def _inputs(self, values: Values, n: int) -> Tensor:
        """What the network reads, shape (n, features)."""
        columns = [torch.zeros(n, 0, dtype=torch.float64)]
        for j, (name, levels) in enumerate(self.levels.items()):
            if levels:
                columns.append(nn.functional.one_hot(values[name].long(), levels).to(torch.float64))
            else:
                number = (self._number(j, values[name]) - self.center[j]) / self.scale[j]
                columns.append(number.clamp(-FARTHEST, FARTHEST).unsqueeze(-1))
        return torch.cat(columns, 1)

    def _number(self, j: int, column: Tensor) -> Tensor:
        return column.log1p() if self._counts[j] else column


def _begin(layers: Sequence[nn.Linear], seed: int) -> None:
    """First weights from a stream of their own; the last layer says Normal(0, I)."""
    source = torch.Generator().manual_seed(seed)
    for layer in layers:
        layer.weight.data = torch.randn(layer.weight.shape, generator=source, dtype=torch.float64) * layer.in_features**-0.5
        layer.bias.data.zero_()
        layer.requires_grad_(requires_grad=False)
    layers[-1].weight.data *= 0.01


def _positive(x: Tensor) -> Tensor:
    """Softplus, 1 at 0."""
    return torch.nn.functional.softplus(x + 0.5413248546129181) + SMALLEST  # softplus⁻¹(1)


class Sampler(nn.Module):
    """What importance sampling keeps with an SCM.

    Args:
        for_all: whether all real latents are sampled, or only those that are too many for a product rule.
    """

    everyone: Tensor
    k_hat: Tensor  # the largest of the training rows, and the share of them above 0.7, shape (2,)

    def __init__(self, *, for_all: bool = False) -> None:
        super().__init__()
        self.register_buffer("everyone", torch.tensor(for_all))
        self.register_buffer("k_hat", torch.zeros(2, dtype=torch.float64))
        self.guides = nn.ModuleDict()  # position of a group among those given the default evidence -> its guide

    @property
    def for_all(self) -> bool:
        """Whether all real latents are sampled."""
        return bool(self.everyone)

    def guide(self, real: Sequence[str], inputs: Collection[str]) -> Guide | None:
        """The guide for these latents given exactly this evidence, if there is one."""
        guides = cast("list[Guide]", list(self.guides.values()))
        return next((guide for guide in guides if guide.real == tuple(real) and guide.levels.keys() == set(inputs)), None)


def sampler_for(spec: ModelSpec, names: Collection[str]) -> Sampler | None:
    """An empty sampler, its guides as the names of a state's tensors tell them, to be filled with that state; None where it has none.

    A guide's latents and inputs are those of its group given the default evidence: the graph says which.
    """
    own = [name.split(".") for name in names if name.startswith("sampler.")]
    if not own:
        return None
    sampler = Sampler()
    for position in {parts[2] for parts in own if parts[1] == "guides"}:
        latents = groups(spec, spec.evidence)[int(position)]
        sampler.guides[position] = Guide(spec, *bearing(spec, latents, spec.evidence))
    return sampler


def bearing(spec: ModelSpec, latents: Collection[str], given: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The real ones of latents that hang together, and what else bears on them: evidence, and the latents with levels."""
    touched = {node for node in given if not set(latents).isdisjoint(spec.nodes[node].parents)} | set(latents)
    real = tuple(node for node in spec.order if node in latents and not spec.nodes[node].discrete)
    family = {name for node in touched for name in (node, *spec.nodes[node].parents)}
    return real, tuple(node for node in spec.order if node in family and node not in real)
