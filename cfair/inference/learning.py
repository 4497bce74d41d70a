"""From a table to the parameters: the most probable ones given the data, with the latents integrated out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import torch

from cfair.errors import DataError, QueryError
from cfair.inference.climbing import ROUGH, Together, learn_alone, learn_together
from cfair.inference.engines import ENGINES, UNCERTAINTIES, check_uncertainty, choose
from cfair.inference.free import FreeParameters
from cfair.inference.incomplete import learn_incomplete
from cfair.inference.landscape import curved
from cfair.inference.loadings import start_loadings
from cfair.inference.log_posterior import fine_enough, marginals
from cfair.inference.neighbourhood import neighbourhoods
from cfair.inference.optimise import GRADIENT
from cfair.inference.parameter_draws import check_count
from cfair.inference.svi import train
from cfair.inference.uniforms import table_fingerprint
from cfair.inference.unseen import unseen_levels
from cfair.interfaces import Chosen, Columns, SelfTaught, Values
from cfair.mechanisms import Unit
from cfair.sampler import Sampler
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.threads import with_threads

__all__ = ["climb_to_the_top", "how_drawn", "learn", "units_of"]

LEAST = 1e-140  # of a column's sd, and of its inverse: squares of both are numbers


@with_threads
def learn(
    spec: ModelSpec,
    columns: Columns | None = None,
    *,
    engine: Literal["auto", "quadrature", "svi", "nuts"] = "auto",
    uncertainty: Literal["none", "laplace", "nuts", "ridge"] = "none",
    parameter_draws: int = 64,
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

    Missing values are integrated out of their rows, as latents are (see ``learn_incomplete``): as if missing at random.

    Args:
        spec: the declared model.
        columns: training rows with every observed node; None when ``parameters:`` fix every node.
        engine: "quadrature", which "auto" chooses save where more than three real latents hang together; "svi", for all of them; or
            "nuts", quadrature with uncertainty="nuts".
        uncertainty: "laplace", "nuts" and "ridge" add draws of the parameters, as ``SCM.uncertainty``: around the most probable ones
            with weights, in a second or so; by Hamiltonian Monte Carlo with the latents integrated out, in minutes; or along the
            ridge on which a latent with too few children leaves its loadings open: two of them in some ten seconds of processor time;
            of four or five at once, it mostly takes half a minute to find that they are too many to be explored, which is refused.
        parameter_draws: how many of them, 50 at least: of fewer nobody could tell how far they can be trusted. ``cfair.fit`` makes
            enough of them whatever it is asked for, and its ``parameter_draws`` are the worlds that it makes of the first.
        units: node -> unit in which a real or count column is standardised; its mean and sd in the table if None.
        seed: of the rows from which the curvature is estimated, of where a mixture is started, and of the draws of parameters;
            otherwise it does not change the answer beyond the last digits.

    Raises:
        QueryError: more latents hang together, or more is missing at once, than can be integrated out, an unknown engine or
            uncertainty, too few draws, no table where something is to be learned, or one without a node's column or an entry in it.
        FitError: no most probable point was found, a table without prior has a combination without rows, the log posterior does not
            fall in every direction from its top, or chains do not agree.
    """
    chosen = choose(spec, engine)
    method = how_drawn(chosen, uncertainty, whole=columns is None or not columns.missing)
    check_count(parameter_draws)
    columns = columns and columns.counted()
    scm = SCM(spec, units_of(spec, {node: columns.known(node) for node in columns} if columns else {}) if units is None else units)
    scm.engine = chosen
    scm.sampler = Sampler(for_all=engine == "svi") if chosen.engine == "svi" else None
    if unlearned := _unlearned(scm):
        columns = _whole(spec, columns, unlearned)
        scm.unseen = unseen_levels(spec, columns)
    if columns is not None and (unlearned or scm.sampler is not None):
        ENGINES[chosen.engine](scm, columns, seed=seed)
    if method != "none":
        found = UNCERTAINTIES[method](scm, columns, count=parameter_draws, seed=seed)
        scm.uncertainty = replace(found, learned_from="" if columns is None else table_fingerprint(spec, columns))
    return scm


