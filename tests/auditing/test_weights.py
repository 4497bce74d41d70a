"""An audit of weighted people: laws, and figures computed another way."""

import re
from dataclasses import replace
from functools import cache
from math import comb

import numpy as np
import pytest
import torch
from torch import Tensor

from cfair.auditing import Report, audit
from cfair.comparing import People, Row, overall_rows
from cfair.errors import QueryError
from cfair.inference import abduct
from cfair.interfaces import Columns, Predictor
from cfair.predictors import PREDICTORS
from cfair.scm import SCM
from cfair.worlds import counterfactual

from school import OUTCOMES, people, school

ALL = ("constant", "full", "unaware", "nondescendants", "latent", "residual")
N, DRAWS = 300, 4
Z = 1.959963984540054
TELLS = re.compile(r"_p$|_shrunken$|^calibration_")  # say how much people tell: weighted ones tell less than as many would


@cache
def fitted(outcome: str) -> tuple[SCM, dict[str, Predictor], Columns]:
    scm, train = people(school(outcome), 400)
    worlds = [abduct(scm, train, draws=4)]
    return scm, {name: PREDICTORS[name](scm).fit(worlds, train["y"]) for name in ALL}, people(school(outcome), N, seed=1)[1]


def weights() -> Tensor:
    """Weights 0, 1, 2 and 3."""
    return torch.randint(0, 4, (N,), generator=torch.Generator().manual_seed(9)).double()


def audited(outcome: str, weighted: Tensor | None, taken: Tensor | None = None, *, least: int = 1) -> Report:
    """The report on the N people with these weights, or on those ``taken`` of them."""
    scm, predictors, test = fitted(outcome)
    columns = replace(test, weights=weighted)
    return audit(scm, predictors, columns if taken is None else columns.take(taken), draws=DRAWS, min_group_size=least)


def alike(here: Report, there: Report, *, intervals: bool = True, rel: float = 1e-9) -> None:
    """The same rows, the same numbers."""
    assert len(here.rows) == len(there.rows)
    for a, b in zip(here.rows, there.rows, strict=True):
        assert replace(a, value=None, low=None, high=None, n=None) == replace(b, value=None, low=None, high=None, n=None)
        assert near(a.value, b.value, rel), a
        assert not intervals or (near(a.low, b.low, rel) and near(a.high, b.high, rel) and a.n == b.n), a


def near(here: float | None, there: float | None, rel: float) -> bool:
    """Two numbers, or nothing twice."""
    return here is there is None or (here is not None and there is not None and here == pytest.approx(there, rel=rel, abs=1e-10))


def row(report: Report, *key: str | None) -> Row:
    """The row of this predictor, measure, attribute, group and world, as many as apply."""
    wanted = (*key, *[None] * (5 - len(key)))
    (found,) = [each for each in report.rows if (each.predictor, each.measure, each.attribute, each.group, each.world) == wanted]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_weights_of_1_say_what_no_weights_say(outcome: str) -> None:
    alike(audited(outcome, torch.ones(N, dtype=torch.float64)), audited(outcome, None), rel=1e-12)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_whole_weights_say_of_every_measure_what_so_many_people_say(outcome: str) -> None:
    often = torch.arange(N).repeat_interleave(weights().long())
    found = (audited(outcome, weights()), audited(outcome, None, often))
    alike(
        *(replace(each, rows=tuple(row for row in each.rows if not TELLS.search(row.measure))) for each in found),
        intervals=False,
        rel=1e-10,
    )


@pytest.mark.slow
@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("scale", [1e-170, 1 / 7, 4_000.0, 1e150])
def test_the_unit_of_weights_changes_no_number(outcome: str, scale: float) -> None:
    alike(audited(outcome, weights() * scale), audited(outcome, weights()))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_people_of_weight_0_change_no_number(outcome: str) -> None:
    alike(audited(outcome, weights()), audited(outcome, weights(), weights().nonzero()[:, 0]))


@pytest.mark.slow
def test_the_block_size_changes_no_weighted_number() -> None:
    scm, predictors, test = fitted("bernoulli")
    columns = replace(test, weights=weights())
    alike(audit(scm, predictors, columns, draws=DRAWS, min_group_size=1, block_rows=7), audited("bernoulli", weights()))


