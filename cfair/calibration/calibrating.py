"""Simulation-based calibration: where a prior made the truth, it lies anywhere among posterior draws alike."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn

from cfair.calibration.records import Calibration, ranked
from cfair.calibration.truths import Units, simulated, table_of, truth
from cfair.errors import FitError, QueryError
from cfair.inference import abduct, learn
from cfair.inference.engines import choose
from cfair.inference.nuts import Chains, nuts
from cfair.interfaces import Columns
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.threads import with_threads
from cfair.uncertainty import Uncertainty

__all__ = ["Learner", "calibrate", "place_of", "places_of"]

Learner: TypeAlias = Callable[[Columns, int], SCM]  # a simulated table and a seed -> an SCM with draws of its parameters

FEWEST = 100  # simulations: 5 per bin
LATENT_DRAWS = 19  # of the first row's latents: with the truth among them, 20 places
DRAWS: Mapping[str, int] = {
    "laplace": 400,
    "nuts": 19,
}  # of the parameters: fewer with weights are too narrow at their ends
SHORT = Chains(count=1, warmup=30, length=57, agreed=float("inf"), diverged=1.0)  # one chain per table: the ranks tell whether chains work


@with_threads
def calibrate(
    spec: ModelSpec,
    *,
    simulations: int = 400,
    n: int = 200,
    engine: Literal["auto", "quadrature", "nuts"] = "auto",
    uncertainty: Literal["laplace", "nuts"] = "laplace",
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
        uncertainty: how parameters are drawn.
        units: node -> unit in which a real or count column is standardised; (0, 1) by default.
        seed: of everything.
        progress: called with what is being done and the share that is done.

    Raises:
        QueryError: nothing is learned, priors cannot be drawn from or are so wide that no table holds what they say, or too few
            simulations.

    Source: Talts et al. (2018), algorithm 2; weights and ties as Modrák et al. (2023), Simulation-based calibration checking for
    Bayesian computation.
    """
    check_simulations(simulations, n)
    chosen, own = choose(spec, engine), units or {}
    method = "nuts" if engine == "nuts" else uncertainty

    def learner(columns: Columns, seed: int) -> SCM:
        if method == "laplace":
            return learn(spec, columns, engine=engine, uncertainty="laplace", parameter_draws=DRAWS[method], units=own, seed=seed)
        scm = learn(spec, columns, engine="auto" if engine == "nuts" else engine, units=own, seed=seed)
        scm.uncertainty = nuts(scm, columns, count=DRAWS[method], seed=seed, chains=SHORT)
        return scm

    found, failures, k_hats = dict[str, list[float]](), Counter[str](), dict[str, list[float]]()
    for k in range(simulations):
        (progress or _silent)(f"simulation {k + 1} of {simulations}", k / simulations)
        try:
            places, uncertain = places_of(spec, learner, n, own, seed=seed + 1_000_003 * k)
        except FitError as error:
            failures[str(error)] += 1
            continue
        for name, place in places.items():
            found.setdefault(name, []).append(place)
        for part, k_hat in uncertain.k_hat.items():
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


def check_simulations(simulations: int, n: int) -> None:
    """Refuse too little work.

    Raises:
        QueryError: it is.
    """
    if simulations < FEWEST:
        raise QueryError("simulations", f"{simulations} fill no histogram", f"use {FEWEST} or more; 400 tell most errors")
    if n < 2:
        raise QueryError("rows", f"{n} rows are no table", "use 100 or more")


def places_of(spec: ModelSpec, learner: Learner, n: int, units: Units, *, seed: int) -> tuple[dict[str, float], Uncertainty]:
    """Quantity -> the place of its true value among the draws of one simulation, in (0, 1); and the draws.

    Raises:
        QueryError: nothing is learned, or the prior is no prior of a table.
        FitError: inference found no answer.
    """
    true = truth(spec, units, seed=seed)
    world = simulated(true, n, seed=seed + 1)
    columns = table_of(world, spec)
    scm = learner(columns, seed + 2)
    uncertain = scm.uncertainty
    assert uncertain is not None
    if not uncertain.draws and not spec.latents:
        raise QueryError("spec", "'parameters:' fix all of it: there is nothing to calibrate", "leave a parameter or a latent open")
    source = torch.Generator().manual_seed(seed + 3)
    places = {}
    for name, value, draws in _parameters(scm, true, uncertain):
        places[name] = place_of(value, draws, uncertain.weights, source)
    for name, draws in _latents(scm, columns.take(slice(1)), uncertain, source, seed + 4).items():
        value = float(world.values[name][0, 0])
        places[f"{name} (row 0)"] = place_of(value, draws, torch.full_like(draws, 1 / len(draws)), source)
    return places, uncertain


def place_of(value: float, draws: Tensor, weights: Tensor, source: torch.Generator) -> float:
    """Where ``value`` lies among draws (S,) with weights (S,) that sum to 1: uniform on (0, 1) if it is one of them.

    The value counts as a draw of weight 1/(S + 1); where it ties, as with itself, its place is drawn within the tie.
    """
    count = len(draws)
    below = float(weights[draws < value].sum())
    tied = float(weights[draws == value].sum())
    lot = float(torch.rand((), generator=source, dtype=torch.float64))
    return (count * (below + lot * tied) + lot) / (count + 1)


def _parameters(scm: SCM, true: SCM, uncertain: Uncertainty) -> list[tuple[str, float, Tensor]]:
    """Name, true value and draws (S,) of each learned entry of the parameters."""
    found = []
    for node, own in uncertain.draws.items():
        module, other = (cast("nn.Module", each.mechanisms[node]) for each in (scm, true))
        buffers, values = dict(module.named_buffers()), dict(other.named_buffers()) | dict(other.named_parameters())
        for name, draws in own.items():
            flat, truths = draws.reshape(len(draws), -1), values[name].flatten()
            free = buffers.get(f"{name}_free", torch.ones_like(values[name], dtype=torch.bool))
            places = free.flatten().nonzero().squeeze(-1).tolist()
            found += [(f"{node}.{name}[{place}]", float(truths[place]), flat[:, place]) for place in places]
    return found


def _latents(scm: SCM, first: Columns, uncertain: Uncertainty, source: torch.Generator, seed: int) -> dict[str, Tensor]:
    """Latent -> draws (LATENT_DRAWS,) of the first row's given all that is seen of it, each at parameters of their own."""
    if not scm.spec.latents:
        return {}
    chosen = torch.multinomial(uncertain.weights, LATENT_DRAWS, replacement=True, generator=source).tolist()
    worlds = [abduct(scm.drawn(s), first, given=scm.spec.observed, draws=1, seed=seed + k) for k, s in enumerate(chosen)]
    return {latent: torch.stack([world.values[latent].flatten()[0] for world in worlds]) for latent in scm.spec.latents}


def _silent(what: str, share: float) -> None:
    """No progress is shown."""
