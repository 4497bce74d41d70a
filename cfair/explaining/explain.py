"""Follow one person into other worlds."""

from collections.abc import Iterator, Mapping, Sequence

import torch

from cfair.auditing.crossing import Crossing, crossing_of
from cfair.data import decode
from cfair.data.area import Area
from cfair.effects import Question, bounds_of, scored, with_score
from cfair.effects.prediction import name_for
from cfair.errors import DataError, QueryError, nearest
from cfair.explaining.contributions import Followed, contributions
from cfair.explaining.explained import Explained, explained
from cfair.explaining.ranges import over_draws
from cfair.explaining.records import Explanation, NodeMove, OverCouplings, WorldMove
from cfair.inference import abduct
from cfair.interfaces import Columns, Predictor, World
from cfair.scm import SCM
from cfair.threads import with_threads
from cfair.worlds import Setting, counterfactual

__all__ = ["explain"]

REFERENCE = 10_000  # people of a group with whom a counterfactual row is compared, the first ones

Done = Mapping[str, str | float]  # protected attribute -> its level, or its value


@with_threads
def explain(
    scm: SCM,
    predictors: Mapping[str, Predictor],
    columns: Columns,
    row: int,
    *,
    predictor: str = "latent",
    level: str | None = None,
    worlds: Sequence[Done] | None = None,
    draws: int = 400,
    seed: int = 0,
) -> Explanation:
    """What one person's prediction would have been, had protected attributes been others, and what moves it.

    The person's latents and noise are drawn given all that is known of them but the outcome and its descendants. Each draw is pushed
    through every world; the deployed prediction reads the row that comes out, its own inference inside. Nodes that the spec holds
    (``resolving``, or off the unfair paths) keep their factual values.

    Args:
        scm: the model in which the person is moved.
        predictors: name -> fitted predictor.
        columns: a table that holds the person and, to say whether a counterfactual row looks like anyone, others.
        row: the person's position in the table as given, 0-based.
        predictor: which of them.
        level: of an outcome with several, the one whose probability is explained; the one that is likeliest for the person if None.
        worlds: what is done in each; by default each other level of each attribute that has levels.
        draws: of the person's latents and noise.
        seed: of the draws.

    Raises:
        QueryError: there is no such predictor, row, attribute or level, or by default nothing to be done; or a level is named of an outcome
            that has not several.
        DataError: the row lacks a value.

    Source: Pearl (2009), Causality, Theorem 7.1.7; the contributions of paths as in ``cfair.effects.path_shapley``.
    """
    if predictor not in predictors:
        raise QueryError("predictor", f"there is no predictor '{predictor}'", nearest(predictor, predictors))
    if draws < 2:
        raise QueryError("draws", f"{draws} say nothing of what is not known of a person", "use 400")
    spec, chosen, person = scm.spec, predictors[predictor], _person(scm, columns, row)
    asked = list(_other_levels(scm, crossing_of(spec), person)) if worlds is None else [_checked(scm, done) for done in worlds]
    of, name = explained(spec, chosen, person, level), name_for(spec)
    model = scored(scm, name, chosen.needs, of.score, of)
    factual = with_score(model, abduct(scm, person, draws=draws, seed=seed), name)
    return Explanation(
        model=spec.name,
        predictor=predictor,
        outcome=spec.outcome,
        event=of.event,
        row=row,
        prediction=float(of.score(person, 1)),
        classes=of.classes(person, 1),
        sees=chosen.sees,
        needs=chosen.needs,
        factual={node: decode(spec, node, person[node])[0] for node in spec.evidence},
        latents=tuple(_node(scm, latent, factual, factual) for latent in spec.latents),
        worlds=tuple(_followed(scm, Followed(model, name, factual, seed), of, done, person, columns) for done in asked),
        draws=draws,
        seed=seed,
    )


def _followed(scm: SCM, followed: Followed, of: Explained, done: Done, person: Columns, columns: Columns) -> WorldMove:
    """One world."""
    spec, factual = scm.spec, followed.factual
    held = {node: person[node] for node in spec.held if node not in done}
    after = counterfactual(followed.model, factual, {**done, **held})
    paths, exact = contributions(followed, {**done, **held}, done)
    before, prediction = factual.values[followed.target][0, 0], after.values[followed.target][:, 0]
    moving = [node for node in spec.evidence if node in done or after.values[node] is not factual.values[node]]
    bounds, unbounded = _over_couplings(followed, {**done, **held})
    outside, why = _outside(scm, after, done, columns)
    rows = of.rows(after)
    return WorldMove(
        world=counterfactual(scm, factual, done).label,
        prediction=over_draws(prediction),
        change=over_draws(prediction - before),
        flips=of.flips(person, rows, after.shape[0]),
        classes=of.classes(rows, after.shape[0]),
        nodes=tuple(_node(scm, node, factual, after) for node in moving if node not in held),
        paths=paths,
        exact=exact,
        bounds=bounds,
        unbounded=unbounded,
        outside=outside,
        why=why,
    )


