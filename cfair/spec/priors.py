"""What dag.yaml says under ``prior:`` of one node, as frozen records."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator

from cfair.errors import nearest
from cfair.families import Family
from cfair.spec.frozen import Record
from cfair.spec.scalars import NotNegative, Number, Positive, mistake, number

__all__ = ["InverseGamma", "Normal", "Prior", "prior_fields"]


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
    """Priors in raw units; what is not named has its family's default. A table's is one number, ``prior: 0.5``: its ``cell``."""

    intercept: Annotated[Normal, BeforeValidator(_normal)] | None = None
    weights: Annotated[Normal, BeforeValidator(_normal)] | None = None
    variance: Annotated[InverseGamma, BeforeValidator(_inverse_gamma)] | None = None
    scale_weights: Annotated[Normal, BeforeValidator(_normal)] | None = None
    cell: NotNegative | None = None


def prior_fields(family: Family, given: object) -> object:
    """What a file has under ``prior`` as fields of ``Prior``: one number is a table's pseudo-count per cell."""
    if "cell" not in family.priors:
        if isinstance(given, Mapping) and "cell" in given:
            raise mistake("'cell' is not a prior of this node", nearest("cell", family.priors), "prior", "cell")
        return given
    if isinstance(given, Prior):
        return given
    if isinstance(given, Mapping | list | tuple):
        raise mistake("the prior of a table is one number, a pseudo-count per cell", "write prior: 0.5", "prior")
    return {"cell": given}
