"""A prediction whose effects are asked for: the map that makes it, or only its values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.effects.scored import Score, scored, with_score
from cfair.errors import QueryError, nearest
from cfair.interfaces import Columns, Predictor, Values, World
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.spec.naming import unlike

__all__ = ["Predicted", "Prediction", "checked_values", "model_with", "name_for", "prediction_of", "world_with"]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """A map from rows to predictions, as one that is deployed.

    Args:
        needs: the observed nodes that it reads.
        score: columns (m,) of m rows, and m -> their predictions (m,), as ``Predictor.deploy``.
        name: of the node that it becomes; no node of the model may have it.
        label: what it is called in what is found; its name if None.
        same_noise: of a map with an inference of its own inside, its predictions (draws, n) in a world that shares its noise with the
            factual one, as ``Predictor.predict``: the inference is then not done anew. None: the same as the map's.
    """

    needs: Sequence[str]
    score: Score
    name: str = "prediction"
    same_noise: Callable[[World], Tensor] | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """Predictions whose map is not at hand: of other rows nobody knows them.

    Args:
        values: of the people of a table, in its order, shape (n,).
        name: of the node that they become, a child of all that they may have been made of.
    """

    values: Tensor
    name: str = "prediction"


def prediction_of(spec: ModelSpec, predictor: Predictor, *, level: str | None = None) -> Prediction:
    """A fitted predictor's deployed map; of an outcome with several levels, to the probability of one.

    Args:
        spec: whose outcome it predicts.
        predictor: fitted.
        level: of the outcome, where there are several.

    Raises:
        QueryError: one of several levels is not named, or one is that is not among several.
    """
    inferred, name = not predictor.function_of_row, name_for(spec)
    if not spec.classes:
        if level is not None:
            raise QueryError("level", f"'{spec.outcome}' has not several levels: its prediction is one number", "ask without a level")
        return Prediction(predictor.needs, predictor.deploy, name, predictor.predict if inferred else None)
    if level is None:
        problem = f"of '{spec.outcome}' a probability of each level is predicted, and one has to be chosen"
        raise QueryError("level", problem, f"name one of: {', '.join(spec.classes)}")
    if level not in spec.classes:
        raise QueryError("level", f"'{level}' is not a level of '{spec.outcome}'", nearest(level, spec.classes))
    k = spec.classes.index(level)

    def score(columns: Values, n: int) -> Tensor:
        return predictor.deploy(columns, n)[:, k]

    def same_noise(world: World) -> Tensor:
        return predictor.predict(world)[..., k]

    return Prediction(predictor.needs, score, name, same_noise if inferred else None, label=f"{name}[{level}]")


def name_for(spec: ModelSpec) -> str:
    """``prediction``, with as many underscores after it as tell it from all nodes."""
    return unlike(spec.nodes, "prediction")


def model_with(scm: SCM, prediction: Prediction | Predicted | None) -> SCM:
    """The model with the prediction as its last node; as it is if there is none.

    Raises:
        QueryError: the prediction's name is taken, or it reads what is no observed node.
    """
    if prediction is None:
        return scm
    if isinstance(prediction, Predicted):
        return scored(scm, prediction.name, scm.spec.evidence, _unknown)
    return scored(scm, prediction.name, prediction.needs, _whole(prediction.score))


def world_with(model: SCM, world: World, prediction: Prediction | None) -> World:
    """The people of ``world`` with their predictions, shape (draws, n)."""
    return world if prediction is None else with_score(model, world, prediction.name)


def checked_values(prediction: Predicted, columns: Columns) -> Tensor:
    """The predictions of those of the table's people who have a weight above 0, as ``columns.counted`` keeps them.

    Raises:
        QueryError: there are more or fewer than people, or one is not a finite number.
    """
    values = prediction.values.to(torch.float64)
    if values.shape != (columns.n,):
        raise QueryError(
            "prediction", f"predictions of shape {tuple(values.shape)} for {columns.n} people", "give one per row, in its order"
        )
    if not values.isfinite().all():
        count = int((~values.isfinite()).sum())
        raise QueryError("prediction", f"{count} of {columns.n} predictions are not finite numbers", "mend the model that makes them")
    return values if columns.weights is None else values[columns.weights > 0]


def _unknown(rows: Values, n: int) -> Tensor:
    raise QueryError("prediction", "its map is not known, only its values", "give the map")


def _whole(score: Score) -> Score:
    """The same map, once what it returns is known to be one finite number per row."""

    def checked(rows: Values, n: int) -> Tensor:
        found = score(rows, n)
        if found.shape != (n,):
            raise QueryError("prediction", f"{n} rows got predictions of shape {tuple(found.shape)}", "return one number per row")
        if not found.isfinite().all():
            count = int((~found.isfinite()).sum())
            raise QueryError("prediction", f"{count} of {n} predictions are not finite numbers", "mend the model that makes them")
        return found

    return checked
