"""Decisions by a threshold for each group, chosen after training: of those that keep the constraints on these rows the most accurate."""

import torch
from torch import Tensor

from cfair.constraints import Constraint
from cfair.constraints.tallies import false_positive_rate, selection_rate, true_positive_rate
from cfair.mitigations.base import Asked, Mitigation, Rows, Trained, refuse
from cfair.mitigations.coordinates import best_by_coordinates, best_for_all
from cfair.mitigations.deciding import MOST, Decider
from cfair.mitigations.ladders import Ladder, ladders, pooled_ladder
from cfair.mitigations.mixtures import best_mixture
from cfair.mitigations.unconstrained import positions, stage, taking_part, unconstrained
from cfair.mitigations.windows import best_in_windows, best_near_targets

__all__ = ["threshold"]

LINEAR = {selection_rate, true_positive_rate, false_positive_rate}  # in decisions: who they are of does not depend on the decisions


def _train(rows: Rows, asked: Asked) -> Trained:
    """A logistic head, and thresholds on its log-odds.

    One constraint on one rate: exact, one threshold per group. Demographic parity and equal opportunity are then kept to half of what one
    step of a threshold changes, in each group; predictive parity and treatment equality, whose rates do not rise steadily, to one row of
    the smallest group, or the tolerance if that is more. Several rates that are linear in decisions, as equalized odds: exact in
    expectation, by a lottery among up to three thresholds. Several others: one threshold per group, moved by one and two groups in turn,
    a local optimum that may miss a tolerance: the last line of the log says what is left.

    Without the group at prediction time one threshold for everybody is moved, which cannot make rates equal where scores differ: with a
    tolerance it finds the most accurate that keeps it, and without one it most often ends at selecting nobody, or everybody. Groups that
    take no part have the one threshold that is most accurate for all rows together.

    Source: Hardt, Price & Srebro (2016), Equality of opportunity in supervised learning, section 3.
    """
    refuse(asked, _refuses)
    base, part = unconstrained(rows), taking_part(rows, asked)
    score, apart = base.score(rows.features), asked.reads_group and rows.groups > 1
    everybody = pooled_ladder(rows, score)
    if apart:
        thresholds, shares = _by_group(rows, asked, part, score)
        thresholds[~part] = everybody.values[everybody.best]
    else:
        at = best_for_all(everybody, asked.constraints, asked.tolerance, part) if part.any() else everybody.best
        thresholds, shares = everybody.values[at].expand(1, MOST), torch.eye(1, MOST, dtype=torch.float64)
    seen = rows.with_group() if apart else rows.features
    head = Decider(seen.shape[1], len(thresholds)).hold(base, thresholds, shares, asked.seed)
    log = [stage("without constraints", rows, asked, head=base, seen=rows.features)]
    if (shares[:, 0] < 1).any():
        log.append(stage("thresholds, in expectation", rows, asked, head=head, seen=seen, probability=head.expected(seen)))
    log.append(stage("thresholds", rows, asked, head=head, seen=seen))
    return Trained(head, apart, tuple(log), positions(~part))


def _by_group(rows: Rows, asked: Asked, part: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
    """Thresholds and their shares, both (groups, MOST); 0 and 1 for groups that take no part."""
    thresholds = torch.zeros(rows.groups, MOST, dtype=torch.float64)
    shares = torch.eye(1, MOST, dtype=torch.float64).repeat(rows.groups, 1)
    found = ladders(rows, score, part)
    for group, ladder, (at, own) in zip(positions(part), found, _chosen(rows, asked, part, found), strict=True):
        thresholds[group] = ladder.values[at[-1]]
        thresholds[group, : len(at)] = ladder.values[at]
        shares[group] = 0
        shares[group, : len(at)] = own
    return thresholds, shares


def _chosen(rows: Rows, asked: Asked, part: Tensor, found: list[Ladder]) -> list[tuple[Tensor, Tensor]]:
    """Of each group that takes part the places of its thresholds on its ladder, ascending, and their shares."""
    if not found:
        return []
    linear = all(tally in LINEAR for constraint in asked.constraints for tally in constraint.strata.values())
    if linear and sum(len(constraint.strata) for constraint in asked.constraints) > 1:
        return best_mixture(found, asked.constraints, asked.tolerance)
    if linear:
        places = best_near_targets(found, asked.constraints[0], asked.tolerance)
    else:
        each = [best_in_windows(found, one, _grain(rows, asked, part)) for one in asked.constraints if len(one.strata) == 1]
        alone = torch.tensor([ladder.best for ladder in found])
        several = len(asked.constraints) > 1
        places = best_by_coordinates(found, asked.constraints, _grain(rows, asked, part), [alone, *each]) if several else each[0]
    return [(place.reshape(1), torch.ones(1, dtype=torch.float64)) for place in places]


def _grain(rows: Rows, asked: Asked, part: Tensor) -> float:
    """The tolerance, or the share that one person is of the smallest group if that is more."""
    size = torch.bincount(rows.group, weights=rows.weights, minlength=rows.groups)[part]
    return max(asked.tolerance, float(rows.weights.max() / size.min()))


def _refuses(constraint: Constraint) -> str | None:
    if constraint.strata:
        return None
    return f"thresholds move decisions, and {constraint.name} is a property of scores, which they leave as they are"


threshold = Mitigation("threshold", "after", _train, _refuses, dial="tolerance", probabilities=False, shaped=Decider.shaped)
