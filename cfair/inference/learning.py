"""From a table to the parameters: the most probable ones given the data, with the latent integrated out."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from cfair.errors import QueryError, nearest
from cfair.inference.free import FreeParameters, Overrides
from cfair.inference.loadings import orient, start_loadings
from cfair.inference.neighbourhood import Neighbourhood, log_prob, neighbourhood, sole_latent
from cfair.inference.optimise import maximise
from cfair.inference.posterior import NODES
from cfair.inference.quadrature import gauss_hermite, mode
from cfair.interfaces import Columns, Values
from cfair.mechanisms import Unit
from cfair.scm import SCM
from cfair.spec import ModelSpec

__all__ = ["ENGINES", "learn"]

ENGINES = ("auto", "quadrature")
SUBSAMPLE = 2_000  # rows from which the curvature is estimated
BLOCK = 65_536  # rows evaluated at a time: bounds the memory

LogLikelihood = Callable[[Overrides, Tensor], Tensor]  # of the parameters and the positions (m,) of some rows, to (m,)


def learn(spec: ModelSpec, columns: Columns | None = None, *, engine: Literal["auto", "quadrature"] = "auto", seed: int = 0) -> SCM:
    """The SCM at its most probable parameters given the table (maximum a posteriori, on the scale on which priors are stated).

    Nodes that no latent touches are learned apart. The latent's own parameters and its children's maximise their marginal
    likelihood: adaptive Gauss-Hermite quadrature per row, centred on the row's mode, its gradient by Fisher's identity. The sign
    of a latent is a convention: the outcome's loading, or else the largest, is positive.

    Args:
        spec: the declared model.
        columns: training rows with every observed node; None when ``parameters:`` fix every node.
        engine: "quadrature", which "auto" chooses.
        seed: of the rows from which the curvature is estimated; it does not change the answer beyond the last digits.

    Raises:
        QueryError: several latents, an unknown engine, or no table where something is to be learned.
        FitError: no most probable point was found.
    """
    if engine not in ENGINES:
        raise QueryError("engine", f"'{engine}' is not an engine", nearest(engine, ENGINES))
    latent = sole_latent(spec)
    scm = SCM(spec, _units(spec, columns) if columns is not None else None)
    unlearned = [node for node in spec.order if FreeParameters(scm, [node]).count]
    if not unlearned:
        return scm
    if columns is None:
        raise QueryError("columns", f"'{unlearned[0]}' has parameters to learn", "give a table, or fix them all under 'parameters:'")
    values = {node: columns[node] for node in spec.observed}
    if latent is not None:
        values[latent] = torch.zeros(columns.n, dtype=torch.float64)  # each child first without it, as a place to start from
    for node in unlearned:
        if node != latent:
            scm.mechanisms[node].start(values[node])
            _fit(scm, [node], _alone(scm, node, values), n=columns.n, seed=seed)
    area = neighbourhood(scm, values, spec.observed, columns.n)
    touched = [node for node in unlearned if area is not None and node in (latent, *area.children)]
    if area is not None and touched:
        start_loadings(area)
        _fit(scm, touched, _marginal(area), n=columns.n, seed=seed)
        orient(scm, area)
    return scm


def _units(spec: ModelSpec, columns: Columns) -> dict[str, Unit]:
    """Mean and sd of each real or count column; (mean, 1) where it is constant."""
    units = {}
    for node in spec.observed:
        if spec.nodes[node].kind in ("real", "count"):
            sd = float(columns[node].std(correction=0))
            units[node] = Unit(float(columns[node].mean()), sd if sd > 0 else 1.0)
    return units


def _alone(scm: SCM, node: str, values: Values) -> LogLikelihood:
    """log p(node | its parents) per row."""
    own = {name: values[name] for name in (node, *scm.spec.nodes[node].parents)}

    def log_likelihood(parameters: Overrides, people: Tensor) -> Tensor:
        return log_prob(scm, node, {name: column[people] for name, column in own.items()}, parameters).expand(len(people))

    return log_likelihood


def _marginal(area: Neighbourhood) -> LogLikelihood:
    """log ∫ p(k, evidence) dk per row. The nodes stand where the mode is at these parameters, and no derivative flows through it."""
    modes = area.prior()[0].clone()  # of the parameters tried last: where the next search starts

    def log_likelihood(parameters: Overrides, people: Tensor) -> Tensor:
        part = area.take(people)
        settled = {node: {name: value.detach() for name, value in own.items()} for node, own in parameters.items()}
        center, sd = mode(part.at(settled), modes[people])
        modes[people] = center
        rule = gauss_hermite(center, sd, NODES)
        return (part.at(parameters).log_joint(rule.points) + rule.log_weights).logsumexp(0)

    return log_likelihood


def _fit(scm: SCM, nodes: Sequence[str], log_likelihood: LogLikelihood, *, n: int, seed: int) -> None:
    """Set the free parameters of ``nodes`` to their most probable values."""
    free = FreeParameters(scm, nodes)
    some = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:SUBSAMPLE]

    def value_and_slope(theta: Tensor) -> tuple[float, Tensor]:
        theta = theta.requires_grad_()
        prior = free.log_prior(free.unpack(theta))
        (slope,) = torch.autograd.grad(prior, theta)
        value = float(prior.detach())
        for people in torch.arange(n).split(BLOCK):
            part = log_likelihood(free.unpack(theta), people).sum()
            slope = slope + torch.autograd.grad(part, theta)[0]
            value += float(part.detach())
        return value, slope

    def curvature(theta: Tensor) -> Tensor:
        def scaled(theta: Tensor) -> Tensor:
            parameters = free.unpack(theta)
            return free.log_prior(parameters) + log_likelihood(parameters, some).sum() * (n / len(some))

        return torch.autograd.functional.hessian(scaled, theta)

    free.write(maximise(value_and_slope, free.start, curvature=curvature, where=f"learning {', '.join(nodes)}"))
