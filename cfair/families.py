"""The table of mechanism families: what a node of each is, and what may be said of it. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["DISCRETE", "FAMILIES", "Family", "Form", "Kind", "PriorForm"]

Kind = Literal["real", "binary", "category", "ordinal", "count"]
Form = Literal["number", "positive", "weights", "cutpoints"]  # of a fixed parameter, as written under ``parameters:``
PriorForm = Literal["normal", "inverse_gamma"]

DISCRETE: frozenset[Kind] = frozenset({"binary", "category", "ordinal"})  # kinds whose values are levels


@dataclass(frozen=True, slots=True)
class Family:
    """What dag.yaml may say of a mechanism family.

    Args:
        kind: the kind of value that its nodes have.
        implementation: ``"module:Class"``, imported when first used.
        parameters: what may be fixed under ``parameters:`` (under each level's name where ``by_level``) -> its form.
        priors: what may be given a prior under ``prior:`` -> its form.
        by_level: one set of parameters per level, the first level being the reference with weight 0.
    """

    kind: Kind
    implementation: str
    parameters: Mapping[str, Form] = field(default_factory=dict)
    priors: Mapping[str, PriorForm] = field(default_factory=dict)
    by_level: bool = False


_LINEAR: Mapping[str, Form] = {"intercept": "number", "weights": "weights"}
_NORMAL: Mapping[str, PriorForm] = {"intercept": "normal", "weights": "normal"}

FAMILIES: dict[str, Family] = {
    "gaussian": Family(
        "real", "cfair.mechanisms.gaussian:Gaussian", {**_LINEAR, "scale": "positive"}, {**_NORMAL, "variance": "inverse_gamma"}
    ),
    "bernoulli": Family("binary", "cfair.mechanisms.bernoulli:Bernoulli", _LINEAR, _NORMAL),
    "categorical": Family("category", "cfair.mechanisms.categorical:Categorical", _LINEAR, _NORMAL, by_level=True),
    "ordinal": Family(
        "ordinal", "cfair.mechanisms.ordinal:Ordinal", {"cutpoints": "cutpoints", "weights": "weights"}, {"weights": "normal"}
    ),
    "poisson": Family("count", "cfair.mechanisms.poisson:Poisson", _LINEAR, _NORMAL),
}
