"""Where a ridge of a log density goes: the tops of all other parameters given the few that data hardly hold, place by place."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from scipy.interpolate import RBFInterpolator
from torch import Tensor

from cfair.errors import FitError
from cfair.inference.tops import Place, Smooth, top_given

__all__ = ["Atlas", "survey"]

STEP = 0.8  # sds of the ridge's normal approximation at the top, between neighbours
LONGEST, SHORTEST = 0.6, 1e-6  # of a step: a ridge bends on the scale of 1
DEEP = 9.0  # nats below the highest place at which a ridge is left: beyond, draws come from the tails
MOST = 200  # places
LEFT = 4.0  # nats below the highest at which all that is unexplored must lie
SOON, HOPELESS = 20, 3.0  # places after which a ridge is judged by them; times MOST that it would take, from which on it is left at once
STEEPEST, FLATTEST = 8.0, -16.0  # of the log of an interpolated sd: beyond is only where nothing was explored


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """A map of a ridge: φ = (ψ, χ̂(ψ) + L(ψ)·z), with χ̂ and log-Cholesky factors interpolated between explored places.

    Whatever the interpolation is worth, it is a smooth map with Jacobian |L(ψ)|: what it gets wrong is left to weights.

    Args:
        held: which entries of φ are ψ, (p,), bool.
        center: of ψ, (k,).
        stretch: ψ = center + stretch·x, (k, k): neighbours are about 1 apart in x.
        places: x of the explored places, (M, k).
        log_shares: of the mass near each, (M,).
        bend: from x, (S, k), to χ̂ and the entries of L, (S, (p − k)·(p − k + 3)/2).
    """

    held: Tensor
    center: Tensor
    stretch: Tensor
    places: Tensor
    log_shares: Tensor
    bend: Callable[[Tensor], Tensor]

    def carried(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """φ, (S, p), of x, (S, k), and z, (S, p − k); and the log of the volume of the map there, (S,)."""
        chi, root = _decoded(self.bend(x), z.shape[1])
        phi = torch.empty(len(x), len(self.held), dtype=torch.float64)
        phi[:, self.held] = self.center + x @ self.stretch.T
        phi[:, ~self.held] = chi + torch.einsum("sij,sj->si", root, z)
        volume = torch.linalg.slogdet(self.stretch).logabsdet
        return phi, volume + root.diagonal(dim1=1, dim2=2).log().sum(1)


def survey(density: Smooth, phi: Tensor, held: Tensor, *, accept: Callable[[Tensor], bool], signs: Tensor) -> Atlas:
    """Explore the ridge from its top ``phi``, (p,), on a lattice in ψ, the highest places first, down to DEEP nats below the highest.

    Args:
        density: of φ.
        phi: the top.
        held: which entries are ψ.
        accept: whether a point lies in the region that a convention keeps; beyond it the ridge is a mirror image.
        signs: by which φ turns into its images, (g, p), of ±1.

    Raises:
        FitError: a place has no top, or the ridge is too long or has too many dimensions to be explored (see ``_check_hope``).
    """
    first = top_given(density, phi, held)
    values, vectors = torch.linalg.eigh(first.precision)
    stretch = vectors * (STEP * values.clamp(min=1e-12).rsqrt()).clamp(SHORTEST, LONGEST)
    found = _explored(density, first, held, stretch, accept)
    phis = torch.stack([sign * place.phi for sign in signs.unbind(0) for place in found])
    roots = torch.stack([sign[~held].unsqueeze(1) * place.root * sign[~held] for sign in signs.unbind(0) for place in found])
    heights = torch.tensor([place.height for place in found], dtype=torch.float64).repeat(len(signs))
    center = first.phi[held]
    x = torch.linalg.solve(stretch, (phis[:, held] - center).T).T
    bend = RBFInterpolator(x.numpy(), _encoded(phis[:, ~held], roots).numpy(), kernel="linear" if len(x) < 4 else "cubic", degree=1)
    return Atlas(held, center, stretch, x, heights.log_softmax(0), lambda at: torch.from_numpy(bend(at.numpy())))


def _explored(density: Smooth, first: Place, held: Tensor, stretch: Tensor, accept: Callable[[Tensor], bool]) -> list[Place]:
    """Places of the lattice, the highest first: each time the highest that is known is left for its neighbours."""
    origin: tuple[int, ...] = (0,) * stretch.shape[1]
    waiting, seen, done = [(-first.height, origin)], {origin: first}, list[Place]()
    best = first.height
    while waiting and -waiting[0][0] >= best - DEEP:
        _check_hope([best - place.height for place in done], best + waiting[0][0], stretch.shape[1])
        if len(done) == MOST:
            _check_left(-waiting[0][0] - best)
            break
        _, at = heapq.heappop(waiting)
        here = seen[at]
        done.append(here)
        for to in _neighbours(at):
            step = stretch @ (torch.tensor(to, dtype=torch.float64) - torch.tensor(at, dtype=torch.float64))
            begin = here.phi.clone()
            begin[held] += step
            begin[~held] += here.follow @ step
            if to not in seen and accept(begin):
                seen[to] = there = top_given(density, begin, held, near=here)
                best = max(best, there.height)
                heapq.heappush(waiting, (-there.height, to))
    return done


def _check_hope(depths: Sequence[float], depth: float, dimensions: int) -> None:
    """Refuse a ridge that MOST places will not hold, as soon as those that were explored tell so.

    The m places down to a depth d fill a ball of a volume ∝ d^(k/2), were the ridge a normal in its k dimensions: to LEFT nats it would
    take m·(LEFT/d)^(k/2) of them. On the ridges of confounded and of factor models this hardly changed from 20 places to 200;
    ridges whose sides steepen take fewer, which HOPELESS leaves room for.

    Args:
        depths: of the explored places, in nats below the highest.
        depth: of the highest unexplored one.
        dimensions: k.

    Raises:
        FitError: it would take HOPELESS times as many as are explored at most.
    """
    known = sum(each <= depth for each in depths)
    if known >= SOON and known * (LEFT / max(depth, 1e-9)) ** (dimensions / 2) > HOPELESS * MOST:
        problem = f"after {len(depths)} places in {dimensions} dimensions the highest unexplored one is {depth:.1f} nats below the top"
        raise FitError("the ridge", problem, "give priors, or fix a loading: the data leave too many parameters open")


def _check_left(depth: float) -> None:
    """Refuse a map that leaves out what is hardly lower than what it has.

    Raises:
        FitError: it does.
    """
    if depth > -LEFT:
        problem = f"after {MOST} places the highest unexplored one is {-depth:.1f} nats below the top"
        raise FitError("the ridge", problem, "give priors, or fix a loading: the data leave too many parameters open")


def _neighbours(at: Sequence[int]) -> list[tuple[int, ...]]:
    return [(*at[:j], at[j] + side, *at[j + 1 :]) for j in range(len(at)) for side in (-1, 1)]


def _encoded(chi: Tensor, root: Tensor) -> Tensor:
    """χ̂, (M, q), and L, (M, q, q), as numbers that may be anything: of L the log of its diagonal, and each column over it."""
    own = root.diagonal(dim1=1, dim2=2)
    rows, columns = torch.tril_indices(chi.shape[1], chi.shape[1], -1)
    return torch.cat([chi, own.log(), (root / own.unsqueeze(1))[:, rows, columns]], 1)


def _decoded(numbers: Tensor, q: int) -> tuple[Tensor, Tensor]:
    """χ̂, (S, q), and L, (S, q, q), again."""
    chi, own, below = numbers.split([q, q, q * (q - 1) // 2], 1)
    root = torch.eye(q, dtype=torch.float64).repeat(len(numbers), 1, 1)
    rows, columns = torch.tril_indices(q, q, -1)
    root[:, rows, columns] = below
    return chi, root * own.clamp(FLATTEST, STEEPEST).exp().unsqueeze(1)
