"""Stochastic variational inference in Pyro, for engine ``svi``: an amortised guide, minibatches, and a bound weighted by importance.

It serves latents whose posterior need not be log-concave: q(u | evidence) is a network's answer. With K draws per row the bound is
E log (1/K)·Σ_k p(u_k, evidence)/q(u_k), which K = 1 makes the evidence lower bound and K → ∞ the marginal likelihood. Latents with
levels are summed over. Parameters that are learned are point estimates, under their priors. The correction is importance sampling
with thousands of points (see ``quadrature.proposal``): around modes, or from q where modes will not do.

Sources: Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, equation 8; Hoffman, Blei, Wang & Paisley (2013).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import pyro
import torch
from pyro import poutine
from pyro.distributions import Delta, MultivariateNormal
from pyro.infer import SVI
from pyro.optim import ClippedAdam
from torch import Tensor, nn

from cfair.inference.neighbourhood import Neighbourhood
from cfair.interfaces import Columns, Facts, Values
from cfair.sampler import Guide
from cfair.scm import SCM

__all__ = ["train"]

PARTICLES = 8  # draws per row, K
BATCH = 256  # rows of a minibatch
CHECKED = 512  # rows by whose bound training is judged
EVERY = 50  # steps between two looks at it
PATIENCE = 4  # looks without a better bound after which training stops
GAIN = 1e-3  # nats per row that count as better
STEPS = 3_000  # at most
RATE = 1e-2  # of the optimiser, at first
DECAY = 0.1  # of the rate over all STEPS
LARGEST = 10.0  # gradient that is followed whole
LEARNED = "learned "  # before a parameter's name in Pyro's store: its site in the trace goes by the name alone

Program = Callable[["_Batch"], object]


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Some rows, each with every combination of discrete latents' levels in turn."""

    rows: Neighbourhood
    columns: Columns  # all nodes but the latents of ``rows``
    weights: Tensor  # of the people, (m,); their mean over all batches is 1
    people: int  # in the whole table


def train(area: Neighbourhood, values: Values, weights: Tensor | None, *, learn: bool, seed: int) -> Guide:
    """The guide of ``area`` after training; with ``learn``, its factors' parameters are set to those that were found with it.

    Args:
        area: some latents, and the evidence that the guide may read: nothing else enters it.
        values: every node, also those outside the evidence, node -> (n,); other latents at 0.
        weights: of the rows, (n,); all alike if None.
        learn: whether parameters are learned too.
        seed: of the minibatches, the draws and the first weights; torch's own stream and Pyro's store are as before.
    """
    known = area.take(torch.arange(min(area.n, 1))).enumerated().values
    guide = Guide(area.scm.spec, area.real, known, seed=seed)
    guide.fit_units(area.enumerated().values)
    counts = torch.ones(area.n, dtype=torch.float64) if weights is None else weights
    with torch.random.fork_rng(devices=[]), pyro.get_param_store().scope():
        torch.manual_seed(seed)
        free = _free(area.scm, area.factors) if learn else {}
        best = _optimised(area, guide, free, lambda people: _batch(area, values, counts, people))
    guide.load_state_dict(
        {name.removeprefix("guide$$$"): value for name, value in best.items() if name.startswith("guide$$$")}, strict=False
    )
    guide.requires_grad_(requires_grad=False)
    for site, (module, name) in free.items():
        module.get_parameter(name).data = best[f"{LEARNED}{site}"]
    return guide


def _optimised(
    area: Neighbourhood, guide: Guide, free: Mapping[str, tuple[nn.Module, str]], batch: Callable[[Tensor], _Batch]
) -> dict[str, Tensor]:
    """Pyro's parameters where the bound of some rows, with the same draws each time, was highest."""
    program = _program(guide, free)
    optimiser = ClippedAdam({"lr": RATE, "lrd": DECAY ** (1 / STEPS), "clip_norm": LARGEST})
    svi = SVI(_model(area, learn=bool(free)), program, optimiser, loss=_loss)
    checked = batch(torch.randperm(area.n)[:CHECKED])
    best, lowest, since = dict[str, Tensor](), math.inf, 0
    for step in range(STEPS):
        svi.step(batch(torch.randint(area.n, (min(BATCH, area.n),))))
        if (step + 1) % EVERY:
            continue
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            reached = svi.evaluate_loss(checked) / area.n
        since = 0 if reached < lowest - GAIN else since + 1
        if reached < lowest:
            lowest, best = reached, {name: value.detach().clone() for name, value in pyro.get_param_store().items()}
        if since >= PATIENCE:
            break
    return best


