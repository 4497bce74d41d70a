"""Level 2 in its two variants."""

import torch

from cfair.inference import abduct, expectation, posterior
from cfair.predictors.latent import Latent, LatentDraws, LatentPosteriorMean

from school import people, school


def test_the_plug_in_reads_the_posterior_mean() -> None:
    scm, columns = people(school(), 300)
    predictor = LatentPosteriorMean(scm).fit([abduct(scm, columns, draws=3)], columns["y"])
    features = torch.stack([columns["age"], posterior(scm, columns).mean["talent"]], -1)
    if predictor.sees == ("talent", "age"):
        features = features.flip(-1)
    torch.testing.assert_close(predictor.deploy(columns, 300), predictor.fitted.predict(features))


def test_algorithm_1_attenuates_a_linear_slope_by_the_latents_reliability() -> None:
    scm, columns = people(school(), 4_000)
    world = abduct(scm, columns, draws=50)
    slope = {variant.name: _slope(variant(scm).fit([world], columns["y"])) for variant in (LatentPosteriorMean, LatentDraws)}
    moments = posterior(scm, columns)
    explained, left = moments.mean["talent"].var(correction=0), moments.sd["talent"].square().mean()
    assert abs(slope["latent_draws"] / slope["latent_posterior_mean"] - explained / (explained + left)) < 0.01


def _slope(predictor: LatentPosteriorMean | LatentDraws) -> float:
    return float(predictor.fitted.coefficients[predictor.sees.index("talent")])


def test_a_deployed_mean_over_draws_is_an_integral_not_a_sample() -> None:
    scm, columns = people(school("bernoulli"), 300)
    predictor = LatentDraws(scm).fit([abduct(scm, columns, draws=50)], columns["y"])
    grid = torch.linspace(-7, 7, 4_001, dtype=torch.float64)
    means = expectation(scm, columns, lambda values: (values["talent"] > 0).double(), n=300)
    assert ((means >= 0) & (means <= 1)).all()
    weight, age = (float(predictor.fitted.coefficients[predictor.sees.index(node)]) for node in ("talent", "age"))
    moments = posterior(scm, columns)
    center, sd = moments.mean["talent"].unsqueeze(-1), moments.sd["talent"].unsqueeze(-1)
    normal = torch.exp(-grid.square() / 2)  # the posterior is close to normal, and the integral must be close to this one
    logits = float(predictor.fitted.intercept) + age * columns["age"].unsqueeze(-1) + weight * (center + sd * grid)
    expected = (torch.sigmoid(logits) * normal).sum(-1) / normal.sum()
    assert (predictor.deploy(columns, 300) - expected).abs().max() < 5e-3


def test_the_variant_with_the_smaller_validation_loss_is_chosen() -> None:
    scm, columns = people(school(), 1_000)
    predictor = Latent(scm).fit([abduct(scm, columns, draws=20)], columns["y"])
    assert predictor.chosen.name == min(predictor.losses, key=lambda name: predictor.losses[name]) == "latent_posterior_mean"
    assert predictor.losses["latent_posterior_mean"] < predictor.losses["latent_draws"]
