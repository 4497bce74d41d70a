"""What an analysis of effects says."""

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["TERMS", "Estimate", "Json"]

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

TERMS = ("tv", "te", "ett", "nde", "nie", "ctf_de", "ctf_ie", "ctf_se", "exp_se_from", "exp_se_to")  # Plečko & Bareinboim (2024)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval.

    Args:
        value: in the target's unit, or a difference of probabilities.
        low: lower end; None where no interval can be given.
        high: upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None
