"""One-step estimates against closed forms, enumeration and numerical derivatives."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from cfair.effects.doubly_robust import MEDIATED, OneStep, estimate, one_step
from cfair.effects.folds import CrossFitting, split
from cfair.effects.learners import Learners, learners_for, learners_from
from cfair.effects.nuisances import Nuisances, cross_fit
from cfair.effects.observations import Observations, observations
from cfair.effects.records import TERMS
from cfair.errors import CfairError, CodeError, QueryError

from designs import BINARY, CURVED, DESIGNS, LINEAR, THREE, Design, coverage, terms_from

Floats = NDArray[np.float64]
REAL, EVENT = learners_for("linear", False), learners_for("linear", True)
PLAIN = CrossFitting(learners=REAL)
WAYS = ("forward", "reverse")


def sample(design: Design, n: int = 2_000, seed: int = 0) -> Observations:
    return design.sample(n, np.random.default_rng(seed))


def effects(found: OneStep) -> dict[tuple[str, str], tuple[float, float]]:
    both = {"forward": found.forward, "reverse": found.reverse}
    return {(way, term): (each.value, each.standard_error) for way in WAYS for term, each in both[way].items()}


def assert_centred(found: OneStep, design: Design) -> None:
    for (way, term), (value, error) in effects(found).items():
        assert abs(value - design.truth[way][term]) <= 5 * error, f"{way} {term}: {value} is not {design.truth[way][term]} ± {error}"


# --- the influence functions themselves: a discrete population, its nuisances known, its terms differentiated numerically

LEVELS, Y = (0, 1, -1), np.array([-1.0, 0.5, 2.0])


def population(seed: int) -> Floats:
    """A random joint distribution of x (in the order of ``LEVELS``), z of 3, w of 2 and y of 3 values."""
    table = np.random.default_rng(seed).uniform(0.2, 1.0, (3, 3, 2, 3))
    return np.asarray(table / table.sum())


def enumerated(p: Floats) -> dict[str, dict[str, float]]:
    """Every term of the population, from the formula of identification."""
    given_zw = p / p.sum(axis=3, keepdims=True)
    w_given_z = p.sum(axis=3) / p.sum(axis=(2, 3))[:, :, None]

    def mean(a: int, b: int, c: object) -> float:
        z = p.sum(axis=(0, 2, 3)) if c == "all" else p[c].sum(axis=(1, 2)) / p[c].sum()
        return float(np.einsum("z,zw,zwy,y->", z, w_given_z[b], given_zw[a], Y))

    return terms_from(mean)


def known(p: Floats) -> tuple[Observations, Nuisances]:
    """A row per cell, weighing its probability, and the true nuisances of each."""
    x, z, w, y = (axis.ravel() for axis in np.indices(p.shape))
    in_x_z, in_x_z_w, outcome = p.sum(axis=(2, 3)), p.sum(axis=3), (p @ Y) / p.sum(axis=3)
    nuisances = Nuisances(
        {a: (in_x_z / in_x_z.sum(axis=0))[a, z] for a in (0, 1)},
        {a: (in_x_z_w / in_x_z_w.sum(axis=0))[a, z, w] for a in (0, 1)},
        {a: ((p @ Y).sum(axis=2) / in_x_z)[a, z] for a in (0, 1)},
        {a: outcome[a, z, w] for a in (0, 1)},
        {(a, b): ((outcome[a] * in_x_z_w[b]).sum(axis=1) / in_x_z[b])[z] for a, b in ((0, 1), (1, 0))},
    )
    return observations(np.array(LEVELS)[x], z, w, Y[y], p.ravel()), nuisances


@pytest.mark.parametrize("seed", range(3))
def test_every_influence_is_the_derivative_of_its_term_towards_that_person(seed: int) -> None:
    p, step = population(seed), 1e-5
    rows, nuisances = known(p)
    for way, back in (("forward", False), ("reverse", True)):
        found = estimate(rows, nuisances, reverse=back)
        for term in TERMS:
            assert found[term].value == pytest.approx(enumerated(p)[way][term], abs=1e-12)
            slopes = []
            for cell in np.ndindex(p.shape):
                towards = -p.copy()
                towards[cell] += 1
                up, down = (enumerated(p + sign * step * towards)[way][term] for sign in (1, -1))
                slopes.append((up - down) / (2 * step))
            assert_allclose(found[term].influence / rows.weights, slopes, rtol=1e-6, atol=1e-7, err_msg=f"{way} {term}")


# --- estimates from rows


@pytest.mark.parametrize("name", ["linear", "binary", "three"])
def test_every_term_is_within_five_standard_errors_of_its_closed_form(name: str) -> None:
    found = one_step(sample(DESIGNS[name]), CrossFitting(learners=learners_for("linear", name == "binary")))
    assert (set(found.forward), set(found.reverse)) == (set(TERMS), set(TERMS))
    assert_centred(found, DESIGNS[name])


def test_boosted_learners_follow_what_is_not_linear() -> None:
    rows = sample(CURVED, 3_000)
    found = one_step(rows, CrossFitting(learners=learners_for("boosted", False), folds=2))
    assert_centred(found, CURVED)


@pytest.mark.parametrize("design", [LINEAR, THREE])
def test_terms_add_up_and_influences_have_mean_0(design: Design) -> None:
    rows = sample(design)
    found = one_step(rows, PLAIN)
    for way in (found.forward, found.reverse):
        assert all(abs(effect.influence.mean()) < 1e-12 for effect in way.values())
        for total, parts in (
            ("tv", [("ctf_de", 1), ("ctf_ie", -1), ("ctf_se", -1)]),
            ("ett", [("ctf_de", 1), ("ctf_ie", -1)]),
            ("te", [("nde", 1), ("nie", -1)]),
            ("tv", [("te", 1), ("exp_se_to", 1), ("exp_se_from", -1)]),
        ):
            assert way[total].value == pytest.approx(sum(sign * way[term].value for term, sign in parts), abs=1e-12)
            assert_allclose(way[total].influence, sum(sign * way[term].influence for term, sign in parts), atol=1e-11)


def test_the_total_variation_is_the_difference_of_means_with_its_standard_error() -> None:
    rows = sample(LINEAR)
    tv = one_step(rows, PLAIN, ["tv"]).forward["tv"]
    one, zero = rows.y[rows.x == 1], rows.y[rows.x == 0]
    assert tv.value == pytest.approx(one.mean() - zero.mean(), abs=1e-12)
    assert tv.standard_error == pytest.approx((one.var() / len(one) + zero.var() / len(zero)) ** 0.5, rel=1e-12)
    interval = tv.estimate()
    assert interval.low is not None
    assert interval.high is not None
    assert (interval.high - interval.low) / 2 == pytest.approx(1.959964 * tv.standard_error, rel=1e-6)


def test_a_difference_of_two_effects_has_the_standard_error_of_a_difference() -> None:
    found = one_step(sample(LINEAR), PLAIN).forward
    moved = found["nde"] - found["te"]
    assert moved.value == pytest.approx(found["nie"].value, abs=1e-12)
    assert moved.standard_error == pytest.approx(found["nie"].standard_error, rel=1e-10)


def test_a_weight_counts_as_so_many_repeated_rows() -> None:
    for rows, learners in ((sample(LINEAR, 600), REAL), (sample(BINARY, 600), EVENT)):
        times, how = np.random.default_rng(1).integers(1, 4, 600), CrossFitting(learners=learners)
        fold = split(rows, 5, 0)
        weighted = observations(rows.x, rows.z, rows.w, rows.y, times * 7.0)
        repeated = rows.take(np.repeat(np.arange(600), times))
        mediated = ((1, 0), (0, 1))
        one = estimate(weighted, cross_fit(weighted, fold, how, mediated=mediated))
        many = estimate(repeated, cross_fit(repeated, np.repeat(fold, times), how, mediated=mediated))
        assert all(one[term].value == pytest.approx(many[term].value, abs=1e-8) for term in TERMS)


def test_weights_that_undo_a_selection_give_the_effects_of_the_whole_population() -> None:
    everybody, generator = sample(LINEAR, 6_000), np.random.default_rng(2)
    chance = np.where(everybody.y > 0.5, 0.95, 0.15)
    chosen = everybody.take(np.flatnonzero(generator.random(6_000) < chance))
    found = one_step(observations(chosen.x, chosen.z, chosen.w, chosen.y, 1 / np.where(chosen.y > 0.5, 0.95, 0.15)), PLAIN)
    assert_centred(found, LINEAR)
    tilted = one_step(chosen, PLAIN).forward["tv"]
    assert abs(tilted.value - LINEAR.truth["forward"]["tv"]) > 5 * tilted.standard_error


def test_the_order_of_people_and_people_of_weight_0_change_nothing() -> None:
    rows = sample(LINEAR, 500)
    found = one_step(rows, PLAIN)
    order = np.random.default_rng(3).permutation(500)
    shuffled = one_step(rows.take(order), PLAIN)
    weights = np.append(np.ones(500), 0.0)
    more = observations(
        np.append(rows.x, 0), np.append(rows.z, [[99.0]], 0), np.append(rows.w, [[9.0, 9.0]], 0), np.append(rows.y, 1e6), weights
    )
    padded = one_step(more, PLAIN)
    assert effects(shuffled) == effects(found)
    assert np.array_equal(shuffled.forward["nde"].influence, found.forward["nde"].influence[order])
    assert padded.forward["nde"].influence[-1] == 0
    for key, (value, error) in effects(padded).items():
        assert (value, error) == (pytest.approx(effects(found)[key][0], abs=1e-12), pytest.approx(effects(found)[key][1], rel=1e-12))


def test_tensors_serve_as_well_as_arrays() -> None:
    rows = sample(LINEAR, 300)
    tensors = observations(*(torch.as_tensor(each) for each in (rows.x, rows.z, rows.w, rows.y)))
    assert effects(one_step(tensors, PLAIN)) == effects(one_step(rows, PLAIN))


def test_without_confounders_nothing_is_spurious_and_without_mediators_nothing_is_indirect() -> None:
    rows = sample(LINEAR)
    no_z = one_step(observations(rows.x, np.empty((2_000, 0)), rows.w, rows.y), PLAIN).forward
    assert [no_z[term].value for term in ("ctf_se", "exp_se_from", "exp_se_to")] == [0, 0, 0]
    assert no_z["te"].value == no_z["ett"].value == no_z["tv"].value
    no_w = one_step(observations(rows.x, rows.z, np.empty((2_000, 0)), rows.y), PLAIN)
    assert [no_w.forward[term].value for term in ("nie", "ctf_ie")] == [0, 0]
    assert no_w.forward["nde"].value == no_w.forward["te"].value
    assert no_w.trimmed_zw == 0


def test_people_of_other_levels_count_in_the_effects_on_all_and_in_no_other() -> None:
    rows = sample(THREE)
    two = rows.take(np.flatnonzero(rows.x >= 0))
    with_others, without = one_step(rows, PLAIN).forward, one_step(two, PLAIN).forward
    for term in ("ett", "ctf_de", "ctf_ie", "ctf_se"):
        assert with_others[term].value == pytest.approx(without[term].value, abs=0.05 * without[term].standard_error + 0.01)
    moved = rows.take(np.arange(len(rows.x)))
    moved.y[moved.x < 0] += 1e3  # their outcomes are never looked at
    assert one_step(moved, PLAIN).forward["te"].value == pytest.approx(with_others["te"].value, abs=1e-9)


# --- double robustness

NO_OUTCOME = Learners(REAL.propensity, DummyRegressor, DummyRegressor)
NO_PROPENSITY = Learners(DummyClassifier, REAL.outcome, REAL.nested)
NEITHER = Learners(DummyClassifier, DummyRegressor, DummyRegressor)


@pytest.mark.parametrize("learners", [NO_OUTCOME, NO_PROPENSITY], ids=["outcome", "propensity"])
def test_either_the_outcome_or_the_propensities_may_be_wrong(learners: Learners) -> None:
    assert_centred(one_step(sample(LINEAR, 20_000), CrossFitting(learners=learners)), LINEAR)


def test_both_may_not() -> None:
    found = effects(one_step(sample(LINEAR, 20_000), CrossFitting(learners=NEITHER)))
    for term in ("te", "nde", "nie", "ctf_de", "ctf_ie", "ctf_se"):
        value, error = found["forward", term]
        assert abs(value - LINEAR.truth["forward"][term]) > 5 * error, term


# --- learners


def test_a_pair_of_estimators_serves_as_the_named_learners_do() -> None:
    rows = sample(LINEAR, 1_000)
    pair = learners_from(make_pipeline(StandardScaler(), LogisticRegression(C=1e4, tol=1e-8)), LinearRegression(), binary=False)
    own, named = (effects(one_step(rows, CrossFitting(learners=each))) for each in (pair, REAL))
    assert all(own[key] == pytest.approx(named[key], abs=1e-3) for key in named)


def test_fractional_regression_finds_the_line_of_shares_and_is_logistic_for_events() -> None:
    features = np.random.default_rng(0).standard_normal((500, 2))
    shares = 1 / (1 + np.exp(-(0.3 + features @ np.array([0.8, -0.5]))))
    learner = EVENT.nested()
    learner.fit(features, shares)
    assert_allclose(learner.predict(features), shares, atol=1e-5)
    events = (np.random.default_rng(1).random(500) < shares).astype(float)
    learner.fit(features, events)
    plain = LogisticRegression(C=1e6, tol=1e-8).fit(features, events)
    assert_allclose(learner.predict(features), plain.predict_proba(features)[:, 1], atol=1e-4)


def test_an_open_random_state_is_the_seed() -> None:
    pair = learners_from(make_pipeline(StandardScaler(), LogisticRegression()), DummyRegressor(), binary=False, seed=7)
    assert pair.propensity().get_params()["logisticregression__random_state"] == 7


# --- mistakes


def few(events: int) -> Observations:
    """Fifty rows of each level, of which so many of x1 have the outcome 1."""
    y = np.concatenate([np.arange(50) % 2, np.arange(50) < events]).astype(float)
    z = np.tile(np.linspace(-1, 1, 50), 2)
    return observations(np.repeat([0, 1], 50), z, z**2, y)


def apart() -> Observations:
    generator = np.random.default_rng(0)
    x = np.arange(400) % 2
    return observations(x, x * 20.0 + generator.standard_normal(400), generator.standard_normal(400), generator.standard_normal(400))


def apart_in_mediators() -> Observations:
    generator = np.random.default_rng(0)
    x = np.arange(400) % 2
    return observations(x, generator.standard_normal(400), x * 20.0 + generator.standard_normal(400), generator.standard_normal(400))


class Failing(DummyRegressor):
    def fit(self, features: Floats, values: Floats, sample_weight: Floats | None = None) -> "Failing":
        raise ValueError("no such luck")


class Wandering(DummyRegressor):
    def predict(self, features: Floats, return_std: bool = False) -> Floats:
        return np.full(len(features), np.nan)


def weighted_rows() -> Observations:
    rows = sample(LINEAR, 200)
    return observations(rows.x, rows.z, rows.w, rows.y, np.linspace(1, 2, 200))


NEIGHBOURS = CrossFitting(learners=learners_from(KNeighborsClassifier(), KNeighborsRegressor(), binary=False))


@pytest.mark.parametrize(
    ("wrong", "where", "mend"),
    [
        (lambda: learners_for("bosted", False), "learners", "did you mean 'boosted'?"),
        (lambda: learners_from(LinearSVC(), LinearRegression(), binary=False), "learners", "LogisticRegression"),
        (lambda: learners_from(LogisticRegression(), LogisticRegression(), binary=False), "learners", "RandomForestRegressor"),
        (lambda: CrossFitting(learners=REAL, folds=1), "folds", "use 5"),
        (lambda: CrossFitting(learners=REAL, trim=0.0), "trim", "use 0.02"),
        (lambda: CrossFitting(learners=REAL, most_trimmed=2.0), "most_trimmed", "use 0.1"),
        (lambda: observations([0, 0, 0], [1, 2, 3], [1, 2, 3], [1, 2, 3]), "x", "two levels that the rows have"),
        (lambda: observations([0, 1, 2], [1, 2, 3], [1, 2, 3], [1, 2, 3]), "x", "code x0 as 0"),
        (lambda: observations([0, 1], [1, 2], [1, np.nan], [1, 2]), "w", "leave out its row"),
        (lambda: observations([0, 1], [1, 2, 3], [1, 2], [1, 2]), "z", "shape (2, columns)"),
        (lambda: observations([0, 1], [1, 2], [1, 2], [1, np.inf]), "y", "leave out rows"),
        (lambda: observations([0, 1], [1, 2], [1, 2], [1, 2], [1, -1]), "weights", "0 or more"),
        (lambda: observations([0, 1], [1, 2], [1, 2], [1, 2], [1, 0]), "x", "two levels that the rows have"),
        (lambda: one_step(few(0), CrossFitting(learners=EVENT)), "folds", "more rows"),
        (lambda: one_step(few(4), CrossFitting(learners=EVENT)), "folds", "use fewer folds"),
        (lambda: one_step(sample(LINEAR), PLAIN, ["ndd"]), "terms", "did you mean 'nde'?"),
        (lambda: one_step(apart(), PLAIN, ["te"]), "propensities", "more alike"),
        (lambda: one_step(apart_in_mediators(), PLAIN), "propensities", "no natural or counterfactual"),
        (lambda: one_step(weighted_rows(), NEIGHBOURS), "learners", "use 'linear'"),
        (lambda: one_step(sample(LINEAR, 200), CrossFitting(learners=EVENT)), "learners", "binary=False"),
    ],
)
def test_a_mistake_is_refused_with_its_mend(wrong: Callable[[], object], where: str, mend: str) -> None:
    with pytest.raises(CfairError) as caught:
        wrong()
    assert caught.value.where == where
    assert mend in caught.value.mend


@pytest.mark.parametrize(("regressor", "problem"), [(Failing(), "ValueError: no such luck"), (Wandering(), "not a number")])
def test_a_learner_that_fails_is_named(regressor: DummyRegressor, problem: str) -> None:
    learners = learners_from(LogisticRegression(), regressor, binary=False)
    with pytest.raises(CodeError, match=problem):
        one_step(sample(LINEAR, 200), CrossFitting(learners=learners))


def test_levels_without_overlap_are_found_before_any_outcome_is_regressed() -> None:
    learners = learners_from(LogisticRegression(), Failing(), binary=False)
    with pytest.raises(QueryError, match="all but excluded given z, the confounders"):
        one_step(apart(), CrossFitting(learners=learners))


def test_levels_that_differ_in_mediators_alone_can_be_compared_without_these() -> None:
    found = one_step(apart_in_mediators(), PLAIN, [term for term in TERMS if term not in MEDIATED])
    assert set(found.forward) == set(TERMS) - set(MEDIATED)
    assert found.trimmed_zw == 0


def test_the_share_of_trimmed_people_is_told() -> None:
    rows = sample(LINEAR)
    found = one_step(rows, CrossFitting(learners=REAL, trim=0.75, most_trimmed=1.0))
    fitted = cross_fit(rows.take(rows.order()), split(rows.take(rows.order()), 5, 0), CrossFitting(learners=REAL, trim=1e-9))
    lowest = {a: 0.75 * (rows.x == a).mean() for a in (0, 1)}
    raised = (fitted.given_z[0] < lowest[0]) | (fitted.given_z[1] < lowest[1])
    assert found.trimmed_z == pytest.approx(raised.mean(), abs=1e-12)
    assert 0.05 < found.trimmed_z < found.trimmed_zw


# --- coverage


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linear", "binary", "three"])
def test_intervals_of_every_term_cover_as_often_as_they_say(name: str) -> None:
    found = coverage(DESIGNS[name], CrossFitting(learners=learners_for("linear", name == "binary")), sets=400, n=2_000, seed=5)
    assert {key: share for key, share in found.share.items() if not 0.91 <= share <= 0.985} == {}
    assert {key: z for key, z in found.z.items() if abs(z) > 5} == {}


@pytest.mark.slow
def test_intervals_from_boosted_learners_cover_nearly_as_often_as_they_say() -> None:
    found = coverage(CURVED, CrossFitting(learners=learners_for("boosted", False)), sets=400, n=10_000)
    assert {key: share for key, share in found.share.items() if share < 0.88} == {}


@pytest.mark.slow
@pytest.mark.parametrize("learners", [NO_OUTCOME, NO_PROPENSITY], ids=["outcome", "propensity"])
def test_estimates_with_one_wrong_half_have_no_mean_error(learners: Learners) -> None:
    found = coverage(LINEAR, CrossFitting(learners=learners), sets=200, n=2_000)
    assert {key: z for key, z in found.z.items() if abs(z) > 5} == {}
