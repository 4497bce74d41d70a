"""Each prediction's difference between two groups, taken apart into direct, indirect and spurious effects."""

from collections.abc import Callable, Mapping, Sequence

import torch

from cfair.comparing import Row
from cfair.effects import decompose, prediction_of
from cfair.interfaces import Columns, Predictor
from cfair.scm import SCM

__all__ = ["TERMS", "decomposed"]

TERMS = ("tv", "ctf_de", "ctf_ie", "ctf_se")  # tv = ctf_de − (ctf_ie + ctf_se), as Plečko & Bareinboim write them


def decomposed(
    scm: SCM,
    predictors: Mapping[str, Predictor],
    people: Columns,
    *,
    attributes: Sequence[str],
    known: Columns,
    draws: int,
    seed: int,
    progress: Callable[[float], None],
) -> list[Row]:
    """TV and the three counterfactual effects of each deployed prediction, between the two largest groups of each attribute.

    An attribute of which fewer than two groups are among the people has no rows.

    Parameters stay at their estimates: the intervals are of the people, those who lack no value.

    Args:
        scm: learned.
        predictors: of one number each.
        people: held out.
        attributes: protected, with levels.
        known: all people, by whom it is told which groups are the largest.
        draws: per person.
        seed: of the noise.
        progress: called with the share of the work that is done.

    Source: Plečko & Bareinboim (2024), Causal fairness analysis, Theorem 4.1.
    """
    found, people = [], _whole(people)
    for i, attribute in enumerate(attributes):
        if (pair := _largest(known, people, attribute, scm.spec.nodes[attribute].levels)) is None:
            continue
        start, end = pair
        for k, (name, predictor) in enumerate(predictors.items()):
            progress((i + k / len(predictors)) / len(attributes))
            terms = decompose(
                scm, people, attribute=attribute, start=start, end=end, prediction=prediction_of(scm.spec, predictor), draws=draws,
                parts=False, parameter_draws=0, seed=seed,
            ).terms  # fmt: skip
            for term in TERMS:
                if (each := terms.get(term)) is not None:
                    where = {"attribute": attribute, "group": start, "world": f"{attribute}={end}"}
                    found.append(Row(predictor=name, measure=term, **where, value=each.value, low=each.low, high=each.high, n=people.n))
    progress(1.0)
    return found


def _largest(known: Columns, people: Columns, attribute: str, levels: Sequence[str]) -> tuple[str, str] | None:
    """The two levels that most have of all who are known, weighted, and somebody among ``people``; None where one such level is left."""
    weights = torch.ones(known.n, dtype=torch.float64) if known.weights is None else known.weights
    sizes = torch.zeros(len(levels), dtype=torch.float64).index_add_(0, known[attribute].long(), weights)
    counted = people.counted()[attribute].long()
    sizes *= torch.bincount(counted, minlength=len(levels)) > 0
    first, second = sizes.topk(2).indices.tolist()
    return (levels[first], levels[second]) if sizes[second] > 0 else None


def _whole(people: Columns) -> Columns:
    """Those who lack no value."""
    lacking = torch.zeros(people.n, dtype=torch.bool)
    for mask in people.missing.values():
        lacking |= mask
    return people.take((~lacking).nonzero().squeeze(-1)) if people.missing else people
