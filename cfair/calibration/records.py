"""What a calibration says: how the true values rank among the draws, statistic by statistic."""

from dataclasses import asdict, dataclass, field
from typing import TypeAlias

import torch
from scipy.stats import chisquare, norm
from torch import Tensor

__all__ = ["BINS", "LEVEL", "Calibration", "Json", "Ranked", "ranked"]

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

BINS, PER_BIN = 20, 5  # bins of the ranks' histogram, at most; simulations in each, at least
LEVEL = 0.01  # smallest p, times the number of statistics, that is no sign of miscalibration
POWER = 0.8  # probability with which an error that is called visible is found
LOST = 0.01  # share of the simulations that may have no answer: they are not like the others


@dataclass(frozen=True, slots=True)
class Ranked:
    """Where the true values of one quantity lie among its draws: uniform on (0, 1) where inference is right.

    Args:
        name: a parameter, as ``node.parameter[entry]``, or a latent of the first row, as ``node (row 0)``.
        p: of a chi-square test that all bins are as full.
        shift: mean rank − 1/2: above 0 where the draws lie too low, by this share of their distribution.
        spread: the ranks' sd over that of a uniform number: above 1 where the draws are too narrow, below where too wide.
        counts: simulations in each bin.
    """

    name: str
    p: float
    shift: float
    spread: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The ranks of all quantities over many simulated tables.

    Args:
        name: of the model.
        engine: that learned.
        uncertainty: how parameters were drawn.
        simulations: tables that were simulated.
        rows: of each table.
        statistics: worst first.
        failures: what stopped inference, message -> in how many simulations; these have no ranks.
        k_hat: part -> its median k-hat over the simulations.
    """

    name: str
    engine: str
    uncertainty: str
    simulations: int
    rows: int
    statistics: tuple[Ranked, ...]
    failures: dict[str, int] = field(default_factory=dict)
    k_hat: dict[str, float] = field(default_factory=dict)

    @property
    def smallest(self) -> float:
        """The smallest p times the number of statistics, at most 1 (Bonferroni)."""
        return min(1.0, min(each.p for each in self.statistics) * len(self.statistics))

    def visible(self, simulations: int | None = None) -> tuple[float, float]:
        """The shift and the spread from which on so many ``simulations``, its own if None, find an error in four of five cases, about.

        Of N ranks the mean has the sd 1/√(12·N), and their sd the relative sd √(0.2/N); a normal test of each of K statistics at
        LEVEL/K sees what is z(1 − LEVEL/2K) + z(POWER) of these away.
        """
        n = max(self.simulations - self.lost if simulations is None else simulations, 1)
        far = float(norm.isf(LEVEL / 2 / max(len(self.statistics), 1)) + norm.isf(1 - POWER))
        return far / (12 * n) ** 0.5, 1 + far * (0.2 / n) ** 0.5

    @property
    def lost(self) -> int:
        """How many simulations have no answer."""
        return sum(self.failures.values())

    @property
    def calibrated(self) -> bool:
        """Whether no statistic speaks against it, and hardly a simulation was lost."""
        return self.smallest > LEVEL and self.lost <= LOST * self.simulations

    def to_json(self) -> dict[str, Json]:
        """All of it, with the verdict: what ``cfair calibrate --json`` prints."""
        shift, spread = self.visible()
        verdict = {"smallest_p_times_statistics": self.smallest, "level": LEVEL, "calibrated": self.calibrated}
        bins = len(self.statistics[0].counts) if self.statistics else 0
        return {**asdict(self), "bins": bins, **verdict, "visible_shift": shift, "visible_spread": spread}


def ranked(name: str, places: Tensor) -> Ranked:
    """The record of the ranks of one quantity, in (0, 1), shape (simulations,).

    Source: Talts, Betancourt, Simpson, Vehtari & Gelman (2018), Validating Bayesian inference algorithms with simulation-based
    calibration.
    """
    bins = min(BINS, max(len(places) // PER_BIN, 2))
    counts = torch.histc(places, bins, 0.0, 1.0).long().tolist()
    spread = float(places.std(correction=0)) * 12**0.5
    return Ranked(name, float(chisquare(counts).pvalue), float(places.mean()) - 0.5, spread, tuple(counts))
