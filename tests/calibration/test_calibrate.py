"""Calibration finds what is wrong, and nothing where nothing is."""

import json
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest
import torch

from cfair import calibrate
from cfair.calibration import Calibration
from cfair.calibration.places import Learner, place_of, places_of
from cfair.calibration.records import Ranked, ranked
from cfair.calibration.truths import simulated, truth
from cfair.cli import main
from cfair.errors import QueryError
from cfair.interfaces import Columns
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.uncertainty import Uncertainty

from oracles import declare

A = {"mechanism": "table", "levels": ["no", "yes"], "parameters": {"probabilities": [{"p": [0.5, 0.5]}]}}
SPEC = declare(
    {
        "a": A,
        "y": {
            "mechanism": "gaussian",
            "parents": ["a"],
            "prior": {"weights": {"normal": 1.0}},
            "parameters": {"intercept": 0.0, "scale": 1.0},
        },
    }
)
SIMULATIONS, DRAWS, N = 120, 99, 10


def conjugate(*, narrow: float = 1.0, prior: float = 1.0) -> Learner:
    """The closed-form posterior of y's weight w ~ Normal(0, 1) on a; its sd times ``narrow``, or at another prior sd."""

    def learner(columns: Columns, seed: int) -> SCM:
        a, y = columns["a"], columns["y"]
        precision = a @ a + 1 / prior**2
        noise = torch.randn(DRAWS, 1, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        draws = (a @ y) / precision + narrow * noise / precision.sqrt()
        scm = SCM(SPEC, {})
        equal = torch.full((DRAWS,), 1 / DRAWS, dtype=torch.float64).log()
        scm.uncertainty = Uncertainty("laplace", {"y": {"linear.weights": draws}}, equal)
        return scm

    return learner


def ranks(learner: Learner) -> Ranked:
    """Of y's weight over the simulations."""
    places = [places_of(SPEC, learner, N, {}, seed=10 * k)[0]["y.linear.weights[0]"] for k in range(SIMULATIONS)]
    return ranked("w", torch.tensor(places))


def test_an_exact_posterior_is_calibrated() -> None:
    found = ranks(conjugate())
    assert found.p > 0.01
    assert abs(found.shift) < 5 * (1 / 12 / SIMULATIONS) ** 0.5
    assert sum(found.counts) == SIMULATIONS


def test_draws_that_are_too_narrow_are_found_and_called_so() -> None:
    found = ranks(conjugate(narrow=0.5))
    assert found.p < 1e-4
    assert found.spread > 1.15


def test_a_wrong_prior_is_found() -> None:
    found = ranks(conjugate(prior=0.2))
    assert found.p < 1e-3


def test_the_place_of_a_draw_among_others_is_uniform_with_ties_too() -> None:
    source = torch.Generator().manual_seed(0)
    coins = torch.randint(0, 2, (2_000, 20), generator=source).double()
    weights = torch.full((19,), 1 / 19, dtype=torch.float64)
    places = torch.tensor([place_of(float(row[0]), row[1:], weights, source) for row in coins])
    assert ranked("coin", places).p > 1e-4
    assert abs(float(places.mean()) - 0.5) < 5 * (1 / 12 / 2_000) ** 0.5


def test_weights_move_a_place() -> None:
    source = torch.Generator().manual_seed(0)
    draws, weights = torch.tensor([0.0, 2.0]), torch.tensor([0.9, 0.1], dtype=torch.float64)
    places = [place_of(1.0, draws, weights, source) for _ in range(50)]
    assert all(0.6 <= place <= 0.934 for place in places)  # (2·0.9 + lot)/3


def test_truths_keep_the_conventions_and_the_fixed_parameters() -> None:
    latent = {"mechanism": "categorical", "latent": True, "levels": ["r", "s", "t"]}
    child = {"mechanism": "gaussian", "parents": ["k"], "parameters": {"scale": 0.5}}
    spec = declare({"a": {**A, "parameters": None}, "k": latent, "g": child, "y": {**child, "parents": ["a", "k"]}})
    for seed in range(5):
        drawn = truth(spec, {}, seed=seed)
        raw = drawn.parameters_in_units()["y"]
        weights = raw["weights"]
        assert isinstance(weights, dict)
        assert 0 < weights["k=s"] < weights["k=t"]
        assert raw["scale"] == pytest.approx(0.5)
    assert drawn.parameters_in_units()["a"] != truth(spec, {}, seed=0).parameters_in_units()["a"]


def test_a_prior_so_wide_that_no_table_holds_its_counts_is_refused_with_a_narrower_one() -> None:
    spec = declare({"a": A, "y": {"mechanism": "poisson", "parents": ["a"], "prior": {"intercept": {"normal": 50.0}}}})
    with pytest.raises(QueryError, match=r"nodes\.y: the prior is so wide .* State narrower priors"):
        calibrate(spec, simulations=100, n=10)


def test_a_rate_beyond_all_numbers_is_refused_too() -> None:
    spec = declare({"a": A, "y": {"mechanism": "poisson", "parents": ["a"], "prior": {"intercept": {"normal": [2000.0, 1.0]}}}})
    with pytest.raises(QueryError, match="so wide"):
        simulated(truth(spec, {}, seed=0), 10, seed=0)


def test_a_table_without_a_prior_and_a_model_without_a_question_are_refused() -> None:
    none = declare({"a": {**A, "parameters": None, "prior": 0}, "y": {"mechanism": "gaussian", "parents": ["a"]}})
    with pytest.raises(QueryError, match="prior of 0"):
        calibrate(none, simulations=100, n=10)
    with pytest.raises(QueryError, match="nothing to calibrate"):
        calibrate(fixed(), simulations=100, n=10)
    with pytest.raises(QueryError, match="Use 10 or more"):
        calibrate(SPEC, simulations=9)
    with pytest.raises(QueryError, match=r"nothing to rank: the model has no latent\. Use 'laplace'"):
        calibrate(SPEC, simulations=10, uncertainty="none")


def fixed() -> ModelSpec:
    """A model whose parameters are all known."""
    y = {"mechanism": "gaussian", "parents": ["a"], "parameters": {"intercept": 0.0, "weights": {"a=yes": 1.0}, "scale": 1.0}}
    return declare({"a": A, "y": y})


def test_the_verdict_goes_by_the_worst_statistic_and_by_what_was_lost() -> None:
    even = tuple([5] * 20)
    good, bad = Ranked("x", 0.2, 0.0, 1.0, even), Ranked("y", 0.004, 0.1, 1.2, even)
    found = calibrated_with((bad, good))
    assert found.smallest == pytest.approx(0.008)
    assert not found.calibrated
    assert calibrated_with((good,)).calibrated
    assert not replace(calibrated_with((good,)), failures={"no top": 2}).calibrated


def calibrated_with(statistics: tuple[Ranked, ...]) -> Calibration:
    return Calibration("m", "quadrature", "laplace", 100, 10, statistics)


def test_the_command_prints_one_document_with_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dag = tmp_path / "dag.yaml"
    dag.write_text(
        "protected: [a]\noutcome: y\nnodes:\n"
        "  a: {mechanism: table, levels: [n, y], prior: 2}\n"
        "  y: {mechanism: table, levels: [n, y], parents: [a], prior: 2}\n"
    )
    assert main(["calibrate", "--dag", str(dag), "--simulations", "100", "--rows", "20", "--quiet", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["calibrated"] is True
    assert document["simulations"] == 100
    assert len(document["statistics"]) == 6
    assert [each["p"] for each in document["statistics"]] == sorted(each["p"] for each in document["statistics"])
    assert document["smallest_p_times_statistics"] < inf


FACTOR = declare(
    {
        "a": A,
        "k": {"mechanism": "gaussian", "latent": True},
        **{
            name: {"mechanism": "bernoulli", "levels": ["no", "yes"], "parents": ["k"], "prior": {"weights": {"normal": 1.0}}}
            for name in ("g", "h")
        },
        "y": {"mechanism": "gaussian", "parents": ["a", "k"]},
    }
)


@pytest.mark.parametrize("engine", ["quadrature", "svi"])
def test_the_latent_of_a_row_is_ranked_at_the_true_parameters_where_none_are_drawn(engine: Any) -> None:
    found = calibrate(FACTOR, simulations=30, n=5, engine=engine, uncertainty="none")
    assert (found.engine, found.uncertainty, found.lost) == (engine, "none", 0)
    assert [each.name for each in found.statistics] == ["k (row 0)"]
    assert len(found.statistics[0].counts) == 6  # five simulations in each
    assert found.calibrated


def test_parameters_of_an_engine_that_draws_none_are_refused_and_auto_leaves_them_out() -> None:
    with pytest.raises(QueryError, match=r"the engine is 'svi'.* Use uncertainty='none'"):
        calibrate(FACTOR, simulations=10, n=10, engine="svi", uncertainty="laplace")
    assert calibrate(FACTOR, simulations=10, n=10, engine="svi").uncertainty == "none"


def test_an_error_that_is_called_visible_is_found_in_four_of_five_cases() -> None:
    """Ranks of 100 simulations that are shifted, or spread, by as much as is said; the one statistic tested as normal."""
    found, dice = calibrated_with((Ranked("x", 0.5, 0.0, 1.0, (20, 20)),)), torch.Generator().manual_seed(0)
    shift, spread = replace(found, simulations=100).visible()
    ranks = torch.rand(4_000, 100, generator=dice, dtype=torch.float64)
    seen = ((ranks + shift).mean(1) - 0.5).abs() > 2.576 / (12 * 100) ** 0.5
    assert float(seen.double().mean()) == pytest.approx(0.8, abs=0.03)
    wide = (ranks * 12**0.5).std(1, correction=0) * spread - 1 > 2.576 * (0.2 / 100) ** 0.5
    assert float(wide.double().mean()) == pytest.approx(0.8, abs=0.1)
    assert found.visible(400) < replace(found, simulations=100).visible()


def test_few_simulations_say_that_they_show_little_and_progress_is_lines_where_there_is_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dag = tmp_path / "dag.yaml"
    dag.write_text(
        "protected: [a]\noutcome: y\nnodes:\n"
        "  a: {mechanism: table, levels: [n, y], prior: 2}\n"
        "  y: {mechanism: table, levels: [n, y], parents: [a], prior: 2}\n"
    )
    assert main(["calibrate", "--dag", str(dag), "--simulations", "20", "--rows", "20"]) == 0
    out, err = capsys.readouterr()
    assert "20 simulations see a shift of 0.26 or a spread of 1.40 in four of five cases, which is little: 400 see 0.06 and 1.09" in out
    assert [line.split(" after")[0] for line in err.splitlines()] == [f"{tenths}0 %" for tenths in range(1, 10)]
