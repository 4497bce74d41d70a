"""A model from elsewhere as a predictor: it gets rows as the people's own table writes them, and nothing is claimed of it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from cfair.auditing.outputs import Answer, OutputKind, read_answer
from cfair.auditing.sources import External, Source, source_of
from cfair.data import to_original
from cfair.errors import CodeError, QueryError
from cfair.inference.distinct import distinct
from cfair.interfaces import Coding, Columns, Predictor, Values, World, Worlds
from cfair.spec import ModelSpec
from cfair.spec.own_code import at_border
from cfair.worlds import collapse

__all__ = ["SAME", "Foreign", "Settled", "admit", "admitted", "offered", "settle"]

PROBED = 5  # rows that a model is tried on before anything else
SAME = 1e-4  # of the largest answer: how far two of one row may lie apart, far above what float32 makes of another batch
ROWS = 250_000  # that a model is given at a time, at most: bounds the memory of what it makes of them


@dataclass(frozen=True, slots=True)
class Settled:
    """What the answers for the factual rows settled.

    Args:
        kind: of its output.
        classes: names, of class probabilities.
        labels: whether it says levels.
        note: how its answers were read, where it did not say.
        spread: standard deviation of what it says of the factual rows; 1 where that is 0.
    """

    kind: OutputKind
    classes: tuple[str, ...] = ()
    labels: bool = False
    note: str = ""
    spread: float = 1.0


class Foreign:
    """f(row): a model that was made elsewhere, called with DataFrames of whole rows, each distinct one once per block of people.

    Args:
        name: for messages.
        source: how it is called.
        needs: the columns that it gets, in order.
        codings: how the people's table wrote them.
        spec: declares them.
        settled: what its answers are.
    """

    invariant_in: ClassVar[Literal["declared", "own"] | None] = None
    function_of_row: ClassVar[bool] = True

    def __init__(
        self, name: str, source: Source, needs: tuple[str, ...], *, codings: Mapping[str, Coding], spec: ModelSpec, settled: Settled
    ) -> None:
        self.name, self.source, self.settled = name, source, settled
        self.sees = self.needs = needs
        self.fitted = nn.Module()
        self.seconds = 0.0  # in the model's own code
        self._codings, self._spec = codings, spec

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that it gives probabilities of; empty where it gives one number per row."""
        return self.settled.classes

    @property
    def span(self) -> tuple[float, float]:
        """Of probabilities, to which its answers are held; else anything."""
        return (0.0, 1.0) if self.settled.kind == "probability" else (-inf, inf)

    @property
    def monotone(self) -> bool:
        """Not known."""
        return False

    def fit(self, worlds: Worlds, outcome: Tensor, *, weights: Tensor | None = None) -> Self:
        """Refused: it was fitted elsewhere.

        Raises:
            QueryError: always.
        """
        raise QueryError(f"model '{self.name}'", "it was made elsewhere, and is only audited", "fit it with what made it")

    def predict(self, world: World) -> Tensor:
        """Predictions (draws, n), or (draws, n, classes)."""
        found = self.predict_all([(world, torch.arange(world.shape[1]))], {})[0]
        return found.expand(world.shape[0], *found.shape[1:])

    def predict_all(self, worlds: Sequence[tuple[World, Tensor]], carried: Values) -> list[Tensor]:
        """Predictions of some people, (m,) positions, in each of several worlds of theirs: shapes (draws or 1, m[, classes]).

        All are scored together, equal rows once.

        Args:
            worlds: each with the people asked of.
            carried: column that no world has -> everyone's value, (n,).
        """
        parts = [self._rows(world, people, carried) for world, people in worlds]
        shapes = [torch.broadcast_shapes(*(value.shape for value in rows.values())) for rows in parts]
        sizes = [shape.numel() for shape in shapes]
        whole = [{node: value.expand(shape).reshape(-1) for node, value in rows.items()} for rows, shape in zip(parts, shapes, strict=True)]
        scored = self.deploy({node: torch.cat([rows[node] for rows in whole]) for node in self.needs}, sum(sizes)).split(sizes)
        return [each.reshape(*shape, *each.shape[1:]) for each, shape in zip(scored, shapes, strict=True)]

    def deploy(self, columns: Values, n: int) -> Tensor:
        """Predictions of rows, (n,) or (n, classes)."""
        first, place = distinct({node: columns[node] for node in self.needs}, n)
        parts = [self._score({node: columns[node][some] for node in self.needs}, len(some)) for some in first.split(ROWS)]
        return torch.cat(parts)[place]

    def _rows(self, world: World, people: Tensor, carried: Values) -> dict[str, Tensor]:
        """What some people's rows hold, node -> (draws, m), or (1, m) where all draws agree."""
        held = {node: collapse(world.values[node]) if node in world.values else carried[node][None] for node in self.needs}
        return {node: value[:, people] for node, value in held.items()}

    def _score(self, rows: Values, n: int) -> Tensor:
        """What it says of rows."""
        answer = self.answer(rows, n)
        self.check(answer)
        return answer.values

    def check(self, answer: Answer) -> None:
        """Compare an answer with what those for the factual rows settled.

        Raises:
            CodeError: it is of another kind, or no probability where those were.
        """
        if answer.classes != self.settled.classes:
            was, now = (f"{len(classes)} classes" if classes else "one number" for classes in (self.settled.classes, answer.classes))
            raise CodeError(f"model '{self.name}'", f"it gave {was} per row, and then {now}", "return the same for all rows")
        if self.settled.kind == "probability" and not ((answer.values >= 0) & (answer.values <= 1)).all():
            worst = answer.values[(answer.values - 0.5).abs().argmax()]
            problem = f"it gave probabilities of factual rows, and {worst:.6g} of a counterfactual one"
            raise CodeError(f"model '{self.name}'", problem, "say output='score' of it, or keep it between 0 and 1")

    def answer(self, rows: Values, n: int, *, settled: bool = True) -> Answer:
        """What it says of n rows, node -> (n,)."""
        frame = to_original(self._codings, {node: rows[node] for node in self.needs}, self._spec)
        where, outcome = f"model '{self.name}'", self._spec.nodes[self._spec.outcome]
        start = time.perf_counter()
        with at_border(where, f"scoring {n} row{'s' if n != 1 else ''}"):
            answer = self.source.call(frame)
        self.seconds += time.perf_counter() - start
        return read_answer(answer, n, outcome, where=where, classes=self.source.classes, labels=self.settled.labels if settled else None)


