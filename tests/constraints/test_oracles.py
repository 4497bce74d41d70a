"""Every point estimate against fairlearn and scikit-learn, on Adult and COMPAS by sex, race and both, unweighted and weighted."""

from functools import cache
from itertools import product

import fairlearn.metrics as fairlearn
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfair.constraints import CONSTRAINTS, GROUP_RATES, Cells, count, group_rate
from cfair.constraints.calibration_error import calibration_curve, raw_error
from cfair.constraints.definition import Definition
from cfair.constraints.rates import error_odds
from cfair.constraints.scores import bin_scores
from cfair.constraints.thresholds import at_thresholds
from cfair.data import builtin_path

OUTCOMES = {"adult": "income_over_50k", "compas": "two_year_recid"}
QUICK = {("adult", ("sex", "race"), True)}  # and COMPAS: fairlearn takes seconds on Adult, by which each of the others is slow
CASES = [
    pytest.param(case, id=str(case), marks=() if case in QUICK or case[0] == "compas" else pytest.mark.slow)
    for case in product(OUTCOMES, (("sex",), ("race",), ("sex", "race")), (False, True))
]
Array = NDArray[np.float64]


@cache
def table(name: str, attributes: tuple[str, ...]) -> tuple[Array, Array, Array, Array, int]:
    """Outcomes, scores, groups, weights, and how many groups there are."""
    frame = pd.read_parquet(builtin_path(name))
    y = frame[OUTCOMES[name]].to_numpy(float)
    numbers = frame.select_dtypes("number").drop(columns=OUTCOMES[name]).to_numpy(float)
    design = np.c_[np.ones(len(y)), (numbers - numbers.mean(0)) / numbers.std(0)]
    fitted = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    group, levels = pd.factorize(frame[attributes[0]] if len(attributes) == 1 else frame[attributes[0]] + ", " + frame[attributes[1]])
    weights = np.random.default_rng(0).gamma(1.0, size=len(y)) * (1 + y)
    return y, fitted.clip(0.01, 0.99), group.astype(float), weights, len(levels)


def counted(case: tuple[str, tuple[str, ...], bool]) -> tuple[Array, Array, Array, Array | None, Cells]:
    """Outcomes, decisions, groups and weights, and the cells of them."""
    name, attributes, weighted = case
    y, score, group, weights, groups = table(name, attributes)
    decision, w = (score >= 0.4).astype(float), weights if weighted else None
    cells = count(*map(torch.from_numpy, (y, decision, group)), groups, None if w is None else torch.from_numpy(w))
    return y, decision, group, w, cells


def close(found: Tensor | list[float], expected: object) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected, float), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_rates_of_groups_are_fairlearns_and_scikit_learns(case: tuple[str, tuple[str, ...], bool]) -> None:
    y, decision, group, w, cells = counted(case)
    metrics = {
        "selection_rate": fairlearn.selection_rate,
        "true_positive_rate": fairlearn.true_positive_rate,
        "false_positive_rate": fairlearn.false_positive_rate,
        "positive_predictive_value": lambda y_true, y_pred, **more: sklearn.metrics.precision_score(
            y_true, y_pred, zero_division=0, **more
        ),
    }
    more = {} if w is None else {"sample_params": {name: {"sample_weight": w} for name in metrics}}
    frame = fairlearn.MetricFrame(metrics=metrics, y_true=y, y_pred=decision, sensitive_features=group, **more)
    for name in metrics:
        close([group_rate(name, cells[g]).value or 0.0 for g in range(len(frame.by_group))], frame.by_group[name])


@pytest.mark.parametrize("case", CASES)
def test_differences_and_ratios_are_fairlearns(case: tuple[str, tuple[str, ...], bool]) -> None:
    y, decision, group, w, cells = counted(case)
    for name in ("demographic_parity", "equal_opportunity", "equalized_odds"):
        for form in ("difference", "ratio"):
            metric = getattr(fairlearn, f"{name}_{form}")
            close(getattr(CONSTRAINTS[name], form)(cells.weight), metric(y, decision, sensitive_features=group, sample_weight=w))
    for form in ("difference", "ratio"):
        metric = getattr(fairlearn, f"equalized_odds_{form}")
        mean = getattr(CONSTRAINTS["equalized_odds"], form)(cells.weight, Definition(strata="mean"))
        close(mean, metric(y, decision, sensitive_features=group, sample_weight=w, agg="mean"))


