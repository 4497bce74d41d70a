"""Level 3: residuals of an additive working model of its own (Kusner et al. 2017, section 4.1, "Fair Add")."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from cfair.access import guard, needs, sees, working_parents
from cfair.heads import head_for
from cfair.heads.base import Head
from cfair.interfaces import Values, World, Worlds
from cfair.predictors.features import Batches, count_features, each_block, features, head_of, in_every_draw
from cfair.scm import SCM
from cfair.worlds import collapse

__all__ = ["Residual"]


class Residual:
    """A head on level 1's columns and on the residuals of the protected attributes' descendants.

    The working SCM, without latents: x_v = m_v(observed parents) + e_v for each observed descendant v of a protected attribute,
    m_v linear, fitted on the training rows (a discrete v by the indicators of its levels but the first). Its own
    counterfactuals leave e_v, and so the prediction, as they are; in the declared SCM the prediction moves by as much as the two differ.

    Args:
        scm: whose graph decides what may be seen.
        head: a name in HEADS, or "auto" by the outcome's kind.
        features: some of what may be seen, as ``["age", "residual[lsat]"]``; all if None.

    Raises:
        LeakageError: ``features`` has a node that this predictor must not see, as a column whose residual it may.
    """

    name: ClassVar[str] = "residual"
    invariant_in: ClassVar[Literal["declared", "own"] | None] = "own"
    function_of_row: ClassVar[bool] = True

    def __init__(self, scm: SCM, *, head: str = "auto", features: Sequence[str] | None = None) -> None:
        spec = scm.spec
        self._spec = spec
        self.sees = sees(spec, self.name) if features is None else guard(spec, self.name, features)
        self._plain = tuple(node for node in self.sees if node in spec.nodes)
        self._parents = {v: working_parents(spec, v) for v in spec.order if f"residual[{v}]" in self.sees}
        read = {*self._plain, *self._parents}.union(*self._parents.values())
        self.needs = tuple(node for node in needs(spec, self.name) if node in read)
        self._head = head_of(spec, head, [*self._plain, *self._parents])
        linear = head_for("real")
        self._models = {
            v: [linear(count_features(spec, own)) for _ in range(count_features(spec, [v]))] for v, own in self._parents.items()
        }
        working = nn.ModuleList(model for models in self._models.values() for model in models)
        self.fitted = nn.ModuleDict({"head": self._head, "working": working})

    @property
    def classes(self) -> tuple[str, ...]:
        """The levels of which it gives probabilities; none where a prediction is one number."""
        return self._spec.classes

    @property
    def span(self) -> tuple[float, float]:
        """As of its head."""
        return self._head.span

    @property
    def monotone(self) -> bool:
        """As of its head: residuals, too, are linear in each number."""
        return self._head.monotone

    def fit(self, worlds: Worlds, outcome: Tensor, *, weights: Tensor | None = None) -> Self:
        """Learn the working SCM, then the head on its residuals, from the same people."""
        for v, models in self._models.items():
            numbers = torch.cat([self._first_draw([v], world) for world in each_block(worlds)], 1)[0]  # (n, numbers that code v)
            for model, number in zip(models, numbers.unbind(-1), strict=True):
                model.fit(Batches(worlds, number, partial(self._first_draw, self._parents[v]), weights=weights))
        self._head.fit(Batches(worlds, outcome, self.seen, weights=weights))
        return self

    def predict(self, world: World) -> Tensor:
        """Predictions (draws, n), or (draws, n, classes)."""
        return in_every_draw(self._head.predict(self.seen(world)), world)

    def deploy(self, columns: Values, n: int) -> Tensor:
        """Predictions (n,) of rows, or (n, classes)."""
        return self._head.predict(self._seen(columns, (n,)))

    def deploy_under(self, columns: Values, do: Values, n: int) -> Tensor:
        """Predictions (n,), or (n, classes), of the rows that the working SCM's own counterfactual makes of ``columns`` under ``do``.

        Args:
            columns: factual rows, node -> (n,).
            do: node -> what it is set to, coded, shape () or (n,).
            n: how many rows.
        """
        shape = torch.Size((n,))
        before = {node: features(self._spec, [node], columns, shape) for node in self.needs}
        after = {**before, **{node: features(self._spec, [node], do, shape) for node in do if node in before}}
        for v, models in self._models.items():
            if v not in do:
                noise = before[v] - self._mean(models, self._stack(before, v))
                after[v] = self._mean(models, self._stack(after, v)) + noise
        residuals = [after[v] - self._mean(models, self._stack(after, v)) for v, models in self._models.items()]
        return self._head.predict(torch.cat([*(after[node] for node in self._plain), *residuals], -1))

    def _first_draw(self, nodes: Sequence[str], world: World) -> Tensor:
        """What a head reads of observed nodes, data and so the same in all draws: shape (1, n, k)."""
        return features(self._spec, nodes, {node: world.values[node][:1] for node in nodes}, (1, world.shape[1]))

    def _stack(self, coded: Values, v: str) -> Tensor:
        parts = [coded[parent] for parent in self._parents[v]]
        return torch.cat(parts, -1) if parts else coded[v][..., :0]

    @staticmethod
    def _mean(models: Iterable[Head], inputs: Tensor) -> Tensor:
        """m_v, shape (..., numbers that code v)."""
        return torch.stack([model.predict(inputs) for model in models], -1)

    @property
    def head(self) -> Head:
        """What makes predictions of what it sees."""
        return self._head

    def seen(self, world: World) -> Tensor:
        """Level 1's columns and the residuals of a world, one draw where all agree: shape (draws or 1, n, k)."""
        values = {node: collapse(world.values[node]) for node in self.needs}
        draws = max((value.shape[0] for value in values.values()), default=1)
        return self._seen(values, (draws, world.shape[1]))

    def _seen(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        """Level 1's columns and the residuals, shape (*shape, k)."""
        plain = features(self._spec, self._plain, values, shape)
        residuals = [
            features(self._spec, [v], values, shape) - self._mean(models, features(self._spec, self._parents[v], values, shape))
            for v, models in self._models.items()
        ]
        return torch.cat([plain, *residuals], -1)
