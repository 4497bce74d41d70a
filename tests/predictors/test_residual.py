"""Level 3 and the working model that it carries."""

import torch

from cfair.inference import abduct
from cfair.predictors.residual import Residual
from cfair.predictors.row import Unaware
from cfair.spec import ModelSpec

from school import columns_of, people, school


def test_its_residuals_are_those_of_least_squares_on_the_training_rows() -> None:
    scm, columns = people(school(), 500)
    predictor = Residual(scm).fit([abduct(scm, columns, draws=2)], columns["y"])
    assert predictor.sees == ("age", "residual[grade]", "residual[visits]", "residual[track]")
    race = torch.stack([(columns["race"] == j).double() for j in (1, 2)], -1)
    design = torch.cat([torch.ones(500, 1, dtype=torch.float64), race], -1)
    fitted = design @ torch.linalg.lstsq(design, columns["visits"]).solution
    model = predictor.fitted["working"][1]
    torch.testing.assert_close(model.predict(race), fitted)


def test_in_a_linear_model_it_is_invariant_in_the_declared_model_too() -> None:
    nodes = {
        "a": {"mechanism": "bernoulli", "levels": ["0", "1"], "parameters": {"intercept": 0.0, "weights": {}}},
        "u": {"mechanism": "gaussian", "latent": True},
        "x": {
            "mechanism": "gaussian",
            "parents": ["a", "u"],
            "parameters": {"intercept": 1, "weights": {"a=1": 2, "u": 0.7}, "scale": 0.5},
        },
        "y": {"mechanism": "gaussian", "parents": ["x"], "parameters": {"intercept": 0, "weights": {"x": 1}, "scale": 1}},
    }
    scm, columns = people(ModelSpec.model_validate({"protected": ["a"], "outcome": "y", "nodes": nodes}), 40_000)
    world = [abduct(scm, columns, draws=1)]
    moved = columns_of({**columns, "a": 1 - columns["a"], "x": columns["x"] + 2.0 * (1 - 2 * columns["a"])})
    unaware, residual = Unaware(scm).fit(world, columns["y"]), Residual(scm).fit(world, columns["y"])
    gap = {p.name: (p.deploy(moved, 40_000) - p.deploy(columns, 40_000)).abs().mean() for p in (unaware, residual)}
    error = 2 * 0.74**0.5 / 40_000**0.5  # standard error of the fitted effect of a on x, whose residual variance is 0.74
    assert gap["residual"] < 5 * error < gap["unaware"]
