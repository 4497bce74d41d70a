"""From a table to the parameters: the most probable ones given the data, with the latents integrated out."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from cfair.errors import FitError, QueryError
from cfair.inference.conventions import orient
from cfair.inference.engines import ENGINES, UNCERTAINTIES, check_uncertainty, choose
from cfair.inference.free import FreeParameters
from cfair.inference.loadings import perturb_loadings, start_loadings
from cfair.inference.log_posterior import LogPosterior, alone, fine_enough, marginal
from cfair.inference.neighbourhood import Neighbourhood, neighbourhoods
from cfair.inference.optimise import GRADIENT, Peak, maximise
from cfair.inference.parameter_draws import check_count
from cfair.interfaces import ClosedForm, Columns, Values
from cfair.mechanisms import Unit
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.threads import with_threads

__all__ = ["climb_to_the_top", "learn", "units_of"]

SUBSAMPLE = 1_000  # rows from which the curvature is estimated
FIRST = 4_000  # rows that lead to where all of them are used
ROUGH = 0.1  # slope per posterior sd that is small enough where only a place to start from is sought
STARTS = 6  # of a mixture over levels, whose likelihood has several tops


@with_threads
def learn(
    spec: ModelSpec,
    columns: Columns | None = None,
    *,
    engine: Literal["auto", "quadrature", "nuts"] = "auto",
    uncertainty: Literal["none", "laplace", "nuts"] = "none",
    parameter_draws: int = 64,
    units: Mapping[str, Unit] | None = None,
    seed: int = 0,
) -> SCM:
    """The SCM at its most probable parameters given the table (maximum a posteriori, on the scale on which priors are stated).

    Nodes that no latent touches are learned apart, some families in closed form. Latents' own parameters and their children's
    maximise their marginal likelihood: sums over levels, and adaptive Gauss-Hermite quadrature per row, centred on the row's mode
    and checked by doubling its nodes; its gradient by Fisher's identity. The sign of a real latent and the order of a discrete one's
    levels are conventions (see ``orient``).

    Args:
        spec: the declared model.
        columns: training rows with every observed node; None when ``parameters:`` fix every node.
        engine: "quadrature", which "auto" chooses where it is calibrated; or "nuts", the same with uncertainty="nuts".
        uncertainty: "laplace" and "nuts" add draws of the parameters, as ``SCM.uncertainty``: around the most probable ones with
            weights, in a second or so; or by Hamiltonian Monte Carlo with the latents integrated out, in minutes.
        parameter_draws: how many of them.
        units: node -> unit in which a real or count column is standardised; its mean and sd in the table if None.
        seed: of the rows from which the curvature is estimated, of where a mixture is started, and of the draws of parameters;
            otherwise it does not change the answer beyond the last digits.

    Raises:
        QueryError: more latents hang together than can be integrated out, an unknown engine or uncertainty, too few draws, no table
            where something is to be learned, or one without a node's column.
        FitError: no most probable point was found, a table without prior has a combination without rows, the log posterior does not
            fall in every direction from its top, or chains do not agree.
    """
    chosen = choose(spec, engine)
    method = _method(engine, uncertainty)
    check_count(parameter_draws)
    columns = columns and columns.counted()
    scm = SCM(spec, units_of(spec, columns.coded if columns else {}) if units is None else units)
    scm.engine = chosen
    unlearned = [node for node in spec.order if _is_closed(scm, node) or FreeParameters(scm, [node]).count]
    if unlearned:
        columns = _whole(spec, columns, unlearned)
        ENGINES[chosen.engine](scm, columns, seed=seed)
    if method != "none":
        scm.uncertainty = UNCERTAINTIES[method](scm, columns, count=parameter_draws, seed=seed)
    return scm


def _method(engine: str, uncertainty: str) -> str:
    """How parameters are drawn, if they are.

    Raises:
        QueryError: there is no such way, or it is not the engine's.
    """
    check_uncertainty(uncertainty)
    if engine == "nuts" and uncertainty == "laplace":
        raise QueryError("uncertainty", "engine 'nuts' draws the parameters itself", "leave uncertainty out, or use engine='auto'")
    return "nuts" if engine == "nuts" else uncertainty


def climb_to_the_top(scm: SCM, columns: Columns, *, seed: int) -> None:
    """Engine ``quadrature``: set what is free in ``scm`` to its most probable value."""
    areas = neighbourhoods(scm, columns.coded, scm.spec.observed, columns.n)
    touched = {node for area in areas for node in area.factors}
    values = {**columns.coded} | {latent: torch.zeros(columns.n, dtype=torch.float64) for latent in scm.spec.latents}
    for node, mechanism in scm.mechanisms.items():
        if isinstance(mechanism, ClosedForm):
            if not mechanism.known:
                mechanism.learn(values[node], scm.parents(node, values), node=node, weights=columns.weights)
        elif not scm.spec.nodes[node].latent and FreeParameters(scm, [node]).count:
            _learn_alone(scm, node, values, columns, gradient=ROUGH if node in touched else GRADIENT, seed=seed)
    for area in areas:
        if FreeParameters(scm, area.factors).count:
            _learn_together(scm, area, columns.weights, seed=seed)


def _is_closed(scm: SCM, node: str) -> bool:
    """Whether the node learns itself, in closed form."""
    mechanism = scm.mechanisms[node]
    return isinstance(mechanism, ClosedForm) and not mechanism.known


def _whole(spec: ModelSpec, columns: Columns | None, unlearned: Sequence[str]) -> Columns:
    """The table, once it is known to hold every observed node."""
    if columns is None:
        raise QueryError("columns", f"'{unlearned[0]}' has parameters to learn", "give a table, or fix them all under 'parameters:'")
    if missing := [node for node in spec.observed if node not in columns]:
        raise QueryError("columns", f"the table has no column '{missing[0]}'", "learn from a table with every observed node")
    return columns


def units_of(spec: ModelSpec, values: Values) -> dict[str, Unit]:
    """Mean and sd of each real or count column; (mean, 1) where it is constant."""
    units = {}
    for node in spec.observed:
        if node in values and spec.nodes[node].kind in ("real", "count"):
            column = values[node]
            constant = bool((column == column[0]).all())
            units[node] = Unit(float(column.mean()), 1.0 if constant else float(column.std(correction=0)))
    return units


def _learn_alone(scm: SCM, node: str, values: Values, columns: Columns, *, gradient: float, seed: int) -> None:
    """Set the free parameters of one node given its parents; of a latent's child, with the latent at 0, as a place to start from."""
    scm.mechanisms[node].start(values[node])
    peak = _fit(alone(scm, node, values, columns.weights), gradient=gradient, seed=seed)
    if gradient == GRADIENT:
        peak.check(f"learning {node}")


