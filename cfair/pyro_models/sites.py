"""A site of a Pyro model as a mechanism."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from cfair.errors import SpecError
from cfair.families import DISCRETE
from cfair.interfaces import Mechanism, Values
from cfair.mechanisms import Parent
from cfair.mechanisms.contract import Trial, broken
from cfair.mechanisms.couplings import coupled
from cfair.pyro_models.edges import check_edges
from cfair.pyro_models.noises import CONTINUOUS, COUNTS, Standard, level_log_probabilities
from cfair.pyro_models.program import PEOPLE, WHERE, Model, Program, program_of
from cfair.pyro_models.reshaped import Reshaped
from cfair.spec import ModelSpec, NodeSpec
from cfair.spec.own_code import at_border

__all__ = ["LevelSite", "Site", "site_mechanisms"]


def site_mechanisms(model: Model, spec: ModelSpec) -> dict[str, Mechanism]:
    """Node -> its site in ``model`` as a mechanism, once the sites and the edges are the spec's and each keeps the contract.

    Raises:
        CodeError: the model raised something.
        SpecError: sites, shapes, kinds or edges are not the spec's, or values have no noise that is known to make them.
        QueryError: the model needs more than one argument.
    """
    program = program_of(model, spec)
    distributions = program.distributions(program.reference, PEOPLE)
    for node in spec.nodes:
        _check_kind(node, spec.nodes[node], distributions[node])
    check_edges(program)
    return {node: _tried(node, _mechanism(program, node, distributions[node]), program) for node in spec.order}


class _AtSite(nn.Module):
    """What all sites share: the distribution, and nothing to learn."""

    def __init__(self, program: Program, node: str, family: type[Distribution]) -> None:
        super().__init__()
        self.kind = program.spec.nodes[node].kind
        self._program, self._node, self._family = program, node, family

    def forward(self, parents: Values) -> Reshaped:
        """The site's distribution given its parents, of the shape that their values broadcast to."""
        shape = torch.broadcast_shapes(*(parents[name].shape for name in self._program.spec.nodes[self._node].parents), ())
        flat = {name: parents[name].expand(shape).reshape(-1) for name in self._program.spec.nodes[self._node].parents}
        found = self._program.distribution(self._node, flat, shape.numel())
        if type(found) is not self._family:
            problem = f"it is {self._family.__name__} for some people and {type(found).__name__} for others"
            raise SpecError(f"{WHERE}, site '{self._node}'", problem, "give it one distribution")
        return Reshaped(found, shape)

    distribution = forward

    def priors(self) -> dict[str, Distribution]:
        """None: the parameters are those of the Pyro model, at the values that they had."""
        return {}

    def start(self, value: Tensor) -> None:
        """Nothing: there is nothing to learn."""

    def raw(self) -> dict[str, object]:
        """The kind of distribution; the Pyro model has its parameters."""
        return {"pyro": self._family.__name__}


class Site(_AtSite):
    """A real or count site: x increases with a noise of which the site's distribution makes it.

    Real sites: location and scale, or another map of a noise without parameters, as in ``noises.CONTINUOUS``. Counts: monotone.
    """

    noise_size = 1

    def __init__(self, program: Program, node: str, family: type[Distribution], standard: Standard) -> None:
        super().__init__(program, node, family)
        self._standard = standard

    def noise(self, uniform: Tensor) -> Tensor:
        """Noise from its prior."""
        return self._standard.noise(uniform)

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """The value that the noise makes."""
        return self._standard.value(noise, self.forward(parents).read)

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise that made the value."""
        return self._standard.abduct(value, self.forward(parents).read, uniform)


class LevelSite(_AtSite):
    """A site of levels, coupled as the spec says or as is its family's default."""

    def __init__(self, program: Program, node: str, family: type[Distribution]) -> None:
        super().__init__(program, node, family)
        nodes = program.spec.nodes
        self._coupling = coupled(nodes[node], [Parent(name, nodes[name].levels) for name in nodes[node].parents])
        self.noise_size = self._coupling.noise_size

    def noise(self, uniform: Tensor) -> Tensor:
        """The coupling's noise from its prior."""
        return self._coupling.noise(uniform)

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """The level that the coupling makes of the noise."""
        return self._coupling.level(noise, self.log_probabilities(parents), parents)

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The coupling's noise given the level."""
        return self._coupling.abduct(value, self.log_probabilities(parents), parents, uniform)

    def log_probabilities(self, parents: Values) -> Tensor:
        """The log probability of each level, shape (..., levels)."""
        distribution = self.forward(parents)
        found = level_log_probabilities(distribution.base)
        assert found is not None
        return found.reshape(*distribution.batch_shape, -1)


def _check_kind(node: str, declared: NodeSpec, found: Distribution) -> None:
    """The site's values are of the node's kind."""
    where, kind = f"{WHERE}, site '{node}'", declared.kind
    levels = level_log_probabilities(found)
    if kind in DISCRETE:
        if levels is None or levels.shape[-1] != len(declared.levels):
            has = f"{levels.shape[-1]} levels" if levels is not None else f"values of {type(found).__name__}"
            raise SpecError(where, f"it has {has}, and the spec declares {len(declared.levels)} levels", "use Bernoulli or Categorical")
        return
    table = COUNTS if kind == "count" else CONTINUOUS
    if not _standards(found, table):
        names = ", ".join(name for name in table if not name.startswith(("LogP", "LogNe")))
        problem = f"the spec declares a {kind} node, and of {type(found).__name__} it is not known which noise makes its values"
        raise SpecError(where, problem, f"use one of: {names}; or write a mechanism of your own, {{python: module:Class}}")


def _standards(found: Distribution, table: Mapping[str, Standard]) -> Sequence[Standard]:
    """How noise makes the values of a distribution; Pyro's classes derive from torch's of the same name."""
    return [table[kind.__name__] for kind in type(found).__mro__ if kind.__name__ in table]


def _mechanism(program: Program, node: str, found: Distribution) -> Mechanism:
    kind = program.spec.nodes[node].kind
    if kind in DISCRETE:
        return LevelSite(program, node, type(found))
    return Site(program, node, type(found), _standards(found, COUNTS if kind == "count" else CONTINUOUS)[0])


def _tried(node: str, mechanism: Mechanism, program: Program) -> Mechanism:
    """The mechanism, once it has kept every law of the contract."""
    declared = program.spec.nodes[node]
    parents = {name: program.reference[name] for name in declared.parents}
    with at_border(f"{WHERE}, site '{node}'", "trying it on people drawn from it"):
        found = broken(Trial(mechanism, parents, len(declared.levels), n=PEOPLE))
    if found is not None:
        raise SpecError(f"{WHERE}, site '{node}'", f"it breaks the law '{found[0]}': {found[1]}", "mend the model; it must be float64")
    return mechanism
