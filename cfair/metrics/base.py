"""What the metrics share: an average with its influence, its standard error and interval, and the paired difference of two."""

from statistics import NormalDist

from torch import Tensor
from torch.nn.functional import one_hot

from cfair.errors import QueryError
from cfair.interfaces import Measured

__all__ = ["THRESHOLD", "average", "count_people", "decide", "decide_level", "defined", "difference", "indicators", "interval"]
__all__ += ["need_variation", "standard_error"]

THRESHOLD = 0.5  # of a probability, from which the decision is the second level: the most accurate one for a calibrated probability
NEED_VARIATION = frozenset({"r2", "roc_auc"})  # divide by the outcome's variance, or by the number of people of each level


def average(contributions: Tensor, weights: Tensor | None = None) -> Measured:
    """The weighted mean of per-person contributions c, shape (n,), with each one's influence on it.

    c̄ = Σ w·c / Σ w; influence m·w·(c − c̄) / Σ w, with m the number of people of weight above 0: the linearised variance of a ratio.

    Args:
        contributions: c, shape (n,).
        weights: w, shape (n,); all the same if None.

    Raises:
        QueryError: nobody to average over, or nobody of weight above 0.

    Source: Binder (1983), On the variances of asymptotically normal estimators from complex surveys.
    """
    people = count_people(contributions, weights)
    if not people:
        raise QueryError(where="metric", problem="there is nobody to measure", mend="give at least one person")
    if weights is None:
        mean = contributions.mean()
        return Measured(mean.item(), contributions - mean, people)
    mean = (weights * contributions).sum() / weights.sum()
    return Measured(mean.item(), people * (weights / weights.sum()) * (contributions - mean), people)


def count_people(y: Tensor, weights: Tensor | None) -> int:
    """How many of the people, shape (n,), have a weight above 0."""
    return len(y) if weights is None else int((weights > 0).sum())


def decide(y_hat: Tensor) -> Tensor:
    """The decisions, 0.0 or 1.0, of probabilities of any shape: 1 from ``THRESHOLD`` on."""
    return (y_hat >= THRESHOLD).to(y_hat.dtype)


def decide_level(y_hat: Tensor) -> Tensor:
    """The decisions, positions of levels, of probabilities of levels (..., levels): the likeliest, of equals the first; shape (...)."""
    return y_hat.argmax(-1).to(y_hat.dtype)


def indicators(y: Tensor, levels: int) -> Tensor:
    """1 at each person's level, 0 elsewhere, shape (n, levels), from positions of levels (n,)."""
    return one_hot(y.long(), levels).double()


def defined(name: str, y: Tensor, weights: Tensor | None = None) -> bool:
    """Whether the metric ``name`` has a value for outcomes ``y``, shape (n,): r2 and roc_auc need one that varies among those who count."""
    y = y if weights is None else y[weights > 0]
    return len(y) > 0 and (name not in NEED_VARIATION or bool((y != y[0]).any()))


def need_variation(name: str, y: Tensor, weights: Tensor | None = None) -> None:
    """Refuse outcomes for which the metric ``name`` would be 0/0.

    Raises:
        QueryError: nobody, or everybody with the same outcome.
    """
    if not defined(name, y, weights):
        mend = "measure people whose outcomes differ, or ask defined() first"
        problem = f"all {count_people(y, weights)} outcomes are equal, and {name} needs two values"
        raise QueryError(where=name, problem=problem, mend=mend)


def standard_error(measured: Measured) -> float | None:
    """The measure's standard error, sd(influence) / √people, in the measure's unit; None for a single person.

    Source: Hampel (1974), The influence curve and its role in robust estimation.
    """
    m = measured.people
    return (measured.influence.square().sum().item() / (m * (m - 1))) ** 0.5 if m > 1 else None


def interval(measured: Measured, level: float = 0.95) -> tuple[float, float] | tuple[None, None]:
    """The normal interval value ± z · standard error that covers the population's value with probability ``level`` in large samples.

    A single person has no interval: (None, None), as a report's row shows it.
    """
    error = standard_error(measured)
    if error is None:
        return None, None
    margin = NormalDist().inv_cdf((1 + level) / 2) * error
    return measured.value - margin, measured.value + margin


def difference(left: Measured, right: Measured) -> Measured:
    """``left`` minus ``right``, paired person by person: what both share leaves the interval."""
    assert left.influence.shape == right.influence.shape
    return Measured(left.value - right.value, left.influence - right.influence, left.people)
