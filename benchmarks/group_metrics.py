"""All six group constraints with 1,000 resampled tables, 100,000 rows, 8 groups: cfair, a row bootstrap in numpy, fairlearn.

Each resamples people and reads the rates of every group anew; their intervals must agree within Monte Carlo error, or there is no ratio.
fairlearn's ``MetricFrame`` takes seconds a replicate: few are made, and their seconds are per replicate. The last rows are everything that
cfair reports: rates, simultaneous intervals of all pairs, permutation p-values and calibration.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import fairlearn.metrics as fairlearn
import numpy as np
import sklearn.metrics
import torch
from numpy.typing import NDArray
from table import show, versions

from cfair.comparing import Division, People, constraint_rows
from cfair.constraints import CONSTRAINTS, count
from cfair.constraints.bootstrap import resampled
from cfair.constraints.tallies import false_positive_rate, positive_predictive_value, selection_rate, true_positive_rate

ROWS, GROUPS, REPLICATES = 100_000, 8, 1_000
RATES = {
    "selection": selection_rate,
    "true positive": true_positive_rate,
    "false positive": false_positive_rate,
    "positive predictive": positive_predictive_value,
}
ERRORS = 5.0  # standard errors within which intervals are the same

Array = NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True)
class Measured:
    """Resampled rates, (replicates, rates, groups), and seconds of one replicate."""

    rates: Array
    seconds: float


def people() -> tuple[Array, Array, Array]:
    """Outcomes, scores and groups, of unequal sizes, base rates and errors."""
    source = np.random.default_rng(0)
    group = source.choice(GROUPS, size=ROWS, p=np.arange(1, GROUPS + 1) / (GROUPS * (GROUPS + 1) / 2))
    logit = source.normal(-0.6 + 0.1 * group, 1.3)
    y = source.random(ROWS) < 1 / (1 + np.exp(-logit))
    score = 1 / (1 + np.exp(-(logit + source.normal(0, 0.5, ROWS))))
    return y.astype(float), score, group.astype(float)


def by_cfair(y: Array, decision: Array, group: Array) -> Measured:
    """One count of the rows, then multinomial tables."""

    def run() -> Array:
        cells = count(*(torch.from_numpy(each) for each in (y, decision, group)), GROUPS)
        drawn = resampled(cells, replicates=REPLICATES)
        rates = [successes / trials for successes, trials in (rate(drawn) for rate in RATES.values())]
        return torch.stack(rates, 1).numpy()

    rates, seconds = timed(run)
    return Measured(rates, seconds / REPLICATES)


def by_rows(y: Array, decision: Array, group: Array) -> Measured:
    """Rows drawn with replacement, counted by one bincount each."""
    cell = (group * 4 + y * 2 + decision).astype(np.int64)

    def run() -> Array:
        source = np.random.default_rng(1)
        drawn = [np.bincount(cell[source.integers(0, ROWS, ROWS)], minlength=GROUPS * 4) for _ in range(REPLICATES)]
        counts = torch.from_numpy(np.stack(drawn).reshape(-1, GROUPS, 2, 2)).double()
        return torch.stack([successes / trials for successes, trials in (rate(counts) for rate in RATES.values())], 1).numpy()

    rates, seconds = timed(run, repeats=1)
    return Measured(rates, seconds / REPLICATES)


def by_fairlearn(y: Array, decision: Array, group: Array, replicates: int) -> Measured:
    """``MetricFrame`` on rows drawn with replacement."""
    metrics = {
        "selection": fairlearn.selection_rate,
        "true positive": fairlearn.true_positive_rate,
        "false positive": fairlearn.false_positive_rate,
        "positive predictive": sklearn.metrics.precision_score,
    }

    def run() -> Array:
        source, found = np.random.default_rng(2), []
        for _ in range(replicates):
            own = source.integers(0, ROWS, ROWS)
            frame = fairlearn.MetricFrame(metrics=metrics, y_true=y[own], y_pred=decision[own], sensitive_features=group[own])
            found.append(frame.by_group.to_numpy().T)
        return np.stack(found)

    rates, seconds = timed(run, repeats=1)
    return Measured(rates, seconds / replicates)


def everything(y: Array, score: Array, group: Array) -> float:
    """Seconds of all rows that a report has of the six constraints."""
    everyone = People(torch.from_numpy(y), {"score": torch.from_numpy(score)})
    divisions = [Division("group", tuple(map(str, range(GROUPS))), torch.from_numpy(group).long())]

    def run() -> list[object]:
        return list(constraint_rows(everyone, divisions, constraints=tuple(CONSTRAINTS), min_group_size=30, replicates=REPLICATES))

    return timed(run, repeats=9)[1]


def timed(run: Callable[[], T], repeats: int = 5) -> tuple[T, float]:
    """What ``run`` returns, and the median of its processor seconds after a first run."""
    found, seconds = run(), []
    for _ in range(repeats):
        start = time.process_time()
        found = run()
        seconds.append(time.process_time() - start)
    return found, float(np.median(seconds))


def same(one: Measured, other: Measured) -> bool:
    """Whether means, and ends of intervals mean ± 1.96 sd, of resampled rates agree within Monte Carlo error."""
    n, m = len(one.rates), len(other.rates)
    spread = one.rates.std(0)
    error = ERRORS * spread * np.sqrt((1 / n + 1 / m) * (1 + 1.96**2 / 2))
    ends = [
        abs((a.mean(0) + z * a.std(0, ddof=1)) - (b.mean(0) + z * b.std(0, ddof=1)))
        for a, b in [(one.rates, other.rates)]
        for z in (-1.96, 1.96)
    ]
    return bool(all((each <= error).all() for each in ends))


def main() -> None:
    """Measure, show."""
    arguments = _arguments()
    torch.set_num_threads(1)
    y, score, group = people()
    decision = (score >= 0.5).astype(float)
    results = {
        "cfair": by_cfair(y, decision, group),
        "row bootstrap, numpy": by_rows(y, decision, group),
        "fairlearn MetricFrame": by_fairlearn(y, decision, group, arguments.fairlearn_replicates),
    }
    own, rows, ratios = results["cfair"], [], {}
    for name, each in results.items():
        agrees, ratio = same(own, each), each.seconds / own.seconds
        if agrees and each is not own:
            ratios[f"{name.split()[0]}_over_cfair"] = round(ratio, 1)
        faster = "" if each is own else f"{ratio:,.0f}" if agrees else "none: intervals differ"
        rows.append((name, f"{len(each.rates):,}", f"{each.seconds * 1e6:,.1f}", "yes" if agrees else "NO", faster))
    seconds = everything(y, score, group)
    rows.append(("cfair, all six constraints, every row of a report", f"{REPLICATES:,}", f"{seconds / REPLICATES * 1e6:,.1f}", "", ""))
    header = ("method", "replicates", "microseconds each", "same intervals", "cfair is faster by")
    found = {"ratios": ratios, "all_six_seconds": round(seconds, 4), "versions": versions("cfair", "torch", "numpy", "fairlearn")}
    show(header, rows, found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fairlearn-replicates", type=int, default=30, help="replicates of fairlearn, about a second each")
    return parser.parse_args()


if __name__ == "__main__":
    main()
