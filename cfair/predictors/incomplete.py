"""Predictions of rows that lack some of what a predictor needs."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from cfair.inference import completed, patterns
from cfair.inference.patterns import Pattern, together
from cfair.interfaces import Columns, Predictor
from cfair.scm import SCM

__all__ = ["DRAWS", "SEED", "deploy"]

DRAWS = 200  # of what a row lacks; stratified, so that their mean is off by a hundredth of what is not known
BLOCK = 2_000  # rows completed at a time
SEED = 0  # a prediction is a function of the row


@runtime_checkable
class _Integrating(Protocol):
    """A predictor that integrates out what a row lacks itself."""

    def deploy_incomplete(self, columns: Columns) -> Tensor: ...


def deploy(scm: SCM, predictor: Predictor, columns: Columns) -> Tensor:
    """Predictions (n,), or (n, classes), of rows of which some may lack values.

    Of a row that has all that the predictor needs, its own. Of another, E[f(the row completed) | what it has of what the predictor
    needs]: what a predictor must not read does not help to guess either. Predictors on latents integrate exactly, others by
    draws from the SCM, the same in every call.

    Args:
        scm: completes the rows.
        predictor: fitted.
        columns: n people, with the predictor's ``needs``.

    Raises:
        QueryError: more is missing at once than can be integrated out.
    """
    parts = [(kind.people, _of_kind(scm, predictor, columns, kind)) for kind in patterns(columns, predictor.needs)]
    return parts[0][1] if len(parts) == 1 else together(parts, columns.n)


def _of_kind(scm: SCM, predictor: Predictor, columns: Columns, kind: Pattern) -> Tensor:
    """Predictions (m[, classes]) of rows that lack the same."""
    rows = columns if len(kind.people) == columns.n else columns.take(kind.people)
    if not kind.missing:
        return predictor.deploy({node: rows[node] for node in predictor.needs}, rows.n)
    if isinstance(predictor, _Integrating):
        return predictor.deploy_incomplete(rows)
    known = [node for node in predictor.needs if node not in kind.missing]
    return torch.cat([_mean(scm, predictor, rows.take(some), known) for some in torch.arange(rows.n).split(BLOCK)])


def _mean(scm: SCM, predictor: Predictor, rows: Columns, known: list[str]) -> Tensor:
    """The mean prediction of rows completed from what is known of them, shape (m,), or (m, classes)."""
    values = completed(scm, {node: rows[node] for node in known if node in scm.spec.nodes}, rows.n, draws=DRAWS, seed=SEED)
    carried = {node: rows[node].expand(DRAWS, rows.n) for node in known if node not in values}  # columns that the SCM knows nothing of
    whole = {node: {**values, **carried}[node].reshape(-1) for node in predictor.needs}
    predicted = predictor.deploy(whole, DRAWS * rows.n)
    return predicted.reshape(DRAWS, rows.n, *predicted.shape[1:]).mean(0)
