"""Regressions that estimate the nuisances of a one-step estimator: scikit-learn's, by name, or a user's own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter

from cfair.errors import QueryError, nearest

__all__ = ["NAMES", "Classifier", "Floats", "Learners", "Regressor", "fit_weighted", "learners_for", "learners_from"]

Floats = NDArray[np.float64]

NAMES = ("linear", "boosted")
RIDGE = 1e-6  # per unit of weight, on standardised columns: no bias to speak of, yet an answer where columns are collinear
TREES, LEAVES, RATE = 100, 8, 0.1  # small trees: propensities that overfit would make the weights of an estimate wild


class Regressor(Protocol):
    """What estimates E[y | features]."""

    def fit(self, features: Floats, values: Floats, *, sample_weight: Floats | None = None) -> object:
        """Learn from features (m, k), values (m,) and weights (m,)."""
        ...

    def predict(self, features: Floats) -> Floats:
        """The expected value of each row, shape (m,)."""
        ...


class Classifier(Protocol):
    """What estimates P(level | features)."""

    classes_: Floats

    def fit(self, features: Floats, levels: Floats, *, sample_weight: Floats | None = None) -> object:
        """Learn from features (m, k), levels (m,) and weights (m,)."""
        ...

    def predict_proba(self, features: Floats) -> Floats:
        """The probability of each of ``classes_``, shape (m, classes)."""
        ...


@dataclass(frozen=True, slots=True)
class Learners:
    """Makers of fresh estimators, called once per nuisance and fold.

    Args:
        propensity: P(x | ·), for two or three levels.
        outcome: E[y | ·]; for an outcome of 0 and 1 a probability.
        nested: E[E[y | x1, z, w] | x0, z], whose values are numbers within the range of the outcome's regression.
        weighted: they take sampling weights.
    """

    propensity: Callable[[], Classifier]
    outcome: Callable[[], Regressor]
    nested: Callable[[], Regressor]
    weighted: bool = True


def learners_for(name: str, binary: bool) -> Learners:
    """The learners of that name: "linear", least squares and logistic regression, or "boosted", histogram gradient boosting.

    Args:
        name: one of ``NAMES``.
        binary: the outcome is 0 or 1.

    Raises:
        QueryError: there are none of that name.
    """
    if name not in NAMES:
        raise QueryError("learners", f"'{name}' names no learners", nearest(name, NAMES))
    if name == "linear":
        regression: Callable[[], Regressor] = FractionalLogit if binary else LinearRegression
        return Learners(Logistic, regression, regression)
    return Learners(_boosted_classifier, (lambda: Probability(_boosted_classifier())) if binary else _boosted_regressor, _boosted_regressor)


def learners_from(classifier: BaseEstimator, regressor: BaseEstimator, *, binary: bool, seed: int = 0) -> Learners:
    """Learners made of a pair of scikit-learn estimators or pipelines, which are cloned, never fitted themselves.

    The classifier gives the propensities, and the outcome's regression where the outcome is 0 or 1; the regressor the others.

    Args:
        classifier: with ``predict_proba``.
        regressor: with ``predict``.
        binary: the outcome is 0 or 1.
        seed: of every ``random_state`` that the estimators leave open.

    Raises:
        QueryError: they are no such pair.
    """
    if not (is_classifier(classifier) and hasattr(classifier, "predict_proba")):
        raise QueryError("learners", f"{classifier!r} is no classifier with predict_proba", "give one, as LogisticRegression()")
    if not is_regressor(regressor):
        raise QueryError("learners", f"{regressor!r} is no regressor", "give one, as RandomForestRegressor()")
    classes = cast("Callable[[], Classifier]", _copies(classifier, seed))
    numbers = cast("Callable[[], Regressor]", _copies(regressor, seed))
    weighted = all(has_fit_parameter(each, "sample_weight") for each in (classifier, regressor))
    return Learners(classes, (lambda: Probability(classes())) if binary else numbers, numbers, weighted)


def fit_weighted(estimator: Classifier | Regressor, features: Floats, values: Floats, weights: Floats | None) -> None:
    """Fit it; an estimator that takes no weights need not know of them where there are none."""
    if weights is None:
        estimator.fit(features, values)
    else:
        estimator.fit(features, values, sample_weight=weights)


class Probability:
    """A classifier of 0 and 1 as the regression of the probability of 1."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    def fit(self, features: Floats, values: Floats, *, sample_weight: Floats | None = None) -> Self:
        """Learn from features (m, k), values 0 or 1 (m,) and weights (m,), if any."""
        fit_weighted(self._classifier, features, values, sample_weight)
        return self

    def predict(self, features: Floats) -> Floats:
        """The probability of 1, shape (m,)."""
        return self._classifier.predict_proba(features)[:, list(self._classifier.classes_).index(1.0)]


class FractionalLogit:
    """E[y | f] = 1 / (1 + exp(−b − w·f)) for y in [0, 1], by the Bernoulli likelihood; logistic regression where y is 0 or 1.

    A row of value y counts as y rows of 1 and 1 − y rows of 0.

    Source: Papke & Wooldridge (1996), Econometric methods for fractional response variables, equation 5.
    """

    def __init__(self) -> None:
        self._logistic = Logistic()

    def fit(self, features: Floats, values: Floats, *, sample_weight: Floats | None = None) -> Self:
        """Learn from features (m, k), values (m,) in [0, 1] and weights (m,)."""
        weights = np.ones_like(values) if sample_weight is None else sample_weight
        shares = np.concatenate([weights * values, weights * (1 - values)])
        ends = np.concatenate([np.ones_like(values), np.zeros_like(values)])
        used = shares > 0
        self._logistic.fit(np.concatenate([features, features])[used], ends[used], sample_weight=shares[used])
        return self

    def predict(self, features: Floats) -> Floats:
        """The expected value of each row, shape (m,)."""
        return self._logistic.predict_proba(features)[:, 1]


class Logistic:
    """Logistic regression on standardised columns, all but free of a penalty."""

    classes_: Floats

    def __init__(self) -> None:
        self._scaler, self._model = StandardScaler(), LogisticRegression(solver="newton-cholesky", tol=1e-8)

    def fit(self, features: Floats, levels: Floats, *, sample_weight: Floats | None = None) -> Self:
        """Learn from features (m, k), levels (m,) and weights (m,)."""
        weights = np.ones_like(levels) if sample_weight is None else sample_weight
        self._model.set_params(C=1 / (RIDGE * weights.sum()))
        self._model.fit(self._scaler.fit_transform(features, sample_weight=weights), levels, sample_weight=weights)
        self.classes_ = self._model.classes_
        return self

    def predict_proba(self, features: Floats) -> Floats:
        """The probability of each of ``classes_``, shape (m, classes)."""
        return cast("Floats", self._model.predict_proba(self._scaler.transform(features)))


def _boosted_classifier() -> Classifier:
    return cast(
        "Classifier",
        HistGradientBoostingClassifier(max_iter=TREES, max_leaf_nodes=LEAVES, learning_rate=RATE, early_stopping=False, random_state=0),
    )


def _boosted_regressor() -> Regressor:
    return cast(
        "Regressor",
        HistGradientBoostingRegressor(max_iter=TREES, max_leaf_nodes=LEAVES, learning_rate=RATE, early_stopping=False, random_state=0),
    )


def _copies(estimator: BaseEstimator, seed: int) -> Callable[[], BaseEstimator]:
    """A maker of unfitted copies, whose open random states are ``seed``."""
    states = {name: seed for name, value in estimator.get_params().items() if name.split("__")[-1] == "random_state" and value is None}
    return lambda: clone(estimator).set_params(**states)
