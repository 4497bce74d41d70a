"""How far the data moved the parameters from their prior, and along which directions they say nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from cfair.diagnosis.records import Flat, Movement
from cfair.scm import SCM
from cfair.spec import ModelSpec, scale_weight_names, weight_names, weight_parents

__all__ = ["FLAT", "Density", "Parameter", "flat_directions", "movements", "parameters_of"]

FLAT = 0.9  # posterior sd / prior sd from which on the data say nothing
PART = 0.1  # of a direction, in prior sds, below which a parameter is not named
SAMPLED = 20_000  # draws from a prior that does not tell its mean and sd


class Density(Protocol):
    """The log posterior of the free parameters of some nodes, latents integrated out; their order is that of ``parameters_of``."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Whose parameters they are."""
        ...

    @property
    def start(self) -> Tensor:
        """The parameters as they were learned, shape (p,)."""
        ...

    def value_and_slope(self, theta: Tensor, /) -> tuple[float, Tensor]:
        """The log density at ``theta`` and its gradient, (p,)."""
        ...

    def hessian(self, theta: Tensor, people: Tensor | None = None, /) -> Tensor:
        """Second derivatives at ``theta``, (p, p), estimated from some rows if they are given."""
        ...


@dataclass(frozen=True, slots=True)
class Parameter:
    """One learned number, on the scale on which it is learned.

    Args:
        node: the mechanism that holds it.
        name: of a weight, as ``weights[knowledge]`` or ``weights[race=Black:knowledge]``, or as the mechanism calls it.
        parents: the nodes that the weight multiplies, several of an interaction; none of an intercept, a scale and the like.
        prior_mean: before the data.
        prior_sd: before the data.
        estimate: after them.
    """

    node: str
    name: str
    parents: tuple[str, ...]
    prior_mean: float
    prior_sd: float
    estimate: float


def parameters_of(scm: SCM, nodes: Sequence[str]) -> tuple[Parameter, ...]:
    """The learned entries of the parameters of some nodes, in the order in which they are learned together."""
    return tuple(parameter for node in nodes for parameter in _of_node(scm, node))


def flat_directions(curvature: Tensor, parameters: Sequence[Parameter]) -> tuple[Flat, ...]:
    """Eigen-directions of the posterior in units of the prior along which its sd is above FLAT of the prior's, the flattest first.

    H = −∂² log posterior/∂θ² is ``curvature``, S the prior sds: along a unit eigenvector of S·H·S with eigenvalue λ the posterior sd is
    1/√λ prior sds, and said to be 1 where λ < 1: there the data bend the density upwards, if anything, and the approximation fails.

    Args:
        curvature: at the estimate, shape (p, p), latents integrated out.
        parameters: p of them, in its order.
    """
    values, vectors = torch.linalg.eigh(_scaled(curvature, parameters))
    found = []
    for value, vector in zip(values.clamp(min=1.0).tolist(), vectors.T.tolist(), strict=True):
        if value**-0.5 > FLAT:
            parts = {f"{each.node}.{each.name}": part for each, part in zip(parameters, vector, strict=True) if abs(part) >= PART}
            found.append(Flat(ratio=value**-0.5, parameters=dict(sorted(parts.items(), key=lambda part: -abs(part[1])))))
    return tuple(found)


def movements(spec: ModelSpec, curvature: Tensor, parameters: Sequence[Parameter]) -> tuple[Movement, ...]:
    """Prior to posterior of every loading of each latent, those in interactions too, and of its own parameters; the least informed first.

    The posterior sd is that of the normal approximation at the estimate, √(H⁻¹)ⱼⱼ, no direction counting as wider than its prior.

    Args:
        spec: the declared model.
        curvature: H, shape (p, p).
        parameters: p of them, in its order.
    """
    values, vectors = torch.linalg.eigh(_scaled(curvature, parameters))
    ratios = (vectors.square() / values.clamp(min=1.0)).sum(-1).sqrt()
    found = list[Movement]()
    for parameter, ratio in zip(parameters, ratios.tolist(), strict=True):
        moved = [parameter.node, *parameter.parents]
        found += [_movement(latent, parameter, ratio) for latent in moved if latent in spec.latents]
    return tuple(sorted(found, key=lambda movement: -movement.ratio))


def _movement(latent: str, parameter: Parameter, ratio: float) -> Movement:
    """The record of a parameter whose posterior sd is ``ratio`` times its prior's."""
    return Movement(
        latent=latent,
        node=parameter.node,
        parameter=parameter.name,
        prior_sd=parameter.prior_sd,
        posterior_sd=ratio * parameter.prior_sd,
        ratio=ratio,
        shift=(parameter.estimate - parameter.prior_mean) / parameter.prior_sd,
        verdict="untestable" if ratio > FLAT else "passes",
    )


def _scaled(curvature: Tensor, parameters: Sequence[Parameter]) -> Tensor:
    """S·H·S, symmetric."""
    sd = torch.tensor([parameter.prior_sd for parameter in parameters], dtype=torch.float64)
    return sd.unsqueeze(-1) * (curvature + curvature.T) / 2 * sd


def _of_node(scm: SCM, node: str) -> Iterator[Parameter]:
    """The entries that are learned, parameter by parameter."""
    module = cast("nn.Module", scm.mechanisms[node])
    free, priors = dict(module.named_buffers()), scm.mechanisms[node].priors()
    for name, value in module.named_parameters():
        learned = free[f"{name}_free"].flatten().nonzero().squeeze(-1).tolist()
        if not learned:
            continue
        mean, sd = _moments(priors[name], value)
        for j in learned:
            called, parents = _called(scm.spec, node, name, j, value)
            yield Parameter(node, called, parents, float(mean[j]), float(sd[j]), float(value.detach().flatten()[j]))


def _called(spec: ModelSpec, node: str, name: str, j: int, value: Tensor) -> tuple[str, tuple[str, ...]]:
    """What an entry is called, and the parents that it multiplies."""
    short, names = name.rpartition(".")[2], weight_names(spec, node)
    if name == "spread.weights":
        return f"scale_weights[{scale_weight_names(spec, node)[j]}]", ()
    if short == "weights" and names and value.shape[-1] == len(names):
        level = f"{spec.nodes[node].levels[1 + j // len(names)]}: " if value.dim() > 1 and len(value) > 1 else ""
        return f"{short}[{level}{names[j % len(names)]}]", weight_parents(spec, node)[j % len(names)]
    return short if value.numel() == 1 else f"{short}[{j}]", ()


def _moments(prior: Distribution, value: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and sd of each entry of a parameter, flat; by draws where the prior does not tell them."""
    try:
        mean, sd = prior.mean, prior.stddev
    except NotImplementedError:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            drawn = prior.sample(torch.Size([SAMPLED]))
        mean, sd = drawn.mean(0), drawn.std(0)
    return mean.expand(value.shape).flatten(), sd.expand(value.shape).flatten()
