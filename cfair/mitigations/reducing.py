"""Reductions, by fairlearn, of a constraint to a sequence of weighted classifications, around any scikit-learn classifier."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfair.constraints import Constraint
from cfair.constraints.tallies import Tally, false_positive_rate, selection_rate, true_positive_rate
from cfair.errors import QueryError
from cfair.mitigations.base import Asked, Rows, refuse
from cfair.mitigations.unconstrained import positions, taking_part

__all__ = ["Classifier", "Reduction", "check_reducible", "irreducible", "reduced", "searched"]

MOMENTS: dict[frozenset[Tally], str] = {  # fairlearn's classes, by the rates that are to be equal
    frozenset({selection_rate}): "DemographicParity",
    frozenset({true_positive_rate}): "TruePositiveRateParity",
    frozenset({true_positive_rate, false_positive_rate}): "EqualizedOdds",
}
ROUNDS = 50  # of exponentiated gradient, fairlearn's own default
NARROWEST = 0.01  # fairlearn's own default of eps, whose inverse bounds the multipliers: at 0 there would be no bound
GRIDS = {1: 21, 2: 61, 3: 63, 4: 129}  # points, by free multipliers: those of whole numbers with Σ|λ| up to 10, 5, 3 and 3
REPEATED = 20  # times as many rows at most, where weights are whole multiples of the least
ROUNDING = 1e-9  # of such a multiple


class Classifier(Protocol):
    """A classifier as scikit-learn's; one that is to be reduced to has a ``fit`` that takes ``sample_weight``."""

    def predict(self, features: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Features (n, k) to decisions 0 or 1, (n,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Reduction:
    """Classifiers, and the share of people whom each serves.

    Args:
        classifiers: fitted.
        weights: summing to 1, shape (classifiers,).
        fits: how often the estimator was fitted.
        converged: whether the duality gap fell to what fairlearn calls solved.
    """

    classifiers: tuple[Classifier, ...]
    weights: Tensor
    fits: int
    converged: bool

    def expected(self, features: Tensor) -> Tensor:
        """The probability of a decision of 1, of features (n, k), shape (n,): Σ_i q_i·h_i(x)."""
        decisions = [torch.as_tensor(each.predict(features.numpy()), dtype=torch.float64) for each in self.classifiers]
        return self.weights @ torch.stack(decisions)


def reduced(estimator: Classifier, rows: Rows, asked: Asked) -> Reduction:
    """Exponentiated gradient: a lottery among classifiers, of least error among those that keep the tolerance in expectation.

    |r_g − r| ≤ τ/2 for the rate of each group and that of all together, so that no two groups differ by more than the tolerance τ, but
    for the duality gap that is left. fairlearn's eps, whose inverse bounds the multipliers, is τ/2, or 0.01 if that is more.

    Only rows of groups that take part are learned from.

    Args:
        estimator: of scikit-learn's kind, whose ``fit`` takes ``sample_weight``; it is cloned, not changed.
        rows: people of at least two groups that take part; of one weight, or of whole multiples of the least, which are repeated.
        asked: one constraint, and a tolerance.

    Raises:
        QueryError: fairlearn is not installed, or cannot serve the constraint or the weights.

    Source: Agarwal, Beygelzimer, Dudík, Langford & Wallach (2018), A reductions approach to fair classification, algorithm 1.
    """
    check_reducible(asked)
    (x, y, group), bound = _counted(rows, asked), asked.tolerance / 2
    found = _fairlearn().ExponentiatedGradient(estimator, _moment(asked, bound), eps=max(bound, NARROWEST), max_iter=ROUNDS)
    with _quiet():
        found.fit(x, y, sensitive_features=group)
    weights = torch.tensor([float(found.weights_[i]) for i in range(len(found.predictors_))], dtype=torch.float64)
    kept = tuple(found.predictors_[i] for i in positions(weights > 0))
    return Reduction(kept, weights[weights > 0], int(found.n_oracle_calls_), bool(found.best_gap_ <= found.nu))


def searched(estimator: Classifier, rows: Rows, asked: Asked) -> Reduction:
    """Grid search: of classifiers at a grid of multipliers the one of least error + s·max_g |r_g − r|, s the strength.

    Its decisions are not drawn, and nothing bounds the violation that is left: the tolerance is not asked. At strength 0 it is the most
    accurate of the grid. Only rows of groups that take part are learned from.

    Args:
        estimator: of scikit-learn's kind, whose ``fit`` takes ``sample_weight``; it is copied, not changed.
        rows: people of at least two groups that take part; of one weight, or of whole multiples of the least, which are repeated.
        asked: one constraint, and a strength.

    Raises:
        QueryError: fairlearn is not installed, or cannot serve the constraint, the weights, or so many groups.

    Source: Agarwal, Beygelzimer, Dudík, Langford & Wallach (2018), section 3.4.
    """
    check_reducible(asked)
    x, y, group = _counted(rows, asked)
    free = len(asked.constraints[0].strata) * (len(np.unique(group)) - 1)
    if free not in GRIDS:
        problem = f"a grid of {free} multipliers, one less than groups for each rate, would be too coarse: {max(GRIDS)} are the most"
        raise QueryError("mitigation", problem, "use 'reduction', or fewer groups")
    weight = asked.strength / (1 + asked.strength)
    found = _fairlearn().GridSearch(estimator, _moment(asked, 0.0), constraint_weight=weight, grid_size=GRIDS[free])
    with _quiet():
        found.fit(x, y, sensitive_features=group)
    return Reduction((found.predictors_[found.best_idx_],), torch.ones(1, dtype=torch.float64), GRIDS[free], converged=True)


def check_reducible(asked: Asked) -> None:
    """Raise what stands in the way, before any work.

    Raises:
        QueryError: fairlearn is not installed, or several constraints are asked for, or one that it does not serve.
    """
    refuse(asked, irreducible)
    if len(asked.constraints) > 1:
        names = " and ".join(constraint.name for constraint in asked.constraints)
        raise QueryError("constraints", f"reductions serve one, and {names} are asked for", "name another mitigation for several")
    _fairlearn()


def irreducible(constraint: Constraint) -> str | None:
    """Why it cannot be reduced to weighted classifications; None where it can."""
    if frozenset(constraint.strata.values()) in MOMENTS:
        return None
    return f"a reduction bounds rates of people who are known before the decisions, which {constraint.name} does not speak of"


def _fairlearn() -> ModuleType:
    try:
        from fairlearn import reductions  # an extra
    except ImportError as error:
        mend = "install it: pip install 'cfair[reductions]'"
        raise QueryError("mitigation", "fairlearn is not installed, and it makes reductions", mend) from error
    found: ModuleType = reductions
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings that fairlearn will have to be written anew for a later pandas: its users can do nothing about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _moment(asked: Asked, bound: float) -> object:
    """The constraint, as fairlearn puts it."""
    name = MOMENTS[frozenset(asked.constraints[0].strata.values())]
    return getattr(_fairlearn(), name)(difference_bound=bound)


def _counted(rows: Rows, asked: Asked) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Features (m, k), outcomes (m,) and groups (m,) of who takes part, as often as the weights say: fairlearn counts people.

    Raises:
        QueryError: the weights are no whole multiples, or fewer than two groups take part.
    """
    counts = (rows.weights > 0) & taking_part(rows, asked)[rows.group]
    if not counts.any():
        raise QueryError("rows.group", "fewer than two groups take part", "give larger groups, or lower min_group_size")
    times = rows.weights[counts] / rows.weights[counts].min()
    often = times.round()
    if ((times - often).abs() > ROUNDING * times).any() or often.sum() > REPEATED * len(often):
        problem = "fairlearn's reductions count people, and weights are no small whole multiples of the least"
        raise QueryError("rows.weights", problem, "give everybody the same weight, or name another mitigation")
    x, y, group = (column[counts].repeat_interleave(often.long(), 0).numpy() for column in (rows.features, rows.outcome, rows.group))
    return x, y, group
