"""Simulation-based calibration: where a prior made the truth, it lies anywhere among posterior draws alike."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Literal, cast

import torch

from cfair.calibration.places import Learner, latent_places, places_of
from cfair.calibration.records import Calibration, ranked
from cfair.calibration.truths import Units
from cfair.errors import FitError, QueryError
from cfair.inference import learn
from cfair.inference.engines import choose
from cfair.inference.learning import how_drawn
from cfair.inference.nuts import Chains, nuts
from cfair.interfaces import Chosen, Columns
from cfair.scm import SCM
from cfair.spec import ModelSpec, few_indicators
from cfair.threads import with_threads

__all__ = ["calibrate"]

FEWEST = 10  # simulations: two bins of the ranks
DRAWS: Mapping[str, int] = {
    "laplace": 400,
    "nuts": 19,
    "ridge": 99,
}  # of the parameters: fewer with weights are too narrow at their ends
SHORT = Chains(count=1, warmup=30, length=57, agreed=float("inf"))  # one chain per table: the ranks tell whether chains work


@with_threads
def calibrate(
    spec: ModelSpec,
    *,
    simulations: int = 400,
    n: int = 200,
    engine: Literal["auto", "quadrature", "svi", "nuts"] = "auto",
    uncertainty: Literal["auto", "laplace", "nuts", "ridge", "none"] = "auto",
    units: Units | None = None,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Calibration:
    """Whether draws of the parameters and of a latent rank the values that made the data as they should.

    Parameters are drawn from their prior, given the conventions on a latent's sign and the order of its levels; a table is
    simulated from them; the model is learned from it, with draws of its parameters; and the true parameters, and the true latents
    of the first row, are ranked among the draws. The ranks are uniform if and only if, over the prior, inference is right. The
    units in which columns are standardised stand still, since a prior must not depend on the data.

    Args:
        spec: the declared model; what its priors say is what is simulated.
        simulations: tables.
        n: rows of each.
        engine: that learns.
        uncertainty: how parameters are drawn; "none" takes the true ones for known, and ranks the latents of the first row only, given
            what abduction sees: neither the outcome nor its descendants. "auto" is "nuts" with that engine, "none" with svi, which
            draws no parameters, "ridge" where a latent has too few children, and else "laplace".
        units: node -> unit in which a real or count column is standardised; (0, 1) by default.
        seed: of everything.
        progress: called with what is being done and the share that is done.

    Raises:
        QueryError: nothing is learned, priors cannot be drawn from or are so wide that no table holds what they say, too few
            simulations, or parameters that are to be drawn in a way that this engine does not.

    Source: Talts et al. (2018), algorithm 2; weights and ties as Modrák et al. (2023), Simulation-based calibration checking for
    Bayesian computation.
    """
    check_simulations(simulations, n)
    chosen, own = choose(spec, engine), units or {}
    method = _method(spec, chosen, uncertainty)
    learner = None if method == "none" else _learner(spec, engine, method, own)
    found, failures, k_hats = dict[str, list[float]](), Counter[str](), dict[str, list[float]]()
    for k in range(simulations):
        (progress or _silent)(f"simulation {k + 1} of {simulations}", k / simulations)
        try:
            at = seed + 1_000_003 * k
            if learner is None:
                places, uncertain = latent_places(spec, engine, n, own, seed=at), None
            else:
                places, uncertain = places_of(spec, learner, n, own, seed=at)
        except FitError as error:
            failures[str(error)] += 1
            continue
        for name, place in places.items():
            found.setdefault(name, []).append(place)
        for part, k_hat in uncertain.k_hat.items() if uncertain else ():
            k_hats.setdefault(part, []).append(k_hat)
    return Calibration(
        spec.name,
        chosen.engine,
        method,
        simulations,
        n,
        tuple(sorted((ranked(name, torch.tensor(each)) for name, each in found.items()), key=lambda each: each.p)),
        dict(failures.most_common()),
        {part: float(torch.tensor(each).median()) for part, each in k_hats.items()},
    )


def _method(spec: ModelSpec, chosen: Chosen, uncertainty: str) -> str:
    """How parameters are drawn.

    Raises:
        QueryError: not as asked with this engine, or nothing would be ranked.
    """
    if uncertainty == "auto":
        uncertainty = {"nuts": "nuts", "svi": "none"}.get(chosen.engine, "ridge" if few_indicators(spec) else "laplace")
    method = how_drawn(chosen, uncertainty, whole=True)
    if method == "none" and not spec.latents:
        raise QueryError(
            "uncertainty", "without draws of the parameters there is nothing to rank: the model has no latent", "use 'laplace'"
        )
    return method


def _learner(spec: ModelSpec, engine: str, method: str, units: Units) -> Learner:
    """What learns from a simulated table, with draws of the parameters."""
    by = cast("Literal['auto']", "auto" if engine == "nuts" else engine)

    def learner(columns: Columns, seed: int) -> SCM:
        if method != "nuts":
            how = cast("Literal['laplace']", method)
            return learn(spec, columns, engine=by, uncertainty=how, parameter_draws=DRAWS[method], units=units, seed=seed)
        scm = learn(spec, columns, engine=by, units=units, seed=seed)
        scm.uncertainty = nuts(scm, columns, count=DRAWS[method], seed=seed, chains=SHORT)
        return scm

    return learner


def check_simulations(simulations: int, n: int) -> None:
    """Refuse too little work.

    Raises:
        QueryError: it is.
    """
    if simulations < FEWEST:
        raise QueryError("simulations", f"{simulations} fill no histogram", f"use {FEWEST} or more to see gross errors, 400 to see most")
    if n < 2:
        raise QueryError("rows", f"{n} rows are no table", "use 100 or more")


def _silent(what: str, share: float) -> None:
    """No progress is shown."""
