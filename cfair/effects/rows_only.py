"""Effects from rows and the nodes' roles, without the mechanisms; and how far the model's are from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.effects.assembling import rows_of
from cfair.effects.contrast import Contrast
from cfair.effects.doubly_robust import OneStep, one_step
from cfair.effects.folds import CrossFitting
from cfair.effects.identification import MEDIATED, not_identified
from cfair.effects.learners import learners_for
from cfair.effects.modelled import Asked, FromModel
from cfair.effects.observations import FROM, OTHER, TO, observations
from cfair.effects.parts import Difference, RowsOnly
from cfair.effects.readings import QUANTILE
from cfair.effects.records import TERMS, Estimate
from cfair.effects.roles import roles_of
from cfair.effects.shared import standard_error
from cfair.errors import QueryError, nearest
from cfair.interfaces import Columns, Values
from cfair.spec import ModelSpec

__all__ = ["FromRows", "check_source", "difference_between", "from_rows"]

SOURCES = ("scm", "doubly_robust", "both")


@dataclass(frozen=True, slots=True, eq=False)
class FromRows:
    """What rows tell.

    Args:
        found: estimates with their influences, of the terms that rows identify.
        said: what is to be noticed, in sentences.
    """

    found: OneStep
    said: tuple[str, ...]

    @property
    def terms(self) -> dict[str, Estimate]:
        """Term -> estimate."""
        return {term: effect.estimate() for term, effect in self.found.forward.items()}

    @property
    def reverse(self) -> dict[str, Estimate]:
        """The same with x0 and x1 swapped."""
        return {term: effect.estimate() for term, effect in self.found.reverse.items()}

    @property
    def record(self) -> RowsOnly:
        """For the decomposition."""
        return RowsOnly(self.terms, self.reverse, (self.found.trimmed_z, self.found.trimmed_zw))


def check_source(source: str, learners: str) -> None:
    """Refuse, before any work, a source or learners that do not exist.

    Raises:
        QueryError: there are none of that name.
    """
    if source not in SOURCES:
        raise QueryError("source", f"'{source}' is not a source of effects", nearest(source, SOURCES))
    learners_for(learners, binary=False)


def from_rows(asked: Asked) -> FromRows:
    """The terms that adjustment and the mediation formula identify, by cross-fitted one-step estimators.

    Confounders and mediators are those of the graph; what it does not identify is left out. Rows of other levels of the attribute
    count for the terms about everyone (TE, NDE, NIE, Exp-SE) and for no other. Where mediators all but tell the level, the terms that
    need them are left out, and that is said.

    Raises:
        QueryError: the attribute has no levels, or the levels hardly overlap.
        DataError: the table lacks a column that is needed, or an entry in it.
    """
    columns, contrast = asked.columns, asked.question.contrast
    assert columns is not None
    spec = asked.model.spec
    if spec.nodes[contrast.attribute].kind == "real":
        raise QueryError("source", f"'{contrast.attribute}' is a number, and rows are compared by levels", "use source 'scm'")
    roles = roles_of(spec, contrast.attribute, contrast.target.node)
    hidden = {each.term for each in not_identified(spec, contrast.attribute, contrast.target.node)}
    outcome = _outcome(asked, columns)
    rows = observations(
        _coded(columns, contrast).numpy(),
        _numbers(spec, roles.confounders, columns).numpy(),
        _numbers(spec, roles.mediators, columns).numpy(),
        outcome.numpy(),
        None if columns.weights is None else columns.weights.numpy(),
    )
    how = CrossFitting(learners=learners_for(asked.learners, rows.binary), seed=asked.work.seed)
    wanted = [term for term in TERMS if term not in hidden]
    try:
        found, without = one_step(rows, how, wanted), ""
    except QueryError as error:
        if error.where != "propensities" or "mediators" not in error.problem:
            raise
        found, without = one_step(rows, how, [term for term in wanted if term not in MEDIATED]), error.problem
    return FromRows(found, tuple(_said(found, without)))


def difference_between(told: FromModel, rows: FromRows) -> Difference:
    """The model's terms minus those from rows, judged by the standard error of the difference.

    Influences on both are of the same people, those through the parameters included, and are subtracted before they are squared (see
    ``standard_error``). The two share the graph: their agreement checks the mechanisms, and not the graph.
    """
    readings = told.readings
    model = rows_of(readings)
    found, errors = {}, {}
    for term, effect in rows.found.forward.items():
        if term not in model:
            continue
        own, influence = torch.from_numpy(effect.influence), readings.influence(model[term])
        between = influence - own if len(influence) else own  # an exact sum hangs on nobody
        drawn = readings.drawn(model[term])
        errors[term] = standard_error(between, len(own), drawn=drawn, weights=readings.weights, shared=told.shared)
        value, half = float(model[term][0]) - effect.value, QUANTILE * errors[term]
        found[term] = Estimate(value, value - half, value + half)
    return Difference(found, errors)


def _coded(columns: Columns, contrast: Contrast) -> Tensor:
    """0 for x0, 1 for x1, -1 for other levels, shape (n,)."""
    level = columns[contrast.attribute]
    codes = torch.full(level.shape, OTHER, dtype=torch.int64)
    codes[level == contrast.level("start")] = FROM
    codes[level == contrast.level("end")] = TO
    return codes


def _numbers(spec: ModelSpec, nodes: Sequence[str], columns: Values) -> Tensor:
    """Columns of numbers, and an indicator of each level but the first of those with levels, shape (n, k)."""
    found = [torch.empty(len(next(iter(columns.values()))), 0, dtype=torch.float64)]
    for node in nodes:
        levels = len(spec.nodes[node].levels)
        found.append(torch.stack([columns[node] == j for j in range(1, levels)], 1) if levels else columns[node].unsqueeze(1))
    return torch.cat([each.to(torch.float64) for each in found], 1)


def _outcome(asked: Asked, columns: Columns) -> Tensor:
    """The target of the people as they are, shape (n,)."""
    target, prediction = asked.question.contrast.target, asked.prediction
    if asked.values is not None:
        return asked.values
    if prediction is None:
        return target.read(columns[target.node])
    return prediction.score({node: columns[node] for node in prediction.needs}, columns.n)


def _said(found: OneStep, without: str) -> Iterator[str]:
    """Trimming, which changes what is estimated; and terms that could not be, with the reason."""
    if without:
        yield f"rows do not tell {', '.join(MEDIATED)}: {without}"
    for share, of in ((found.trimmed_z, "confounders"), (found.trimmed_zw, "confounders and mediators")):
        if share > 0:
            yield f"of {share:.1%} of the people a propensity given {of} was raised: for these the regressions alone must be right"
