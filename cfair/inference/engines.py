"""Which engine infers what a spec leaves open, and why.

To add one: a file with a function as ``Engine`` says, a line in ``ENGINES``, and the kinds of model on which it is calibrated.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

import torch

from cfair.errors import QueryError, nearest
from cfair.grouping import groups
from cfair.inference.landscape import bent
from cfair.inference.limits import check_latents
from cfair.inference.neighbourhood import neighbourhoods
from cfair.interfaces import Chosen, Columns
from cfair.registry import Registry
from cfair.scm import SCM
from cfair.spec import ModelSpec, few_indicators
from cfair.uncertainty import Uncertainty

__all__ = [
    "AUTO",
    "CALIBRATED",
    "ENGINES",
    "UNCERTAINTIES",
    "Engine",
    "Kind",
    "ParameterDraws",
    "check_engine",
    "check_uncertainty",
    "choose",
    "kind_of",
]

Kind = Literal["no latent", "one latent", "several latents", "latent with levels"]

AUTO = ("quadrature", "svi")  # engines that "auto" chooses from: the first that can serve a spec


class Engine(Protocol):
    """How parameters are learned."""

    def __call__(self, scm: SCM, columns: Columns, *, seed: int) -> None:
        """Set the free parameters of ``scm`` from people with every observed node."""
        ...


class ParameterDraws(Protocol):
    """How the uncertainty of parameters is drawn."""

    def __call__(self, scm: SCM, columns: Columns | None, *, count: int, seed: int) -> Uncertainty:
        """Draws of the parameters of a learned ``scm``, given the table that it learned from."""
        ...


ENGINES: Registry[Engine] = Registry(
    "engine",
    quadrature="cfair.inference.learning:climb_to_the_top",
    svi="cfair.inference.sampling:learn_by_sampling",
    nuts="cfair.inference.learning:climb_to_the_top",  # its chains begin at the top, and the SCM stands there
)

UNCERTAINTIES: Registry[ParameterDraws] = Registry(
    "uncertainty",
    laplace="cfair.inference.parameter_draws:laplace",
    nuts="cfair.inference.nuts:nuts",
    ridge="cfair.inference.ridge:ridge",
)

CALIBRATED: Mapping[str, frozenset[Kind]] = {  # what simulation-based calibration found; tests/calibration computes it again
    "quadrature": frozenset({"no latent", "one latent", "several latents", "latent with levels"}),
    "svi": frozenset(),  # approximate: its draws of latents at known parameters are calibrated, its parameters have no draws
    "nuts": frozenset({"no latent", "one latent", "several latents", "latent with levels"}),
}


def choose(spec: ModelSpec, engine: str = "auto") -> Chosen:
    """The engine for a spec: the one that is named, or the first of AUTO that can serve it.

    Raises:
        QueryError: there is no such engine, or none can serve the spec.
    """
    check_engine(engine)
    check_latents(spec, engine=engine)
    kind = kind_of(spec)
    if engine != "auto":
        return Chosen(engine, "it was asked for", approximate=kind not in CALIBRATED[engine])
    name = next(name for name in AUTO if _serves(name, spec))
    if name == "quadrature":
        return _by_quadrature(spec, kind)
    _check_concave(spec)
    return Chosen(name, "more than three real latents hang together, which quadrature does not integrate out", approximate=True)


def _by_quadrature(spec: ModelSpec, kind: Kind) -> Chosen:
    """Quadrature, and whether the draws around its most probable parameters are known to be calibrated."""
    exactly = "it integrates latents out exactly" if spec.latents else "there is no latent to integrate out"
    if loose := few_indicators(spec):
        loadings = f"the data hardly identify the loadings of {' and '.join(loose)}"
        problem = f"{exactly}, but {loadings}, so that draws of the parameters by 'laplace' are too narrow"
        return Chosen("quadrature", problem, approximate=True)
    if kind not in CALIBRATED["quadrature"]:
        return Chosen("quadrature", exactly, approximate=True)
    return Chosen("quadrature", f"{exactly}, and draws of the parameters are calibrated on models with {kind}")


def _serves(engine: str, spec: ModelSpec) -> bool:
    """Whether the engine integrates out all that hangs together."""
    try:
        check_latents(spec, engine=engine)
    except QueryError:
        return False
    return True


def _check_concave(spec: ModelSpec) -> None:
    """Refuse to choose "svi" where it has to find its way in a posterior that need not have one top.

    Raises:
        QueryError: too many latents hang together, and the density of some of their children is not log-concave.
    """
    anyone = {node: torch.zeros(1, dtype=torch.float64) for node in spec.observed}
    for area in neighbourhoods(SCM(spec), anyone, spec.observed, 1):
        if not area.sampled or not (nodes := bent(area)):
            continue
        families = ", ".join(f"'{node}' by {spec.nodes[node].mechanism}" for node in nodes)
        problem = (
            f"{len(area.real)} real latents hang together ({', '.join(area.real)}), and their posterior need not be log-concave with "
            f"{families}: learning was not seen to finish there"
        )
        raise QueryError("engine", problem, "use engine 'svi' to try, give them other families, merge some, or give them children apart")


def check_engine(engine: str) -> None:
    """Refuse a name that is no engine's.

    Raises:
        QueryError: with the nearest one.
    """
    if engine not in ("auto", *ENGINES):
        raise QueryError("engine", f"'{engine}' is not an engine", nearest(engine, ("auto", *ENGINES)))


def check_uncertainty(uncertainty: str) -> None:
    """Refuse a name of no way to draw parameters; "none" is one, too.

    Raises:
        QueryError: with the nearest one.
    """
    if uncertainty not in ("none", *UNCERTAINTIES):
        raise QueryError("uncertainty", f"'{uncertainty}' is no way to draw parameters", nearest(uncertainty, ("none", *UNCERTAINTIES)))


def kind_of(spec: ModelSpec) -> Kind:
    """The kind of model that calibration tells apart: by its hardest group of latents that hang together."""
    if not spec.latents:
        return "no latent"
    if any(spec.nodes[latent].discrete for latent in spec.latents):
        return "latent with levels"
    return "several latents" if max(map(len, groups(spec, spec.observed))) > 1 else "one latent"
