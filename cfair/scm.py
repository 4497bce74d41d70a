"""A structural causal model: a mechanism for every node, and the ordinary Pyro model that it is."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import copy
from functools import cache
from typing import Literal, Self, cast

import pyro
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.func import functional_call

from cfair.errors import QueryError
from cfair.interfaces import Chosen, Columns, Mechanism, Values
from cfair.mechanisms import Unit, bound, build
from cfair.pyro_models import site_mechanisms
from cfair.sampler import Sampler, sampler_for
from cfair.spec import ModelSpec
from cfair.spec.naming import unlike
from cfair.uncertainty import Uncertainty

__all__ = ["SCM"]

UNCERTAINTY = "uncertainty."  # what the names of its tensors begin with in a state_dict


class SCM(nn.Module):
    """V = f_V(parents, U_V) for every node: the declared graph with its mechanisms.

    A torch module, so that ``state_dict`` is all there is to keep; ``learn`` returns one with its free parameters set.

    Args:
        spec: the declared model.
        units: node -> unit in which a real or count column is standardised; (0, 1) where it is left out.
        mechanisms: node -> mechanism, in the place of the declared ones.

    ``units`` are these, (c, s) per node in ``spec.order``, shape (nodes, 2). ``uncertainty`` holds draws of its parameters where
    ``learn`` was asked for them, and travels with the ``state_dict``; ``engine`` says what learned it, and why. ``sampler`` is what the
    engine ``svi`` keeps of its own with the model, in the ``state_dict``, too; None where latents are integrated out by quadrature.
    ``unseen`` names levels that nobody had among the rows that it was learned from, node -> levels.
    """

    units: Tensor
    sampler: Sampler | None

    def __init__(
        self, spec: ModelSpec, units: Mapping[str, Unit] | None = None, *, mechanisms: Mapping[str, Mechanism] | None = None
    ) -> None:
        super().__init__()
        self.spec, self.is_declared = spec, mechanisms is None
        self.uncertainty: Uncertainty | None = None
        self.engine: Chosen | None = None
        self.unseen: Mapping[str, Sequence[str]] = {}
        known = [units[node] if units and node in units else Unit() for node in spec.order]
        self.register_buffer("units", torch.tensor(known, dtype=torch.float64).reshape(-1, 2))
        self.register_module("sampler", None)
        made = mechanisms or {node: build(spec, node, units or {}) for node in spec.order}
        self._modules_in_order = nn.ModuleList(cast("nn.Module", made[node]) for node in spec.order)

    @classmethod
    def restored(cls, spec: ModelSpec, state: Mapping[str, Tensor]) -> Self:
        """The SCM of ``spec`` whose ``state_dict`` was ``state``: its priors, too, are stated in the units that it was learned in."""
        units = {node: Unit(*row) for node, row in zip(spec.order, state["units"].tolist(), strict=True)}
        scm = cls(spec, units)
        scm.sampler = sampler_for(spec, state)
        scm.load_state_dict(state)
        return scm

    @classmethod
    def from_pyro(cls, model: Callable[..., object], spec: ModelSpec) -> Self:
        """The SCM of a Pyro model of your own, whose sites are the nodes of ``spec``.

        The model is run with each site's parents given; the noise that makes a site's values is that of its distribution: location
        and scale (Normal, Laplace, Cauchy, Gumbel, LogNormal), another map of a noise without parameters (Exponential, HalfNormal,
        HalfCauchy, Uniform, Weibull), the coupling of ``spec`` for levels (Bernoulli, Categorical), monotone for counts (Poisson,
        NegativeBinomial, GammaPoisson). ``pyro.param`` sites keep the values that the parameter store has now; a parameter that is
        sampled must be conditioned. What ``spec`` says of mechanisms counts only for kinds, levels and couplings. Nothing is learned
        of it, and no run keeps it.

        Args:
            model: a function of no arguments, written for one person or any number, or of the people, whose ``n`` is a plate's size.
            spec: the declared nodes and edges; the model's are compared with them.

        Raises:
            CodeError: the model raised something.
            SpecError: sites, shapes, kinds or edges are not the spec's, or it is not known which noise makes a site's values.
            QueryError: the model needs more than one argument.
        """
        return cls(spec, mechanisms=site_mechanisms(model, spec))

    @property
    def mechanisms(self) -> dict[str, Mechanism]:
        """Node -> mechanism, in topological order."""
        return {node: cast("Mechanism", module) for node, module in zip(self.spec.order, self._modules_in_order, strict=True)}

    def parents(self, node: str, values: Values) -> dict[str, Tensor]:
        """The part of ``values`` that ``node`` reads."""
        return {parent: values[parent] for parent in self.spec.nodes[node].parents}

    def parameters_in_units(self) -> dict[str, Mapping[str, object]]:
        """Node -> its parameters in the columns' own units, as under ``parameters:`` in dag.yaml."""
        return {node: mechanism.raw() for node, mechanism in self.mechanisms.items()}

    def drawn(self, s: int) -> "SCM":
        """The SCM with its parameters as in draw ``s`` of its uncertainty; it shares all else.

        Raises:
            QueryError: there are no draws, or fewer.
        """
        if self.uncertainty is None:
            raise QueryError(
                "uncertainty", "the SCM has no draws of its parameters", "learn it with uncertainty='laplace', 'ridge' or 'nuts'"
            )
        if not 0 <= s < self.uncertainty.count:
            problem = f"there is no draw {s} of the parameters among {self.uncertainty.count}"
            raise QueryError("uncertainty", problem, f"give a whole number from 0 to {self.uncertainty.count - 1}")
        return self.at(self.uncertainty.draw(s))

    def at(self, parameters: Mapping[str, Mapping[str, Tensor]]) -> "SCM":
        """The SCM with other tensors in place of some parameters or buffers, node -> name -> value; it shares all else."""
        twin = copy(self)
        modules = {
            place: bound(module, {name: _as_own(module, name, value) for name, value in parameters.get(node, {}).items()})
            for node, (place, module) in zip(self.spec.order, self._modules_in_order.named_children(), strict=True)
        }
        twin.__dict__["_modules"] = {**self._modules, "_modules_in_order": nn.ModuleList(modules.values())}
        twin.uncertainty = None
        return twin

    def _save_to_state_dict(self, destination: dict[str, Tensor], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        kept = {} if self.uncertainty is None else self.uncertainty.to_tensors()
        destination.update({f"{prefix}{UNCERTAINTY}{name}": value for name, value in kept.items()})

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *rest: object) -> None:
        own = f"{prefix}{UNCERTAINTY}"
        kept = {name.removeprefix(own): value for name, value in state_dict.items() if name.startswith(own)}
        self.uncertainty = Uncertainty.from_tensors(kept) if kept else None
        others = {name: value for name, value in state_dict.items() if not name.startswith(own)}
        super()._load_from_state_dict(others, prefix, *rest)

    def model(self, columns: Columns, *, parameters: Literal["fixed", "sampled"] = "fixed") -> dict[str, Tensor]:
        """Run the SCM as a Pyro model: one site per node, named as the node, in one plate of rows named ``rows``.

        Nodes that ``columns`` has are observed, the others sampled; so ``SVI(scm.model, ...)`` and ``MCMC(NUTS(scm.model))`` work.

        Args:
            columns: n people; latents, and any node left out, are sampled.
            parameters: "fixed" at their learned values, or "sampled": one more site per learned parameter, named
                ``node.parameter``, on the standardised scale on which it is learned.

        Returns:
            Node -> its value, shape (..., n).
        """
        if parameters not in ("fixed", "sampled"):
            raise QueryError("parameters", f"'{parameters}' is neither 'fixed' nor 'sampled'", "use one of the two")
        drawn = {node: _sample_parameters(node, module) if parameters == "sampled" else {} for node, module in self.mechanisms.items()}
        values: dict[str, Tensor] = {}
        rows = pyro.plate(unlike(self.spec.nodes, "rows"), columns.n)
        for node, mechanism in self.mechanisms.items():  # a mechanism may run a Pyro model, which has plates of its own
            conditional = functional_call(cast("nn.Module", mechanism), drawn[node], (self.parents(node, values),))
            with rows:
                values[node] = pyro.sample(node, _as_pyro(conditional), obs=columns.get(node))
        return values