def _over_couplings(followed: Followed, do: Mapping[str, Setting]) -> tuple[OverCouplings | None, str | None]:
    """The range of the prediction's mean change over couplings, or why they cannot be gone through."""
    try:
        found = bounds_of(followed.model, followed.factual, Question(do, followed.target, measure="change"))
    except QueryError as error:
        return None, error.problem
    return OverCouplings(float(found.low), float(found.high), found.sharp == "sharp", found.nodes), None


def _node(scm: SCM, node: str, factual: World, after: World) -> NodeMove:
    """What becomes of a node."""
    before, values = factual.values[node][:, 0], after.values[node][:, 0].contiguous()
    moved = float((values != before).double().mean())
    if levels := scm.spec.nodes[node].levels:
        shares = torch.bincount(values.long(), minlength=len(levels)) / len(values)
        was = levels[int(torch.bincount(before.long()).argmax())]
        likely = {level: share for level, share in zip(levels, shares.tolist(), strict=True) if share}
        return NodeMove(node=node, factual=was, levels=likely, moved=moved)
    return NodeMove(node=node, factual=float(before.mean()), number=over_draws(values), moved=moved)


def _outside(scm: SCM, after: World, done: Done, columns: Columns) -> tuple[float | None, str | None]:
    """The share of draws whose row looks like nobody in the group into which the person is put."""
    spec = scm.spec
    nodes = [node for node in spec.evidence if node not in spec.protected and node in columns]
    if not nodes or any(not spec.nodes[node].levels for node in done):
        return None, "there is no column to compare" if not nodes else "a number has no group"
    member = torch.ones(columns.n, dtype=torch.bool)
    for node, level in done.items():
        member &= columns.coded[node] == spec.level(node, level)
    group = columns.take(member.nonzero().squeeze(-1)[:REFERENCE])
    if any(node in group.missing for node in nodes):
        return None, "people of that group lack values"
    area = Area(spec, nodes, group)
    if not area.known:
        return None, f"only {area.size} people of the table are in that group"
    return float(area.outside({node: after.values[node][:, 0].contiguous() for node in nodes}).mean()), None


def _person(scm: SCM, columns: Columns, row: int) -> Columns:
    """The row of one person.

    Raises:
        QueryError: the table has no such row.
        DataError: the row lacks a value, or was left out.
    """
    places = (columns.rows == row).nonzero().squeeze(-1)
    if not 0 <= row < columns.facts.rows:
        problem = f"'{columns.facts.name}' has {columns.facts.rows:,} rows, and none is at position {row}"
        raise QueryError("row", problem, f"give a whole number from 0 to {columns.facts.rows - 1}")
    if not len(places):
        problem = "it was left out when the table was read, for a missing value or weight 0, or stands in another part of the table"
        raise DataError(f"{columns.facts.name}, row {row}", problem, f"fill it in, or choose another row, as row {int(columns.rows[0])}")
    person = columns.take(places)
    for node in scm.spec.evidence:
        if node in person.missing:
            problem = f"it has no '{node}', and an explanation follows whole rows"
            raise DataError(f"{columns.facts.name}, row {row}", problem, "fill it in, or choose another row")
    return person


def _other_levels(scm: SCM, crossing: Crossing, person: Columns) -> Iterator[Done]:
    """Each other level of each attribute that has levels, one at a time.

    Raises:
        QueryError: there is none.
    """
    if not crossing.levels:
        mend = f"name one, as in --world {scm.spec.protected[0]}=1.5"
        raise QueryError("world", "the protected attributes are numbers, which have no other level", mend)
    for attribute, levels in crossing.levels.items():
        own = int(person[attribute])
        yield from ({attribute: level} for j, level in enumerate(levels) if j != own)


def _checked(scm: SCM, done: Done) -> Done:
    """What is done, of protected attributes only.

    Raises:
        QueryError: it is not, or a level is none.
    """
    for node, at in done.items():
        if node not in scm.spec.protected:
            raise QueryError("world", f"'{node}' is not a protected attribute", nearest(node, scm.spec.protected))
        if scm.spec.nodes[node].levels:
            scm.spec.level(node, at)
    if not done:
        raise QueryError("world", "nothing is done in it", f"say what, as in {scm.spec.protected[0]}=...")
    return done
