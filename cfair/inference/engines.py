"""Which engine infers what a spec leaves open, and why.

To add one: a file with a function as ``Engine`` says, a line in ``ENGINES``, and the kinds of model on which it is calibrated.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

from cfair.errors import QueryError, nearest
from cfair.inference.neighbourhood import check_latents, groups
from cfair.interfaces import Chosen, Columns
from cfair.registry import Registry
from cfair.scm import SCM
from cfair.spec import ModelSpec
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

AUTO = ("quadrature",)  # engines that "auto" chooses from, the first that can serve a spec and is calibrated on its kind


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
    nuts="cfair.inference.learning:climb_to_the_top",  # its chains begin at the top, and the SCM stands there
)

UNCERTAINTIES: Registry[ParameterDraws] = Registry(
    "uncertainty",
    laplace="cfair.inference.parameter_draws:laplace",
    nuts="cfair.inference.nuts:nuts",
)

CALIBRATED: Mapping[str, frozenset[Kind]] = {  # what simulation-based calibration found; tests/calibration computes it again
    "quadrature": frozenset({"no latent", "one latent", "several latents", "latent with levels"}),
    "nuts": frozenset(),  # not calibrated on anything so far: chains take seconds per table
}


def choose(spec: ModelSpec, engine: str = "auto") -> Chosen:
    """The engine for a spec: the one that is named, or the first of AUTO that can serve it and is calibrated on its kind.

    Raises:
        QueryError: there is no such engine, or none can serve the spec.
    """
    check_engine(engine)
    check_latents(spec)
    kind = kind_of(spec)
    if engine != "auto":
        return Chosen(engine, "it was asked for", approximate=kind not in CALIBRATED[engine])
    for name in AUTO:
        if kind in CALIBRATED[name]:
            return Chosen(name, f"it integrates a model with {kind} out exactly, and is calibrated on this kind")
    raise QueryError("engine", f"no engine is calibrated on a model with {kind}", f"name one: {', '.join(ENGINES)}")


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
