"""Laws that every predictor keeps, whatever it sees."""

from functools import cache

import pytest
import torch

from cfair.access import needs, sees
from cfair.errors import LeakageError, QueryError
from cfair.heads import logistic, multinomial
from cfair.inference import abduct
from cfair.interfaces import Columns, Predictor, World
from cfair.predictors import PREDICTORS
from cfair.scm import SCM
from cfair.worlds import counterfactual

from school import OUTCOMES, SEVERAL, clubs, people, school

DO = {"race": "b", "sex": "f"}
MODELS = (*OUTCOMES, *SEVERAL, "clubs")
everywhere = pytest.mark.parametrize(("name", "outcome"), [(name, outcome) for name in PREDICTORS for outcome in MODELS])


@cache
def fitted(name: str, outcome: str) -> tuple[SCM, Columns, World, Predictor]:
    scm, columns = people(clubs() if outcome == "clubs" else school(outcome), 400)
    factual = abduct(scm, columns, draws=20)
    return scm, columns, factual, PREDICTORS[name](scm).fit([factual], columns["y"])


@everywhere
def test_it_says_what_the_graph_grants_it(name: str, outcome: str) -> None:
    scm, _, _, predictor = fitted(name, outcome)
    assert predictor.sees == sees(scm.spec, name)
    assert set(predictor.needs) == set(needs(scm.spec, name))


@everywhere
def test_predictions_have_one_number_per_draw_and_person_or_one_per_level(name: str, outcome: str) -> None:
    _, columns, factual, predictor = fitted(name, outcome)
    classes = (3,) if outcome in SEVERAL else ()
    assert predictor.predict(factual).shape == (20, 400, *classes)
    assert predictor.deploy(columns, 400).shape == (400, *classes)
    assert predictor.deploy(columns, 400).isfinite().all()
    if classes:
        torch.testing.assert_close(predictor.deploy(columns, 400).sum(-1), torch.ones(400).double(), rtol=0, atol=1e-12)
        assert predictor.classes == ("fail", "pass", "honours")


@everywhere
def test_the_same_noise_gap_is_exactly_0_in_the_model_it_claims(name: str, outcome: str) -> None:
    scm, columns, factual, predictor = fitted(name, outcome)
    gap = (predictor.predict(counterfactual(scm, factual, DO)) - predictor.predict(factual)).abs()
    assert (gap.max() == 0) == (predictor.invariant_in == "declared"), "exact where it is claimed, and only there"
    if predictor.invariant_in == "own":
        own = predictor.deploy_under(columns, {"race": torch.tensor(1.0), "sex": torch.tensor(1.0)}, 400)
        assert (own - predictor.deploy(columns, 400)).abs().max() <= 1e-9


@everywhere
def test_rows_are_predicted_alike_alone_in_a_batch_and_in_any_order(name: str, outcome: str) -> None:
    _, columns, _, predictor = fitted(name, outcome)
    together = predictor.deploy(columns, 400)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(predictor.deploy(columns.take(order), 400), together[order], rtol=0, atol=1e-12)
    alone = torch.cat([predictor.deploy(columns.take(torch.tensor([i])), 1) for i in range(0, 400, 40)])
    torch.testing.assert_close(alone, together[::40], rtol=0, atol=1e-12)


@everywhere
def test_it_reads_only_what_it_needs(name: str, outcome: str) -> None:
    _, columns, _, predictor = fitted(name, outcome)
    needed = {node: columns[node] for node in predictor.needs}
    assert torch.equal(predictor.deploy(needed, 400), predictor.deploy(columns, 400))


@everywhere
def test_a_function_of_the_row_predicts_the_same_deployed_and_in_the_factual_world(name: str, outcome: str) -> None:
    _, columns, factual, predictor = fitted(name, outcome)
    if predictor.function_of_row:
        assert torch.equal(predictor.predict(factual), predictor.deploy(columns, 400).expand_as(predictor.predict(factual)))
    else:
        spread = predictor.predict(factual).std(0).clamp(min=1e-12)
        distance = (predictor.predict(factual).mean(0) - predictor.deploy(columns, 400)) / (spread / 20**0.5)
        assert distance.square().mean() < 1, "closer than independent draws would be, for they are stratified"


