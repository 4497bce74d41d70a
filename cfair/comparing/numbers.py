"""Groups compared by predictions that are numbers: means, errors and whole distributions."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cfair.comparing.apart import pair_name
from cfair.comparing.people import Division, People
from cfair.comparing.rows import Row, Said
from cfair.constraints.definition import pairs_of
from cfair.constraints.simultaneous import largest_of, max_t
from cfair.interfaces import Measured
from cfair.metrics import METRICS, average, standard_error
from cfair.metrics.wasserstein_between import noise_of, wasserstein_between

__all__ = ["number_rows"]


def number_rows(
    people: People, divisions: Iterable[Division], *, min_group_size: int, residuals: bool = True, seed: int = 0
) -> Iterator[Said]:
    """How far groups lie apart in mean prediction, mean residual, RMSE and the distribution of predictions, and each two groups.

    ``<measure>_pair`` is the later group less the earlier one, with normal intervals that hold for all pairs at once (``max_t``);
    ``<measure>_difference`` the largest of them, between the largest lower end and the largest upper end. ``wasserstein_pair`` and
    ``wasserstein_difference`` are distances of distributions. Each row comes with the reason why it is undefined, if it is.

    Args:
        people: their outcomes and predictions, which are numbers.
        divisions: of these people.
        min_group_size: people below which a group is not compared; two are needed in any case.
        residuals: whether predictions have the outcome's unit, so that residuals and errors mean something.
        seed: of the draws behind intervals.
    """
    for division in divisions:
        groups = _groups(people, division, max(min_group_size, 2))
        names = list(groups)
        for predictor in people.predictions:
            for measure in ("mean_prediction", "mean_residual", "rmse") if residuals else ("mean_prediction",):
                found = [_measured(own, predictor, measure) for own in groups.values()]
                rows = _difference_rows(measure, division.attribute, names, found, seed)
                yield from ((replace(row, predictor=predictor), reason) for row, reason in rows)
            rows = _distance_rows(division.attribute, groups, predictor, seed)
            yield from ((replace(row, predictor=predictor), reason) for row, reason in rows)


def _groups(people: People, division: Division, least: int) -> dict[str, People]:
    """The people of each group that is large enough, those of weight 0 left out."""
    counted = torch.ones_like(division.member, dtype=torch.bool) if people.weights is None else people.weights > 0
    each = {name: people.take(counted & (division.member == g)) for g, name in enumerate(division.names)}
    return {name: own for name, own in each.items() if len(own.y) >= least}


def _measured(people: People, predictor: str, measure: str) -> Measured:
    y_hat = people.predictions[predictor]
    if measure == "mean_prediction":
        return average(y_hat, people.weights)
    return average(people.y - y_hat, people.weights) if measure == "mean_residual" else METRICS[measure](people.y, y_hat, people.weights)


def _difference_rows(measure: str, attribute: str, names: Sequence[str], found: Sequence[Measured], seed: int) -> Iterator[Said]:
    row = Row(predictor="", measure=f"{measure}_difference", attribute=attribute, value=None, n=sum(each.people for each in found))
    if len(names) < 2:
        yield row, "fewer than two groups have people enough"
        return
    value = torch.tensor([each.value for each in found], dtype=torch.float64)
    variance = torch.tensor([standard_error(each) or 0.0 for each in found], dtype=torch.float64).square()
    g, h = pairs_of(len(names))
    apart, margin = value[h] - value[g], max_t([variance], seed=seed) * (variance[g] + variance[h]).sqrt()
    nearest = (apart.abs() - margin).clamp(min=0).max().item()
    yield replace(row, value=apart.abs().max().item(), low=nearest, high=(apart.abs() + margin).max().item()), None
    for k, (a, b) in enumerate(zip(g.tolist(), h.tolist(), strict=True)):
        low, high = (apart[k] - margin[k]).item(), (apart[k] + margin[k]).item()
        pair = replace(row, measure=f"{measure}_pair", group=pair_name(names, a, b), n=found[a].people + found[b].people)
        yield replace(pair, value=apart[k].item(), low=low, high=high), None


def _distance_rows(attribute: str, groups: dict[str, People], predictor: str, seed: int) -> Iterator[Said]:
    names, each = list(groups), list(groups.values())
    row = Row(predictor="", measure="wasserstein_difference", attribute=attribute, value=None, n=sum(len(own.y) for own in each))
    if len(names) < 2:
        yield row, "fewer than two groups have people enough"
        return
    noise = [noise_of(own.predictions[predictor], own.weights, seed=seed + k) for k, own in enumerate(each)]
    g, h = pairs_of(len(names))
    critical, rows = largest_of(len(g)), []
    for a, b in zip(g.tolist(), h.tolist(), strict=True):
        weights = _both(each[a].weights, each[b].weights)
        x, y = each[a].predictions[predictor], each[b].predictions[predictor]
        value, low, high = wasserstein_between(x, y, (noise[a], noise[b]), critical=critical, weights=weights)
        pair = replace(row, measure="wasserstein_pair", group=pair_name(names, a, b), n=len(x) + len(y))
        rows.append(replace(pair, value=value, low=low, high=high))
    ends = ([getattr(pair, end) for pair in rows] for end in ("value", "low", "high"))
    value, low, high = (max(end) for end in ends)
    yield replace(row, value=value, low=low, high=high), None
    yield from ((pair, None) for pair in rows)


def _both(left: Tensor | None, right: Tensor | None) -> tuple[Tensor, Tensor] | None:
    return None if left is None or right is None else (left, right)
