"""From a table to the parameters: the most probable ones given the data, with the latents integrated out."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from cfair.errors import FitError, QueryError, nearest
from cfair.inference.conventions import orient
from cfair.inference.free import FreeParameters
from cfair.inference.guide import Sampler
from cfair.inference.loadings import perturb_loadings, start_loadings
from cfair.inference.log_posterior import FEW, MOVED, LogPosterior, alone, fine_enough, marginal
from cfair.inference.neighbourhood import Neighbourhood, check_latents, neighbourhoods, too_many
from cfair.inference.optimise import GRADIENT, ROUNDING, Peak, maximise
from cfair.inference.svi import curved, finish, train
from cfair.interfaces import Columns, SelfTaught, Values
from cfair.mechanisms import Unit
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.threads import with_threads

__all__ = ["ENGINES", "learn", "units_of"]

ENGINES = ("auto", "quadrature", "svi")
SUBSAMPLE = 1_000  # rows from which the curvature is estimated
SLOPE = 2e-2  # largest slope left where importance sampling integrates latents out: its own error is larger
FIRST = 4_000  # rows that lead to where all of them are used
ROUGH = 0.1  # slope per posterior sd that is small enough where only a place to start from is sought
STARTS = 6  # of a mixture over levels, whose likelihood has several tops


@with_threads
def learn(
    spec: ModelSpec,
    columns: Columns | None = None,
    *,
    engine: Literal["auto", "quadrature", "svi"] = "auto",
    units: Mapping[str, Unit] | None = None,
    seed: int = 0,
) -> SCM:
    """The SCM at its most probable parameters given the table (maximum a posteriori, on the scale on which priors are stated).

    Nodes that no latent touches are learned apart, some families in closed form. Latents' own parameters and their children's
    maximise their marginal likelihood: sums over levels, and adaptive Gauss-Hermite quadrature per row, centred on the row's mode
    and checked by doubling its nodes; its gradient by Fisher's identity. More than three real latents that hang together are
    integrated out by importance sampling (engine "svi"), around each row's mode, and checked
    with more points until the parameters stand still within a tenth of their posterior sd. Where it is not known to be log-concave,
    Pyro's SVI leads there, on minibatches, with an amortised guide; another guide, which never sees the outcome, then stands in for
    the modes of rows where they will not do. The sign of a real latent and the order of a discrete one's
    levels are conventions (see ``orient``).

    Args:
        spec: the declared model.
        columns: training rows with every observed node; None when ``parameters:`` fix every node.
        engine: "quadrature", which "auto" chooses save where more than three real latents hang together; or "svi", for all of them.
        units: node -> unit in which a real or count column is standardised; its mean and sd in the table if None.
        seed: of the rows from which the curvature is estimated, and of where a mixture is started; otherwise it does not change the
            answer beyond the last digits.

    Raises:
        QueryError: more latents hang together than can be integrated out, an unknown engine, no table where something is to be
            learned, or one without a node's column.
        FitError: no most probable point was found, or a table without prior has a combination without rows.
    """
    if engine not in ENGINES:
        raise QueryError("engine", f"'{engine}' is not an engine", nearest(engine, ENGINES))
    columns = columns and columns.counted()
    check_latents(spec, engine=engine)
    scm = SCM(spec, units_of(spec, columns.coded if columns else {}) if units is None else units)
    scm.sampler = Sampler(for_all=engine == "svi") if engine == "svi" or too_many(spec, spec.observed) else None
    _set_parameters(scm, columns, seed=seed)
    if scm.sampler is not None and columns is not None:
        finish(scm, columns, seed=seed)
    return scm


def _set_parameters(scm: SCM, columns: Columns | None, *, seed: int) -> None:
    """Set what is free to its most probable value."""
    spec = scm.spec
    closed = {node: mechanism for node, mechanism in scm.mechanisms.items() if isinstance(mechanism, SelfTaught) and not mechanism.known}
    unlearned = [node for node in spec.order if node in closed or FreeParameters(scm, [node]).count]
    if not unlearned:
        return
    columns = _whole(spec, columns, unlearned)
    areas = neighbourhoods(scm, columns.coded, spec.observed, columns.n)
    touched = {node for area in areas for node in area.factors}
    values = {**columns.coded} | {latent: torch.zeros(columns.n, dtype=torch.float64) for latent in spec.latents}
    for node in unlearned:
        if node in closed:
            closed[node].learn(values[node], scm.parents(node, values), node=node, seed=seed, weights=columns.weights)
        elif not spec.nodes[node].latent:
            _learn_alone(scm, node, values, columns, gradient=ROUGH if node in touched else GRADIENT, seed=seed)
    for area in areas:
        if FreeParameters(scm, area.factors).count:
            _learn_together(scm, area, values, columns.weights, seed=seed)


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


def _learn_together(scm: SCM, area: Neighbourhood, values: Values, weights: Tensor | None, *, seed: int) -> None:
    """Set the free parameters of latents and their children: from one start, or the best of several, then in the declared convention."""
    start_loadings(area)
    if curved(area):
        train(area, values, weights, learn=True, seed=seed)  # most of the way; what is left is climbed around each row's mode
    rung = _climb(scm, area, weights, seed=seed)
    if area.discrete:
        rung = _best_of_starts(scm, area, weights, rung, seed=seed)
    if orient(scm, area):  # levels that changed places have priors of their own: the top is near, and not the same
        _climb(scm, area, weights, rung, seed=seed)


def _climb(scm: SCM, area: Neighbourhood, weights: Tensor | None, rung: int = 0, *, seed: int) -> int:
    """Maximise the marginal likelihood, with finer rules until the next one would not change it; the rung that did."""
    while True:
        density = marginal(area, area.factors, rung, weights)
        if area.sampled:
            peak = _fit(density, gradient=SLOPE, rows=FEW, seed=seed, bends=marginal(area, area.factors, 0, weights))
        else:
            peak = _fit(density, gradient=GRADIENT, seed=seed)
        fine = fine_enough(area, rung)
        if fine == rung:
            peak.check(
                f"learning {', '.join(density.nodes)}", MOVED if area.sampled else ROUNDING
            )  # not before: where the rule is too coarse, value and slope disagree
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


def _fit(density: LogPosterior, *, gradient: float, rows: int = SUBSAMPLE, seed: int, bends: LogPosterior | None = None) -> Peak:
    """Set the free parameters to their most probable values; so many rows of ``bends`` give the curvature by which they are whitened."""
    people, start = torch.randperm(density.log_likelihood.n, generator=torch.Generator().manual_seed(seed)), density.start
    curvature = partial((bends or density).hessian, people=people[:rows])
    if len(people) > 2 * FIRST:  # most of the way, some rows lead as well as all
        start = maximise(partial(density.value_and_slope, people=people[:FIRST]), start, curvature=curvature, gradient=ROUGH).theta
    peak = maximise(density.value_and_slope, start, curvature=curvature, gradient=gradient)
    density.free.write(peak.theta)
    return peak
