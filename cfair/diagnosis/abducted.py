"""One joint posterior draw per row of all latents and noise, independent between rows, and each node's noise as a standard normal score."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.diagnosis.streams import stream
from cfair.inference import abduct
from cfair.interfaces import Columns, Mechanism, Values, World
from cfair.scm import SCM

__all__ = ["BEYOND", "Drawn", "drawn", "world_of"]

BEYOND = 8.0  # sds; a score farther out is held there
STEPS = 4_001  # of the table by which noise becomes a score
RANKED = 100_001  # the same, of noise that does not rise with the uniform number that it is made from
TIED = 256  # draws of people of whom there are several alike, from which each picks one
BLOCK = 1_000_000  # draws held at a time
TINY = 2**-54


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """One draw per row.

    Args:
        values: node -> (n,), the latents' among them.
        noise: node -> (n,), or (n, k).
        scores: node -> Φ⁻¹(F(noise)), shape (n,): under the model standard normal, independent between nodes and of whatever is no
            descendant of the node.
    """

    values: Values
    noise: Values
    scores: Values


def drawn(scm: SCM, columns: Columns, *, seed: int) -> Drawn:
    """Latents drawn from their posterior given all observed nodes, then every node's noise given that draw.

    If the model is right, the posterior draw of a person drawn from it has the joint distribution of the truth: this is what makes
    its scores standard normal. The score of noise with several numbers per person is read off the level: Φ⁻¹(F(x − 1) + v·P(x)) with
    v uniform, which is what of such noise a table can contradict.

    Source: Rosenblatt (1952) for the transform, Smith (1985) for its random version at a jump.
    """
    generator = stream(seed, "noise")
    values = {**{node: columns[node] for node in scm.spec.observed}, **_latents(scm, columns, generator)}
    noise, scores = dict[str, Tensor](), dict[str, Tensor]()
    for node, mechanism in scm.mechanisms.items():
        parents = scm.parents(node, values)
        shape = (columns.n,) if mechanism.noise_size == 1 else (columns.n, mechanism.noise_size)
        uniform = torch.rand(shape, generator=generator, dtype=torch.float64).clamp(min=TINY)
        noise[node] = mechanism.abduct(values[node], parents, uniform).expand(shape)
        if mechanism.noise_size == 1:
            scores[node] = _score(mechanism, noise[node])
        else:
            jump = torch.rand(columns.n, generator=generator, dtype=torch.float64)
            scores[node] = _score_of_level(mechanism, values[node], parents, jump, levels=len(scm.spec.nodes[node].levels))
    return Drawn(values, noise, scores)


def world_of(draw: Drawn, people: Tensor, given: tuple[str, ...]) -> World:
    """The factual world of some people, by position, shape (m,), at their one draw."""
    values = {node: column[people].unsqueeze(0) for node, column in draw.values.items()}
    noise = {node: column[people].unsqueeze(0) for node, column in draw.noise.items()}
    return World(values, noise, (1, len(people)), given)


def _latents(scm: SCM, columns: Columns, generator: torch.Generator) -> dict[str, Tensor]:
    """One posterior draw of each latent per person, (n,). ``abduct`` gives equal rows equal draws: each of them picks one of many."""
    latents = scm.spec.latents
    found = {latent: torch.empty(columns.n, dtype=torch.float64) for latent in latents}
    if not latents:
        return found
    rows = torch.stack([columns[node] for node in scm.spec.observed], -1)
    _, kind, count = torch.unique(rows, dim=0, return_inverse=True, return_counts=True)
    first = torch.empty(len(count), dtype=torch.int64).scatter_(0, kind.flip(0), torch.arange(columns.n).flip(0))
    seed = int(torch.randint(2**31, (), generator=generator))
    for draws, kinds in ((1, (count == 1).nonzero().squeeze(-1)), (TIED, (count > 1).nonzero().squeeze(-1))):
        place = torch.full((len(count),), -1)
        place[kinds] = torch.arange(len(kinds))
        people = (place[kind] >= 0).nonzero().squeeze(-1)
        people = people[place[kind[people]].argsort(stable=True)]
        step = max(BLOCK // draws, 1)
        for start in range(0, len(kinds), step):
            world = abduct(scm, columns.take(first[kinds[start : start + step]]), given=scm.spec.observed, draws=draws, seed=seed)
            mine = people[(place[kind[people]] >= start) & (place[kind[people]] < start + step)]
            pick = torch.randint(draws, (len(mine),), generator=generator)
            for latent in latents:
                found[latent][mine] = world.values[latent][pick, place[kind[mine]] - start]
    return found


def _score(mechanism: Mechanism, noise: Tensor) -> Tensor:
    """Φ⁻¹ of the noise's distribution function, by a table of the quantiles at equal steps of the score."""
    steps = torch.linspace(-BEYOND, BEYOND, STEPS, dtype=torch.float64)
    quantiles = mechanism.noise(torch.special.ndtr(steps))
    if (quantiles.diff() >= 0).all():
        return _interpolated(noise, quantiles, steps)
    shares = (torch.arange(RANKED, dtype=torch.float64) + 0.5) / RANKED  # noise that is no quantile function: by its ranks
    return _interpolated(noise, mechanism.noise(shares).sort().values, torch.special.ndtri(shares))


def _interpolated(x: Tensor, at: Tensor, values: Tensor) -> Tensor:
    """Linear between ``at``, increasing, and constant beyond its ends."""
    upper = torch.searchsorted(at, x.contiguous()).clamp(1, len(at) - 1)
    low, high = at[upper - 1], at[upper]
    share = ((x - low) / (high - low).clamp(min=torch.finfo(torch.float64).tiny)).clamp(0, 1)
    return values[upper - 1] + share * (values[upper] - values[upper - 1])


def _score_of_level(mechanism: Mechanism, value: Tensor, parents: Mapping[str, Tensor], jump: Tensor, *, levels: int) -> Tensor:
    """Φ⁻¹(F(x − 1) + v·P(x)), the tails beyond BEYOND held there."""
    distribution = mechanism.distribution(parents)
    mass = torch.stack([distribution.log_prob(torch.full_like(value, float(j))).exp() for j in range(levels)], -1)
    below = (mass.cumsum(-1) - mass).gather(-1, value.long().unsqueeze(-1)).squeeze(-1)
    own = mass.gather(-1, value.long().unsqueeze(-1)).squeeze(-1)
    score: Tensor = torch.special.ndtri((below + jump * own).clamp(0, 1))
    return score.clamp(-BEYOND, BEYOND)