def admitted(predictors: Mapping[str, object], spec: ModelSpec, columns: Columns) -> dict[str, Predictor]:
    """Predictors as they are, and anything else as a model from elsewhere, tried on the people's factual rows.

    Raises:
        QueryError, CodeError: as of ``admit``.
    """
    return {name: each if isinstance(each, Predictor) else admit(name, each, spec, columns) for name, each in predictors.items()}


def admit(name: str, model: object, spec: ModelSpec, columns: Columns) -> Foreign:
    """A model from elsewhere, tried on a few rows, then on all factual ones: whatever is wrong with it shows before any world is made.

    Args:
        name: for messages.
        model: a function of a DataFrame, a fitted estimator, or an ``External``.
        spec: of the people.
        columns: the people; those who lack a value take no part in the trial.

    Raises:
        QueryError: it is no model, wants a column that worlds do not have, or speaks of other classes than the outcome's levels.
        CodeError: it raised something, its answers are no finite numbers, one or one row of class probabilities per row, or they are of
            more than the row.
    """
    external = model if isinstance(model, External) else External(model)
    source = source_of(name, external.model)
    foreign = Foreign(name, source, _needs(name, source, spec, columns), codings=columns.codings, spec=spec, settled=Settled("score"))
    whole = _whole(columns, foreign.needs)
    if not len(whole):
        problem = "every row lacks a value of what it reads, so that it cannot be tried"
        raise QueryError(f"model '{name}'", problem, "give some whole rows")
    tried = _try(foreign, {node: columns.coded[node][whole[:PROBED]] for node in foreign.needs}, min(PROBED, len(whole)), spec, columns)
    rows = {node: columns.coded[node][whole] for node in foreign.needs}
    first, place = distinct(rows, len(whole))
    answers = [foreign.answer({node: rows[node][some] for node in foreign.needs}, len(some), settled=False) for some in first.split(ROWS)]
    foreign.settled = settle(name, answers, spec, output=external.output, place=place)
    _check_same(name, tried, torch.cat([answer.values for answer in answers])[place])
    return foreign


def _needs(name: str, source: Source, spec: ModelSpec, columns: Columns) -> tuple[str, ...]:
    """The columns that a model gets, in the order of the table: those that it names, or all that worlds have."""
    names = offered(spec, columns)
    for column in source.needs or ():
        if column not in names:
            raise QueryError(f"model '{name}'", *_lacking(column, spec, columns))
    return names if source.needs is None else source.needs


def offered(spec: ModelSpec, columns: Columns) -> tuple[str, ...]:
    """The columns that worlds have for a model to read, in the order of the people's table: the evidence, and what is carried along."""
    carried = [column for column in columns.coded if column not in spec.nodes]
    seen = dict.fromkeys([*columns.codings, *spec.evidence, *carried])
    return tuple(node for node in seen if node in columns and (node in spec.evidence or node in carried))


