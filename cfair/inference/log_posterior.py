"""The log posterior density of parameters, each person's latents integrated out."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from cfair.errors import FitError
from cfair.inference.distinct import distinct
from cfair.inference.factors import log_prob
from cfair.inference.free import FreeParameters
from cfair.inference.importance import CLOUDS
from cfair.inference.likelihood import FIRST, Alone, LogLikelihood, Marginal
from cfair.inference.neighbourhood import Neighbourhood, neighbourhoods
from cfair.inference.optimise import whitening
from cfair.interfaces import Columns, Values
from cfair.scm import SCM

__all__ = ["FEW", "MOVED", "LogPosterior", "alone", "fine_enough", "log_densities", "log_posteriors", "marginal", "marginals"]

POINTS = 262_144  # quadrature points evaluated at a time: bounds the memory, and fits the processor's cache
MANY = 4_194_304  # of them, where many parameters are tried at once
ALIKE = 1e-3  # nats: draws' weights are then right to a thousandth
FARTHEST = 3  # draws that are asked for one by one as well, since a step from the top errs most far away
FEWER = 3  # nodes per dimension with which they are tried first
TRIES = ((FEWER, torch.float32), (FEWER, torch.float64), (FIRST, torch.float64))  # nodes and precision, the fastest first
SETTLED = 3e-5  # nats per √n, summed over n rows, that a finer quadrature may change
MOVED = 0.1  # posterior sds that more points of importance sampling may move a parameter
SOME, FEW = 500, 250  # rows by which that is judged, and those of them that give the curvature
RUNGS = 7  # of the ladder of rules: with one latent up to 80 panels on either side of a mode


@dataclass(frozen=True, slots=True, eq=False)
class LogPosterior:
    """log p(θ) + Σ_i w_i·log p(row i | θ), up to a constant: θ are the free parameters of ``nodes``, on the scale they are learned on.

    Args:
        nodes: whose parameters they are.
        free: these parameters.
        log_likelihood: of each row.
        weights: of each row, shape (n,).
    """

    nodes: tuple[str, ...]
    free: FreeParameters
    log_likelihood: LogLikelihood
    weights: Tensor

    @property
    def start(self) -> Tensor:
        """The parameters as the mechanisms have them, shape (p,)."""
        return self.free.start

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters, as ``node.parameter[entry]``."""
        return self.free.names

    @property
    def part(self) -> str:
        """What this part of the model is called: its nodes."""
        return ", ".join(self.nodes)

    @torch.no_grad()
    def value(self, theta: Tensor) -> float:
        """The log density at ``theta``, shape (p,)."""
        rows, _ = self._some(None)
        prior = self.free.log_prior(self.free.unpack(theta))
        return float(prior) + sum(float(self._likelihood(theta, block)) for block in self._blocks(rows))

    @torch.no_grad()
    def values(self, thetas: Tensor) -> Tensor:
        """The log density at each of ``thetas`` (S, p), which lie around ``start``; shape (S,), to ALIKE of what ``value`` says.

        Many at once, by few nodes, then by more; one by one where ``value`` says otherwise of the farthest, of the least probable, or of
        those for which the rule's error moves most.
        """
        if self.log_likelihood.smooth and len(thetas):
            away = ((thetas - self.start) / (thetas - self.start).square().mean(0).sqrt().clamp(min=1e-300)).square().sum(1)
            for nodes, dtype in TRIES:
                found, moved = self._at_once(thetas, nodes, dtype)
                least = found.nan_to_num(nan=-torch.inf).argmin()
                some = torch.stack([least, moved.argmin(), moved.argmax(), *away.topk(min(FARTHEST, len(thetas))).indices])
                asked = torch.tensor([self.value(theta) for theta in thetas[some]], dtype=torch.float64)
                if found.isfinite().all() and torch.allclose(found[some], asked, rtol=0, atol=ALIKE):
                    return found
        return torch.tensor([self.value(theta) for theta in thetas.unbind(0)], dtype=torch.float64)

    def _at_once(self, thetas: Tensor, nodes: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
        """The log density at each of ``thetas``, (S,), but for the bend of a rule's error, and how far this error moves along its tangent.

        A rule of few nodes errs by what hardly changes with the parameters: its error at ``start``, and the slope there, are taken off.
        """
        rows, _ = self._some(None)
        total: Tensor = torch.func.vmap(lambda theta: self.free.log_prior(self.free.unpack(theta)))(thetas)
        moved = torch.zeros_like(total)
        for block in self._blocks(rows, POINTS // 8):
            exact, slope = self._tangent(partial(self._likelihood, people=block))  # puts the nodes where the steps begin
            near = self._near(block, nodes, dtype)
            own, lean = self._tangent(near)
            chunk = max(MANY // (self.log_likelihood.points * len(block)), 1)
            total = total + torch.func.vmap(near, chunk_size=chunk)(thetas) + (exact - own)
            moved = moved + (thetas - self.start) @ (slope - lean)
        return total + moved, moved

    def _tangent(self, function: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """A function's value, shape (), and slope (p,) at ``start``."""
        with torch.enable_grad():
            theta = self.start.requires_grad_()
            value = function(theta)
            (slope,) = torch.autograd.grad(value, theta)
        return value.detach(), slope

    def value_and_slope(self, theta: Tensor, people: Tensor | None = None) -> tuple[float, Tensor]:
        """The log density at ``theta``, shape (p,), and its gradient (p,); estimated from some rows, given by position, if any are."""
        rows, share = self._some(people)
        theta = theta.detach().requires_grad_()
        value, slope, prior = 0.0, torch.zeros_like(theta), self.free.log_prior(self.free.unpack(theta))
        for block in self._blocks(rows):
            part = prior + share * self._likelihood(theta, block)
            slope = slope + torch.autograd.grad(part, theta)[0]
            value += float(part.detach())
            prior = torch.zeros((), dtype=torch.float64)
        return value, slope

    def hessian(self, theta: Tensor, people: Tensor | None = None) -> Tensor:
        """The matrix of second derivatives (p, p) at ``theta``; estimated from some rows, given by position, if any are."""
        rows, share = self._some(people)

        def prior(theta: Tensor) -> Tensor:
            return self.free.log_prior(self.free.unpack(theta))

        total = _hessian(prior, theta)
        for some in self._blocks(rows, POINTS // 4):  # second derivatives fill the cache sooner
            by_rows = self.log_likelihood.hessian(self.free, theta, some, self.weights[some])
            own = _hessian(partial(self._likelihood, people=some), theta) if by_rows is None else by_rows
            total = total + share * own
        return total

    def _some(self, people: Tensor | None) -> tuple[Tensor, float]:
        """The rows asked for, and how many of all rows each of them stands for."""
        if people is None:
            return torch.arange(self.log_likelihood.n), 1.0
        return people, float(self.weights.sum() / self.weights[people].sum().clamp(min=1e-300))

    def _likelihood(self, theta: Tensor, people: Tensor) -> Tensor:
        return self.weights[people] @ self.log_likelihood(self.free.unpack(theta), people)

    def _near(self, people: Tensor, nodes: int, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        weights, near = self.weights[people], self.log_likelihood.near(people, nodes, dtype)
        return lambda theta: weights @ near(self.free.unpack(theta))

    def _blocks(self, people: Tensor, points: int = POINTS) -> Sequence[Tensor]:
        blocks: tuple[Tensor, ...] = people.split(max(points // self.log_likelihood.points, 1))
        return blocks


def _hessian(function: object, theta: Tensor) -> Tensor:
    hessian: Tensor = torch.autograd.functional.hessian(function, theta, vectorize=True)
    return hessian


def alone(scm: SCM, node: str, values: Values, weights: Tensor | None = None) -> LogPosterior:
    """Of a node that no latent touches."""
    own = {name: values[name] for name in (node, *scm.spec.nodes[node].parents)}
    rows, counts = _counted(own, len(values[node]), weights)
    return LogPosterior((node,), FreeParameters(scm, [node]), Alone(scm, node, rows), counts)


def marginal(area: Neighbourhood, nodes: Sequence[str], rung: int = 0, weights: Tensor | None = None) -> LogPosterior:
    """Of ``nodes``, latents and their children, with the latents of ``area`` integrated out by a rule of the ladder."""
    rows, counts = _counted(area.values, area.n, weights)
    kinds = replace(area, values=rows, n=len(counts))
    return LogPosterior(tuple(nodes), FreeParameters(area.scm, nodes), Marginal(kinds, rung), counts)


def marginals(area: Neighbourhood, weights: Tensor | None) -> Callable[[int], LogPosterior]:
    """The marginal log posterior of all factors of ``area``, by the rung of the ladder of rules."""
    return lambda rung: marginal(area, area.factors, rung, weights)


def _counted(values: Values, n: int, weights: Tensor | None) -> tuple[Values, Tensor]:
    """Each kind of row once, with the weights of its people added up."""
    first, place = distinct(values, n)
    own = torch.ones(n, dtype=torch.float64) if weights is None else weights
    if len(first) > n / 2:
        return values, own
    return {node: column[first] for node, column in values.items()}, torch.zeros(len(first), dtype=torch.float64).index_add_(0, place, own)


def log_posteriors(scm: SCM, columns: Columns) -> tuple[LogPosterior, ...]:
    """The log posterior of all free parameters given a table with every observed node, in parts that do not depend on one another.

    Parameters that are learned in closed form have no part: their posterior is their mechanism's own.
    """
    columns = columns.counted()
    areas = neighbourhoods(scm, columns, scm.spec.observed, columns.n)
    touched = {node for area in areas for node in area.factors}
    parts = [alone(scm, node, columns, columns.weights) for node in scm.spec.order if node not in touched]
    parts += [marginal(area, area.factors, fine_enough(area), columns.weights) for area in areas]
    return tuple(part for part in parts if part.free.count)


def fine_enough(area: Neighbourhood, first: int = 0) -> int:
    """The first rung of the ladder, from ``first`` on, whose likelihood at the SCM's parameters the next one would not change.

    A rule's error is smooth in the parameters, and a posterior sd shrinks as 1/√n: over one, the sum changes by about 1/√n of itself.
    Of importance sampling, the first from which the next one would move the parameters by less than MOVED.

    Raises:
        FitError: there is none.
    """
    if area.sampled:
        return next((rung for rung in range(first, len(CLOUDS) - 1) if _moved(area, rung) <= MOVED), len(CLOUDS) - 1)
    coarse = _log_evidence(area, first)
    for rung in range(first, RUNGS):
        fine = _log_evidence(area, rung + 1)
        if float((coarse - fine).abs().sum()) <= SETTLED * area.n**0.5:
            return rung
        coarse = fine
    where = f"learning {', '.join(area.factors)}"
    raise FitError(where, "the marginal likelihood moves with every finer quadrature", "look for an extreme value or prior")


def _moved(area: Neighbourhood, rung: int) -> float:
    """How far the next rung of the ladder would move the parameters that this one found most probable, in posterior sds."""
    first, coarse, fine = (marginal(area, area.factors, each) for each in (0, rung, rung + 1))
    if not coarse.free.count:
        return 0.0
    people = torch.randperm(coarse.log_likelihood.n, generator=torch.Generator().manual_seed(rung))[:SOME]
    stretch = whitening(first.hessian(first.start, people[:FEW]))
    change = fine.value_and_slope(fine.start, people)[1] - coarse.value_and_slope(coarse.start, people)[1]
    share = (
        len(people) / coarse.log_likelihood.n
    ) ** 0.5  # each row's cloud has a turn of its own: their errors grow as the root of their number
    moved = float((stretch.T @ change).abs().max())
    return float(share * moved)


def log_densities(scm: SCM, columns: Columns, nodes: Collection[str]) -> Tensor:
    """Log p(these nodes of the row | their parents) of each row, (n,), the latents that touch them integrated out.

    Args:
        scm: with its parameters.
        columns: whole rows.
        nodes: those that count; one that a latent touches brings with it all that this latent touches.
    """
    areas = neighbourhoods(scm, columns, scm.spec.observed, columns.n)
    touched = {node for area in areas for node in area.factors}
    values = {node: columns[node] for node in scm.spec.observed}
    with torch.no_grad():
        found = [log_prob(scm, node, values, {}).expand(columns.n) for node in values if node in nodes and node not in touched]
        found += [_log_evidence(area, 1) for area in areas if not set(area.factors).isdisjoint(nodes)]
    return torch.stack(found).sum(0) if found else torch.zeros(columns.n, dtype=torch.float64)


def _log_evidence(area: Neighbourhood, rung: int) -> Tensor:
    """The log likelihood of each person, (n,), at the SCM's own parameters."""
    likelihood = Marginal(area, rung, exact=True, often=False)
    blocks = torch.arange(area.n).split(max(POINTS // likelihood.points, 1))
    return torch.cat([likelihood({}, people) for people in blocks])
