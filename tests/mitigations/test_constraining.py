"""Predictors whose heads are trained anew under a constraint."""

import pytest
import torch
from torch import Tensor

from cfair.auditing import audit
from cfair.constraints import CONSTRAINTS
from cfair.errors import QueryError
from cfair.inference import abduct
from cfair.interfaces import Columns, Predictor, World
from cfair.mitigations import MITIGATIONS, Asked, Trained, constrain
from cfair.predictors import PREDICTORS
from cfair.scm import SCM

from school import people, school

N, DRAWS = 800, 4
Known = tuple[SCM, Columns, list[World]]


@pytest.fixture(scope="module")
def known() -> Known:
    scm, columns = people(school("bernoulli"), N)
    return scm, columns, [abduct(scm, columns.take(part), draws=DRAWS) for part in torch.arange(N).split(500)]


def fitted(known: Known, name: str, head: str = "logistic") -> Predictor:
    scm, columns, worlds = known
    return PREDICTORS[name](scm, head=head).fit(worlds, columns["y"])


def trained(known: Known, predictor: object, mitigation: str = "lagrangian", **how: float) -> Trained:
    _, columns, worlds = known
    asked = Asked(constraints=(CONSTRAINTS["demographic_parity"],), **how)  # type: ignore[arg-type]
    return constrain(predictor, worlds, columns["y"], group(columns), mitigation=MITIGATIONS[mitigation], asked=asked)  # type: ignore[arg-type]


def group(columns: Columns) -> Tensor:
    return columns["sex"].long()


def difference(columns: Columns, prediction: Tensor) -> float:
    """Of selection rates by sex, in the factual rows."""
    chosen = (prediction >= 0.5).double()
    return abs(float(chosen[columns["sex"] == 1].mean() - chosen[columns["sex"] == 0].mean()))


@pytest.mark.parametrize("name", ["full", "unaware"])
@pytest.mark.parametrize("mitigation", ["lagrangian", "penalty", "reweighing"])
def test_a_predictor_of_the_row_is_deployed_with_less_of_a_difference(known: Known, name: str, mitigation: str) -> None:
    _, columns, worlds = known
    predictor = fitted(known, name)
    before = difference(columns, predictor.deploy(columns, N))
    found = trained(known, predictor, mitigation, strength=30.0) if mitigation == "penalty" else trained(known, predictor, mitigation)
    after = difference(columns, predictor.deploy(columns, N))
    assert after < (before / 1.2 if mitigation == "reweighing" else max(before / 4, 0.01))
    assert found.log[-1].violations["demographic_parity"] == pytest.approx(after, abs=1e-9)
    in_worlds = torch.cat([predictor.predict(world)[0] for world in worlds])
    torch.testing.assert_close(in_worlds, predictor.deploy(columns, N), rtol=0, atol=1e-12)


def test_a_predictor_on_latents_sees_what_it_saw_and_stays_invariant(known: Known) -> None:
    scm, columns, worlds = known
    predictor = fitted(known, "latent_draws")
    sees, before = predictor.sees, torch.cat([predictor.predict(world) for world in worlds], 1)
    trained(known, predictor)
    assert predictor.sees == sees
    assert not torch.equal(torch.cat([predictor.predict(world) for world in worlds], 1), before)
    rows = audit(scm, {"latent": predictor}, columns, draws=2).rows
    gaps = [row.value for row in rows if row.measure == "gap_same_noise_worst"]
    assert gaps
    assert max(each for each in gaps if each is not None) == 0


def test_a_person_of_several_draws_counts_once(known: Known) -> None:
    found = trained(known, fitted(known, "latent_draws"), min_group_size=N)
    assert found.held == (0, 1)  # neither sex has N people, however many draws
    assert trained(known, fitted(known, "latent_draws"), min_group_size=100).held == ()


def test_another_head_another_stage_and_other_numbers_of_people_are_refused(known: Known) -> None:
    _, columns, worlds = known
    with pytest.raises(QueryError, match="trains heads of the kind logistic"):
        trained(known, fitted(known, "full", head="boosted"))
    with pytest.raises(QueryError, match="after training"):
        trained(known, fitted(known, "full"), "threshold")
    with pytest.raises(QueryError, match="lottery among several heads"):
        trained(known, fitted(known, "full"), "reduction")
    asked = Asked(constraints=(CONSTRAINTS["demographic_parity"],))
    with pytest.raises(QueryError, match="outcomes for"):
        constrain(fitted(known, "full"), worlds[:1], columns["y"], group(columns), mitigation=MITIGATIONS["penalty"], asked=asked)  # type: ignore[arg-type]
