"""Where base rates differ, predictive parity and equalized odds exclude one another: said with the figures at hand."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist

from cfair.auditing import Row
from cfair.comparing.representation import DATA
from cfair.report.figures import Figures
from cfair.report.numbers import plain

__all__ = ["impossible"]

NEEDED = ("base_rate", "true_positive_rate", "false_positive_rate", "positive_predictive_value")
FULL = (
    ". So predictive parity and equalized odds cannot both hold, unless there are no false positives or no true positives "
    "(Chouldechova 2017; Kleinberg et al. 2016)"
)
AGAIN = ": the two cannot both hold here, either"


def impossible(figures: Figures, attribute: str, suffix: str = "", *, again: bool = False) -> Iterator[str]:
    """A sentence on the groups whose base rates lie furthest apart, if they can be told apart; else nothing.

    With base rate p, predictive value v and true positive rate t a group's false positive rate is p/(1 − p)·(1 − v)/v·t: where p differs,
    v and t cannot agree and the false positive rates, too, unless there are none (v = 1) or no true positives (t = 0).

    Args:
        figures: of a report.
        attribute: that divides people.
        suffix: of the measures of one level of the outcome against the others, as ``[law]``.
        again: whether it was said in full before.

    Source: Chouldechova (2017), Fair prediction with disparate impact, equation 2.6; Kleinberg, Mullainathan & Raghavan (2016).
    """
    rates = _base_rates(figures, attribute, suffix)
    if len(rates) < 2:
        return
    low, high = (extreme(rates, key=lambda group: _value(rates[group])) for extreme in (min, max))
    least, most = _apart(rates[high], rates[low], pairs=len(rates) * (len(rates) - 1) // 2)
    if least <= 0:
        return
    apart = f"{plain(_value(rates[high]) - _value(rates[low]), 0.1)} [{plain(least, 0.1)}, {plain(most, 0.1)}]"
    yield (
        f"Base rates by {attribute}{f' of {suffix[1:-1]}' if suffix else ''} differ: {plain(_value(rates[low]), 0.1)} ({low}) and "
        f"{plain(_value(rates[high]), 0.1)} ({high}), by {apart}{AGAIN if again else FULL}"
        f"{_at_hand(figures, attribute, (low, high), suffix)}."
    )


def _base_rates(figures: Figures, attribute: str, suffix: str) -> dict[str, Row]:
    """The base rates of groups that are large enough to count, whoever is said to have predicted."""
    for predictor in (*figures.predictors, DATA):
        rows = {group: figures.row(predictor, f"base_rate{suffix}", attribute, group) for group in figures.groups[attribute]}
        found = {group: row for group, row in rows.items() if row is not None and row.value is not None and row.low is not None}
        if found:
            return {group: row for group, row in found.items() if (row.n or 0) >= figures.option("min_group_size", 1)}
    return {}


def _apart(high: Row, low: Row, *, pairs: int) -> tuple[float, float]:
    """The interval of a difference, which holds for so many pairs at once: Newcombe's hybrid of the two groups' intervals."""
    wider = NormalDist().inv_cdf(1 - 0.025 / pairs) / NormalDist().inv_cdf(0.975)
    apart = _value(high) - _value(low)
    below = ((_value(high) - (high.low or 0.0)) ** 2 + ((low.high or 0.0) - _value(low)) ** 2) ** 0.5
    above = (((high.high or 0.0) - _value(high)) ** 2 + (_value(low) - (low.low or 0.0)) ** 2) ** 0.5
    return apart - wider * below, apart + wider * above


def _at_hand(figures: Figures, attribute: str, pair: tuple[str, str], suffix: str) -> str:
    """What equal predictive values and true positive rates would ask of the false positive rates of the first predictor that has them."""
    for predictor in figures.predictors:
        found = [{name: _of(figures, predictor, f"{name}{suffix}", attribute, group) for name in NEEDED} for group in pair]
        if all(value is not None for own in found for value in own.values()):
            rates = [{name: value or 0.0 for name, value in own.items()} for own in found]
            value, true = (sum(own[name] for own in rates) / 2 for name in ("positive_predictive_value", "true_positive_rate"))
            if 0 < value < 1 and 0 < true < 1:
                return _asked(predictor, rates, value, true)
    return ""


def _asked(predictor: str, rates: Sequence[Mapping[str, float]], value: float, true: float) -> str:
    """What the false positive rates would have to be, and are."""
    asked = [own["base_rate"] / (1 - own["base_rate"]) * (1 - value) / value * true for own in rates if own["base_rate"] < 1]
    if len(asked) < len(rates):
        return ""
    beyond = " which is more than 1," if max(asked) > 1 else ""
    has = " and ".join(plain(own["false_positive_rate"], 0.1) for own in rates)
    would = " and ".join(plain(each, 0.1) for each in asked)
    return (
        f". Were the predictive value {plain(value, 0.1)} and the true positive rate {plain(true, 0.1)} in both groups, as they are in the "
        f"mean under {predictor}, the false positive rates would have to be {would},{beyond} where {predictor} has {has}"
    )


def _of(figures: Figures, predictor: str, measure: str, attribute: str, group: str) -> float | None:
    row = figures.row(predictor, measure, attribute, group)
    return None if row is None else row.value


def _value(row: Row) -> float:
    return row.value or 0.0
