"""Whether groups differ by more than chance would have them do, were people's groups exchanged within each stratum."""

import numpy as np
import torch
from torch import Tensor

from cfair.constraints.base import Cells, Constraint
from cfair.constraints.definition import pairs_of
from cfair.constraints.pairwise import sample

__all__ = ["REPLICATES", "permuted"]

REPLICATES = 1_000
ROUNDING = 1e-9  # of a statistic: permutations that are as far apart count as such
AT_ONCE = 4_000_000  # numbers held


def permuted(constraint: Constraint, cells: Cells, *, replicates: int = REPLICATES, seed: int = 0) -> float | None:
    """The permutation p-value of the hypothesis that all groups have the same rate in every stratum; None where no two have anybody.

    p = (1 + b) / (1 + B), with b of B permutations in which the largest studentised pairwise difference
    max_s max_g<h |r_sg − r_sh| / √(r_s·(1 − r_s)·(1/n_sg + 1/n_sh)) is no smaller than in the table, r_s being the rate of the stratum's
    people. Groups are exchanged among the people of one stratum, where they are alike under the hypothesis: among all people they are not,
    and a test of true positive rates would reject six times too often with unequal base rates. Exchanged groups have successes by the
    multivariate hypergeometric distribution, so that the p-value is exact; with unequal weights people count as so many effective ones,
    rounded to whole people, and it is not.

    Args:
        constraint: of decisions.
        cells: of shape (groups, 2, 2).
        replicates: B.
        seed: of the permutations; the order of groups changes nothing.

    Source: Phipson & Smyth (2010), Permutation p-values should never be zero, for (1 + b)/(1 + B); Chung & Romano (2013), Exact and
    asymptotically robust permutation tests, for studentising; DiCiccio, Vasudevan, Basu, Kenthapadi & Agarwal (2020), Evaluating
    fairness using permutation tests, for why permuting all people does not do.
    """
    own, source = sample(cells, constraint.tally), np.random.default_rng(seed)
    seen, drawn, compared = 0.0, torch.zeros(replicates, dtype=torch.float64), False
    for successes, trials in zip(own.successes, own.trials, strict=True):
        order = trials.argsort(descending=True)[: int((trials > 0).sum())]
        if len(order) > 1:
            compared = True
            observed, exchanged = _stratum(successes[order], trials[order], replicates, source)
            seen, drawn = max(seen, observed), torch.maximum(drawn, exchanged)
    if not compared:
        return None
    return (1 + int((drawn >= seen - ROUNDING).sum())) / (1 + replicates)


def _stratum(successes: Tensor, trials: Tensor, replicates: int, source: np.random.Generator) -> tuple[float, Tensor]:
    """The largest studentised difference in one stratum, and those in permutations of it, shape (replicates,)."""
    people = trials.round().clamp(min=1)
    selected = successes.sum().round().clamp(max=people.sum())
    rate = (successes.sum() / trials.sum()).clamp(0, 1)
    if not 0 < rate < 1:
        return 0.0, torch.zeros(replicates, dtype=torch.float64)
    exchanged = source.multivariate_hypergeometric(people.long().numpy(), int(selected), size=replicates, method="marginals")
    observed = _largest((successes / trials).unsqueeze(0), rate * (1 - rate), trials)
    return observed.item(), _largest(torch.from_numpy(exchanged).double() / people, rate * (1 - rate), trials)


def _largest(rates: Tensor, variance: Tensor, trials: Tensor) -> Tensor:
    """The largest studentised pairwise difference, shape (replicates,), of rates (replicates, groups)."""
    earlier, later = pairs_of(len(trials))
    scale = (variance * (1 / trials[earlier] + 1 / trials[later])).rsqrt()
    parts = rates.split(max(AT_ONCE // len(scale), 1))
    return torch.cat([(part[:, later] - part[:, earlier]).abs_().mul_(scale).amax(-1) for part in parts])
