"""Which regressions estimate the nuisances of a one-step estimator: by name, or a user's own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.utils.validation import has_fit_parameter

from cfair.effects.regressions import Boosted, Classifier, FractionalLogit, Logistic, Probability, Regressor
from cfair.errors import QueryError, nearest

__all__ = ["NAMES", "Learners", "learners_for", "learners_from"]

NAMES = ("linear", "boosted")


@dataclass(frozen=True, slots=True)
class Learners:
    """Makers of fresh estimators, called once per nuisance and fold.

    Args:
        propensity: P(x | ·), for two or three levels.
        outcome: E[y | ·]; for an outcome of 0 and 1 a probability.
        nested: E[E[y | x1, z, w] | x0, z], whose values are numbers within the range of the outcome's regression.
        weighted: they take sampling weights.
        binary: they are for an outcome of 0 and 1 only.
    """

    propensity: Callable[[], Classifier]
    outcome: Callable[[], Regressor]
    nested: Callable[[], Regressor]
    weighted: bool = True
    binary: bool = False


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
        return Learners(Logistic, regression, regression, binary=binary)
    outcome = (lambda: Probability(_boosted_classifier())) if binary else _boosted_regressor
    return Learners(_boosted_classifier, outcome, _boosted_regressor, binary=binary)


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
    return Learners(classes, (lambda: Probability(classes())) if binary else numbers, numbers, weighted, binary)


def _boosted_classifier() -> Classifier:
    return Boosted(HistGradientBoostingClassifier())


def _boosted_regressor() -> Regressor:
    return Boosted(HistGradientBoostingRegressor())


def _copies(estimator: BaseEstimator, seed: int) -> Callable[[], BaseEstimator]:
    """A maker of unfitted copies, whose open random states are ``seed``."""
    states = {name: seed for name, value in estimator.get_params().items() if name.split("__")[-1] == "random_state" and value is None}
    return lambda: clone(estimator).set_params(**states)