def _model(area: Neighbourhood, *, learn: bool) -> Program:
    """The SCM as the Pyro model that it is; parameters that are not learned here are held."""
    if not learn:
        return lambda batch: area.scm.model(batch.columns)
    others = _free(area.scm, [node for node in area.scm.spec.order if node not in area.factors])
    held: dict[str, Tensor] = {site: module.get_parameter(name) for site, (module, name) in others.items()}
    return lambda batch: poutine.condition(area.scm.model, data=held)(batch.columns, parameters="sampled")


def _program(guide: Guide, free: Mapping[str, tuple[nn.Module, str]]) -> Program:
    """The guide as a Pyro program: K joint draws of the latents of each row, and the parameters at their present values."""

    def program(batch: _Batch) -> Tensor:
        """Log q of the draws, shape (K, rows)."""
        for site, (module, name) in free.items():
            value = pyro.param(f"{LEARNED}{site}", module.get_parameter(name).detach().clone())
            pyro.sample(site, Delta(value, event_dim=value.dim()))
        pyro.module("guide", guide.requires_grad_())
        center, root = guide(batch.rows.values, batch.rows.n)
        q = MultivariateNormal(center.T, scale_tril=root.movedim(2, 0)).expand([PARTICLES, batch.rows.n])
        joint = pyro.sample(f"q({', '.join(guide.real)})", q, infer={"is_auxiliary": True})
        for j, latent in enumerate(guide.real):
            pyro.sample(latent, Delta(joint[..., j]))
        log_q: Tensor = q.log_prob(joint)
        return log_q

    return program


def _loss(model: Program, guide: Program, batch: _Batch) -> Tensor:
    """Minus the importance-weighted bound of the whole table, estimated from the batch, and minus the log prior of the parameters."""
    said = poutine.trace(guide).get_trace(batch)
    done = poutine.trace(poutine.replay(model, trace=said)).get_trace(batch)
    done.compute_log_prob()
    density = {name: site["log_prob"] for name, site in done.nodes.items() if "log_prob" in site}
    log_q = cast("Tensor", said.nodes["_RETURN"]["value"])
    log_weight = torch.stack([density[node].expand_as(log_q) for node in batch.rows.factors]).sum(0) - log_q
    each = log_weight.logsumexp(0) - math.log(PARTICLES)  # of each row with each combination of levels
    bound = each.reshape(-1, len(batch.weights)).logsumexp(0)
    learned = [name for name in density if name in said.nodes and name not in batch.rows.scm.spec.nodes]
    prior = sum((density[name].sum() for name in learned), torch.zeros((), dtype=torch.float64))
    loss: Tensor = -(batch.people / len(bound)) * (batch.weights @ bound) - prior
    return loss


def _batch(area: Neighbourhood, values: Values, weights: Tensor, people: Tensor) -> _Batch:
    rows = area.take(people).enumerated()
    outside = {node: column[people].repeat(area.combinations) for node, column in values.items() if node not in area.latents}
    known = {node: column for node, column in rows.values.items() if node in area.latents}
    columns = Columns(outside | known, torch.arange(rows.n), Facts("batch", rows.n, ""))
    return _Batch(rows, columns, weights[people], area.n)


def _free(scm: SCM, nodes: Sequence[str]) -> dict[str, tuple[nn.Module, str]]:
    """Site -> the module and name of each parameter of ``nodes`` that is learned."""
    free: dict[str, tuple[nn.Module, str]] = {}
    for node in nodes:
        module = cast("nn.Module", scm.mechanisms[node])
        masks = dict(module.named_buffers())
        free |= {f"{node}.{name}": (module, name) for name in scm.mechanisms[node].priors() if masks[f"{name}_free"].any()}
    return free
