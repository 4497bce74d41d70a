"""Where the values that made a table lie among the draws that were made from it."""

from collections.abc import Callable
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from cfair.calibration.truths import Units, simulated, table_of, truth
from cfair.errors import QueryError
from cfair.inference import abduct
from cfair.inference.engines import choose
from cfair.inference.sampling import train_guides
from cfair.interfaces import Columns
from cfair.sampler import Sampler
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.uncertainty import Uncertainty

__all__ = ["Learner", "latent_places", "place_of", "places_of"]

Learner: TypeAlias = Callable[[Columns, int], SCM]  # a simulated table and a seed -> an SCM with draws of its parameters

LATENT_DRAWS = 19  # of the first row's latents: with the truth among them, 20 places


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


def latent_places(spec: ModelSpec, engine: str, n: int, units: Units, *, seed: int) -> dict[str, float]:
    """Latent -> the place of the first row's true value among draws at the true parameters, given what abduction sees.

    Raises:
        QueryError: the prior is no prior of a table.
        FitError: inference found no answer.
    """
    true = truth(spec, units, seed=seed)
    world = simulated(true, n, seed=seed + 1)
    columns = table_of(world, spec)
    if choose(spec, engine).engine == "svi":
        true.sampler = Sampler(for_all=engine == "svi")
        train_guides(true, columns, seed=seed + 2)
    source = torch.Generator().manual_seed(seed + 3)
    drawn = abduct(true, columns.take(slice(1)), draws=LATENT_DRAWS, seed=seed + 4)
    equal = torch.full((LATENT_DRAWS,), 1 / LATENT_DRAWS, dtype=torch.float64)
    return {
        f"{latent} (row 0)": place_of(float(world.values[latent][0, 0]), drawn.values[latent][:, 0], equal, source)
        for latent in spec.latents
    }


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
