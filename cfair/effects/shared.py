"""What people and the parameters learned from them have in common: a sample that is off moves both."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from cfair.graph import ancestors
from cfair.inference import log_densities, table_fingerprint
from cfair.interfaces import Columns
from cfair.scm import SCM
from cfair.weights import evened

__all__ = ["Shared", "shared_by", "standard_error"]

PEOPLE = 20_000  # at most, of whom densities are computed: their mean hardly moves with more


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """How likely each draw of the parameters makes each of the people that they were learned from.

    Args:
        people: positions of m of the n people, at random, shape (m,), int64.
        log_density: their weight times log p(person | draw), shape (m, S).
    """

    people: Tensor
    log_density: Tensor

    def influence(self, drawn: Tensor, weights: Tensor, n: int) -> Tensor:
        """What each of the people moves a value by through the parameters, n·Cov_s(T_s, w_i·log p(person i | draw s)), shape (m,)."""
        apart = self.log_density - (self.log_density @ weights).unsqueeze(1)
        return n * (apart @ (weights * (drawn - weights @ drawn)))


def standard_error(influence: Tensor, people: int, *, drawn: Tensor, weights: Tensor, shared: Shared | None) -> float:
    """Of an estimate that errs with the sample of people and with the parameters.

    Var = mean_i (influence_i + parameters_i)²/n with ``Shared.influence``: to first order what a person does to the posterior mean of
    parameters is n·Cov_s(θ_s, log p(person i | θ_s)), so that errors that offset one another do. Of p parameters and S draws, chance adds
    about p/S of the variance over the parameters: intervals are too wide on average rather than too narrow, where draws are few, though
    never by more than the sum of the two errors allows. Parameters learned from other people err by themselves: then
    Var = Σ_i influence_i²/(people·(people − 1)) + Σ_s v_s·(T_s − mean)².

    Args:
        influence: of each person, the parameters as they are, shape (n,), with mean 0; n may be 0.
        people: of weight above 0 among them.
        drawn: the T_s, the estimate under draw s, shape (S,); S may be 0.
        weights: of the draws, v_s, shape (S,), summing to 1.
        shared: what both have in common; None: nothing.

    Source: Giordano & Broderick (2023), The Bayesian infinitesimal jackknife for variance, equation 3.
    """
    over = float(influence.square().sum()) / (people * (people - 1)) if people > 1 else 0.0
    under = float(weights @ (drawn - weights @ drawn).square())
    if shared is None or not len(influence):
        return sqrt(over + under)
    n = len(influence)
    each = influence[shared.people] + shared.influence(drawn, weights, n)
    return min(sqrt(float(each.square().mean()) / n), sqrt(over) + sqrt(under))


def shared_by(scm: SCM, drawn: Sequence[SCM], columns: Columns | None, target: str, *, seed: int) -> Shared | None:
    """What people have in common with draws of parameters; None if these were learned from others, or nothing was drawn.

    Args:
        scm: the model.
        drawn: the same under each draw.
        columns: the people, of weight above 0.
        target: of the question: the nodes that neither are nor lead to it leave it as it is.
        seed: of the choice among many people.
    """
    if columns is None or not drawn or scm.uncertainty is None or scm.uncertainty.learned_from != table_fingerprint(scm.spec, columns):
        return None
    people = torch.randperm(columns.n, generator=torch.Generator().manual_seed(seed))[:PEOPLE]
    some = columns.take(people)
    nodes = {target, *ancestors(scm.spec.graph, target)} if target in scm.spec.nodes else set(scm.spec.nodes)
    found = torch.stack([log_densities(each, some, nodes) for each in drawn], 1)
    weights = torch.ones(columns.n, dtype=torch.float64) if columns.weights is None else evened(columns.weights)
    return Shared(people, found * weights[people].unsqueeze(1))
