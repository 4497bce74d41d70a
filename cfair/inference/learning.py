"""From a table to the parameters: the most probable ones given the data, with the latent integrated out."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from cfair.errors import FitError, QueryError, nearest
from cfair.inference.free import FreeParameters, Overrides
from cfair.inference.loadings import orient, start_loadings
from cfair.inference.neighbourhood import Neighbourhood, log_prob, neighbourhood, sole_latent
from cfair.inference.optimise import Peak, maximise
from cfair.inference.posterior import NODES
from cfair.inference.quadrature import RuleOf, ladder
from cfair.inference.shape import mode
from cfair.interfaces import Columns, SelfTaught, Values
from cfair.mechanisms import Unit
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.threads import with_threads

__all__ = ["ENGINES", "learn"]

ENGINES = ("auto", "quadrature")
SUBSAMPLE = 2_000  # rows from which the curvature is estimated
SETTLED = 1e-4  # nats, summed over all rows, that a finer quadrature may change
RUNGS = 7  # of the ladder of rules: up to 80 panels on either side of a mode
BLOCK = 16_384  # rows evaluated at a time: bounds the memory

LogLikelihood = Callable[[Overrides, Tensor], Tensor]  # of the parameters and the positions (m,) of some rows, to (m,)


@with_threads
def learn(spec: ModelSpec, columns: Columns | None = None, *, engine: Literal["auto", "quadrature"] = "auto", seed: int = 0) -> SCM:
    """The SCM at its most probable parameters given the table (maximum a posteriori, on the scale on which priors are stated).

    Nodes that no latent touches are learned apart, some families in closed form. The latent's own parameters and its children's
    maximise their marginal likelihood: adaptive Gauss-Hermite quadrature per row, centred on the row's mode and checked by doubling its
    nodes, its gradient by Fisher's identity. The sign of a latent is a convention: the outcome's loading, or else the largest, is positive.

    Args:
        spec: the declared model.
        columns: training rows with every observed node; None when ``parameters:`` fix every node.
        engine: "quadrature", which "auto" chooses.
        seed: of the rows from which the curvature is estimated; it does not change the answer beyond the last digits.

    Raises:
        QueryError: several latents, an unknown engine, no table where something is to be learned, or one without a node's column.
        FitError: no most probable point was found, or a table without prior has a combination without rows.
    """
    if engine not in ENGINES:
        raise QueryError("engine", f"'{engine}' is not an engine", nearest(engine, ENGINES))
    latent = sole_latent(spec)
    scm = SCM(spec, _units(spec, columns.coded if columns else {}))
    closed = {node: mechanism for node, mechanism in scm.mechanisms.items() if isinstance(mechanism, SelfTaught) and not mechanism.known}
    unlearned = [node for node in spec.order if node in closed or FreeParameters(scm, [node]).count]
    if not unlearned:
        return scm
    columns = _whole(spec, columns, unlearned)
    values = {node: columns[node] for node in spec.observed}
    if latent is not None:
        values[latent] = torch.zeros(columns.n, dtype=torch.float64)  # each child first without it, as a place to start from
    for node in unlearned:
        if node in closed:
            closed[node].learn(values[node], scm.parents(node, values), node=node, seed=seed)
        elif node != latent:
            scm.mechanisms[node].start(values[node])
            _fit(scm, [node], _alone(scm, node, values), n=columns.n, seed=seed).check(f"learning {node}")
    area = neighbourhood(scm, values, spec.observed, columns.n)
    touched = [node for node in unlearned if area is not None and node in (latent, *area.children)]
    if area is not None and touched:
        start_loadings(area)
        _fit_marginal(scm, touched, area, seed=seed)
        orient(scm, area)
    return scm


def _whole(spec: ModelSpec, columns: Columns | None, unlearned: Sequence[str]) -> Columns:
    """The table, once it is known to hold every observed node."""
    if columns is None:
        raise QueryError("columns", f"'{unlearned[0]}' has parameters to learn", "give a table, or fix them all under 'parameters:'")
    if missing := [node for node in spec.observed if node not in columns]:
        raise QueryError("columns", f"the table has no column '{missing[0]}'", "learn from a table with every observed node")
    return columns


def _units(spec: ModelSpec, values: Values) -> dict[str, Unit]:
    """Mean and sd of each real or count column; (mean, 1) where it is constant."""
    units = {}
    for node in spec.observed:
        if node in values and spec.nodes[node].kind in ("real", "count"):
            column = values[node]
            constant = bool((column == column[0]).all())
            units[node] = Unit(float(column.mean()), 1.0 if constant else float(column.std(correction=0)))
    return units


def _alone(scm: SCM, node: str, values: Values) -> LogLikelihood:
    """The log of p(node | its parents) per row."""
    own = {name: values[name] for name in (node, *scm.spec.nodes[node].parents)}

    def log_likelihood(parameters: Overrides, people: Tensor) -> Tensor:
        return log_prob(scm, node, {name: column[people] for name, column in own.items()}, parameters).expand(len(people))

    return log_likelihood


def _marginal(area: Neighbourhood, rule_of: RuleOf) -> LogLikelihood:
    """The log of ∫ p(k, evidence) dk per row. The nodes stand where the mode is at these parameters, and no derivative flows through it."""
    modes = area.prior()[0].clone()  # of the parameters tried last: where the next search starts

    def log_likelihood(parameters: Overrides, people: Tensor) -> Tensor:
        part = area.take(people)
        settled = part.at({node: {name: value.detach() for name, value in own.items()} for node, own in parameters.items()})
        center, sd = mode(settled, modes[people])
        modes[people] = center
        rule = rule_of(settled, center, sd)
        return (part.at(parameters).log_joint(rule.points) + rule.log_weights).logsumexp(0)

    return log_likelihood


def _fit_marginal(scm: SCM, nodes: Sequence[str], area: Neighbourhood, *, seed: int) -> None:
    """Set the free parameters of ``nodes``, with finer rules until the next one would not change the likelihood."""
    where = f"learning {', '.join(nodes)}"
    for rule, finer in pairwise(ladder(NODES)[:RUNGS]):
        peak = _fit(scm, nodes, _marginal(area, rule), n=area.n, seed=seed)
        coarse, fine = _marginal(area, rule), _marginal(area, finer)
        drift = sum(float((coarse({}, people) - fine({}, people)).abs().sum()) for people in torch.arange(area.n).split(BLOCK))
        if drift <= SETTLED:
            peak.check(where)  # not before: where the rule is too coarse, its value and its slope disagree
            return
    raise FitError(where, "the marginal likelihood moves with every finer quadrature", "look for an extreme value or prior")


def _fit(scm: SCM, nodes: Sequence[str], log_likelihood: LogLikelihood, *, n: int, seed: int) -> Peak:
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

        hessian: Tensor = torch.autograd.functional.hessian(scaled, theta)
        return hessian

    peak = maximise(value_and_slope, free.start, curvature=curvature)
    free.write(peak.theta)
    return peak