@everywhere
def test_what_was_learned_is_its_state(name: str, outcome: str) -> None:
    scm, columns, _, predictor = fitted(name, outcome)
    again = PREDICTORS[name](scm)
    again.fitted.load_state_dict(predictor.fitted.state_dict())
    assert torch.equal(again.deploy(columns, 400), predictor.deploy(columns, 400))


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("name", ["nondescendants", "latent", "latent_posterior_mean", "latent_draws", "residual"])
@pytest.mark.parametrize(
    ("feature", "path"), [("grade", "race -> grade"), ("track", "-> track"), ("salary", "y -> salary"), ("y", "y"), ("sex", "sex")]
)
def test_a_feature_that_leaks_is_refused_with_its_path(name: str, outcome: str, feature: str, path: str) -> None:
    with pytest.raises(LeakageError, match=path):
        PREDICTORS[name](SCM(school(outcome)), features=["age", feature])


@pytest.mark.parametrize("name", [name for name in PREDICTORS if name.startswith("latent")])
def test_a_latent_inferred_from_the_outcome_is_refused(name: str) -> None:
    scm, columns = people(school(), 50)
    seen = abduct(scm, columns, given=[*scm.spec.evidence, "y"], draws=5)
    with pytest.raises(LeakageError, match="'y' is in the evidence"):
        PREDICTORS[name](scm).fit([seen], columns["y"])


@everywhere
def test_people_whole_and_in_blocks_teach_it_the_same(name: str, outcome: str) -> None:
    scm, columns, factual, predictor = fitted(name, outcome)
    blocks = [abduct(scm, columns.take(people), draws=20) for people in torch.arange(400).split(150)]
    for worlds in (factual, blocks):
        again = PREDICTORS[name](scm).fit(worlds, columns["y"])
        torch.testing.assert_close(again.deploy(columns, 400), predictor.deploy(columns, 400), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", PREDICTORS)
def test_as_many_outcomes_as_people_are_asked_for(name: str) -> None:
    _, columns, factual, _ = fitted("full", "gaussian")
    with pytest.raises(QueryError, match="outcome"):
        PREDICTORS[name](fitted(name, "gaussian")[0]).fit([factual], columns["y"][:100])


def deployed(name: str, outcome: str, columns: Columns, weights: torch.Tensor | None) -> torch.Tensor:
    """Predictions for the 400 people of ``fitted`` by a predictor that learned from ``columns``."""
    scm, everyone, _, _ = fitted(name, outcome)
    world = abduct(scm, columns, draws=4)
    return PREDICTORS[name](scm).fit([world], columns["y"], weights=weights).deploy(everyone, 400)


@everywhere
def test_weights_teach_it_by_their_ratios_and_people_of_weight_0_nothing(name: str, outcome: str) -> None:
    _, columns, _, _ = fitted(name, outcome)
    w = torch.arange(400).remainder(4).double()
    weighted = deployed(name, outcome, columns, w)
    assert (weighted - deployed(name, outcome, columns, None)).abs().max() > 1e-4
    torch.testing.assert_close(deployed(name, outcome, columns, w * 4_000), weighted, rtol=0, atol=1e-9)
    torch.testing.assert_close(deployed(name, outcome, columns.take((w > 0).nonzero()[:, 0]), w[w > 0]), weighted, rtol=0, atol=1e-9)
    equal = deployed(name, outcome, columns, torch.full_like(w, 3.0))
    torch.testing.assert_close(equal, deployed(name, outcome, columns, None), rtol=0, atol=1e-9)


@pytest.mark.parametrize("outcome", [*OUTCOMES, *SEVERAL])
@pytest.mark.parametrize("name", [name for name in PREDICTORS if name != "latent"])  # whose folds part people, not what they stand for
def test_whole_weights_teach_it_what_so_many_people_do(name: str, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "RIDGE", 0.0)
    monkeypatch.setattr(multinomial, "RIDGE", 0.0)
    _, columns, _, _ = fitted(name, outcome)
    w = torch.arange(400).remainder(4).double()
    repeated = columns.take(torch.arange(400).repeat_interleave(w.long()))
    torch.testing.assert_close(deployed(name, outcome, columns, w), deployed(name, outcome, repeated, None), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", PREDICTORS)
def test_as_many_weights_as_people_are_asked_for(name: str) -> None:
    _, columns, _, _ = fitted(name, "gaussian")
    with pytest.raises(QueryError, match="100 weights for 400 people"):
        deployed(name, "gaussian", columns, torch.ones(100, dtype=torch.float64))
