"""Charts of predictions and reports: tidy rows in, Altair charts out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import altair as alt
import pandas as pd
import torch
from torch import Tensor

from cfair.auditing import Report
from cfair.auditing.classes import by_class, measured_as
from cfair.auditing.records import in_order
from cfair.errors import QueryError, nearest
from cfair.interfaces import Predictor, World

__all__ = ["densities", "gaps", "intervals"]

POINTS = 160  # at which a density is drawn
SAMPLE = 4_000  # predictions behind one curve: more of them look the same


def densities(predictors: Mapping[str, Predictor], worlds: Sequence[World], *, people: Tensor | None = None) -> alt.FacetChart:
    """Densities of each predictor's predictions for the same people in several worlds, one panel per predictor, one curve per world.

    A predictor of several levels has a panel for the probability of each.

    Curves lie upon one another where the predictor is invariant (Kusner et al. 2017, Figure 2).

    Args:
        predictors: name -> fitted predictor.
        worlds: of the same people, each with a label of its own.
        people: who is shown, shape (n,), bool, or their positions; everyone if None.
    """
    frame = pd.DataFrame([row for name, predictor in predictors.items() for row in _curves(name, predictor, worlds, people)])
    labels = [world.label for world in worlds]
    curve = (
        alt.Chart(frame)
        .mark_area(opacity=0.25, line=True)
        .encode(
            x=alt.X("prediction:Q", title="prediction", axis=alt.Axis(labelOverlap="greedy", labelSeparation=8)),
            y=alt.Y("density:Q", title=None, axis=alt.Axis(labels=False, ticks=False, grid=False), stack=None),
            color=alt.Color("world:N", sort=labels, title="world"),
        )
    )
    panels = alt.Row("predictor:N", sort=list(measured_as(predictors)), title=None, header=alt.Header(labelAngle=0, labelAlign="left"))
    chart = curve.properties(width=460, height=90).facet(row=panels)
    return cast("alt.FacetChart", chart.resolve_scale(y="independent"))


def _curves(name: str, predictor: Predictor, worlds: Sequence[World], people: Tensor | None) -> Iterator[dict[str, object]]:
    """One row per point of each world's curve, all on one grid."""
    chosen = slice(None) if people is None else people
    said = [dict(by_class(name, predictor, predictor.predict(world)[:, chosen])) for world in worlds]
    for key in said[0]:
        if said[0][key].ndim == 2:
            yield from _panel(key, [_thinned(each[key]) for each in said], worlds)


def _panel(name: str, samples: Sequence[Tensor], worlds: Sequence[World]) -> Iterator[dict[str, object]]:
    """One row per point of each world's curve, of one number per person and draw."""
    low, high = min(float(s.min()) for s in samples), max(float(s.max()) for s in samples)
    margin = max(0.15 * (high - low), 0.05 * abs(high), 1e-3)
    grid = torch.linspace(low - margin, high + margin, POINTS, dtype=torch.float64)
    for world, sample in zip(worlds, samples, strict=True):
        density = _density(sample, grid, least=float(grid[1] - grid[0]))
        for x, y in zip(grid.tolist(), density.tolist(), strict=True):
            yield {"predictor": name, "world": world.label, "prediction": x, "density": y}


def _thinned(predictions: Tensor) -> Tensor:
    """At most SAMPLE of the predictions, evenly spaced."""
    flat = predictions.flatten()
    return flat[torch.linspace(0, len(flat) - 1, min(SAMPLE, len(flat))).long()]


def _density(sample: Tensor, grid: Tensor, *, least: float) -> Tensor:
    """Gaussian kernel density on the grid; Silverman's (1986, eq. 3.31) bandwidth, but no narrower than the grid can show."""
    spread = min(float(sample.std()), float(sample.quantile(0.75) - sample.quantile(0.25)) / 1.34)
    width = max(0.9 * spread * len(sample) ** -0.2, least)
    kernels = torch.exp(-((grid.unsqueeze(-1) - sample) / width).square() / 2)
    density: Tensor = kernels.mean(-1) / (width * (2 * torch.pi) ** 0.5)
    return density


def intervals(report: Report, measure: str) -> alt.LayerChart:
    """One overall measure of each predictor with its 95 % interval.

    Raises:
        QueryError: the report has no such overall measure.
    """
    frame = report.to_frame()
    overall = frame[frame["attribute"].isna()]
    rows = overall[overall["measure"] == measure]
    if rows.empty:
        raise QueryError("measure", f"the report has no overall '{measure}'", nearest(measure, sorted(set(overall["measure"]))))
    base = alt.Chart(rows).encode(y=alt.Y("predictor:N", sort=list(rows["predictor"]), title=None))
    bar = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=measure, scale=alt.Scale(zero=False)), x2="high:Q")
    dot = base.mark_point(filled=True, size=60, opacity=1).encode(x="value:Q", tooltip=["predictor", "value", "low", "high", "n"])
    return cast("alt.LayerChart", alt.layer(bar, dot).properties(width=460))


def gaps(report: Report, predictor: str, attribute: str, *, measure: str = "gap_same_noise") -> alt.LayerChart:
    """The gaps of one predictor between every ordered pair of an attribute's levels: from the factual group (row) to the world (column).

    Raises:
        QueryError: the report has no such predictor, attribute or measure.
    """
    frame = report.to_frame()
    for column, value in (("predictor", predictor), ("attribute", attribute), ("measure", measure)):
        known = sorted(set(frame[column].dropna()))
        if value not in known:
            raise QueryError(column, f"the report has no {column} '{value}'", nearest(value, known))
        frame = frame[frame[column] == value]
    groups = list(dict.fromkeys(frame["group"]))
    worlds = in_order([list(frame[frame["group"] == group]["world"]) for group in groups])
    base = alt.Chart(frame).encode(x=alt.X("world:N", sort=worlds, title="world"), y=alt.Y("group:N", sort=groups, title="factual group"))
    cell = base.mark_rect().encode(color=alt.Color("value:Q", title=measure), tooltip=["group", "world", "value", "low", "high", "n"])
    ink = alt.condition(alt.datum.value > 0.6 * float(frame["value"].max()), alt.value("white"), alt.value("black"))
    text = base.mark_text(fontSize=10).encode(text=alt.Text("value:Q", format=".2g"), color=ink)
    return cast("alt.LayerChart", alt.layer(cell, text).properties(width=alt.Step(58), height=alt.Step(26)))
