"""The mean over repeated random splits, with an interval that knows that they overlap."""

from collections.abc import Sequence
from statistics import fmean, variance

from scipy.special import stdtrit

from cfair.errors import QueryError

__all__ = ["nadeau_bengio"]


def nadeau_bengio(values: Sequence[float], n_test: float, n_train: float, level: float = 0.95) -> tuple[float, float, float]:
    """Mean, low and high of a measure over K repeated random splits of one table.

    mean ± t_{K−1} · √((1/K + n_test/n_train) · s²): the splits share people, so s²/K alone would be several times too small.

    Args:
        values: the measure in each split, best a paired difference; at least two.
        n_test: people, or the share of people, in each test part.
        n_train: the same of each training part.
        level: what the interval should cover.

    Raises:
        QueryError: fewer than two splits.

    Source: Nadeau & Bengio (2003), Inference for the generalization error, the corrected resampled t-test.
    """
    if len(values) < 2:
        raise QueryError(where="splits", problem="an interval over splits needs at least two of them", mend="use --splits 5")
    spread = ((1 / len(values) + n_test / n_train) * variance(values)) ** 0.5
    margin = float(stdtrit(len(values) - 1, (1 + level) / 2)) * spread
    mean = fmean(values)
    return mean, mean - margin, mean + margin
