"""What a one-step estimator must know beside the rows, each row's from people of other folds: propensities and expected outcomes."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cfair.effects.folds import LEVELS, CrossFitting
from cfair.effects.learners import Learners
from cfair.effects.observations import Observations
from cfair.effects.regressions import Classifier, Floats, Regressor, fit_weighted
from cfair.errors import CodeError, QueryError

__all__ = ["Nuisances", "cross_fit"]


@dataclass(frozen=True, slots=True, eq=False)
class Nuisances:
    """Of each of n people; a, b are levels, 0 or 1.

    Args:
        given_z: a -> P(x = a | z), shape (n,), trimmed.
        given_zw: a -> P(x = a | z, w), shape (n,), trimmed; empty where no mediated mean is asked for, as the next two.
        outcome_z: a -> E[y | x = a, z], shape (n,).
        outcome_zw: a -> E[y | x = a, z, w], shape (n,).
        nested: (a, b) -> E[E[y | x = a, z, W] | x = b, z], shape (n,), a ≠ b.
        trimmed_z: share of the people, by weight, of whom a propensity given z was raised.
        trimmed_zw: the same of propensities given z and w.
    """

    given_z: Mapping[int, Floats]
    given_zw: Mapping[int, Floats]
    outcome_z: Mapping[int, Floats]
    outcome_zw: Mapping[int, Floats]
    nested: Mapping[tuple[int, int], Floats]
    trimmed_z: float = 0.0
    trimmed_zw: float = 0.0


def cross_fit(rows: Observations, fold: NDArray[np.int64], how: CrossFitting, *, mediated: Collection[tuple[int, int]] = ()) -> Nuisances:
    """Learn every nuisance for each fold from the people of the other folds.

    Args:
        rows: of n people.
        fold: of each row, shape (n,), as from ``split``.
        how: with which learners, and how far propensities are trimmed.
        mediated: the (a, b) of the means E[y_{a, W_b}], a ≠ b, that are asked for.

    Raises:
        QueryError: more propensities than ``how`` allows had to be trimmed, or the learners are for other outcomes, or take no weights.
        CodeError: a learner raised something, or does not predict finite numbers.
    """
    _check_learners(rows, how.learners)
    z = rows.z if rows.z.shape[1] else np.zeros((len(rows.x), 1))  # learners want a column: of a constant they learn means
    zw = np.concatenate([z, rows.w], axis=1)
    given_z, trimmed_z = _propensities(rows, z, fold, how=how)
    _check_overlap(trimmed_z, how, "z, the confounders", "compare levels whose people are more alike, or raise 'trim' or 'most_trimmed'")
    given_zw, trimmed_zw = _propensities(rows, zw, fold, how=how) if mediated else ({}, 0.0)
    _check_overlap(
        trimmed_zw, how, "z and w, the mediators", "ask for no natural or counterfactual direct or indirect effect, or raise 'trim'"
    )
    outcome_z = {a: _expected(rows, z, fold, how=how, level=a) for a in LEVELS}
    outcome_zw, nested = dict[int, Floats](), dict[tuple[int, int], Floats]()
    for a, b in mediated:
        outcome_zw[a], nested[a, b] = _nested(rows, (z, zw), fold, how=how, levels=(a, b))
    return Nuisances(given_z, given_zw, outcome_z, outcome_zw, nested, trimmed_z, trimmed_zw)


def _propensities(rows: Observations, features: Floats, fold: NDArray[np.int64], *, how: CrossFitting) -> tuple[dict[int, Floats], float]:
    """Level -> its trimmed propensity given the features, and the share of people of whom one was raised."""
    found = {a: np.zeros(len(fold)) for a in LEVELS}
    for k in np.unique(fold):
        learner = how.learners.propensity()
        _fit(learner, rows, features, rows.x.astype(np.float64), fold != k)
        probability = _predict(learner.predict_proba, features[fold == k])
        for a in LEVELS:
            found[a][fold == k] = probability[:, list(learner.classes_).index(a)]
    lowest = {a: how.trim * float(np.average(rows.x == a, weights=rows.weights)) for a in LEVELS}
    raised = np.any([found[a] < lowest[a] for a in LEVELS], axis=0)
    return {a: np.maximum(found[a], lowest[a]) for a in LEVELS}, float(np.average(raised, weights=rows.weights))


def _expected(rows: Observations, features: Floats, fold: NDArray[np.int64], *, how: CrossFitting, level: int) -> Floats:
    """E[y | x = level, features], shape (n,)."""
    found = np.empty(len(fold))
    for k in np.unique(fold):
        learner = how.learners.outcome()
        _fit(learner, rows, features, rows.y, (fold != k) & (rows.x == level))
        found[fold == k] = _bounded(rows, _predict(learner.predict, features[fold == k]))
    return found


def _nested(
    rows: Observations, features: tuple[Floats, Floats], fold: NDArray[np.int64], *, how: CrossFitting, levels: tuple[int, int]
) -> tuple[Floats, Floats]:
    """E[y | x = a, z, w] and E[E[y | x = a, z, W] | x = b, z], each of shape (n,).

    The outer regression is learned from people of level b, of whom the inner one, learned from people of level a, has seen nobody: so
    its values there are no better than anywhere, and no further split of the fold's other people is needed.
    """
    (z, zw), (a, b) = features, levels
    inner, outer = np.empty(len(fold)), np.empty(len(fold))
    for k in np.unique(fold):
        here, learner, over = fold == k, how.learners.outcome(), how.learners.nested()
        _fit(learner, rows, zw, rows.y, ~here & (rows.x == a))
        expected = _bounded(rows, _predict(learner.predict, zw))
        _fit(over, rows, z, expected, ~here & (rows.x == b))
        inner[here], outer[here] = expected[here], _bounded(rows, _predict(over.predict, z[here]))
    return inner, outer


def _fit(learner: Classifier | Regressor, rows: Observations, features: Floats, values: Floats, people: NDArray[np.bool_]) -> None:
    """Fit it to these people.

    Raises:
        CodeError: it raised something.
    """
    try:
        fit_weighted(learner, features[people], values[people], rows.weights[people] if rows.weighted else None)
    except Exception as error:
        raise CodeError(
            "learners", f"{learner!r} raised {type(error).__name__}: {error}", "mend it, or use 'linear' or 'boosted'"
        ) from error


def _predict(predict: Callable[[Floats], Floats], features: Floats) -> Floats:
    """What it predicts.

    Raises:
        CodeError: it raised something, or predicts no finite numbers.
    """
    try:
        found = np.asarray(predict(features), dtype=np.float64)
    except Exception as error:
        raise CodeError(
            "learners", f"predicting raised {type(error).__name__}: {error}", "mend it, or use 'linear' or 'boosted'"
        ) from error
    if len(found) != len(features) or not np.isfinite(found).all():
        raise CodeError("learners", "a prediction is missing, infinite or not a number", "mend the learner, or use 'linear' or 'boosted'")
    return found


def _bounded(rows: Observations, expected: Floats) -> Floats:
    """A probability is in [0, 1], whatever a regression of numbers says."""
    return expected.clip(0.0, 1.0) if rows.binary else expected


def _check_learners(rows: Observations, learners: Learners) -> None:
    """Refuse learners that these rows are nothing for.

    Raises:
        QueryError: they take no weights and the people have some, or are for events and the outcome is a number.
    """
    if rows.weighted and not learners.weighted:
        raise QueryError(
            "learners", "they take no weights, and the people have some", "use 'linear' or 'boosted', or leave out the weights"
        )
    if learners.binary and not rows.binary:
        raise QueryError("learners", "they are for an outcome of 0 and 1, and it has other values", "make them with binary=False")


def _check_overlap(trimmed: float, how: CrossFitting, given: str, mend: str) -> None:
    """Refuse to compare people who hardly meet.

    Raises:
        QueryError: too many propensities were raised.
    """
    if trimmed > how.most_trimmed:
        problem = f"of {trimmed:.1%} of the people a level is all but excluded given {given}; at most {how.most_trimmed:.1%} may be"
        raise QueryError("propensities", problem, mend)
