"""Posterior predictive checks: the tested rows beside tables that the learned model makes of the same people's protected attributes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from cfair.diagnosis.groups import MIN_PEOPLE, Group, Groups
from cfair.diagnosis.records import Check
from cfair.diagnosis.replicating import held, replicates
from cfair.diagnosis.statistics import Form, Key, Summaries, Yardstick, summarise, yardstick
from cfair.diagnosis.streams import stream
from cfair.interfaces import Columns, Values
from cfair.scm import SCM

__all__ = ["TOLERANCES", "predictive_checks", "two_sided"]

TOLERANCES: Mapping[Form, tuple[float, float]] = {
    "mean": (-0.1, 0.1),  # of the model's sd: between two equal groups a correlation of 0.05
    "positive": (0.8, 1.25),  # a ratio of variances or dispersions
    "covariance": (-0.05, 0.05),  # in units of both of the model's sds: a correlation
    "share": (-0.05, 0.05),  # of the people: a distance as of Kolmogorov and Smirnov
    "tails": (2 / 3, 1.5),  # a ratio of shares
}
COUNTED = 10  # replicates beyond the observed value from which on they are counted; below, the tail is Student's
MIN_FINITE = 10  # replicates of which a statistic must be a number
ROUNDING = 1e-9  # of the model's sd, or of a variance, below which replicates do not differ
POOL, TABLES = 20_000, 20  # replicated people, and tables, at least, in which the model's spread is found
LARGEST = 38.0  # normal score of the smallest p-value that a float64 holds

Floats = NDArray[np.float64]


def predictive_checks(
    scm: SCM, columns: Columns, groups: Groups, nodes: Sequence[str], *, draws: int, seed: int, widen: float
) -> list[Check]:
    """Each statistic of each node in each group, with its two-sided predictive p-value.

    The tested rows' protected attributes are held and all else is drawn from the learned model. A share's p-value is binomial, of the
    share in all replicates; any other's is counted among the replicates, or read off Student's tail (of the log, for variances) where
    fewer than COUNTED of them lie beyond.

    Where the parameters were fitted to a statistic, as to the mean of a group whose attribute is a parent, or in a just-identified
    factor model to the covariances of everyone, its check passes by construction and its p-value is conservative: look at the
    variances and covariances by group.

    Args:
        scm: with its parameters learned on other rows.
        columns: the tested rows.
        groups: of them.
        nodes: to check; those that replicates share with the table are left out.
        draws: replicated tables.
        seed: of the draws.
        widen: by which the model's own spread is multiplied to allow for the error of the parameters.

    Source: Gelman, Meng & Stern (1996), Posterior predictive assessment of model fitness via realized discrepancies.
    """
    chosen = [node for node in nodes if node in scm.spec.observed and node not in held(scm.spec)]
    if not chosen:
        return []
    found = _tables(scm, columns, groups, chosen, draws=draws, seed=seed)
    places = [(g, group) for g, group in enumerate(groups.names) if found.size[g] >= MIN_PEOPLE]
    return [
        _check(found, key, g, group, widen=widen)
        for key in found.observed
        for g, group in places
        if group.attribute is None or group.attribute not in (key.node, key.other)  # there it is constant
    ]


def two_sided(score: float) -> float:
    """The two-sided p-value of a standard normal score."""
    return float(2 * stats.norm.sf(abs(score)))


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """Statistics of the tested rows and of their replicates.

    Args:
        observed: each (1, groups).
        replicated: each (draws, groups).
        size: of the groups, shape (groups,).
        model: the model's own spread.
    """

    observed: Summaries
    replicated: Summaries
    size: Tensor
    model: Yardstick

    def unit(self, key: Key, g: int) -> float:
        """What an effect is divided by: the product of the model's sds of the key's nodes in a group."""
        return float(self.model.sd[key.node][g]) * (float(self.model.sd[key.other][g]) if key.other else 1.0)


def _tables(scm: SCM, columns: Columns, groups: Groups, nodes: Sequence[str], *, draws: int, seed: int) -> _Tables:
    spec = scm.spec
    center = {node: float(columns[node].mean()) for node in nodes}

    def parts(table: Values) -> tuple[dict[str, Tensor], Tensor]:
        attributes = {node: table[node] for node in spec.protected} or {nodes[0]: table[nodes[0]]}
        return {node: table[node] for node in nodes}, groups.members(attributes)

    pool = next(replicates(scm, columns, draws=max(-(-POOL // columns.n), TABLES), generator=stream(seed, "pool")))
    model = yardstick(*parts(pool))

    def summary(table: Values) -> Summaries:
        values, members = parts(table)
        return summarise(spec, values, groups, members, model=model, center=center)

    seen = {node: column.unsqueeze(0) for node, column in columns.items()}
    drawn = [summary(table) for table in replicates(scm, columns, draws=draws, generator=stream(seed, "replicates"))]
    observed = summary(seen)
    replicated = {key: torch.cat([part[key] for part in drawn]) for key in observed}
    return _Tables(observed, replicated, parts(seen)[1].sum((0, 1)), model)


def _check(found: _Tables, key: Key, g: int, group: Group, *, widen: float) -> Check:
    """One statistic of one group."""
    n, value, drawn = int(found.size[g]), float(found.observed[key][0, g]), found.replicated[key][:, g].numpy()
    place = Check(
        check="posterior predictive",
        statistic=key.statistic,
        node=key.node,
        other=key.other,
        attribute=group.attribute,
        group=group.name,
        n=n,
    )
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or len(drawn) < MIN_FINITE:
        return replace(place, why="it is not a finite number in these rows, or in the model's")
    unit = found.unit(key, g)
    if key.form not in ("share", "tails") and not np.ptp(drawn) > ROUNDING * (drawn.mean() if key.form == "positive" else unit):
        return replace(place, value=value, expected=float(drawn[0]), why="it is the same in every table that the model makes")
    test = _of_share(value, drawn, n, widen) if key.form in ("share", "tails") else _of_number(key.form, value, drawn, widen)
    effect = _effect(key.form, value, test.expected, n, unit)
    return replace(
        place,
        value=value,
        expected=test.expected,
        low=test.low,
        high=test.high,
        p=test.p,
        effect=effect,
        tolerance=TOLERANCES[key.form],
    )


class _Test(NamedTuple):
    """What the model expects of a statistic, and how surprising the observed one is."""

    expected: float
    low: float
    high: float
    p: float


def _of_share(value: float, drawn: Floats, n: int, widen: float) -> _Test:
    """A share of n independent people; its expectation from all replicates."""
    expected = float(drawn.mean())
    model = stats.binom(n, (expected * n * len(drawn) + 0.5) / (n * len(drawn) + 1))
    count = round(value * n)
    p = min(1.0, 2 * min(float(model.cdf(count)), float(model.sf(count - 1))))
    low, high = (float(model.ppf(end)) / n for end in (0.025, 0.975))
    score = float(stats.norm.isf(p / 2)) if p > 0 else LARGEST
    return _Test(expected, low, high, two_sided(score / widen))


def _of_number(form: Form, value: float, drawn: Floats, widen: float) -> _Test:
    """A mean, a variance or a covariance; variances on the scale of their logarithm."""
    scale, back = (_log, np.exp) if form == "positive" else (np.asarray, np.asarray)
    on_scale, at = scale(drawn), float(scale(np.array(value)))
    center, sd = float(on_scale.mean()), float(on_scale.std(ddof=1))
    wide = center + widen * (on_scale - center)
    beyond = min(int((wide >= at).sum()), int((wide <= at).sum()))
    tail = 2 * stats.t.sf(abs(at - center) / (widen * sd * (1 + 1 / len(drawn)) ** 0.5), len(drawn) - 1)
    p = min(1.0, 2 * (1 + beyond) / (1 + len(drawn))) if beyond >= COUNTED else float(tail)
    low, high = back(np.quantile(wide, [0.025, 0.975]))
    return _Test(float(drawn.mean()), float(low), float(high), p)


def _log(values: Floats) -> Floats:
    """The logarithm, of a variance of 0 that of the smallest number."""
    return np.log(np.maximum(values, np.finfo(np.float64).tiny))


def _effect(form: Form, value: float, expected: float, n: int, unit: float) -> float:
    """How far off a value is on the scale of its tolerance; a ratio of tails counts half a person more in both."""
    if form == "positive":
        return value / expected
    if form == "tails":
        return (value * n + 0.5) / (expected * n + 0.5)
    if form == "share":
        return value - expected
    return (value - expected) / unit
