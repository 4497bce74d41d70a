"""Regressions with the one interface that estimates of nuisances need: of numbers, of probabilities, of shares."""

from typing import Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

__all__ = ["Boosted", "Classifier", "Floats", "FractionalLogit", "Logistic", "Probability", "Regressor", "fit_weighted"]

Floats = NDArray[np.float64]

RIDGE = 1e-6  # per unit of weight, on standardised columns: no bias to speak of, yet an answer where columns are collinear
LEAVES, FEW_TREES, MOST_TREES = 4, 30, 1_000  # small trees: propensities that overfit would make the weights of an estimate wild
HELD_BACK, ENOUGH, ENOUGH_OF_A_LEVEL = 0.15, 200, 20  # the share that judges the number of trees; rows below which it could not


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

    @property
    def classes_(self) -> Floats:
        """The levels it has seen, shape (classes,)."""
        ...

    def fit(self, features: Floats, levels: Floats, *, sample_weight: Floats | None = None) -> object:
        """Learn from features (m, k), levels (m,) and weights (m,)."""
        ...

    def predict_proba(self, features: Floats) -> Floats:
        """The probability of each of ``classes_``, shape (m, classes)."""
        ...


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

    def __init__(self) -> None:
        self._scaler, self._model = StandardScaler(), LogisticRegression(solver="newton-cholesky", tol=1e-8)

    def fit(self, features: Floats, levels: Floats, *, sample_weight: Floats | None = None) -> Self:
        """Learn from features (m, k), levels (m,) and weights (m,)."""
        weights = np.ones_like(levels) if sample_weight is None else sample_weight
        self._model.set_params(C=1 / (RIDGE * weights.sum()))
        self._model.fit(self._scaler.fit_transform(features, sample_weight=weights), levels, sample_weight=weights)
        return self

    @property
    def classes_(self) -> Floats:
        """The levels it has seen, shape (classes,)."""
        return cast("Floats", self._model.classes_)

    def predict_proba(self, features: Floats) -> Floats:
        """The probability of each of ``classes_``, shape (m, classes)."""
        return cast("Floats", self._model.predict_proba(self._scaler.transform(features)))


class Boosted:
    """Histogram gradient boosting of small trees, as many as rows held back from them find useful; few where rows are few.

    Their number must grow with the rows: fixed, it would overfit the propensities of a thousand people and underfit the outcomes of a
    hundred thousand.
    """

    def __init__(self, model: HistGradientBoostingClassifier | HistGradientBoostingRegressor) -> None:
        self._model = model
        self._model.set_params(max_leaf_nodes=LEAVES, validation_fraction=HELD_BACK, random_state=0)  # rows come in an order of their own

    def fit(self, features: Floats, values: Floats, *, sample_weight: Floats | None = None) -> Self:
        """Learn from features (m, k), values or levels (m,) and weights (m,)."""
        rarest = np.unique(values, return_counts=True)[1].min() if is_classifier(self._model) else len(values)
        many = len(values) >= ENOUGH and rarest >= ENOUGH_OF_A_LEVEL
        self._model.set_params(early_stopping=many, max_iter=MOST_TREES if many else FEW_TREES)
        self._model.fit(features, values, sample_weight=sample_weight)
        return self

    @property
    def classes_(self) -> Floats:
        """The levels it has seen, shape (classes,); a model of numbers has none."""
        return cast("Floats", self._model.classes_)

    def predict(self, features: Floats) -> Floats:
        """The expected value of each row, shape (m,)."""
        return cast("Floats", self._model.predict(features))

    def predict_proba(self, features: Floats) -> Floats:
        """The probability of each of ``classes_``, shape (m, classes)."""
        return cast("Floats", self._model.predict_proba(features))