@pytest.mark.parametrize("name", ["full", "unaware", "residual"])
def test_a_weighted_gap_is_the_weighted_mean_of_how_far_people_move(name: str) -> None:
    scm, predictors, test = fitted("gaussian")
    factual = abduct(scm, test, draws=DRAWS)
    moved = predictors[name].predict(counterfactual(scm, factual, {"race": "h"})) - predictors[name].predict(factual)
    black = (test["race"] == 1) & (weights() > 0)
    far, signed, w = (each[black].numpy() for each in (moved.abs().mean(0), moved.mean(0), weights()))
    mean = np.average(far, weights=w)
    error = np.sqrt(np.average((far - mean) ** 2, weights=w) / (w.sum() ** 2 / (w**2).sum() - 1))
    found = row(audited("gaussian", weights()), name, "gap_same_noise", "race", "b", "race=h")
    assert (found.value, found.n) == (pytest.approx(mean, rel=1e-12), int(black.sum()))
    assert (found.low, found.high) == (pytest.approx(mean - Z * error, rel=1e-9), pytest.approx(mean + Z * error, rel=1e-9))
    opposite = row(audited("gaussian", weights()), name, "gap_same_noise_signed", "race", "b", "race=h")
    assert opposite.value == pytest.approx(np.average(signed, weights=w), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_interval_of_an_accuracy_by_group_is_wilsons_with_the_effective_number(weighted: bool) -> None:
    _, predictors, test = fitted("bernoulli")
    w = weights() if weighted else torch.ones(N, dtype=torch.float64)
    report = audited("bernoulli", weights() if weighted else None)
    right = (predictors["full"].deploy(test, N) >= 0.5) == (test["y"] == 1)
    for group, level in (("f", 1), ("m", 0), (None, None)):
        own = w * (test["sex"] == level) if level is not None else w
        share, size = float((own * right).sum() / own.sum()), float(own.sum() ** 2 / own.square().sum())
        found = row(report, "full", "accuracy", "sex" if group else None, group)
        assert found.value == pytest.approx(share, rel=1e-12)
        for end in (found.low, found.high):  # Wilson's ends solve (p − π)² = z²·π(1 − π)/n
            assert (share - end) ** 2 == pytest.approx(Z**2 * end * (1 - end) / size, rel=1e-9)


def test_a_group_of_which_everyone_is_predicted_right_has_an_interval() -> None:
    scm, predictors, test = fitted("bernoulli")
    right = ((predictors["full"].deploy(test, N) >= 0.5) == (test["y"] == 1)).nonzero()[:5, 0]
    found = row(audit(scm, predictors, test.take(right), draws=1), "full", "accuracy")
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(5 / (5 + Z**2))  # Wilson of 5 in 5: 1/(1 + z²/n)


def test_a_group_is_large_by_its_people_not_by_their_weight() -> None:
    _, _, test = fitted("bernoulli")
    rare = test["race"] == 2
    w = torch.where(rare, 1_000.0, 1.0).double()
    w[rare.nonzero()[10:, 0]] = 0.0
    report = audited("bernoulli", w, least=11)
    text = next(each.text for each in report.assumptions if each.name == "small_groups")
    assert "h (10)" in text
    small = [each.value for each in report.rows if each.measure == "gap_same_noise" and each.group == "h"]
    assert max(small) > 0
    worst = row(report, "full", "gap_same_noise_worst", "race").value
    assert worst == max(each.value for each in report.rows if each.measure == "gap_same_noise" and each.group in ("w", "b"))


def test_the_report_says_that_weights_were_used_and_what_they_are_worth() -> None:
    scm, predictors, test = fitted("gaussian")
    facts = replace(test.facts, weights="stands for", weightless=int((weights() == 0).sum()))
    report = audit(scm, predictors, replace(test, weights=weights(), facts=facts), draws=1)
    w = weights()
    assert report.options["weights"] == "stands for"
    assert report.data["audited_rows"] == int((w > 0).sum())
    assert report.data["weightless"] == int((w == 0).sum())
    assert report.data["effective_rows"] == pytest.approx(float(w.sum() ** 2 / w.square().sum()))
    assert "'stands for'" in next(each.text for each in report.assumptions if each.name == "weights")
    plain = audited("gaussian", None)
    assert plain.options["weights"] is None
    assert "effective_rows" not in plain.data


@pytest.mark.parametrize(("weight", "said"), [(0.0, "nobody has a weight above 0"), (-1.0, "negative"), (float("nan"), "not a number")])
def test_what_cannot_be_weights_is_refused(weight: float, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        audited("gaussian", torch.full((N,), weight, dtype=torch.float64))


@pytest.mark.parametrize("p", [0.7, 0.9, 0.95, 0.98])
def test_the_interval_of_a_small_groups_accuracy_covers_about_as_often_as_it_says(p: float) -> None:
    """Every number right among 12 people, each with its probability: no sampling."""
    n, covered = 12, 0.0
    for right in range(n + 1):
        y_hat = (torch.arange(n) < right).double()
        (found,) = overall_rows(People(torch.ones(n, dtype=torch.float64), {"p": y_hat}), ["accuracy"])
        assert found.low is not None
        assert found.high is not None
        covered += comb(n, right) * p**right * (1 - p) ** (n - right) * (found.low <= p <= found.high)
    assert covered >= 0.88, "a normal interval cut at 1 covers 0.95 in 46 % of the groups"
