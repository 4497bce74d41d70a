"""A line of a training's log: what the decisions of the training rows are by then."""

import torch
from torch import Tensor

from cfair.mitigations.base import Asked, Rows, Stage
from cfair.mitigations.descent import Descent, Reached
from cfair.mitigations.soft import Violations

__all__ = ["Watched"]


class Watched:
    """Training rows whose hard violations are written down.

    Args:
        rows: people.
        asked: what is to be equal.
        descent: of these rows.
    """

    def __init__(self, rows: Rows, asked: Asked, descent: Descent) -> None:
        self._rows, self._asked, self._descent = rows, asked, descent
        self.part = rows.large(asked.min_group_size)
        self.violations = Violations(rows, asked.constraints, self.part, descent.scores(descent.start))

    @property
    def held(self) -> tuple[int, ...]:
        """Groups too small to take part, by index."""
        return tuple(torch.nonzero(~self.part).flatten().tolist())

    def differences(self, scores: Tensor) -> dict[str, float]:
        """The largest difference of each constraint between groups that take part, in decisions by log-odds (n,); of calibration the
        largest sum of absolute errors over the knots of a group.
        """
        counts = self._rows.cells((scores >= 0).to(torch.float64)).weight[self.part]
        found = {each.name: float(each.difference(counts)) for each in self._asked.constraints if each.strata}
        apart = self.violations.hard(scores)
        of_scores = torch.tensor([name not in found for name in self.violations.names])
        if of_scores.any():
            groups = apart[of_scores].reshape(int(self.part.sum()), -1)
            found["calibration"] = float(groups.abs().sum(1).max())
        return {each.name: found[each.name] for each in self._asked.constraints}

    def stage(self, what: str, reached: Reached | None = None, multipliers: tuple[float, ...] = ()) -> Stage:
        """What was reached; the start, if nothing was."""
        scores = self._descent.scores(self._descent.start if reached is None else reached.theta)
        loss, violations = float(self._descent.loss(scores)), self.differences(scores)
        return Stage(what, loss, violations, *((0, True) if reached is None else (reached.steps, reached.converged)), multipliers)
