"""Equalized odds by sex on Adult, 45,222 rows: curves of 20 points by cfair, exponentiated gradient of fairlearn, and fairret.

All are logistic regressions of the same standardised columns. Lotteries, cfair's and fairlearn's, are scored in expectation; fairlearn's
have one bound each on the difference of a group from all (``difference_bound``; its ``eps`` is no such bound any more). Half of the rows
are learned from and half held out, where every point of every curve is measured. What cfair trains and its tolerances were chosen on the
splits of seeds 100 to 109, of which none is reported: is some point of the lottery as good as each of fairlearn's, in each split and in the
mean over splits; and which curve dominates the larger area of accuracies above 0.8 and differences below 0.15.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import pandas as pd
import torch
from fairlearn.reductions import EqualizedOdds, ExponentiatedGradient
from scipy.stats import t as students_t
from sklearn.linear_model import LogisticRegression
from table import show, versions
from torch import Tensor

from cfair.constraints import CONSTRAINTS
from cfair.data import builtin_path
from cfair.mitigations import Asked, Rows, decided
from cfair.mitigations.lagrangian import bounded_path
from cfair.mitigations.lottery import lottery_path

TOLERANCES = (1.0, 0.15, 0.12, 0.1, 0.09, 0.08, 0.07, 0.06, 0.05, 0.04, 0.035, 0.03, 0.025, 0.02, 0.016, 0.012, 0.009, 0.006, 0.003, 0.0)
BOUNDS = (0.005, 0.01, 0.02, 0.035, 0.05)  # of exponentiated gradient, on differences of a group from all; 0.1 binds nothing
EPOCHS, BATCH, EPOCH_RATE = 60, 4_096, 0.01  # of fairret's models
STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0)  # of fairret's loss
LEAST_ACCURACY, MOST_DIFFERENCE = 0.8, 0.15  # of the corner from which hypervolume is measured
ACCURACY, DIFFERENCE = 0.003, 0.01  # by which a point of ours may be worse than one of theirs
OURS, THEIRS = "cfair, lottery", "fairlearn, exponentiated gradient"
ODDS = CONSTRAINTS["equalized_odds"]


@dataclass(frozen=True)
class Point:
    """Accuracy, and the largest difference of the odds by sex."""

    accuracy: float
    difference: float


@dataclass(frozen=True)
class Found:
    """What one method gave on one split: its points on held-out rows, and processor seconds of all."""

    points: tuple[Point, ...]
    seconds: float


def adult() -> tuple[Tensor, Tensor, Tensor]:
    """Columns (n, k), outcomes (n,) and sexes (n,)."""
    frame = pd.read_parquet(builtin_path("adult"))
    outcome = pd.factorize(frame["income_over_50k"], sort=True)[0]
    columns = pd.get_dummies(frame.drop(columns=["income_over_50k"]), drop_first=True).to_numpy(float)
    columns = (columns - columns.mean(0)) / np.where(columns.std(0) > 0, columns.std(0), 1.0)
    return torch.from_numpy(columns), torch.from_numpy(outcome.astype(float)), torch.from_numpy(pd.factorize(frame["sex"], sort=True)[0])


def split(seed: int) -> tuple[Rows, Rows]:
    """Rows to train on and held out, half each."""
    columns, outcome, sex = adult()
    n = len(outcome)
    parts = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tensor_split([n // 2])
    train, test = (Rows(columns[part], outcome[part], sex[part], 2, torch.ones(len(part)).double()) for part in parts)
    return train, test


def point(rows: Rows, positive: Tensor) -> Point:
    """Of decisions that are 1 with these probabilities, (n,), in expectation."""
    accuracy = float((rows.outcome * positive + (1 - rows.outcome) * (1 - positive)).mean())
    of = [[float(positive[(rows.group == g) & (rows.outcome == y)].mean()) for g in (0, 1)] for y in (0, 1)]
    return Point(accuracy, max(abs(low - high) for low, high in of))


def by_lottery(train: Rows, test: Rows) -> Found:
    """The lotteries of a path of tolerances, in expectation."""
    start = time.process_time()
    heads = [trained.head for trained in lottery_path(train, Asked(constraints=(ODDS,)), TOLERANCES)]
    seconds = time.process_time() - start
    return Found(tuple(point(test, head.expected(test.features)) for head in heads), seconds)  # type: ignore[attr-defined]


def by_lagrangian(train: Rows, test: Rows) -> Found:
    """One head for each tolerance, whose decisions are not drawn."""
    start = time.process_time()
    heads = [trained.head for trained in bounded_path(train, Asked(constraints=(ODDS,)), TOLERANCES)]
    seconds = time.process_time() - start
    return Found(tuple(point(test, decided(head.predict(test.features))) for head in heads), seconds)


def by_fairlearn(train: Rows, test: Rows, bounds: Sequence[float]) -> Found:
    """One randomised classifier for each bound."""
    points, seconds = [], 0.0
    for bound in bounds:
        start = time.process_time()
        reduced = ExponentiatedGradient(LogisticRegression(max_iter=200), EqualizedOdds(difference_bound=bound))
        reduced.fit(train.features.numpy(), train.outcome.numpy(), sensitive_features=train.group.numpy())
        seconds += time.process_time() - start
        points.append(point(test, torch.from_numpy(reduced._pmf_predict(test.features.numpy())[:, 1])))
    return Found(tuple(points), seconds)


def by_fairret(train: Rows, test: Rows) -> Found:
    """One linear model for each strength of its loss, by Adam, as its own documentation trains."""
    from fairret.loss import NormLoss
    from fairret.statistic import FalsePositiveRate, StackedLinearFractionalStatistic, TruePositiveRate

    loss = NormLoss(StackedLinearFractionalStatistic(TruePositiveRate(), FalsePositiveRate()))
    groups, labels = torch.nn.functional.one_hot(train.group, 2).double(), train.outcome.unsqueeze(1)
    points, seconds = [], 0.0
    for strength in STRENGTHS:
        start = time.process_time()
        model, source = torch.nn.Linear(train.features.shape[1], 1, dtype=torch.float64), torch.Generator().manual_seed(0)
        torch.nn.init.zeros_(model.weight), torch.nn.init.zeros_(model.bias)
        optimiser = torch.optim.Adam(model.parameters(), lr=EPOCH_RATE)
        for _ in range(EPOCHS):
            for some in torch.randperm(train.n, generator=source).split(BATCH):
                logits = model(train.features[some])
                own = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels[some])
                optimiser.zero_grad()
                (own + strength * loss(logits, groups[some], labels[some])).backward()
                optimiser.step()
        seconds += time.process_time() - start
        with torch.no_grad():
            points.append(point(test, (model(test.features).squeeze(1) >= 0).double()))
    return Found(tuple(points), seconds)


def hypervolume(points: Sequence[Point]) -> float:
    """The area that some point dominates, of accuracies above LEAST_ACCURACY and differences below MOST_DIFFERENCE, as a share of it."""
    area, reached = 0.0, LEAST_ACCURACY
    inside = [each for each in points if each.accuracy > LEAST_ACCURACY and each.difference < MOST_DIFFERENCE]
    for each in sorted(inside, key=lambda own: own.difference):
        area += max(each.accuracy - reached, 0.0) * (MOST_DIFFERENCE - each.difference)
        reached = max(reached, each.accuracy)
    return area / (MOST_DIFFERENCE * (1 - LEAST_ACCURACY))


def matched(own: Sequence[Point], theirs: Sequence[Point]) -> int:
    """How many of their points have one of ours that is as good but for ACCURACY and DIFFERENCE."""
    return sum(any(a.accuracy >= b.accuracy - ACCURACY and a.difference <= b.difference + DIFFERENCE for a in own) for b in theirs)


def main() -> None:
    """Measure, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=10, help="random splits")
    parser.add_argument("--first", type=int, default=10, help="seed of the first split")
    parser.add_argument("--bounds", type=int, default=len(BOUNDS), help="points of exponentiated gradient")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, list[Found]] = {}
    for seed in range(arguments.first, arguments.first + arguments.splits):
        train, test = split(seed)
        found.setdefault(OURS, []).append(by_lottery(train, test))
        found.setdefault(THEIRS, []).append(by_fairlearn(train, test, BOUNDS[: arguments.bounds]))
        found.setdefault("cfair, augmented Lagrangian", []).append(by_lagrangian(train, test))
        if find_spec("fairret"):
            found.setdefault("fairret, norm of violations", []).append(by_fairret(train, test))
        own, theirs = found[OURS][-1], found[THEIRS][-1]
        better = hypervolume(own.points) - hypervolume(theirs.points)
        equal = f"{matched(own.points, theirs.points)} of {len(theirs.points)} points matched, hypervolume {better:+.4f}"
        print(f"split {seed}: {own.seconds:.1f} s and {theirs.seconds:.1f} s, {equal}", flush=True)
    _show(found)


