"""What ``cfair decompose`` reads and learns before it asks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from cfair.cli._dag import table_of
from cfair.data import read_predictions, read_table
from cfair.effects import Decomposition, Predicted, Prediction, decompose
from cfair.effects.asking import ask, check_people
from cfair.effects.prediction import name_for, prediction_of
from cfair.errors import QueryError, nearest
from cfair.inference import learn
from cfair.inference.engines import choose
from cfair.inference.free import is_fixed
from cfair.interfaces import Columns
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.store import load, parts

__all__ = ["Effort", "People", "Wanted", "of_dag", "of_run", "taken_apart"]

Missing = Literal["error", "drop", "latent"]
Read = tuple[SCM, Columns | None, Prediction | Predicted | None]


@dataclass(frozen=True, slots=True)
class People:
    """Whose effects are asked for.

    Args:
        data: the table, if it is named.
        missing: what to do with rows that lack values.
        weights: the column of the people's weights.
        predictions: a table of predictions, if they are asked for.
        column: of that table.
        rows: whether rows are needed in any case.
        level: of an outcome with several, the one whose predicted probability is asked for.
    """

    data: str | None
    missing: str
    weights: str | None
    predictions: Path | None
    column: str
    rows: bool
    level: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked, as of ``cfair.effects.decompose``."""

    attribute: str
    start: str
    end: str
    of: str | None
    along: tuple[str, ...] | None

    def check(self, scm: SCM, prediction: Prediction | Predicted | None, columns: Columns | None = None) -> None:
        """Refuse what cannot be asked of a model, of whose parameters nothing is read, and of people.

        Raises:
            QueryError: a node, level or path does not exist.
            DataError: nobody among the people has one of the two levels.
        """
        _, question = ask(
            scm, attribute=self.attribute, start=self.start, end=self.end, of=self.of, prediction=prediction, along=self.along
        )
        if columns is not None:
            check_people(scm.spec, columns.counted(), question.contrast)


@dataclass(frozen=True, slots=True)
class Effort:
    """How the answer is found.

    Args:
        source: scm, doubly_robust or both.
        learners: of doubly_robust.
        draws: posterior draws per person of the table.
        people: who are simulated where there is no table.
        parameter_draws: of parameters that are learned here; those of a run are all looked at.
        seed: of everything.
    """

    source: str
    learners: str
    draws: int
    people: int
    parameter_draws: int
    seed: int


def taken_apart(read: Read, wanted: Wanted, effort: Effort, tell: Callable[[str, float], None]) -> Decomposition:
    """The decomposition of what was read."""
    scm, columns, prediction = read
    count = effort.people if columns is None else columns.n
    return decompose(
        scm,
        columns,
        attribute=wanted.attribute,
        start=wanted.start,
        end=wanted.end,
        of=wanted.of,
        prediction=prediction,
        along=wanted.along,
        source=cast("Literal['scm', 'doubly_robust', 'both']", effort.source),
        draws=effort.draws,
        people=effort.people,
        learners=effort.learners,
        seed=effort.seed,
        progress=lambda done: tell("following people", done / count),
    )


def of_dag(spec: ModelSpec, dag: str, asked: People, *, wanted: Wanted, effort: Effort) -> Read:
    """The declared model, learned where ``parameters:`` leave something open, the people, and their predictions.

    Parameters are drawn, so that intervals cover what the table leaves open of them, save where rows lack values or engine svi learns.

    Args:
        spec: the declaration.
        dag: where it is.
        asked: whose effects are asked for.
        wanted: what is asked; what cannot be is refused before anything is learned.
        effort: how the answer is found.

    Raises:
        DataError: the table does not fit, or the predictions do not fit the table.
    """
    fixed = SCM(spec)
    if asked.predictions is None:
        wanted.check(fixed, None)
    if is_fixed(fixed) and asked.data is None and asked.predictions is None and not asked.rows:
        return fixed, None, None
    columns = read_table(table_of(spec, dag, asked.data), spec, missing=cast("Missing", asked.missing), weights=asked.weights)
    predicted = _predicted(spec, columns, asked)
    wanted.check(fixed, predicted, columns)
    drawn = not columns.missing and choose(spec, "auto").engine == "quadrature" and not is_fixed(fixed)
    how: Literal["laplace", "none"] = "laplace" if drawn and effort.source != "doubly_robust" else "none"
    return learn(spec, columns, uncertainty=how, parameter_draws=effort.parameter_draws, seed=effort.seed), columns, predicted


def of_run(folder: Path, predictor: str | None, asked: People, *, spec: ModelSpec | None, allow_python: bool) -> Read:
    """A run's model, the people of a table or the run's own held-out ones, and the map of a predictor, or predictions from a file.

    Args:
        folder: the run's.
        predictor: one of the run's; None: a node's effects are asked for, or those of predictions from a file.
        asked: whose effects are asked for.
        spec: what a dag.yaml that is named beside the run declares; it must be the run's model.
        allow_python: whether code of the user's own may run.

    Raises:
        QueryError: the run has no such predictor, or another model than the one declared; or of several levels none is named.
        DataError, StoreError: the table does not fit, or is not where it was.
    """
    run = load(folder, allow_python=allow_python)
    if spec is not None and spec.nodes != run.spec.nodes:
        raise QueryError("--dag", f"it declares another model than the run in {folder}", "leave --dag out, or fit it first")
    spec = run.spec
    if predictor is not None and predictor not in run.predictors:
        raise QueryError("predictor", f"the run has no predictor '{predictor}'", nearest(predictor, run.predictors))
    if asked.data is None:
        columns = parts(run)[1]
    else:
        columns = read_table(asked.data, spec, missing=cast("Missing", asked.missing), weights=asked.weights)
    if predictor is None:
        return run.scm, columns, _predicted(spec, columns, asked)
    return run.scm, columns, prediction_of(spec, run.predictors[predictor], level=asked.level)


def _predicted(spec: ModelSpec, columns: Columns, asked: People) -> Predicted | None:
    """The predictions of a file, if they are asked for."""
    if asked.predictions is None:
        return None
    return Predicted(read_predictions(asked.predictions, asked.column, columns), name_for(spec))