def _learn_together(scm: SCM, area: Neighbourhood, weights: Tensor | None, *, seed: int) -> None:
    """Set the free parameters of latents and their children: from one start, or the best of several, then in the declared convention."""
    start_loadings(area)
    rung = _climb(scm, area, weights, seed=seed)
    if area.discrete:
        rung = _best_of_starts(scm, area, weights, rung, seed=seed)
    if orient(scm, area.factors):  # levels that changed places have priors of their own: the top is near, and not the same
        _climb(scm, area, weights, rung, seed=seed)


def _climb(scm: SCM, area: Neighbourhood, weights: Tensor | None, rung: int = 0, *, seed: int) -> int:
    """Maximise the marginal likelihood, with finer rules until the next one would not change it; the rung that did."""
    while True:
        density = marginal(area, area.factors, rung, weights)
        peak = _fit(density, gradient=GRADIENT, seed=seed)
        fine = fine_enough(area, rung)
        if fine == rung:
            peak.check(f"learning {', '.join(density.nodes)}")  # not before: where the rule is too coarse, value and slope disagree
            return rung
        rung = fine


def _best_of_starts(scm: SCM, area: Neighbourhood, weights: Tensor | None, rung: int, *, seed: int) -> int:
    """The highest of several tops; the first is where the SCM stands."""
    density = marginal(area, area.factors, rung, weights)
    best, begin = density.start, density.start
    height, _ = density.value_and_slope(best)
    for k in range(1, STARTS):
        density.free.write(begin)
        perturb_loadings(area, seed=seed + k)
        try:
            found = _climb(scm, area, weights, rung, seed=seed)
        except FitError:
            continue  # this start led nowhere; the first one did lead to a top
        reached, _ = density.value_and_slope(density.start)
        if reached > height:
            best, height, rung = density.start, reached, found
    density.free.write(best)
    return rung


def _fit(density: LogPosterior, *, gradient: float, seed: int) -> Peak:
    """Set the free parameters to their most probable values."""
    people, start = torch.randperm(density.log_likelihood.n, generator=torch.Generator().manual_seed(seed)), density.start
    curvature = partial(density.hessian, people=people[:SUBSAMPLE])
    if len(people) > 2 * FIRST:  # most of the way, some rows lead as well as all
        start = maximise(partial(density.value_and_slope, people=people[:FIRST]), start, curvature=curvature, gradient=ROUGH).theta
    peak = maximise(density.value_and_slope, start, curvature=curvature, gradient=gradient)
    density.free.write(peak.theta)
    return peak