def _means(found: Sequence[Found]) -> list[Point]:
    """Each point of a curve in the mean over splits."""
    return [
        Point(*(float(np.mean([getattr(each, name) for each in own])) for name in ("accuracy", "difference")))
        for own in zip(*(f.points for f in found), strict=True)
    ]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 5)


def _show(found: dict[str, list[Found]]) -> None:
    pairs = list(zip(found[OURS], found[THEIRS], strict=True))
    better = np.array([hypervolume(own.points) - hypervolume(theirs.points) for own, theirs in pairs])
    half = students_t.ppf(0.975, len(better) - 1) * better.std(ddof=1) / len(better) ** 0.5 if len(better) > 1 else float("nan")
    seconds = {name: float(np.median([each.seconds for each in own])) for name, own in found.items()}
    points = {name: len(own[0].points) for name, own in found.items()}
    rows = [
        (name, str(points[name]), f"{seconds[name]:.1f}", f"{np.mean([hypervolume(each.points) for each in own]):.4f}")
        for name, own in found.items()
    ]
    own, theirs = (_means(found[name]) for name in (OURS, THEIRS))
    result = {
        "ratios": {"seconds_of_five_fits_over_a_curve": round(5 * seconds[THEIRS] / points[THEIRS] / seconds[OURS], 2)},
        "points_matched": sum(matched(own.points, theirs.points) for own, theirs in pairs),
        "points": sum(len(each.points) for each in found[THEIRS]),
        "matched_in_the_mean": [matched(own, theirs), len(theirs)],
        "hypervolume_difference": [
            None if np.isnan(each) else round(float(each), 5) for each in (better.mean(), better.mean() - half, better.mean() + half)
        ],
        "splits": len(better),
        "versions": versions("cfair", "torch", "fairlearn", "scikit-learn", *(["fairret"] if find_spec("fairret") else [])),
    }
    show(("method", "points", "processor seconds", "hypervolume"), rows, result)


if __name__ == "__main__":
    main()
