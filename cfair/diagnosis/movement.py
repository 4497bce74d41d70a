"""How far the data moved the parameters from their prior, and along which directions they say nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.diagnosis.records import Flat, Movement
from cfair.spec import ModelSpec

__all__ = ["FLAT", "Parameter", "flat_directions", "movements"]

FLAT = 0.9  # posterior sd / prior sd from which on the data say nothing
PART = 0.1  # of a direction, in prior sds, below which a parameter is not named

LARGEST = 1e6  # prior sds that a posterior sd is said to be at most


@dataclass(frozen=True, slots=True)
class Parameter:
    """One learned number, on the scale on which it is learned.

    Args:
        node: the mechanism that holds it.
        name: its name there.
        parent: the node whose weight it is; None for an intercept, a scale and the like.
        prior_mean: before the data.
        prior_sd: before the data.
        estimate: after them.
    """

    node: str
    name: str
    parent: str | None
    prior_mean: float
    prior_sd: float
    estimate: float


def flat_directions(curvature: Tensor, parameters: Sequence[Parameter]) -> tuple[Flat, ...]:
    """Eigen-directions of the posterior in units of the prior along which its sd is above FLAT of the prior's, the flattest first.

    H = −∂² log posterior/∂θ² is ``curvature``, S the prior sds: along a unit eigenvector of S·H·S with eigenvalue λ the posterior sd is
    1/√λ prior sds. λ ≤ 0, where the estimate is no peak, counts as flat without end.

    Args:
        curvature: at the estimate, shape (p, p), latents integrated out.
        parameters: p of them, in its order.
    """
    values, vectors = torch.linalg.eigh(_scaled(curvature, parameters))
    found = []
    for value, vector in zip(values.tolist(), vectors.T, strict=True):
        ratio = value**-0.5 if value > 0 else float("inf")
        if ratio > FLAT:
            parts = {f"{each.node}.{each.name}": float(part) for each, part in zip(parameters, vector, strict=True) if abs(part) >= PART}
            found.append(Flat(ratio=min(ratio, LARGEST), parameters=dict(sorted(parts.items(), key=lambda part: -abs(part[1])))))
    return tuple(found)


def movements(spec: ModelSpec, curvature: Tensor, parameters: Sequence[Parameter]) -> tuple[Movement, ...]:
    """Prior to posterior of every loading of each latent and of the latent's own parameters; the least informed first.

    The posterior sd is that of its normal approximation: √ of the diagonal of H⁻¹, computed in prior sds and never above LARGEST of them.
    """
    values, vectors = torch.linalg.eigh(_scaled(curvature, parameters))
    ratios = (vectors.square() / values.clamp(min=LARGEST**-2)).sum(-1).sqrt()
    found = []
    for parameter, ratio in zip(parameters, ratios.tolist(), strict=True):
        latent = parameter.node if parameter.node in spec.latents else parameter.parent
        if latent is None or latent not in spec.latents:
            continue
        found.append(
            Movement(
                latent=latent,
                node=parameter.node,
                parameter=parameter.name,
                prior_sd=parameter.prior_sd,
                posterior_sd=ratio * parameter.prior_sd,
                ratio=ratio,
                shift=(parameter.estimate - parameter.prior_mean) / parameter.prior_sd,
                verdict="untestable" if ratio > FLAT else "passes",
            )
        )
    return tuple(sorted(found, key=lambda movement: -movement.ratio))


def _scaled(curvature: Tensor, parameters: Sequence[Parameter]) -> Tensor:
    """S·H·S, symmetric."""
    sd = torch.tensor([parameter.prior_sd for parameter in parameters], dtype=torch.float64)
    return sd.unsqueeze(-1) * (curvature + curvature.T) / 2 * sd
