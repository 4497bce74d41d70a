"""The table of mechanism families: what a node of each is, and what may be fixed or given a prior. Imports no torch."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["FAMILIES", "Family", "Kind"]

Kind = Literal["real", "binary", "category", "count"]


@dataclass(frozen=True, slots=True)
class Family:
    """What dag.yaml may say of a mechanism family.

    Args:
        kind: the kind of value that its nodes have.
        parameters: the names allowed under ``parameters:`` (under each level's name where ``by_level``).
        priors: parameter -> the prior family allowed for it under ``prior:``.
        by_level: one set of parameters per level, the first level being the reference with weight 0.
        implementation: ``"module:Class"``, imported when first used.
    """

    kind: Kind
    parameters: tuple[str, ...]
    priors: dict[str, Literal["normal", "inverse_gamma"]]
    implementation: str
    by_level: bool = False


FAMILIES: dict[str, Family] = {
    "gaussian": Family(
        kind="real",
        parameters=("intercept", "weights", "scale"),
        priors={"intercept": "normal", "weights": "normal", "variance": "inverse_gamma"},
        implementation="cfair.mechanisms.gaussian:Gaussian",
    ),
    "bernoulli": Family(
        kind="binary",
        parameters=("intercept", "weights"),
        priors={"intercept": "normal", "weights": "normal"},
        implementation="cfair.mechanisms.bernoulli:Bernoulli",
    ),
    "categorical": Family(
        kind="category",
        parameters=("intercept", "weights"),
        priors={"intercept": "normal", "weights": "normal"},
        implementation="cfair.mechanisms.categorical:Categorical",
        by_level=True,
    ),
    "poisson": Family(
        kind="count",
        parameters=("intercept", "weights"),
        priors={"intercept": "normal", "weights": "normal"},
        implementation="cfair.mechanisms.poisson:Poisson",
    ),
}
