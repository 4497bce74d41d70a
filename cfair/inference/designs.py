"""Linear predictors as what they are: a matrix times the parameters, made once for all parameters that are tried."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from cfair.interfaces import Values
from cfair.mechanisms import Indexed, LinearPredictor, bound

__all__ = ["Design", "Prepared", "design", "predictors_at"]

Prepared: TypeAlias = Callable[[Indexed], tuple[Tensor, dict[int, Tensor]]]  # of a mechanism, to its η₀ and its λ by latent

LARGEST = 1 << 21  # entries of a matrix: 16 MB


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """η₀, what observed parents contribute to η, and λ_j, what a step of each latent adds to it: M·β + m for a mechanism's parameters β.

    Args:
        names: of the parameters, whose flattened entries in this order are β.
        matrix: M, shape (r, entries): η₀ of each kind of row, then λ of each latent, outputs beside one another.
        constant: m, shape (r,).
        shapes: of η₀, and of each λ.
        latents: position of each latent.
        place: the kind of each row, shape (n,); None where each row is of its own kind.
    """

    names: tuple[str, ...]
    matrix: Tensor
    constant: Tensor
    shapes: tuple[tuple[int, ...], ...]
    latents: tuple[int, ...]
    place: Tensor | None

    def __call__(self, mechanism: Indexed) -> tuple[Tensor, dict[int, Tensor]]:
        """η₀, shape (n, outputs), and λ by latent, of shape (n, outputs), or (outputs,) where it is the same for everyone."""
        known = dict(mechanism.named_parameters())
        entries = torch.cat([known[name].reshape(-1) for name in self.names])
        flat = self.constant + (entries.unsqueeze(0) @ self.matrix.T).squeeze(0)  # many β at once are then rows beside rows
        base, *slopes = (part.reshape(shape) for part, shape in zip(flat.split(self.sizes), self.shapes, strict=True))
        return self._rows(base), {j: self._rows(slope) for j, slope in zip(self.latents, slopes, strict=True)}

    def take(self, people: Tensor) -> "Design":
        """The same for some people only, given by position, shape (m,), int64."""
        return replace(self, place=people if self.place is None else self.place[people])

    def to(self, dtype: torch.dtype) -> "Design":
        """The same in another precision."""
        return replace(self, matrix=self.matrix.to(dtype), constant=self.constant.to(dtype))

    @property
    def sizes(self) -> list[int]:
        """Rows of M of η₀, and of each λ."""
        return [torch.Size(shape).numel() for shape in self.shapes]

    def _rows(self, predictor: Tensor) -> Tensor:
        """Of each row, from each kind's (kinds, outputs); what is everyone's, (outputs,), as it is."""
        if self.place is None or predictor.dim() == 1:
            return predictor
        if predictor.shape[1] == 1:  # of many parameters at once, numbers are found three times as fast as rows of one number
            return predictor.squeeze(1).index_select(0, self.place).unsqueeze(1)
        return predictor.index_select(0, self.place)


def design(mechanism: Indexed, seen: Values, latents: Mapping[str, int], place: Tensor) -> Design | None:
    """The design of a mechanism, or None where its matrix would be too large, or it has no parameters.

    Args:
        mechanism: whose η is linear in its parameters.
        seen: its observed parents' values in each kind of row, node -> (kinds,).
        latents: latent among its parents -> position.
        place: the kind of each row, shape (n,).
    """
    known = {name: value.detach() for name, value in mechanism.named_parameters()}
    count, kinds = sum(value.numel() for value in known.values()), max(map(len, seen.values()), default=1)
    with torch.no_grad():
        origin = _stacked(mechanism, seen, latents)
        shapes = tuple(tuple(part.shape) for part in origin)
        if not count or count * sum(part.numel() for part in origin) > LARGEST:
            return None
        nothing = torch.zeros(count, dtype=torch.float64)

        def of(beta: Tensor) -> Tensor:
            parts = beta.split([value.numel() for value in known.values()])
            own = {name: part.reshape(value.shape) for (name, value), part in zip(known.items(), parts, strict=True)}
            return torch.cat([part.flatten() for part in _stacked(bound(mechanism, own), seen, latents)])

        constant = of(nothing)
        matrix = torch.func.vmap(of)(torch.eye(count, dtype=torch.float64)).T - constant.unsqueeze(1)
    everyone = len(place) == kinds and bool((place == torch.arange(kinds)).all())
    return Design(tuple(known), matrix.contiguous(), constant, shapes, tuple(latents.values()), None if everyone else place)


def predictors_at(mechanism: Indexed, seen: Values, latents: Mapping[str, int]) -> tuple[Tensor, dict[int, Tensor]]:
    """η₀, shape (n, outputs), and λ by latent, of shape (n, outputs), or (outputs,) where it is the same for everyone."""
    base, *slopes = _stacked(mechanism, seen, latents)
    return base, dict(zip(latents.values(), slopes, strict=True))


def _stacked(mechanism: Indexed, seen: Values, latents: Mapping[str, int]) -> Sequence[Tensor]:
    """η₀, and λ of each latent in their order."""
    origin = {latent: torch.zeros((), dtype=torch.float64) for latent in latents}
    return [mechanism.index({**seen, **origin}), *(_slope(mechanism, latent, seen, origin) for latent in latents)]


def _slope(mechanism: Indexed, latent: str, seen: Values, origin: Values) -> Tensor:
    """What a step of the latent adds to η, shape (n, outputs); (outputs,) where it is the same for everyone."""
    parts = (part for part in cast("nn.Module", mechanism).modules() if isinstance(part, LinearPredictor))
    interacts = any(part.interacts(latent) for part in parts if latent in part.names)
    rows = seen if interacts else {name: column[:1] for name, column in seen.items()}
    slope = mechanism.index({**rows, **origin, latent: torch.ones((), dtype=torch.float64)}) - mechanism.index({**rows, **origin})
    return slope if interacts or slope.dim() == 1 else slope[0]
