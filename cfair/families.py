"""The table of mechanism families: what a node of each is, and what may be said of it. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

__all__ = ["COUPLINGS", "DISCRETE", "FAMILIES", "Coupling", "Family", "Form", "Kind", "Option", "OptionForm", "OptionValue", "PriorForm"]

Kind = Literal["real", "binary", "category", "ordinal", "count"]
Form = Literal["number", "positive", "weights", "scale_weights", "cutpoints", "rows"]  # as under ``parameters:``
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
        latent_parents: whether a latent may be a parent.
        shape: what stands in the place of a predictor linear in the parents, for the report.
        monotone: whether, noise and other parents given, a value moves one way only as a parent that is a number grows (unless the
            scale depends on parents, too).
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
    latent_parents: bool = True
    shape: str = ""
    monotone: bool = False


_LINEAR: Mapping[str, Form] = {"intercept": "number", "weights": "weights"}
_NORMAL: Mapping[str, PriorForm] = {"intercept": "normal", "weights": "normal"}
_LOCATION_SCALE: Mapping[str, Form] = {**_LINEAR, "scale": "positive", "scale_weights": "scale_weights"}
_VARIANCE: Mapping[str, PriorForm] = {**_NORMAL, "variance": "inverse_gamma", "scale_weights": "normal"}

_NETWORK: Mapping[str, Option] = {
    "hidden": Option("sizes", (32, 32), "widths of the network's hidden layers"),
    "epochs": Option("whole", 400, "the most walks over the rows"),
    "patience": Option("whole", 15, "walks without a better validation loss before the step is made smaller"),
}

_ANY: tuple[Coupling, ...] = ("gumbel", "monotone", "independent")

_PRODUCTS: Mapping[str, Option] = {"interactions": Option("groups", (), "Groups of parents whose product has weights of its own.")}
_SPREAD: Mapping[str, Option] = {
    **_PRODUCTS,
    "heteroscedastic": Option("flag", False, "Whether the scale, too, depends on the parents that are observed."),
}

FAMILIES: dict[str, Family] = {
    "gaussian": Family(
        kind="real",
        implementation="cfair.mechanisms.gaussian:Gaussian",
        parameters=_LOCATION_SCALE,
        priors=_VARIANCE,
        couplings=(),
        options=_SPREAD,
        latent=True,
        monotone=True,
    ),
    "student_t": Family(
        kind="real",
        implementation="cfair.mechanisms.student_t:StudentT",
        parameters={**_LOCATION_SCALE, "degrees": "positive"},
        priors=_VARIANCE,
        couplings=(),
        options=_SPREAD,
        monotone=True,
    ),
    "bernoulli": Family(
        kind="binary",
        implementation="cfair.mechanisms.bernoulli:Bernoulli",
        parameters=_LINEAR,
        priors=_NORMAL,
        options={**_PRODUCTS, "link": Option(("logit", "probit", "cloglog"), "logit", "From the linear predictor to a probability.")},
        latent=True,
    ),
    "categorical": Family(
        kind="category",
        implementation="cfair.mechanisms.categorical:Categorical",
        parameters=_LINEAR,
        priors=_NORMAL,
        by_level=True,
        couplings=_ANY,
        options=_PRODUCTS,
        latent=True,
    ),
    "ordinal": Family(
        kind="ordinal",
        implementation="cfair.mechanisms.ordinal:Ordinal",
        parameters={"cutpoints": "cutpoints", "weights": "weights"},
        priors={"weights": "normal"},
        options={**_PRODUCTS, "link": Option(("logit", "probit"), "logit", "From the linear predictor to a probability.")},
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
        shape="of a table: a row per combination of its parents' levels",
    ),
    "poisson": Family("count", "cfair.mechanisms.poisson:Poisson", _LINEAR, _NORMAL, options=_PRODUCTS, monotone=True),
    "negative_binomial": Family(
        kind="count",
        implementation="cfair.mechanisms.negative_binomial:NegativeBinomial",
        parameters={**_LINEAR, "concentration": "positive"},
        priors=_NORMAL,
        options=_PRODUCTS,
        monotone=True,
    ),
    "neural": Family(
        kind="real",
        implementation="cfair.mechanisms.neural:Neural",
        couplings=(),
        options=_NETWORK,
        latent_parents=False,
        shape="of neural: the mean by a neural network, normal noise of one size",
    ),
    "flow": Family(
        kind="real",
        implementation="cfair.mechanisms.flow:Flow",
        options={"bins": Option("whole", 12, "pieces of the spline"), **_NETWORK},
        latent_parents=False,
        shape="of flow: an increasing spline of normal noise, its knots by a neural network",
    ),
}