def _lacking(column: str, spec: ModelSpec, columns: Columns) -> tuple[str, str]:
    """Why no world has a column, and what to do about it."""
    wants = f"it wants the column '{column}'"
    without = "fit the model without it"
    if column == spec.outcome:
        return f"{wants}, which is the outcome", without
    if column in spec.latents:
        return f"{wants}, which is latent", without
    if column in spec.nodes and column not in spec.evidence:
        return f"{wants}, which descends from the outcome '{spec.outcome}'", without
    if column in columns.facts.unused:
        problem = f"{wants}, of which the model '{spec.name}' says nothing: what becomes of it in another world is not known"
        along = f"carry it along (carry=table[['{column}']], --carry {column})"
        return problem, f"declare it in dag.yaml, or, if no protected attribute causes it, {along}"
    return f"{wants}, which worlds do not have", f"use some of: {', '.join(spec.evidence)}"


def _whole(columns: Columns, needs: Sequence[str]) -> Tensor:
    """Positions of people who have all that is needed, shape (m,)."""
    lacks = torch.zeros(columns.n, dtype=torch.bool)
    for node in needs:
        lacks |= columns.missing.get(node, lacks)
    return (~lacks).nonzero().squeeze(-1)


def _try(foreign: Foreign, rows: Values, n: int, spec: ModelSpec, columns: Columns) -> Answer:
    """What it says of a few rows; a column that the model asks for in vain is named.

    Raises:
        QueryError: there is no such column.
        CodeError: as of ``admit``.
    """
    try:
        return foreign.answer(rows, n, settled=False)
    except CodeError as error:
        for column in _wanted(error.__cause__, (*spec.nodes, *columns.facts.unused)):
            if column not in foreign.needs:
                raise QueryError(error.where, *_lacking(column, spec, columns)) from error
        raise


def _check_same(name: str, tried: Answer, values: Tensor) -> None:
    """Hold what a model said of a few rows against what it said of them among all: a gap would be of more than people moved.

    Args:
        name: of the model.
        tried: its answer for the first rows.
        values: for all, shape (n,) or (n, classes).

    Raises:
        CodeError: one row has two answers.
    """
    again = values[: len(tried.values)]
    apart = (again - tried.values).abs().reshape(len(again), -1).amax(-1)
    if apart.max() > SAME * values.abs().max():
        at = int(apart.argmax())
        first, then = (each[at].flatten()[int((again - tried.values)[at].flatten().abs().argmax())] for each in (tried.values, again))
        problem = f"it said {first:.6g} of a row, and {then:.6g} of the same row beside others: it draws at random, or mixes rows"
        raise CodeError(f"model '{name}'", problem, "let its answer follow from the row alone, and fix its seed")


def _wanted(cause: BaseException | None, known: Sequence[str]) -> list[str]:
    """Columns whose absence may have caused an error: those that its message quotes, and the key of a KeyError."""
    if not isinstance(cause, LookupError | AttributeError | ValueError):
        return []
    key = [cause.args[0]] if isinstance(cause, KeyError) and cause.args and isinstance(cause.args[0], str) else []
    quoted = [column for column in known if f"'{column}'" in str(cause)]
    return quoted or [name for name in key if " " not in name]


def settle(name: str, answers: Sequence[Answer], spec: ModelSpec, *, output: str = "auto", place: Tensor | None = None) -> Settled:
    """What all factual rows together say that a model's output is.

    Args:
        name: of the model.
        answers: for the distinct rows, part by part.
        spec: of the people.
        output: as of ``External``.
        place: which distinct row each person's is, shape (n,); None where the answers are everyone's.

    Raises:
        CodeError: they are of several kinds.
    """
    first, kind = answers[0], spec.outcome_kind
    if any((answer.classes, answer.labels) != (first.classes, first.labels) for answer in answers):
        raise CodeError(f"model '{name}'", "its answers differ in kind between calls", "return the same kind for all rows")
    values = torch.cat([answer.values for answer in answers])
    values = values if place is None else values[place]
    if first.classes:
        return Settled("classes", first.classes, first.labels, first.note)
    spread = float(values.std(correction=0)) or 1.0
    if output == "score" or kind in ("category", "ordinal"):
        return Settled("score", labels=first.labels, note=first.note, spread=spread)
    if kind == "binary":
        if bool(((values >= 0) & (values <= 1)).all()):
            return Settled("probability", labels=first.labels, note=first.note, spread=spread)
        low, high = float(values.min()), float(values.max())
        note = (
            f"its answers go from {low:.6g} to {high:.6g}, beyond probabilities, and were read as a score; "
            "if they were meant as probabilities they are wrong, and output='score' (--output score) says that they were not"
        )
        return Settled("score", labels=first.labels, note=note, spread=spread)
    return Settled("prediction", note=first.note, spread=spread)
