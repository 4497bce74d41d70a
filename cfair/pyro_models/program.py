"""Running a Pyro model with the values of its sites given, and leaving everything else as it was."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import pyro
import torch
from pyro import poutine
from pyro.poutine.util import site_is_subsample
from torch import Tensor
from torch.distributions import Distribution

from cfair.errors import QueryError, SpecError, nearest
from cfair.interfaces import Columns, Facts, Values
from cfair.spec import ModelSpec
from cfair.spec.own_code import at_border

__all__ = ["PEOPLE", "WHERE", "Model", "Program", "program_of"]

WHERE = "Pyro model"
PEOPLE = 64  # for whom the model is first run

Model: TypeAlias = Callable[..., object]  # of no arguments, or of the people as Columns


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """What Pyro keeps of a ``pyro.sample`` or a ``pyro.param``.

    Args:
        value: what it had.
        fn: a sample's distribution; None of a parameter.
        is_observed: whether its value was given.
    """

    value: Tensor
    fn: Distribution | None
    is_observed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A Pyro model whose sites are the nodes of ``spec``.

    Args:
        model: a function of no arguments, or of Columns, of which it may read ``n``, the number of people.
        spec: the declared model.
        takes_people: whether it has an argument.
        parameters: its ``pyro.param`` sites -> constrained value, as the parameter store had them.
        reference: node -> a value of each of PEOPLE people, shape (PEOPLE,), drawn from the model.
    """

    model: Model
    spec: ModelSpec
    takes_people: bool
    parameters: Mapping[str, Tensor] = field(default_factory=dict)
    reference: Values = field(default_factory=dict)

    def distribution(self, node: str, parents: Values, people: int) -> Distribution:
        """The site's distribution for so many people, of batch shape (people,), given its parents' values, (people,) each.

        All other nodes have a value of the reference's, which the distribution was seen not to depend on.
        """
        others = {name: value[:1].expand(people) for name, value in self.reference.items() if name not in parents}
        return self.distributions({**others, **parents}, people, only=node)[node]

    def distributions(self, values: Values, people: int, *, only: str | None = None) -> dict[str, Distribution]:
        """Node -> its site's distribution, of batch shape (people,), given values of nodes, (people,) each.

        Raises:
            CodeError: the model raised something.
            SpecError: a site has not one number per person.
        """
        found = self.statements(values, people)
        return {
            name: _per_person(name, each.fn, people) for name, each in found.items() if name in self.spec.nodes and only in (None, name)
        }

    def statements(self, values: Values, people: int) -> dict[str, Statement]:
        """Name -> each sample or parameter, in the order in which the model comes to them."""
        arguments = (_people(people),) if self.takes_people else ()
        model = poutine.condition(poutine.substitute(self.model, data=dict(self.parameters)), data=dict(values))
        with at_border(WHERE, f"running it for {people} people"), _aside():
            trace = poutine.trace(model).get_trace(*arguments)
        return {
            name: Statement(
                cast("Tensor", each["value"]),
                cast("Distribution", each["fn"]) if each["type"] == "sample" else None,
                bool(each["is_observed"]),
            )
            for name, each in trace.nodes.items()
            if each["type"] in ("sample", "param") and not site_is_subsample(each)
        }


def program_of(model: Model, spec: ModelSpec) -> Program:
    """The model with its parameters' values, and people drawn from it.

    Raises:
        CodeError: the model raised something.
        SpecError: its sites are not the spec's nodes.
        QueryError: it needs more than one argument.
    """
    first = Program(model, spec, _takes_people(model), parameters=dict(pyro.get_param_store().items()))
    statements = first.statements({}, PEOPLE)
    parameters = {name: each.value.detach().clone() for name, each in statements.items() if each.fn is None}
    sites = {name: each for name, each in statements.items() if each.fn is not None}
    _check_sites(sites, spec)
    known = Program(model, spec, first.takes_people, parameters)
    drawn: dict[str, Tensor] = {}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for name in sites:
            if name in spec.nodes:
                drawn[name] = known.distributions(drawn, PEOPLE, only=name)[name].sample().to(torch.float64)
    return Program(model, spec, first.takes_people, parameters, drawn)


def _check_sites(sites: Mapping[str, Statement], spec: ModelSpec) -> None:
    """Every node has a site, and every other site is a constant."""
    for node in spec.nodes:
        if node not in sites:
            raise SpecError(WHERE, f"it has no site '{node}', which the spec declares", nearest(node, sites))
    for name, each in sites.items():
        fixed = each.is_observed and type(each.fn).__name__ != "Unit"
        if name not in spec.nodes and not fixed:
            mend = f"condition it, as pyro.condition(model, data={{'{name}': value}}), or declare it as a node"
            raise SpecError(f"{WHERE}, site '{name}'", "it is not a node of the spec, and its value is not fixed", mend)


def _takes_people(model: Model) -> bool:
    """Whether the model must be given one argument."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [each for each in inspect.signature(model).parameters.values() if each.kind in kinds and each.default is each.empty]
    if len(needed) > 1:
        names = ", ".join(each.name for each in needed)
        raise QueryError(WHERE, f"it needs {len(needed)} arguments: {names}", "give it none, or one: the people, whose n says how many")
    return bool(needed)


def _people(count: int) -> Columns:
    """So many people of whom nothing is known."""
    return Columns({}, torch.arange(count), Facts(WHERE, count, ""))


@contextmanager
def _aside() -> Iterator[None]:
    """Within it Pyro's handlers, parameter store and random numbers are a run's own."""
    with poutine.block(), pyro.get_param_store().scope(), torch.random.fork_rng(devices=[]):
        yield


def _per_person(name: str, found: Distribution | None, people: int) -> Distribution:
    """A site's distribution for each of so many people."""
    assert found is not None
    batch, event = tuple(found.batch_shape), tuple(found.event_shape)
    if event or batch not in ((), (1,), (people,)):
        problem = f"for {people} people it has batch shape {batch} and event shape {event}"
        mend = "let it have one number per person: a plate's size is the n of the people whom the model is given"
        raise SpecError(f"{WHERE}, site '{name}'", problem, mend)
    whole = copy(found.expand((people,)) if batch != (people,) else found)
    whole._validate_args = False  # of values: one that it cannot have has density 0
    return whole