def how_drawn(chosen: Chosen, uncertainty: str, *, whole: bool) -> str:
    """How parameters are drawn, if they are: "laplace", "nuts", "ridge" or "none".

    Args:
        chosen: the engine.
        uncertainty: what was asked for.
        whole: whether no row lacks a value.

    Raises:
        QueryError: there is no such way, or not with this engine or these rows.
    """
    check_uncertainty(uncertainty)
    if not whole and (uncertainty != "none" or chosen.engine == "nuts"):
        raise QueryError("uncertainty", "parameters are drawn from whole rows, and some lack values", "use 'none', or drop these rows")
    if chosen.engine == "svi" and uncertainty != "none":
        problem = f"parameters are drawn where quadrature integrates latents out, and the engine is 'svi': {chosen.why}"
        raise QueryError("uncertainty", problem, "use uncertainty='none'")
    if chosen.engine == "nuts" and uncertainty not in ("none", "nuts"):
        raise QueryError("uncertainty", "engine 'nuts' draws the parameters itself", "leave uncertainty out, or use engine='auto'")
    return "nuts" if chosen.engine == "nuts" else uncertainty


def climb_to_the_top(scm: SCM, columns: Columns, *, seed: int) -> None:
    """Engine ``quadrature``, and ``svi`` once ``scm.sampler`` is set: set what is free in ``scm`` to its most probable value."""
    unlearned = _unlearned(scm)
    if not unlearned:
        return
    if columns.missing:
        learn_incomplete(scm, columns, unlearned, seed=seed)
        return
    areas = neighbourhoods(scm, columns.coded, scm.spec.observed, columns.n)
    touched = {node for area in areas for node in area.factors}
    values = {**columns.coded} | {latent: torch.zeros(columns.n, dtype=torch.float64) for latent in scm.spec.latents}
    for node in unlearned:
        mechanism = scm.mechanisms[node]
        if isinstance(mechanism, SelfTaught):
            mechanism.learn(values[node], scm.parents(node, values), node=node, seed=seed, weights=columns.weights)
        elif not scm.spec.nodes[node].latent:
            learn_alone(scm, node, values, columns.weights, gradient=ROUGH if node in touched else GRADIENT, seed=seed)
    for area in areas:
        if FreeParameters(scm, area.factors).count:
            start_loadings(area)
            if curved(area):  # Pyro's SVI leads most of the way; what is left is climbed around each row's mode
                train(area, values, columns.weights, learn=True, seed=seed)
            learn_together(Together(scm, (area,), marginals(area, columns.weights), partial(fine_enough, area)), seed=seed)


def _unlearned(scm: SCM) -> list[str]:
    """The nodes with something to learn, in topological order."""
    taught = [node for node, each in scm.mechanisms.items() if isinstance(each, SelfTaught) and not each.known]
    return [node for node in scm.spec.order if node in taught or FreeParameters(scm, [node]).count]


def _whole(spec: ModelSpec, columns: Columns | None, unlearned: Sequence[str]) -> Columns:
    """The table, once it is known to hold every observed node."""
    if columns is None:
        raise QueryError("columns", f"'{unlearned[0]}' has parameters to learn", "give a table, or fix them all under 'parameters:'")
    if missing := [node for node in spec.observed if node not in columns]:
        raise QueryError("columns", f"the table has no column '{missing[0]}'", "learn from a table with every observed node")
    if empty := [node for node in spec.observed if not len(columns.known(node))]:
        raise QueryError("columns", f"nobody has an entry in the column '{empty[0]}'", "give a table that has some, or drop the node")
    return columns


def units_of(spec: ModelSpec, values: Values) -> dict[str, Unit]:
    """Mean and sd of each real or count column; (mean, 1) where it is constant.

    Raises:
        DataError: a column's spread is too large or too small to be squared.
    """
    units = {}
    for node in spec.observed:
        if node in values and len(values[node]) and spec.nodes[node].kind in ("real", "count"):
            column = values[node]
            constant = bool((column == column[0]).all())
            units[node] = Unit(float(column.mean()), 1.0 if constant else float(column.std(correction=0)))
            if not LEAST < units[node].scale < 1 / LEAST:
                problem = f"its spread of {units[node].scale:.3g} is no number that can be squared"
                raise DataError(f"column '{node}'", problem, "state it in another unit, as thousands or millionths")
    return units
