"""Predictors in which a group constraint is trained: what another predictor sees, with a head trained anew or its predictions changed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from math import isfinite, prod
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from cfair.errors import QueryError
from cfair.heads.base import Head
from cfair.interfaces import Predictor, Values, World, Worlds
from cfair.mitigations.base import Asked, Rows, Trained
from cfair.mitigations.constraining import Headed, training_rows
from cfair.mitigations.dialled import dialled
from cfair.mitigations.plans import Plan
from cfair.mitigations.registered import MITIGATIONS
from cfair.predictors import PREDICTORS
from cfair.predictors.features import each_block
from cfair.scm import SCM

__all__ = ["Constrained", "group_names", "trained_in"]

EDGE = 1e-12  # from 0 and 1, where log-odds are infinite
GRAIN = 2.0**-24  # of log-odds


class Constrained:
    """A predictor of ``plan.features`` in which constraints are trained.

    A mitigation before or during training gives its head other coefficients: it reads what it read, and is invariant where it was. One
    that comes after training changes its predictions, by group where ``plan.reads_group`` says so: it then reads the attributes, too, at
    prediction time and in every world, and is invariant in no model.

    Args:
        scm: whose graph decides what may be seen.
        plan: what is trained in, and for whom.
        head: of what is constrained: a name in HEADS, or "auto" by the outcome's kind.
    """

    def __init__(self, scm: SCM, plan: Plan, *, head: str = "auto") -> None:
        self.scm, self.plan, self._head = scm, plan, head
        self.base = PREDICTORS[plan.features](scm, head=head)
        self.after: Head | None = None
        self.trained: Trained | None = None
        mitigation = MITIGATIONS[plan.mitigation]
        self.stage = mitigation.stage
        groups = plan.by if mitigation.stage == "after" and plan.reads_group else ()
        self.sees = (*self.base.sees, *(name for name in groups if name not in self.base.sees))
        self.needs = tuple(name for name in scm.spec.observed if name in {*self.base.needs, *groups})
        self.fitted: nn.Module = nn.ModuleDict({"base": self.base.fitted})

    @property
    def classes(self) -> tuple[str, ...]:
        """None: a prediction is one number."""
        return ()

    @property
    def span(self) -> tuple[float, float]:
        """Of probabilities, or of what stands for them."""
        return 0.0, 1.0

    @property
    def monotone(self) -> bool:
        """Not known of what is changed after training."""
        return False

    @property
    def invariant_in(self) -> Literal["declared", "own"] | None:
        """As of the features, unless the group is read."""
        return self.base.invariant_in if self.stage != "after" or not self.plan.reads_group else None

    @property
    def function_of_row(self) -> bool:
        """As of the features."""
        return self.base.function_of_row

    def fit(self, worlds: Worlds, outcome: Tensor, *, weights: Tensor | None = None) -> Self:
        """Learn from abducted people, whole or in blocks, their outcomes, (n,), and their weights, (n,), if they have any.

        Raises:
            QueryError: the head cannot be trained so.
        """
        for _ in self.along(worlds, outcome, weights=weights, settings=None):
            pass
        return self

    def along(
        self, worlds: Worlds, outcome: Tensor, *, weights: Tensor | None = None, settings: Sequence[float] | None
    ) -> Iterator[float | None]:
        """Learn at one setting of the mitigation's dial after the other; the predictor stands at each while it is yielded.

        Args:
            worlds: abducted people, whole or in blocks.
            outcome: of them, (n,).
            weights: of them, (n,), if they have any.
            settings: strengths, ascending; of a mitigation with a tolerance, or without a dial, from 0, which trains nothing in, to 1,
                which leaves nothing, as 1 − tolerance/violation without constraints. None: the plan's own.

        Raises:
            QueryError: the head cannot be trained so.
        """
        self.base.fit(worlds, outcome, weights=weights)
        mitigation, counts = MITIGATIONS[self.plan.mitigation], torch.ones_like(outcome) if weights is None else weights
        group = torch.cat([self._group(world.values)[0] for world in each_block(worlds)])
        rows, asked = self._rows(worlds, outcome, group, counts)
        own: Iterable[tuple[float | None, Trained]] = (
            [(None, mitigation.train(rows, asked))] if settings is None else dialled(mitigation, rows, asked, settings)
        )
        for setting, trained in own:
            self._take(trained)
            yield setting

    def kept(self) -> Self:
        """A copy as it stands, which further training leaves alone; the SCM is shared."""
        twin = type(self)(self.scm, self.plan, head=self._head)
        if MITIGATIONS[self.plan.mitigation].mixes:
            twin._mix(deepcopy(self.base.fitted))
        else:
            twin.base.fitted.load_state_dict(self.base.fitted.state_dict())
        if self.after is not None:
            twin._hold(deepcopy(self.after))
        twin.trained = self.trained
        return twin

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over the ``state_dict`` of a predictor of the same plan.

        Raises:
            RuntimeError, KeyError: it is none.
        """
        own = {name.removeprefix("after."): value for name, value in state.items() if name.startswith("after.")}
        mitigation = MITIGATIONS[self.plan.mitigation]
        if mitigation.shaped is not None and own:
            self._hold(mitigation.shaped(own))
        elif mitigation.shaped is not None and mitigation.mixes:
            self._mix(mitigation.shaped({name.removeprefix("base."): value for name, value in state.items()}))
        self.fitted.load_state_dict(state)

    def predict(self, world: World) -> Tensor:
        """Predictions (draws, n)."""
        return self._changed(self.base.predict(world), world.values)

    def deploy(self, columns: Values, n: int) -> Tensor:
        """Predictions (n,) of rows."""
        return self._changed(self.base.deploy(columns, n), columns)

    @property
    def _groups(self) -> int:
        return prod(len(self.scm.spec.nodes[name].levels) for name in self.plan.by)

    def _rows(self, worlds: Worlds, outcome: Tensor, group: Tensor, weights: Tensor) -> tuple[Rows, Asked]:
        """What is trained on: log-odds of predictions where these are changed after training, else what the head reads."""
        if self.stage == "after":
            scores = _log_odds(torch.cat([self.base.predict(world).mean(0) for world in each_block(worlds)]))
            return Rows(scores.unsqueeze(1), outcome, group, self._groups, weights), self.plan.asked
        if not isinstance(self.base, Headed):
            raise QueryError("features", f"'{self.plan.features}' has no head to train anew", "name a mitigation after training")
        return training_rows(
            self.base,
            worlds,
            outcome,
            group,
            weights,
            mitigation=MITIGATIONS[self.plan.mitigation],
            asked=self.plan.asked,
            groups=self._groups,
        )

    def _take(self, trained: Trained) -> None:
        """Predict by what was trained from now on."""
        self.trained = trained
        if self.stage == "after":
            self._hold(trained.head)
        elif MITIGATIONS[self.plan.mitigation].mixes:
            self._mix(trained.head)
        else:
            assert isinstance(self.base, Headed)
            self.base.head.load_state_dict(trained.head.state_dict())

    def _mix(self, lottery: nn.Module) -> None:
        """Predict of what a row holds by a lottery among heads, which takes the place of the one."""
        self.base.fitted = lottery
        self.fitted = nn.ModuleDict({"base": lottery})

    def _hold(self, after: Head) -> None:
        self.after = after
        self.fitted = nn.ModuleDict({"base": self.base.fitted, "after": after})

    def _changed(self, prediction: Tensor, values: Values) -> Tensor:
        """Predictions (...), after what comes after training."""
        if self.after is None:
            return prediction
        features = [_log_odds(prediction)]
        if self.after.inputs > 1:
            features.append(self._group(values).to(torch.float64).expand_as(prediction))
        return self.after.predict(torch.stack(features, -1))

    def _group(self, values: Values) -> Tensor:
        """The index of each person's group, int64, of the shape of the values; one number per combination of levels, the last fastest."""
        group = torch.zeros((), dtype=torch.float64)
        for name in self.plan.by:
            group = group * len(self.scm.spec.nodes[name].levels) + values[name]
        return group.long()


