"""What dag.yaml says of one node, as a frozen record."""

from collections.abc import Mapping
from typing import Annotated, cast

from pydantic import AfterValidator, BeforeValidator, SkipValidation, ValidationInfo, model_validator

from cfair.errors import nearest
from cfair.families import COUPLINGS, DISCRETE, FAMILIES, Coupling, Family, Kind, OptionValue
from cfair.spec.frozen import Frozen, Record
from cfair.spec.given import Parameters, gathered
from cfair.spec.options import family_name, split
from cfair.spec.own import OwnFamily, own_node, taken_apart
from cfair.spec.priors import Prior, prior_fields
from cfair.spec.scalars import Flag, Levels, Names, described, mistake

__all__ = ["NodeSpec"]


def _mechanism(value: object, info: ValidationInfo) -> str:
    if own := info.data.get("own"):
        return str(own.reference)
    name = family_name(value)
    if not isinstance(name, str) or not name:
        raise mistake("a mechanism is named by one word, or by 'family' in a mapping", f"use one of: {', '.join(FAMILIES)}")
    if name not in FAMILIES:
        raise mistake(f"'{name}' is not a known mechanism", nearest(name, FAMILIES))
    return str(name)


def _coupling(value: object) -> str:
    if not isinstance(value, str) or value not in COUPLINGS:
        raise mistake(f"{described(value)} is not a coupling", nearest(value if isinstance(value, str) else "", COUPLINGS))
    return str(value)


class NodeSpec(Record):
    """What dag.yaml says of one node.

    Args:
        own: the user's own mechanism, in a file ``{python: "module:Class"}``; else None.
        mechanism: name of its family, or ``module:Class``; in a file also ``{family: name, option: value}``, whose options are kept apart.
        parents: in the order in which they are declared.
        levels: of a discrete node, by their text; the first is the reference.
        latent: never observed. A latent gaussian has intercept 0 and scale 1 unless ``parameters`` fix them otherwise.
        round: round a fractional count when reading.
        parameters: what is fixed; the rest is learned.
        prior: of what is learned; the family's default where not given.
        coupling: how the node's noise is shared between worlds; the family's default where not given.
        options: the family's own choices, those that are given; ``option`` gives any.
    """

    own: OwnFamily | None = None
    mechanism: Annotated[str, BeforeValidator(_mechanism)]
    parents: Names = ()
    levels: Levels = ()
    latent: Flag = False
    round: Flag = False
    parameters: Parameters | None = None
    prior: Prior | None = None
    coupling: Annotated[Coupling, BeforeValidator(_coupling)] | None = None
    options: Annotated[Mapping[str, SkipValidation[OptionValue]], AfterValidator(Frozen)] = Frozen({})  # read by form in ``split``

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: object) -> object:
        """In a file, options stand in the mechanism, levels' names and the family's own parameters directly under ``parameters``."""
        if isinstance(data, Mapping) and not isinstance(data.get("own"), OwnFamily | None):
            raise mistake("'own' is not a known key", "name code of your own in the mechanism: {python: module:Class}", "own")
        if own_node(data):
            return taken_apart(data)
        family = FAMILIES.get(str(family_name(data.get("mechanism")))) if isinstance(data, Mapping) else None
        if not isinstance(data, Mapping) or family is None:
            return data
        said, given, prior = split(family, data), data.get("parameters"), data.get("prior")
        said |= {"parameters": gathered(family, given)} if isinstance(given, Mapping) else {}
        return said if prior is None else {**said, "prior": prior_fields(family, prior)}

    @property
    def family(self) -> Family:
        """What may be said of its mechanism."""
        return self.own.family if self.own else FAMILIES[self.mechanism]

    def option(self, name: str) -> OptionValue:
        """The value of an option of the family: the one that is chosen, or the default."""
        return self.options.get(name, self.family.options[name].default)

    def flag(self, name: str) -> bool:
        """An option that is a switch."""
        return bool(self.option(name))

    def word(self, name: str) -> str:
        """An option that is one of several words."""
        return str(self.option(name))

    def number(self, name: str) -> float:
        """An option that is a number above 0."""
        return cast("float", self.option(name))

    def whole(self, name: str) -> int:
        """An option that is a whole number."""
        return cast("int", self.option(name))

    def sizes(self, name: str) -> tuple[int, ...]:
        """An option that is a list of whole numbers."""
        return cast("tuple[int, ...]", self.option(name))

    @property
    def interactions(self) -> tuple[tuple[str, ...], ...]:
        """Groups of parents whose product is a term of its own."""
        return cast("tuple[tuple[str, ...], ...]", self.option("interactions")) if "interactions" in self.family.options else ()

    @property
    def heteroscedastic(self) -> bool:
        """Whether its scale depends on its observed parents."""
        return "heteroscedastic" in self.family.options and self.flag("heteroscedastic")

    @property
    def monotone(self) -> bool:
        """Whether for given noise its value moves one way only as a parent that is a number grows, all other parents as they are."""
        return self.own is None and self.family.monotone and not self.heteroscedastic

    @property
    def titled(self) -> str:
        """``a gaussian node``: what it is, in a message."""
        return f"{'an' if self.mechanism[0] in 'aeiou' else 'a'} {self.mechanism} node"

    @property
    def kind(self) -> Kind:
        """The kind of its values."""
        return self.family.pair if self.family.pair and len(self.levels) == 2 else self.family.kind

    @property
    def coupled(self) -> Coupling | None:
        """The coupling that holds: the one that is chosen, or the family's default; None where noise is additive."""
        return self.coupling or next(iter(self.family.couplings), None)

    @property
    def discrete(self) -> bool:
        """Whether its values are levels."""
        return self.kind in DISCRETE