def _sample_parameters(node: str, mechanism: Mechanism) -> dict[str, Tensor]:
    """A Pyro site for each parameter with a learned entry; entries that are fixed keep their value."""
    module = cast("nn.Module", mechanism)
    known, free = dict(module.named_parameters()), dict(module.named_buffers())
    drawn = {}
    for name, prior in mechanism.priors().items():
        learned = free[f"{name}_free"]
        if learned.any():
            site = pyro.sample(f"{node}.{name}", _as_pyro(prior).to_event(known[name].dim()))
            drawn[name] = torch.where(learned, site, known[name])
    return drawn


def _as_own(module: nn.Module, name: str, value: Tensor) -> Tensor:
    """``value`` as the module holds what goes by that name: a parameter or a buffer."""
    *path, last = name.split(".")
    part = module.get_submodule(".".join(path))
    return nn.Parameter(value, requires_grad=False) if last in part._parameters else value


@cache
def _pyro_class(kind: Hashable) -> type[TorchDistributionMixin]:
    base = cast("type[Distribution]", kind)
    return type(base.__name__, (base, TorchDistributionMixin), {})


def _as_pyro(distribution: Distribution) -> TorchDistributionMixin:
    """The same distribution with the methods that Pyro calls."""
    if isinstance(distribution, TorchDistributionMixin):
        return distribution
    kind = _pyro_class(cast("Hashable", type(distribution)))
    pyro_distribution = kind.__new__(kind)
    pyro_distribution.__dict__.update(distribution.__dict__)
    return pyro_distribution