def group_names(scm: SCM, by: tuple[str, ...]) -> list[str]:
    """The groups' names in the order of their indices, as ``Black, female``."""
    names = [""]
    for node in by:
        names = [f"{name}, {level}" if name else level for name in names for level in scm.spec.nodes[node].levels]
    return names


def _log_odds(prediction: Tensor) -> Tensor:
    """Log-odds (...) of predictions, to GRAIN: what a row and a batch round differently is then one score, on one side of a threshold."""
    return (prediction.clamp(EDGE, 1 - EDGE).logit() / GRAIN).round() * GRAIN


def trained_in(predictors: Mapping[str, Predictor], refused: Sequence[str]) -> dict[str, Any]:
    """For a report: of each constrained predictor how it was trained, and why some pairs cannot be had; nothing where none was asked for.

    Args:
        predictors: fitted.
        refused: ``mitigation.constraint: why``.
    """
    own = {name: _record(each, each.trained) for name, each in predictors.items() if isinstance(each, Constrained) and each.trained}
    return {"trained_in": own, "refused": list(refused)} if own or refused else {}


def _finite(violations: Mapping[str, float] | None) -> dict[str, float | None] | None:
    """None in the place of what is undefined, as JSON writes it."""
    return None if violations is None else {name: value if isfinite(value) else None for name, value in violations.items()}


def _record(predictor: Constrained, trained: Trained) -> dict[str, Any]:
    names = group_names(predictor.scm, predictor.plan.by)
    log = [
        {**asdict(line), "violations": _finite(line.violations), "held_out_violations": _finite(line.held_out_violations)}
        for line in trained.log
    ]
    said = {"stage": predictor.stage, "probabilities": MITIGATIONS[predictor.plan.mitigation].probabilities}
    return {**predictor.plan.to_json(), **said, "groups": len(names), "held": [names[place] for place in trained.held], "log": log}
