"""What dag.yaml says of one node, as a frozen record."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, model_validator

from cfair.errors import nearest
from cfair.families import COUPLINGS, DISCRETE, FAMILIES, Coupling, Family, Kind
from cfair.spec.frozen import Record
from cfair.spec.given import Parameters, gathered
from cfair.spec.priors import Prior, prior_fields
from cfair.spec.scalars import Flag, Levels, Names, described, mistake

__all__ = ["NodeSpec", "family_name"]

_LATER = frozenset({"neural"})  # families that interfaces promise and that are not built yet


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


def _coupling(value: object) -> str:
    if not isinstance(value, str) or value not in COUPLINGS:
        raise mistake(f"{described(value)} is not a coupling", nearest(value if isinstance(value, str) else "", COUPLINGS))
    return str(value)


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
        coupling: how the node's noise is shared between worlds; the family's default where not given.
    """

    mechanism: Annotated[str, BeforeValidator(_mechanism)]
    parents: Names = ()
    levels: Levels = ()
    latent: Flag = False
    round: Flag = False
    parameters: Parameters | None = None
    prior: Prior | None = None
    coupling: Annotated[Coupling, BeforeValidator(_coupling)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: object) -> object:
        """In a file, levels' names and the family's own parameters stand directly under ``parameters``."""
        family = FAMILIES.get(str(family_name(data.get("mechanism")))) if isinstance(data, Mapping) else None
        if not isinstance(data, Mapping) or family is None:
            return data
        given, prior = data.get("parameters"), data.get("prior")
        said = {**data, "parameters": gathered(family, given)} if isinstance(given, Mapping) else {**data}
        return said if prior is None else {**said, "prior": prior_fields(family, prior)}

    @property
    def family(self) -> Family:
        """What may be said of its mechanism."""
        return FAMILIES[self.mechanism]

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
