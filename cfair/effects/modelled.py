"""Effects from the model's mechanisms: exact where they can be summed, else of people who keep their noise."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cfair.effects.answering import Work, drawn_models, enumerated, followed
from cfair.effects.assembling import along_parts, mediator_parts, path_parts, summing_to, terms_of
from cfair.effects.contrast import SAME_NOISE, Key, Question
from cfair.effects.enumeration import why_not_enumerable
from cfair.effects.monte_carlo import tally_of_facts
from cfair.effects.parts import AlongPart, MediatorPart, PathPart
from cfair.effects.prediction import Prediction
from cfair.effects.readings import Readings, tallied_readings
from cfair.effects.records import Estimate
from cfair.effects.shared import Shared, shared_by
from cfair.errors import QueryError
from cfair.interfaces import Columns
from cfair.scm import SCM

__all__ = ["Asked", "FromModel", "from_model"]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question with all that it is asked of.

    Args:
        scm: the model of the people.
        model: the same with the prediction as its last node, if there is one.
        prediction: whose effects are asked for, if not a node's.
        question: what is asked.
        columns: the people, those of weight above 0; None: the model's population.
        work: how much to spend.
        learners: of what is estimated from rows alone.
        certain: whether every parameter is fixed.
        values: of a prediction whose map is not known, of the people, (n,); else None.
    """

    scm: SCM
    model: SCM
    prediction: Prediction | None
    question: Question
    columns: Columns | None
    work: Work
    learners: str
    certain: bool
    values: Tensor | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """The evidence of which people's noise is drawn.

        All observed nodes for a node's effects. For a prediction's all but the outcome and its descendants, which a row that is to be
        predicted has not yet, unless the prediction or the attribute is among these.
        """
        spec = self.scm.spec
        read = {self.question.contrast.attribute, *(self.prediction.needs if self.prediction else ())}
        return spec.evidence if self.prediction and read <= set(spec.evidence) else spec.observed


@dataclass(frozen=True, slots=True, eq=False)
class FromModel:
    """What the mechanisms tell.

    Args:
        readings: all that is behind them.
        method: "enumeration" or "common noise".
        mediators: parts of the indirect effect.
        paths: parts of the total effect.
        along: effects along the paths that were asked for.
        shared: what the table's people have in common with the draws of the parameters, if these were learned from them.
    """

    readings: Readings
    method: str
    mediators: tuple[MediatorPart, ...]
    paths: tuple[PathPart, ...]
    along: tuple[AlongPart, ...]
    shared: Shared | None = None

    @property
    def terms(self) -> dict[str, Estimate]:
        """Term -> estimate."""
        return terms_of(self.readings)

    @property
    def reverse(self) -> dict[str, Estimate]:
        """The same with x0 and x1 swapped."""
        return terms_of(self.readings, reverse=True)

    @property
    def same_noise(self) -> dict[str, Estimate]:
        """Term -> estimate, of a prediction whose own inference is not done anew in other worlds; empty for all others."""
        return terms_of(self.readings, prefix=SAME_NOISE)


def from_model(asked: Asked, progress: Callable[[int], None] | None = None) -> FromModel:
    """All terms, mediators and paths.

    Raises:
        QueryError: nobody has one of the levels under the model.
    """
    if asked.values is not None:
        return _facts(asked, asked.values)
    scm, prediction, question, work = asked.scm, asked.prediction, asked.question, asked.work
    if why_not_enumerable(asked.model, question.contrast) is not None:
        readings = followed(scm, prediction, question, work, columns=asked.columns, given=asked.given, progress=progress)
        return _told(asked, "common noise", readings, readings.shared)
    exact = enumerated(scm, prediction, question, work, certain=asked.certain)
    shared = shared_by(scm, drawn_models(scm, work)[0], asked.columns, question.contrast.target.node, seed=work.seed)
    anew = prediction is None or prediction.same_noise is None
    if anew and {part for part, _ in exact.rows} >= set(question.parts):
        return _told(asked, "enumeration", exact, shared)
    some = followed(scm, prediction, replace(question, mediators=()), work, progress=progress)  # single paths need the noise
    adjusted = some if Key("path:0") in exact.rows or not question.paths else summing_to(some, exact, question)
    return _told(asked, "enumeration", replace(adjusted, rows={**adjusted.rows, **exact.rows}), shared)


def _facts(asked: Asked, values: Tensor) -> FromModel:
    """The difference between the groups, of predictions of which nothing else is known.

    Raises:
        QueryError: the attribute is a number, which hardly two people share.
    """
    columns, contrast = asked.columns, asked.question.contrast
    assert columns is not None
    if asked.scm.spec.nodes[contrast.attribute].kind == "real":
        raise QueryError("prediction", f"'{contrast.attribute}' is a number, and without a map groups are compared", "give the map")
    found = tally_of_facts(values, columns[contrast.attribute], contrast)
    readings = tallied_readings(found, columns.weights, [], torch.zeros(0, dtype=torch.float64))
    return FromModel(readings, "facts", (), (), ())


def _told(asked: Asked, method: str, readings: Readings, shared: Shared | None) -> FromModel:
    """What the readings say."""
    graph, question = asked.model.spec.graph, asked.question
    return FromModel(
        readings,
        method,
        mediator_parts(readings, question),
        path_parts(graph, readings, question),
        along_parts(graph, readings, question),
        shared,
    )
