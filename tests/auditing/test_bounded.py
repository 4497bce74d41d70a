"""The range of a gap over all couplings, beside the gap under the chosen one."""

import pytest
import torch

from cfair.auditing import audit
from cfair.effects import coupling_bounds, scored
from cfair.inference import abduct
from cfair.predictors import PREDICTORS

from school import people, school


def test_the_worst_gap_has_its_range_over_couplings_when_asked_for() -> None:
    scm, columns = people(school("bernoulli"), 150)
    made = {"constant": PREDICTORS["constant"](scm), "unaware": PREDICTORS["unaware"](scm, features=["track", "age"])}
    predictors = {name: each.fit([abduct(scm, columns, draws=2)], columns["y"]) for name, each in made.items()}
    report = audit(scm, predictors, columns, draws=4, min_group_size=5, bounds=10, attributes=["race"])
    (row,) = [row for row in report.rows if row.measure == "gap_over_couplings"]
    worst = max(
        (each for each in report.rows if each.measure == "gap_reabducted" and each.predictor == "unaware"), key=lambda each: each.value or 0
    )
    assert (row.predictor, row.attribute, row.group, row.world, row.n) == ("unaware", "race", worst.group, worst.world, 10)
    assert row.value is not None
    assert row.low is not None
    assert row.high is not None
    assert row.low - 1e-9 <= row.value <= row.high + 1e-9
    assert row.low < row.high
    (said,) = [each.text for each in report.assumptions if each.name == "couplings"]
    assert "all couplings of track" in said
    level = scm.spec.nodes["race"].levels.index(str(worst.group))
    chosen = (columns["race"] == level).nonzero().squeeze(-1)
    chosen = chosen[torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))[:10]].sort().values
    model = scored(scm, "prediction", predictors["unaware"].needs, predictors["unaware"].deploy)
    do = {"race": str(worst.world).removeprefix("race=")}
    direct = coupling_bounds(model, columns.take(chosen), do, target="prediction", measure="gap", by="population", draws=20)
    assert (row.low, row.high) == pytest.approx((float(direct.low), float(direct.high)), abs=1e-12)
    assert not [each for each in audit(scm, predictors, columns, draws=2).rows if each.measure == "gap_over_couplings"]
