"""Which number of a prediction is explained: itself, or the probability of one of the outcome's several levels."""

from dataclasses import dataclass
from math import inf

from torch import Tensor

from cfair.errors import QueryError, nearest
from cfair.interfaces import Outlined, Predictor, Values, World
from cfair.metrics import decide, decide_level
from cfair.spec import ModelSpec

__all__ = ["Explained", "explained"]


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """What is explained of a predictor's predictions.

    Args:
        predictor: fitted.
        spec: whose outcome it predicts.
        level: position of the level whose probability is explained, of an outcome with several; None: the prediction itself.
    """

    predictor: Predictor
    spec: ModelSpec
    level: int | None

    @property
    def event(self) -> str | None:
        """The level whose probability is explained; None of a number."""
        if self.level is not None:
            return self.spec.classes[self.level]
        return self.spec.nodes[self.spec.outcome].levels[1] if self.spec.outcome_kind == "binary" else None

    @property
    def span(self) -> tuple[float, float]:
        """Within which the number lies, as far as is known."""
        if self.level is not None:
            return 0.0, 1.0
        return self.predictor.span if isinstance(self.predictor, Outlined) else (-inf, inf)

    @property
    def monotone(self) -> bool:
        """Whether it is known to move one way only as one column of numbers grows: no level's probability need."""
        return self.level is None and isinstance(self.predictor, Outlined) and self.predictor.monotone

    def score(self, columns: Values, n: int) -> Tensor:
        """The deployed map to the number that is explained, (n,)."""
        found = self.predictor.deploy(columns, n)
        return found if self.level is None else found[:, self.level]

    def classes(self, columns: Values, n: int) -> dict[str, float]:
        """The mean probability of each of several levels over n rows; nothing of an outcome that has not several."""
        if self.level is None:
            return {}
        return dict(zip(self.spec.classes, self.predictor.deploy(columns, n).mean(0).tolist(), strict=True))

    def flips(self, before: Values, after: Values, draws: int) -> float | None:
        """The share of draws, rows of ``after``, (draws,), in which the decision is another than for the row ``before``, (1,)."""
        if self.event is None:
            return None
        old, new = self.predictor.deploy(before, 1), self.predictor.deploy(after, draws)
        decisions = [decide(each) if self.level is None else decide_level(each) for each in (old, new)]
        return float((decisions[1] != decisions[0]).double().mean())

    def rows(self, world: World) -> dict[str, Tensor]:
        """What the predictor needs of one person's draws, node -> (draws,)."""
        return {node: world.values[node].expand(world.shape)[:, 0].contiguous() for node in self.predictor.needs}


def explained(spec: ModelSpec, predictor: Predictor, person: Values, level: str | None) -> Explained:
    """What to explain of one person's prediction: of several levels the one that is named, or else the likeliest.

    Raises:
        QueryError: a level is named that the outcome has not, or of an outcome that has not several.
    """
    if not spec.classes:
        if level is not None:
            problem = f"'{spec.outcome}' has not several levels: its prediction is one number"
            raise QueryError("level", problem, "ask without a level")
        return Explained(predictor, spec, None)
    if level is None:
        return Explained(predictor, spec, int(decide_level(predictor.deploy(person, 1))[0]))
    if level not in spec.classes:
        raise QueryError("level", f"'{level}' is not a level of '{spec.outcome}'", nearest(level, spec.classes))
    return Explained(predictor, spec, spec.classes.index(level))
