"""The audit: predictions of people in every world, block by block, and what they add up to."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from cfair.auditing.asked import Asked
from cfair.auditing.crossing import Crossing, crossing_of
from cfair.auditing.elsewhere import carried, check_levels, foreign_of, units_of
from cfair.auditing.foreign import Foreign, admitted
from cfair.auditing.frozen import Drawn, frozen_gaps
from cfair.auditing.gaps import Gaps, block_gaps
from cfair.auditing.kept import Kept
from cfair.auditing.records import Report
from cfair.auditing.reporting import Found, reported
from cfair.auditing.sources import External, Model
from cfair.data import blocks
from cfair.errors import DataError
from cfair.interfaces import Columns, Predictor
from cfair.predictors.incomplete import deploy
from cfair.scm import SCM
from cfair.threads import with_threads

__all__ = ["MIN_GROUP_SIZE", "WORLDS", "audit"]

MIN_GROUP_SIZE = 30  # people below which a group takes no part in a worst pair or a largest difference
KEPT = 200_000  # people at most of whom flips, distances and curves are measured: predictions of them in every world are held
BLOCK_DRAWS = 400_000  # draws in a block unless block_rows says otherwise: bounds the memory, and fits the processor's cache
BLOCK_PATHS = 2_000_000  # counterfactual rows of a block in all worlds, where they are handed to a model from elsewhere together
WORLDS = 40  # of drawn parameters: from 39 on, the least and the largest of equal draws leave no more than 5 % outside


@with_threads
def audit(
    scm: SCM,
    predictors: Mapping[str, Predictor | External | Model],
    columns: Columns,
    *,
    metrics: Sequence[str] | None = None,
    constraints: Sequence[str] | None = None,
    attributes: Sequence[str] | None = None,
    carry: pd.DataFrame | None = None,
    draws: int = 200,
    parameter_draws: int = WORLDS,
    seed: int = 0,
    block_rows: int | None = None,
    min_group_size: int = MIN_GROUP_SIZE,
    points: Mapping[str, Sequence[float]] | None = None,
    known: Columns | None = None,
    name_most_moved: int = 0,
    bounds: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Accuracy, counterfactual gaps and group constraints of predictors, cfair's own or anybody's, on people they were not fitted on.

    A model from elsewhere is a function of a DataFrame, or a fitted estimator or pipeline in the manner of scikit-learn. It gets rows as
    the people's table writes them: levels in the table's own type and spelling, all observed columns but the outcome and what descends
    from it, or those that an estimator names. It returns a number per row, a level of the outcome, or class probabilities; gaps of these
    are given per class, and for all of them as the total variation distance. It is tried on all factual rows before any world is made.

    Args:
        scm: the model in which people are moved.
        predictors: name -> fitted predictor, function, estimator, or ``External`` to say what it returns.
        columns: the people, with every observed node; weighted where they have weights, and those of weight 0 left out, as is whoever
            has no outcome. What else somebody lacks is integrated out of predictions, and drawn with the noise of worlds.
        metrics: names in METRICS; those of the outcome's kind if None.
        constraints: names in CONSTRAINTS, for a binary outcome; all if None.
        attributes: the protected attributes to ask about; all, and all together, if None. Others keep their factual values.
        carry: columns of the people's table that the model does not declare, a row for each of the table's: models from elsewhere get
            them unchanged in every world, as if no protected attribute caused them, which the report says.
        draws: posterior draws per person.
        parameter_draws: of the draws of parameters that ``scm`` holds, if any, how many are worlds in which frozen predictors are judged;
            0 asks for none.
        seed: of the draws.
        block_rows: people whose worlds are held at a time; by ``draws`` if None. It changes no prediction.
        min_group_size: people below which a group takes no part in a worst pair or a largest difference between groups.
        points: protected attribute that is a number -> ascending values at which everyone is put for its response curve; by default
            nine, evenly spaced between its 2.5 % and its 97.5 % quantile.
        known: people with whom counterfactual rows are compared, for the support; the audited ones if None.
        name_most_moved: how many people the report names, by their row in the table, whose prediction moves most: rows are private.
        bounds: of how many people of each worst pair's group the gap is bounded over all couplings of discrete nodes' noise; 0: of none.
        progress: called with the number of people done, after each block; the worlds of drawn parameters count for half of the work.

    Returns:
        A report with 95 % intervals over people, the model taken as it is; where ``scm`` holds draws of its parameters, also the
        gap of predictors that stay as they are in the worlds of these draws, with its interval over them.

    Raises:
        QueryError: a protected attribute without levels, a metric or constraint that does not exist or suit
            the outcome, weights that are none, or a model that wants a column which worlds do not have.
        CodeError: a model from elsewhere raised something, or returned what are no finite numbers.
        DataError: ``columns`` lacks a node that is needed, nobody has an outcome, or everyone whom a model from elsewhere is asked about
            has the same level of an attribute.
    """
    trials = sum(each.seconds for each in predictors.values() if isinstance(each, Foreign))  # before this call
    started = time.perf_counter() - trials
    asked = Asked.of(scm.spec, metrics=metrics, constraints=constraints, draws=draws, seed=seed, min_group_size=min_group_size)
    asked = replace(asked, name_most_moved=name_most_moved, bounds=bounds)
    everyone = (columns if carry is None else carried(columns, carry, scm.spec)).counted()
    columns = _scored(everyone, scm.spec.outcome)
    crossing = crossing_of(scm.spec, columns, points, attributes=attributes)
    models = admitted(predictors, scm.spec, columns)
    if foreign_of(models):
        check_levels(columns, scm.spec, crossing)
    most = BLOCK_PATHS // crossing.worlds if foreign_of(models) else BLOCK_DRAWS
    parts = blocks(columns, block_rows or max(min(BLOCK_DRAWS, most) // draws, 1))
    drawn, frozen = None if columns.missing else Drawn.of(scm, parameter_draws), None  # the gap follows whole rows through many worlds
    if drawn is not None:
        tell, progress = (None, None) if progress is None else _halves(progress, columns.n)
        frozen = frozen_gaps(drawn, models, crossing, columns, draws=draws, seed=seed, progress=tell)
    units, kept_people = units_of(models, columns, scm.spec), _chosen_people(columns.n, seed)
    predictions, gaps, kept = _fold(scm, models, crossing, parts, kept_people, units=units, draws=draws, seed=seed, progress=progress)
    found = Found(scm, models, crossing, columns, everyone, predictions, gaps, kept, units, known, frozen)
    return reported(found, asked, started=started)


def _halves(progress: Callable[[int], None], n: int) -> tuple[Callable[[float], None], Callable[[int], None]]:
    """The same progress for two halves of the work: one that tells the share of it done, and one that tells the people."""
    return lambda share: progress(int(n * share / 2)), lambda done: progress((n + done) // 2)


def _fold(
    scm: SCM,
    predictors: Mapping[str, Predictor],
    crossing: Crossing,
    parts: Iterable[Columns],
    chosen: Tensor,
    *,
    units: Mapping[str, float],
    draws: int,
    seed: int,
    progress: Callable[[int], None] | None,
) -> tuple[dict[str, Tensor], Gaps, Kept]:
    """Deployed predictions of everyone, predictor -> (n,), the gaps summed over the blocks, and the changes of as many people as are kept;
    a world is never larger than its block.
    """
    gaps, kept, done = Gaps.none(predictors, crossing), list[Kept](), 0
    deployed: dict[str, list[Tensor]] = {name: [] for name in predictors}
    for block in parts:
        predicted = {name: deploy(scm, predictor, block) for name, predictor in predictors.items()}
        own, moves = block_gaps(scm, predictors, crossing, block, predicted, units=units, draws=draws, seed=seed)
        gaps, kept = gaps + own, [*kept, moves.take(chosen[done : done + block.n].nonzero().squeeze(-1))]
        for name, prediction in predicted.items():
            deployed[name].append(prediction)
        done += block.n
        if progress is not None:
            progress(done)
    return {name: torch.cat(predictions) for name, predictions in deployed.items()}, gaps, Kept.together(kept)


def _chosen_people(n: int, seed: int) -> Tensor:
    """Of whom all predictions are kept, shape (n,), bool: everyone, or KEPT at random."""
    place = torch.randperm(n, generator=torch.Generator().manual_seed(seed)) if n > KEPT else torch.arange(n)
    return place < KEPT


def _scored(columns: Columns, outcome: str) -> Columns:
    """The people who have an outcome."""
    if outcome not in columns.missing:
        return columns
    scored = columns.take((~columns.missing[outcome]).nonzero().squeeze(-1))
    if not scored.n:
        raise DataError(f"{columns.facts.name}, column '{outcome}'", "no audited person has an outcome", "give a table that has some")
    return scored
