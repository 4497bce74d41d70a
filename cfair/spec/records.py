"""What dag.yaml says of one node, as frozen records."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

from cfair.errors import nearest
from cfair.families import FAMILIES, Family, Kind
from cfair.spec.frozen import Frozen
from cfair.spec.scalars import Flag, Levels, Names, Number, Plain, Positive, Text, level_text, mistake, number

__all__ = ["InverseGamma", "LevelParameters", "NodeSpec", "Normal", "Parameters", "Prior", "Record", "family_name"]

_LATER = frozenset({"table", "neural"})  # families that interfaces promise and that are not built yet


class Record(BaseModel):
    """A part of a declaration: frozen, and every key known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Normal(Record):
    """A Normal(mean, sd) prior, in raw units; ``{normal: sd}`` or ``{normal: [mean, sd]}``."""

    mean: Number = 0.0
    sd: Positive


class InverseGamma(Record):
    """An InverseGamma(shape, scale) prior of a variance, in raw units; ``{inverse_gamma: [shape, scale]}``."""

    shape: Positive
    scale: Positive


def _arguments(value: object, family: str, form: str) -> tuple[float, ...]:
    """The numbers in ``{family: number}`` or ``{family: [numbers]}``."""
    if not isinstance(value, Mapping) or set(value) != {family}:
        raise mistake(f"is not a prior of this parameter, which takes '{family}'", f"write {form}")
    given = value[family]
    return tuple(number(each) for each in given) if isinstance(given, list | tuple) else (number(given),)


def _normal(value: object) -> object:
    if isinstance(value, Normal):
        return value
    form = "{normal: sd} or {normal: [mean, sd]}"
    arguments = _arguments(value, "normal", form)
    if len(arguments) not in {1, 2} or arguments[-1] <= 0:
        raise mistake("needs a standard deviation above 0, with at most a mean before it", f"write {form}", "normal")
    return Normal(mean=arguments[0] if len(arguments) == 2 else 0.0, sd=arguments[-1])


def _inverse_gamma(value: object) -> object:
    if isinstance(value, InverseGamma):
        return value
    form = "{inverse_gamma: [shape, scale]}"
    arguments = _arguments(value, "inverse_gamma", form)
    if len(arguments) != 2 or min(arguments) <= 0:
        raise mistake("needs a shape and a scale, both above 0", f"write {form}", "inverse_gamma")
    return InverseGamma(shape=arguments[0], scale=arguments[1])


class Prior(Record):
    """Priors in raw units; what is not named has its family's default."""

    intercept: Annotated[Normal, BeforeValidator(_normal)] | None = None
    weights: Annotated[Normal, BeforeValidator(_normal)] | None = None
    variance: Annotated[InverseGamma, BeforeValidator(_inverse_gamma)] | None = None


Weights = Annotated[Mapping[Text, Number], AfterValidator(Frozen)]


class LevelParameters(Record):
    """Fixed parameters of one level of a category."""

    intercept: Number | None = None
    weights: Weights | None = None


class Parameters(Record):
    """Fixed parameters of a mechanism; what is None is learned.

    Args:
        intercept: on the scale of the linear predictor: raw, logit or log.
        weights: weight name -> weight; when given, weights not named are 0.
        scale: standard deviation of the noise.
        levels: of a category: level -> its parameters; the first level's are 0 and never named.
        probabilities: of a category without parents: one per level, summing to 1.
    """

    intercept: Number | None = None
    weights: Weights | None = None
    scale: Positive | None = None
    levels: Annotated[Mapping[str, LevelParameters], AfterValidator(Frozen)] | None = None
    probabilities: Annotated[tuple[Positive, ...], BeforeValidator(lambda value: _listed(value))] | None = None


def family_name(mechanism: object) -> object:
    """The family in ``name`` or ``{family: name}``; whatever else it is, as it is."""
    return mechanism.get("family") if isinstance(mechanism, Mapping) else mechanism


def _mechanism(value: object) -> str:
    name = family_name(value)
    if not isinstance(name, str) or not name:
        raise mistake("a mechanism is named by one word, or by 'family' in a mapping", f"use one of: {', '.join(FAMILIES)}")
    if name in _LATER:
        raise mistake(f"'{name}' is not built yet", f"for now use one of: {', '.join(FAMILIES)}")
    if name not in FAMILIES:
        raise mistake(f"'{name}' is not a known mechanism", nearest(name, FAMILIES))
    if isinstance(value, Mapping) and (options := [key for key in value if key != "family"]):
        raise mistake(f"'{options[0]}' is not an option of '{name}'", "leave it out", str(options[0]))
    return str(name)


class NodeSpec(Record):
    """What dag.yaml says of one node.

    Args:
        mechanism: name of its family; in a file also ``{family: name}``.
        parents: in the order in which they are declared.
        levels: of a discrete node, by their text; the first is the reference.
        latent: never observed. A latent gaussian has intercept 0 and scale 1 unless ``parameters`` fix them otherwise.
        round: round a fractional count when reading.
        parameters: what is fixed; the rest is learned.
        prior: of what is learned; the family's default where not given.
    """

    mechanism: Annotated[str, BeforeValidator(_mechanism)]
    parents: Names = ()
    levels: Levels = ()
    latent: Flag = False
    round: Flag = False
    parameters: Parameters | None = None
    prior: Prior | None = None

    @model_validator(mode="before")
    @classmethod
    def _gather_levels(cls, data: object) -> object:
        """In a file, levels' names stand directly under ``parameters`` of a category; here, under ``levels``."""
        given = data.get("parameters") if isinstance(data, Mapping) else None
        family = FAMILIES.get(str(family_name(data.get("mechanism")))) if isinstance(data, Mapping) else None
        if not isinstance(data, Mapping) or not isinstance(given, Mapping) or family is None or not family.by_level:
            return data
        return {**data, "parameters": _by_level(given)}

    @property
    def family(self) -> Family:
        """What may be said of its mechanism."""
        return FAMILIES[self.mechanism]

    @property
    def kind(self) -> Kind:
        """The kind of its values."""
        return self.family.kind

    @property
    def discrete(self) -> bool:
        """Whether its values are levels."""
        return self.kind in {"binary", "category"}


def _by_level(given: Mapping[str, object]) -> dict[str, object]:
    """``{Black: {...}, probabilities: [...]}`` with the levels gathered under ``levels``."""
    own = {key: value for key, value in given.items() if key == "probabilities" and not isinstance(value, Mapping)}
    levels: dict[str, object] = {}
    for key in given:
        read = key.value() if isinstance(key, Plain) else key
        text = str(key) if read is None else level_text(read)
        if text in levels:
            raise mistake(f"level '{text}' is given twice", "keep one of them", "parameters", str(key))
        if key not in own:
            if not isinstance(given[key], Mapping | BaseModel):
                raise mistake("a category's parameters stand under its levels", "write {Level: {intercept: 0.0}}", "parameters", str(key))
            levels[text] = given[key]
    return {**own, "levels": levels} if levels or not own else dict(own)


def _listed(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise mistake("must be a list of numbers", "write one probability per level, in square brackets")
    return value
