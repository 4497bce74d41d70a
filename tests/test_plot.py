"""Charts show the numbers that they are given."""

import pytest
import torch

from cfair import plot
from cfair.auditing import audit
from cfair.errors import QueryError
from cfair.inference import abduct
from cfair.predictors import PREDICTORS
from cfair.worlds import counterfactual

from school import people, school

SCM, COLUMNS = people(school(), 300)
WORLD = abduct(SCM, COLUMNS, draws=4)
PREDICTED = {name: PREDICTORS[name](SCM).fit([WORLD], COLUMNS["y"]) for name in ("constant", "unaware", "latent")}


def curves(chart: object, predictor: str) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for rows in chart.to_dict()["datasets"].values():  # type: ignore[attr-defined]
        for row in rows:
            if row["predictor"] == predictor:
                found.setdefault(row["world"], []).append((row["prediction"], row["density"]))
    return found


def test_a_density_integrates_to_1_and_worlds_differ_where_predictions_do() -> None:
    black = counterfactual(SCM, WORLD, {"race": "b"})
    chart = plot.densities(PREDICTED, [WORLD, black])
    for name in PREDICTED:
        drawn = curves(chart, name)
        assert set(drawn) == {"factual", "race=b"}
        assert (drawn["factual"] == drawn["race=b"]) == (name != "unaware")
        for points in drawn.values():
            x, y = torch.tensor(points, dtype=torch.float64).unbind(1)
            assert float(torch.trapezoid(y, x)) == pytest.approx(1, abs=0.02)


def test_a_density_of_some_people_is_theirs() -> None:
    women = COLUMNS["sex"] == 1
    alone = {node: column[women] for node, column in COLUMNS.items()}
    center = PREDICTED["unaware"].deploy(alone, int(women.sum())).mean()
    points = torch.tensor(curves(plot.densities(PREDICTED, [WORLD], people=women), "unaware")["factual"], dtype=torch.float64)
    assert float((points[:, 0] * points[:, 1]).sum() / points[:, 1].sum()) == pytest.approx(float(center), abs=0.05)


def test_intervals_and_gaps_are_drawn_in_the_order_of_the_report() -> None:
    report = audit(SCM, PREDICTED, COLUMNS, draws=2)
    assert plot.intervals(report, "rmse").to_dict()["layer"][0]["encoding"]["y"]["sort"] == list(PREDICTED)
    encoding = plot.gaps(report, "unaware", "race").to_dict()["layer"][0]["encoding"]
    assert encoding["y"]["sort"] == ["w", "b", "h"]
    assert encoding["x"]["sort"] == ["race=w", "race=b", "race=h"]


def test_what_the_report_lacks_is_refused() -> None:
    report = audit(SCM, PREDICTED, COLUMNS, draws=2)
    with pytest.raises(QueryError, match=r"no overall 'rmsee'. Did you mean 'rmse'"):
        plot.intervals(report, "rmsee")
    with pytest.raises(QueryError, match=r"no predictor 'unawre'. Did you mean 'unaware'"):
        plot.gaps(report, "unawre", "race")
