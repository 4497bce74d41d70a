"""Reductions to weighted logistic regressions: a lottery among several, or the best of a grid."""

from collections.abc import Callable
from dataclasses import replace

import torch
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from cfair.heads.base import Standard, standard_of
from cfair.heads.logistic import RIDGE, Logistic
from cfair.mitigations.base import Asked, Mitigation, Rows, Trained
from cfair.mitigations.mixed import Mixed
from cfair.mitigations.reducing import Classifier, Reduction, check_reducible, irreducible, reduced, searched
from cfair.mitigations.unconstrained import positions, stage, taking_part, unconstrained

__all__ = ["grid_search", "logistic_regression", "reduction"]

TOLERANCE = 1e-8  # slope left: a classifier is then the same whatever it started from
STEPS = 1_000  # of Newton, far more than are needed


def logistic_regression() -> LogisticRegression:
    """scikit-learn's, of the loss of the head ``logistic`` on standardised features, by Newton's method."""
    return LogisticRegression(C=1 / RIDGE, solver="newton-cholesky", tol=TOLERANCE, max_iter=STEPS)


def _train(rows: Rows, asked: Asked) -> Trained:
    """A lottery among logistic regressions, see ``reduced``; without two groups that take part the plain head alone."""
    check_reducible(asked)
    part, base = taking_part(rows, asked), unconstrained(rows)
    log = [stage("without constraints", rows, asked, head=base, seen=rows.features)]
    if not part.any():
        alone = _mixed([base], torch.ones(1, dtype=torch.float64), asked.seed)
        return Trained(alone, False, tuple(log), positions(~part))
    found, heads = _linear(rows, asked, reduced)
    head = _mixed(heads, found.weights, asked.seed)
    for what, probability in (("in expectation", head.expected(rows.features)), ("drawn", None)):
        now = stage(f"{len(heads)} classifiers, {what}", rows, asked, head=head, seen=rows.features, probability=probability)
        log.append(replace(now, steps=found.fits, converged=found.converged))
    return Trained(head, False, tuple(log), positions(~part))


def _search(rows: Rows, asked: Asked) -> Trained:
    """The best logistic regression of a grid, see ``searched``; without two groups that take part the plain head."""
    check_reducible(asked)
    part, head = taking_part(rows, asked), unconstrained(rows)
    log = [stage("without constraints", rows, asked, head=head, seen=rows.features)]
    if part.any():
        found, (head,) = _linear(rows, asked, searched)
        log.append(replace(stage(f"best of {found.fits}", rows, asked, head=head, seen=rows.features), steps=found.fits))
    return Trained(head, False, tuple(log), positions(~part))


def _linear(rows: Rows, asked: Asked, reduce: Callable[[Classifier, Rows, Asked], Reduction]) -> tuple[Reduction, list[Logistic]]:
    """A reduction on standardised features, and its classifiers in the features' own units."""
    standard = standard_of([(rows.features, rows.outcome, rows.weights)], "mitigation")
    features = (rows.features - standard.mean[:-1]) / standard.scale[:-1]
    found = reduce(logistic_regression(), Rows(features, rows.outcome, rows.group, rows.groups, rows.weights), asked)
    return found, [_logistic(each, standard) for each in found.classifiers]


def _logistic(classifier: Classifier, standard: Standard) -> Logistic:
    """The head that decides as a classifier of standardised features does."""
    k = len(standard.mean) - 1
    if isinstance(classifier, DummyClassifier):  # fairlearn's own, where all that is left to learn is one decision
        weights = torch.zeros(k, dtype=torch.float64)
        return Logistic(k).hold(torch.tensor(2.0 * classifier.constant - 1, dtype=torch.float64), weights, standard)
    assert isinstance(classifier, LogisticRegression)
    return Logistic(k).hold(torch.tensor(classifier.intercept_[0]), torch.from_numpy(classifier.coef_[0]), standard)


def _mixed(heads: list[Logistic], weights: Tensor, seed: int) -> Mixed:
    intercepts, coefficients = torch.stack([each.intercept for each in heads]), torch.stack([each.coefficients for each in heads])
    return Mixed(heads[0].inputs, len(heads)).hold(intercepts, coefficients, weights, seed)


reduction = Mitigation(
    "reduction",
    "during",
    _train,
    irreducible,
    check_reducible,
    dial="tolerance",
    probabilities=False,
    mixes=True,
    shaped=Mixed.shaped,
    several=False,
)
grid_search = Mitigation("grid_search", "during", _search, irreducible, check_reducible, dial="strength", several=False)
