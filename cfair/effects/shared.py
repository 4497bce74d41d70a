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

__all__ = ["Shared", "error_of_difference", "shared_by", "standard_error"]

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
        return n * (self._apart(weights) @ (weights * (drawn - weights @ drawn)))

    def noise(self, drawn: Tensor, weights: Tensor, n: int) -> float:
        """The mean square of what chance adds to these influences, the draws being so few: about p·Var(T)·n/S of p parameters."""
        products = self._apart(weights) * (drawn - weights @ drawn)
        products = products - (products @ weights).unsqueeze(1)
        return float((products.square() @ weights.square()).mean()) * n**2

    def _apart(self, weights: Tensor) -> Tensor:
        """Log densities less their mean over draws, shape (m, S)."""
        return self.log_density - (self.log_density @ weights).unsqueeze(1)


def standard_error(influence: Tensor, people: int, *, drawn: Tensor, weights: Tensor, shared: Shared | None) -> float:
    """Of an estimate that errs with the sample of people and with the parameters.

    Var = mean_i (influence_i + parameters_i)²/n with ``Shared.influence``: to first order what a person does to the posterior mean of
    parameters is n·Cov_s(θ_s, log p(person i | θ_s)), so that errors that offset one another do. What few draws add by chance is taken
    off, and the rest held between the least and the most that the two errors can come to. Parameters learned from other people err by
    themselves: then Var = Σ_i influence_i²/(people·(people − 1)) + Σ_s v_s·(T_s − mean)².

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
    whole = (float(each.square().mean()) - shared.noise(drawn, weights, n)) / n
    return sqrt(min(max(whole, (sqrt(over) - sqrt(under)) ** 2), (sqrt(over) + sqrt(under)) ** 2))


def error_of_difference(between: Tensor, *, drawn: Tensor, weights: Tensor, shared: Shared | None) -> float:
    """Of the model's value minus another estimate from the same people, which may be nearly the same.

    As ``standard_error``, but what few draws add by chance is left in: of p parameters and S draws about p/S of the variance over the
    parameters. So it is too large on average rather than too small, where little is left of two errors that nearly agree.

    Args:
        between: each person's influence on the model's value, its parameters as they are, minus that on the other, shape (n,).
        drawn: the model's value under each draw, shape (S,).
        weights: of the draws, shape (S,).
        shared: what people and draws have in common; None: nothing.
    """
    n = len(between)
    if shared is None:
        return standard_error(between, n, drawn=drawn, weights=weights, shared=None)
    each = between[shared.people] + shared.influence(drawn, weights, n)
    return sqrt(float(each.square().mean()) / n)


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