@pytest.mark.parametrize("case", CASES)
def test_the_other_rates_are_those_of_scikit_learns_confusion_matrix(case: tuple[str, tuple[str, ...], bool]) -> None:
    y, decision, group, w, cells = counted(case)
    precision, odds = [], []
    for g in range(len(cells.weight)):
        own = group == g
        matrix = sklearn.metrics.confusion_matrix(y[own], decision[own], labels=[0, 1], sample_weight=None if w is None else w[own])
        close(cells.weight[g], matrix)
        (_, fp), (fn, tp) = matrix
        precision.append(tp / (tp + fp) if tp + fp else np.nan)
        odds.append(fn / fp if fp else np.nan)
        if fn + fp:
            close([group_rate("false_negative_share", cells[g]).value], [fn / (fn + fp)])
        found = error_odds(cells[g]).value
        assert (found is None) == (fp == 0)
        if fp:
            close([found], [fn / fp])
    for name, rates in (("predictive_parity", precision), ("treatment_equality", odds)):
        close(CONSTRAINTS[name].difference(cells.weight), np.max(rates) - np.min(rates))
        close(CONSTRAINTS[name].ratio(cells.weight), np.min(rates) / np.max(rates))
    assert set(GROUP_RATES) == {
        "selection_rate",
        "base_rate",
        "true_positive_rate",
        "false_positive_rate",
        "positive_predictive_value",
        "false_negative_share",
    }


@pytest.mark.parametrize("name", OUTCOMES)
def test_calibration_curves_are_those_of_bins_of_equal_count(name: str) -> None:
    y, score, _, _, _ = table(name, ("sex",))
    distinct = score + np.arange(len(score)) * 1e-12
    scored = bin_scores(torch.from_numpy(y), torch.from_numpy(distinct), torch.zeros(len(y), dtype=torch.int64), 1)
    curve, sizes = calibration_curve(scored), scored.binned.people[0].numpy()
    order = np.argsort(distinct)
    edges = np.cumsum(sizes).astype(int)[:-1]
    close(curve.observed[0], [part.mean() for part in np.split(y[order], edges)])
    close(curve.score[0], [part.mean() for part in np.split(distinct[order], edges)])
    assert sizes.max() - sizes.min() <= 1
    by_hand = sum(abs((y[order] - distinct[order])[part].sum()) for part in np.split(np.arange(len(y)), edges)) / len(y)
    close(raw_error(scored), [by_hand])


@pytest.mark.parametrize("name", OUTCOMES)
def test_counts_at_thresholds_are_those_of_each_threshold(name: str) -> None:
    y, score, group, weights, groups = (torch.from_numpy(each) if isinstance(each, np.ndarray) else each for each in table(name, ("race",)))
    thresholds = torch.tensor([0.05, 0.2, 0.5, 0.9], dtype=torch.float64)
    found = at_thresholds(y, score, group, groups, thresholds=thresholds, weights=weights)
    for t, threshold in enumerate(thresholds):
        expected = count(y, (score >= threshold).double(), group, groups, weights)
        for here, there in (
            (found.cells.people, expected.people),
            (found.cells.weight, expected.weight),
            (found.cells.square, expected.square),
        ):
            torch.testing.assert_close(here[t], there, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("name", OUTCOMES)
def test_rates_at_every_threshold_are_scikit_learns_curve(name: str) -> None:
    y, score, group, _, groups = table(name, ("sex",))
    found = at_thresholds(*map(torch.from_numpy, (y, score, group)), groups)
    rates = CONSTRAINTS["equalized_odds"].rates(found.cells.weight)  # (thresholds, 2, groups)
    for g in range(groups):
        fpr, tpr, at = sklearn.metrics.roc_curve(y[group == g], score[group == g], drop_intermediate=False)
        place = np.searchsorted(found.values.numpy(), at)
        close(rates[place, 0, g], fpr)
        close(rates[place, 1, g], tpr)
