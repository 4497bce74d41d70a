"""Effects from rows and a graph's roles alone, without its mechanisms: cross-fitted one-step estimates with valid intervals.

Everything is built of means ψ(a, b, c) = E[y_{a, W_b} | c]: the outcome had x been a and the mediators what they would have been under b,
of the people of level c, or of all. Without hidden common causes (which others must check),

    ψ(a, b, c) = E[ν_ab(Z) | x = c],   ν_ab(z) = E[μ_a(z, W) | x = b, z],   μ_a(z, w) = E[y | x = a, z, w],

    and with π_a(·) = P(x = a | ·), π_all = 1 and 1_a = [x = a], 1_all = 1, its efficient influence function is (h − 1_c·ψ) / P(c),

    h = 1_a·π_c(z)/π_b(z)·π_b(z, w)/π_a(z, w)·(y − μ_a(z, w)) + 1_b·π_c(z)/π_b(z)·(μ_a(z, w) − ν_ab(z)) + 1_c·ν_ab(z).

By Bayes π_b(z, w)·π_a(z) / (π_a(z, w)·π_b(z)) is the ratio of the mediators' densities p(w | b, z) / p(w | a, z), so that none of these
is estimated, whatever the mediators are. Where a = b the two first terms are one, 1_a·π_c(z)/π_a(z)·(y − ν_aa(z)) with
ν_aa(z) = E[y | x = a, z]; where a = b = c all is 1_c·y. The estimate solves Σ weight·(h − 1_c·ψ) = 0 with each row's nuisances from the
other folds. Its error is a mean of influences plus products of two nuisances' errors: it is consistent if the propensities or the outcome
regressions are, and its interval is valid if all converge at n^(−1/4).

A trimmed propensity moves what is estimated: for the people of whom it was raised the outcome regressions alone must be right.

Source: Hahn (1998), On the role of the propensity score, theorem 1 (a = b); Tchetgen Tchetgen & Shpitser (2012), Semiparametric theory for
causal mediation analysis, theorem 1 (a ≠ b, all people); Farbmacher et al. (2022), Causal mediation analysis with double machine learning
(ratios of propensities, cross-fitting); Chernozhukov et al. (2018), Double/debiased machine learning; terms and signs: Plečko & Bareinboim
(2024), Causal fairness analysis. Where c is a level and a ≠ b: from the same derivation; a test checks each against numerical derivatives.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cfair.effects.folds import CrossFitting, split
from cfair.effects.influence import Effect
from cfair.effects.nuisances import Nuisances, cross_fit
from cfair.effects.observations import Observations
from cfair.effects.records import TERMS
from cfair.effects.regressions import Floats
from cfair.errors import QueryError, nearest

__all__ = ["MEDIATED", "Level", "OneStep", "Where", "estimate", "one_step"]

Level = Literal[0, 1]
Where = Literal[0, 1, "all"]

MEDIATED = ("nde", "nie", "ctf_de", "ctf_ie")  # the terms that need the mediators


@dataclass(frozen=True, slots=True, eq=False)
class OneStep:
    """Every term that was asked for.

    Args:
        forward: term -> its effect of x0 -> x1.
        reverse: term -> its effect of x1 -> x0.
        trimmed_z: share of the people of whom a propensity given the confounders was raised.
        trimmed_zw: the same of propensities given confounders and mediators; 0 where no term needs these.
    """

    forward: Mapping[str, Effect]
    reverse: Mapping[str, Effect]
    trimmed_z: float
    trimmed_zw: float


def one_step(rows: Observations, how: CrossFitting, terms: Collection[str] = TERMS) -> OneStep:
    """Estimate these terms in both directions, each with its influences.

    TV = Ctf-DE − Ctf-IE − Ctf-SE, ETT = Ctf-DE − Ctf-IE, TE = NDE − NIE and TV = TE + Exp-SE_to − Exp-SE_from hold to rounding, and TV
    is the plain difference of means. The order of the rows changes nothing, bit for bit.

    Args:
        rows: from ``observations``; those of other levels than x0 and x1 count in the terms of all people: te, nde, nie, exp_se.
        how: the nuisances are learned; one random split into folds, by its seed.
        terms: of ``TERMS``; without those in ``MEDIATED`` the mediators are not looked at.

    Raises:
        QueryError: a term is none, a level has fewer rows than folds, levels hardly overlap, or the learners take no weights.
        CodeError: a learner of the user's own fails.
    """
    for term in terms:
        if term not in TERMS:
            raise QueryError("terms", f"'{term}' is no term", nearest(term, TERMS))
    order = rows.order()
    kept = rows.take(order)
    fold = split(kept, how.folds, how.seed)
    mediated = ((1, 0), (0, 1)) if rows.w.shape[1] and set(terms) & set(MEDIATED) else ()
    nuisances = cross_fit(kept, fold, how, mediated=mediated)
    forward, reverse = (estimate(kept, nuisances, terms=terms, reverse=back) for back in (False, True))
    spread = _spreader(order, len(rows.x))
    return OneStep(
        {term: spread(effect) for term, effect in forward.items()},
        {term: spread(effect) for term, effect in reverse.items()},
        nuisances.trimmed_z,
        nuisances.trimmed_zw,
    )


def estimate(rows: Observations, nuisances: Nuisances, *, terms: Collection[str] = TERMS, reverse: bool = False) -> dict[str, Effect]:
    """Term -> its effect, from the rows and what is known of each, in the order of ``TERMS``."""
    start: Level = 1 if reverse else 0
    end: Level = 0 if reverse else 1
    made = dict[tuple[Level, Level, Where], Effect]()

    def psi(a: Level, b: Level, c: Where) -> Effect:
        key = _simplest(rows, a, b, c)
        if key not in made:
            made[key] = _mean(rows, nuisances, key)
        return made[key]

    return {term: _FORMULAS[term](psi, start, end) for term in TERMS if term in terms}


Psi = Callable[[Level, Level, Where], Effect]

_FORMULAS: Mapping[str, Callable[[Psi, Level, Level], Effect]] = {
    "tv": lambda psi, x0, x1: psi(x1, x1, x1) - psi(x0, x0, x0),
    "te": lambda psi, x0, x1: psi(x1, x1, "all") - psi(x0, x0, "all"),
    "ett": lambda psi, x0, x1: psi(x1, x1, x0) - psi(x0, x0, x0),
    "nde": lambda psi, x0, x1: psi(x1, x0, "all") - psi(x0, x0, "all"),
    "nie": lambda psi, x0, x1: psi(x1, x0, "all") - psi(x1, x1, "all"),
    "ctf_de": lambda psi, x0, x1: psi(x1, x0, x0) - psi(x0, x0, x0),
    "ctf_ie": lambda psi, x0, x1: psi(x1, x0, x0) - psi(x1, x1, x0),
    "ctf_se": lambda psi, x0, x1: psi(x1, x1, x0) - psi(x1, x1, x1),
    "exp_se_from": lambda psi, x0, x1: psi(x0, x0, x0) - psi(x0, x0, "all"),
    "exp_se_to": lambda psi, x0, x1: psi(x1, x1, x1) - psi(x1, x1, "all"),
}


def _simplest(rows: Observations, a: Level, b: Level, c: Where) -> tuple[Level, Level, Where]:
    """The same mean with less to learn: without mediators W_b is W_a, and without confounders everybody is like the people of level b."""
    b = b if rows.w.shape[1] else a
    return a, b, c if rows.z.shape[1] else b


def _mean(rows: Observations, nuisances: Nuisances, key: tuple[Level, Level, Where]) -> Effect:
    """ψ(a, b, c), from Σ w·(h − 1_c·ψ) = 0, with influences w·(h − 1_c·ψ) / (mean of w·1_c)."""
    a, b, c = key
    among = np.ones(len(rows.x)) if c == "all" else (rows.x == c).astype(np.float64)
    if a == b == c:
        h = among * rows.y
    elif a == b:
        h = _of_one_level(rows, nuisances, a, among=among, share=_share(nuisances, c, b))
    else:
        h = _of_two_levels(rows, nuisances, (a, b), among=among, share=_share(nuisances, c, b))
    people = float((rows.weights * among).mean())
    value = float((rows.weights * h).mean()) / people
    return Effect(value, rows.weights * (h - among * value) / people)


def _share(nuisances: Nuisances, c: Where, b: Level) -> Floats:
    """π_c(z) / π_b(z), shape (n,)."""
    if c == "all":
        return 1 / nuisances.given_z[b]
    return np.ones_like(nuisances.given_z[b]) if c == b else nuisances.given_z[c] / nuisances.given_z[b]


def _of_one_level(rows: Observations, nuisances: Nuisances, a: Level, *, among: Floats, share: Floats) -> Floats:
    """The h of ψ(a, a, c), shape (n,)."""
    expected = nuisances.outcome_z[a]
    return np.where(rows.x == a, share * (rows.y - expected), 0.0) + among * expected


def _of_two_levels(rows: Observations, nuisances: Nuisances, levels: tuple[Level, Level], *, among: Floats, share: Floats) -> Floats:
    """The h of ψ(a, b, c), shape (n,)."""
    a, b = levels
    inner, outer = nuisances.outcome_zw[a], nuisances.nested[a, b]
    odds = nuisances.given_zw[b] / nuisances.given_zw[a]
    own = np.where(rows.x == a, share * odds * (rows.y - inner), 0.0)
    return own + np.where(rows.x == b, share * (inner - outer), 0.0) + among * outer


def _spreader(order: NDArray[np.int64], people: int) -> Callable[[Effect], Effect]:
    """From the rows that were kept, in their order, back to all people: the others have influence 0 on the same standard error."""

    def spread(effect: Effect) -> Effect:
        influence = np.zeros(people)
        influence[order] = effect.influence * (people / len(order))
        return Effect(effect.value, influence)

    return spread
