"""A disparity taken apart: the straight line from a question to a decomposition."""

import platform
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import Literal

from cfair.effects.answering import Work, drawn_models
from cfair.effects.asking import Along, ask, check_people
from cfair.effects.decomposition import Decomposition
from cfair.effects.identification import NotIdentified, not_identified, without_map
from cfair.effects.modelled import Asked, FromModel, from_model
from cfair.effects.prediction import Predicted, Prediction, checked_values
from cfair.effects.records import Json
from cfair.effects.remarks import assumed, disagreeing, noticed, resolved, untold_paths
from cfair.effects.roles import roles_of
from cfair.effects.rows_only import FromRows, check_source, difference_between, from_rows
from cfair.errors import QueryError
from cfair.inference.free import is_fixed
from cfair.interfaces import Columns
from cfair.scm import SCM
from cfair.threads import with_threads
from cfair.weights import effective_size

__all__ = ["check_effort", "decompose"]

Source = Literal["scm", "doubly_robust", "both"]
VERSIONED = ("cfair", "torch", "pyro-ppl", "numpy", "networkx", "scipy", "scikit-learn")  # packages that a decomposition names


@with_threads
def decompose(
    scm: SCM,
    columns: Columns | None = None,
    *,
    attribute: str,
    start: str | float,
    end: str | float,
    of: str | None = None,
    prediction: Prediction | Predicted | None = None,
    along: Along | None = None,
    parts: bool = True,
    source: Source = "scm",
    draws: int = 100,
    people: int = 100_000,
    parameter_draws: int | None = None,
    learners: str = "linear",
    seed: int = 0,
    block_rows: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Decomposition:
    """How much of a difference between two groups is direct, indirect and spurious; by mediator, and by path.

    The ten terms of Plečko & Bareinboim (2024) for x0 -> x1 and, under ``reverse``, for x1 -> x0 (see ``terms``). The model's are exact
    sums where every node involved has levels: the whole population of the model. Otherwise they are means over people who keep their
    noise from world to world, all terms from the same draws and rows: the table's, abducted from all observed nodes (for a prediction,
    from all but the outcome and its descendants, where these are not read), or simulated people where there is no table.

    Intervals are 95 %. Of means over people they cover the sampling of people; where ``scm`` holds draws of its parameters, their error,
    too, and what both have in common where it was learned from these very people (see ``shared``). Of exact sums they cover the
    parameters alone; with every parameter fixed both ends are the value, and of learned ones without draws there are none.
    None covers a wrong graph.

    Args:
        scm: with its parameters learned, or fixed.
        columns: the people, weighted where they have weights; None: the model's own population.
        attribute: what is set, of any kind; of one with many levels people of others count for the terms about everyone.
        start: x0, a level or a number.
        end: x1.
        of: a node, or a level of one as ``node=level``; the outcome if None.
        prediction: a map from rows to predictions, whose effects are asked for in the place of a node's; or the values of one whose map
            is not known, of which the model tells TV alone.
        along: paths whose effect is asked for, each ``"race->lsat->y"``, or sets of paths, each a list of lists of nodes; by default the
            model's ``unfair_paths`` from the attribute to the target, as one set.
        parts: whether the indirect effect is shared among mediators and the total one among paths, by far the most of the work.
        source: ``scm``; ``doubly_robust``, from rows and the nodes' roles without the mechanisms; or ``both``, and their difference.
        draws: posterior draws per abducted person.
        people: who are simulated where there is no table.
        parameter_draws: of the draws of parameters that ``scm`` holds, at most; all if None. Of 64, ends are off by a tenth of their width.
        learners: of ``doubly_robust``: linear or boosted.
        seed: of all draws, and of the folds.
        block_rows: people whose worlds are held at a time; by ``draws`` if None.
        progress: called with the number of people done, after each block.

    Raises:
        QueryError: a node, level, path or source that does not exist, or a question without a table that needs one.
        DataError: nobody in the table has one of the levels, or the table lacks what is needed.

    Source: Plečko & Bareinboim (2024), Causal fairness analysis, Definitions 4.1 to 4.5 and Theorem 4.1.
    """
    check_effort(source, learners, draws=draws, people=people, parameter_draws=parameter_draws)
    if source != "scm" and columns is None:
        raise QueryError("source", f"'{source}' estimates from rows, and there is no table", "give one, or use 'scm'")
    model, question = ask(scm, attribute=attribute, start=start, end=end, of=of, prediction=prediction, along=along)
    question = question if parts else replace(question, mediators=(), paths=())
    mapless = prediction if isinstance(prediction, Predicted) else None
    if mapless is not None and columns is None:
        raise QueryError("prediction", "its values are those of people, and there is no table", "give the people's table")
    values = None
    if columns is not None:
        values = None if mapless is None else checked_values(mapless, columns)
        columns = columns.counted()
        check_people(scm.spec, columns, question.contrast)
    work = Work(draws, people, parameter_draws, seed, block_rows)
    with_map = prediction if isinstance(prediction, Prediction) else None
    asked = Asked(scm, model, with_map, question, columns, work, learners, is_fixed(scm), values)
    told = from_model(asked, progress) if source != "doubly_robust" else None
    rows = from_rows(asked) if source != "scm" else None
    label = None if with_map is None else with_map.label
    return _composed(
        asked, source, told, rows, parts=parts, start=str(start), end=str(end), of=of or label or question.contrast.target.node
    )


def _composed(
    asked: Asked, source: Source, told: FromModel | None, rows: FromRows | None, *, parts: bool, start: str, end: str, of: str
) -> Decomposition:
    """All that was found, with what it rests on."""
    contrast, spec = asked.question.contrast, asked.model.spec
    main = told or rows
    assert main is not None
    method, mediators, paths, along = ("rows", (), (), ()) if told is None else (told.method, told.mediators, told.paths, told.along)
    difference = difference_between(told, rows) if told is not None and rows is not None else None
    said = (
        *noticed(main.terms, of, paths, along),
        *resolved(spec),
        *(disagreeing(difference.terms) if difference else ()),
        *(untold_paths(asked.question, spec.graph) if told is not None and parts else ()),
    )
    return Decomposition(
        model=spec.name,
        start=start,
        end=end,
        of=of,
        source=source,
        method=method,
        roles=roles_of(spec, contrast.attribute, contrast.target.node),
        terms=main.terms,
        reverse=main.reverse,
        mediators=mediators,
        paths=paths,
        along=along,
        same_noise={} if told is None else told.same_noise,
        rows_only=rows.record if told is not None and rows is not None else None,
        difference=difference,
        not_identified=_hidden(asked, source),
        said=(*said, *(rows.said if rows is not None else ())),
        options=_options(asked, source),
        versions={"python": platform.python_version(), **{name: version(name) for name in VERSIONED}},
        data=_data(asked.columns),
        assumptions=assumed(asked.scm, method=method, certain=asked.certain, has_rows=asked.columns is not None),
    )


def _hidden(asked: Asked, source: Source) -> tuple[NotIdentified, ...]:
    """The terms that are not identified."""
    if asked.values is not None and source == "scm":
        return without_map()
    contrast = asked.question.contrast
    found = not_identified(asked.model.spec, contrast.attribute, contrast.target.node, fixed=asked.certain)
    if source != "doubly_robust":
        return found
    return tuple(replace(each, means="unasked") if each.means == "model" else each for each in found)


def check_effort(source: str, learners: str, *, draws: int, people: int, parameter_draws: int | None) -> None:
    """Refuse, before any work, a source or learners that do not exist, and numbers out of their range.

    Raises:
        QueryError: with what there is instead.
    """
    check_source(source, learners)
    for name, given, least in (("draws", draws, 1), ("people", people, 2), ("parameter_draws", parameter_draws or 0, 0)):
        if given < least:
            raise QueryError(name, f"{given} is below {least}", f"use a whole number from {least}")


def _options(asked: Asked, source: Source) -> dict[str, Json]:
    """How it was asked for."""
    work = asked.work
    drawn = len(drawn_models(asked.scm, work)[0])
    simulated = {"people": work.people} if asked.columns is None else {"draws": work.draws}
    learners: dict[str, Json] = {} if source == "scm" else {"learners": asked.learners}
    return {"source": source, **simulated, "parameter_draws": drawn, **learners, "seed": work.seed}


def _data(columns: Columns | None) -> dict[str, Json]:
    """Facts about the table; empty if there was none."""
    if columns is None:
        return {}
    facts = columns.facts
    found: dict[str, Json] = {
        "name": facts.name,
        "rows": facts.rows,
        "sha256": facts.sha256,
        "dropped": facts.dropped,
        "used_rows": columns.n,
    }
    if columns.weights is not None:
        found |= {"weights": facts.weights, "effective_rows": effective_size(columns.weights)}
    return found
