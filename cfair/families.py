"""The table of mechanism families: what a node of each is, and what may be said of it. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

__all__ = ["COUPLINGS", "DISCRETE", "FAMILIES", "Coupling", "Family", "Form", "Kind", "Option", "OptionForm", "OptionValue", "PriorForm"]

Kind = Literal["real", "binary", "category", "ordinal", "count"]
Form = Literal["number", "positive", "weights", "cutpoints", "rows"]  # of a fixed parameter, as written under ``parameters:``
PriorForm = Literal["normal", "inverse_gamma", "cell"]
Coupling = Literal["monotone", "gumbel", "independent"]
OptionForm = Literal["flag", "positive", "whole", "sizes", "groups"]  # groups: lists of parents
OptionValue: TypeAlias = bool | str | float | int | tuple[int, ...] | tuple[tuple[str, ...], ...]

DISCRETE: frozenset[Kind] = frozenset({"binary", "category", "ordinal"})  # kinds whose values are levels
COUPLINGS: tuple[Coupling, ...] = get_args(Coupling)


@dataclass(frozen=True, slots=True)
class Option:
    """A choice that a family leaves to dag.yaml, as ``mechanism: {family: neural, hidden: [32, 32]}``.

    Args:
        form: of its value: a switch, a number above 0, a whole one, a list of whole ones, lists of parents, or one of a tuple of words.
        default: what holds where it is not given.
        meaning: in half a sentence, for the schema.
    """

    form: OptionForm | tuple[str, ...]
    default: OptionValue
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """What dag.yaml may say of a mechanism family.

    Args:
        kind: the kind of value that its nodes have.
        implementation: ``"module:Class"``, imported when first used.
        parameters: what may be fixed under ``parameters:`` (under each level's name where ``by_level``) -> its form.
        priors: what may be given a prior under ``prior:`` -> its form.
        by_level: one set of parameters per level, the first level being the reference with weight 0.
        couplings: how a node's noise may be shared between worlds, the default first; none where noise is additive.
        pair: the kind of a node that has just two levels, where it is another.
        discrete_parents: whether all parents must be discrete and observed.
        latent: whether a node of the family may be latent: it can be integrated out.
        options: name -> what may be chosen beside ``family:`` in the mechanism's mapping.
    """

    kind: Kind
    implementation: str
    parameters: Mapping[str, Form] = field(default_factory=dict)
    priors: Mapping[str, PriorForm] = field(default_factory=dict)
    by_level: bool = False
    couplings: tuple[Coupling, ...] = ("monotone",)
    pair: Kind | None = None
    discrete_parents: bool = False
    latent: bool = False
    options: Mapping[str, Option] = field(default_factory=dict)


_LINEAR: Mapping[str, Form] = {"intercept": "number", "weights": "weights"}
_NORMAL: Mapping[str, PriorForm] = {"intercept": "normal", "weights": "normal"}

_ANY: tuple[Coupling, ...] = ("gumbel", "monotone", "independent")

FAMILIES: dict[str, Family] = {
    "gaussian": Family(
        kind="real",
        implementation="cfair.mechanisms.gaussian:Gaussian",
        parameters={**_LINEAR, "scale": "positive"},
        priors={**_NORMAL, "variance": "inverse_gamma"},
        couplings=(),
        latent=True,
    ),
    "bernoulli": Family("binary", "cfair.mechanisms.bernoulli:Bernoulli", _LINEAR, _NORMAL, latent=True),
    "categorical": Family(
        kind="category",
        implementation="cfair.mechanisms.categorical:Categorical",
        parameters=_LINEAR,
        priors=_NORMAL,
        by_level=True,
        couplings=_ANY,
        latent=True,
    ),
    "ordinal": Family(
        kind="ordinal",
        implementation="cfair.mechanisms.ordinal:Ordinal",
        parameters={"cutpoints": "cutpoints", "weights": "weights"},
        priors={"weights": "normal"},
        latent=True,
    ),
    "table": Family(
        kind="category",
        implementation="cfair.mechanisms.table:Table",
        parameters={"probabilities": "rows"},
        priors={"cell": "cell"},
        couplings=_ANY,
        pair="binary",
        discrete_parents=True,
        latent=True,
    ),
    "poisson": Family("count", "cfair.mechanisms.poisson:Poisson", _LINEAR, _NORMAL),
    "negative_binomial": Family(
        "count", "cfair.mechanisms.negative_binomial:NegativeBinomial", {**_LINEAR, "concentration": "positive"}, _NORMAL
    ),
}
