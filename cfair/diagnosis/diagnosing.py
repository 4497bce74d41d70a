"""``diagnose``: every check of a learned model, on rows that it was not learned from."""

from collections.abc import Iterator

import torch

from cfair.diagnosis.abducted import drawn
from cfair.diagnosis.degenerate import constant, degenerate_columns
from cfair.diagnosis.engine import engine_checks
from cfair.diagnosis.groups import MIN_PEOPLE, Groups, groups_of
from cfair.diagnosis.judging import judged, judged_support, of_nodes
from cfair.diagnosis.learned import learned
from cfair.diagnosis.predictive import predictive_checks
from cfair.diagnosis.records import Diagnosis
from cfair.diagnosis.replicating import held
from cfair.diagnosis.residue import residue_checks, untestable
from cfair.diagnosis.streams import stream
from cfair.diagnosis.support import support
from cfair.diagnosis.thinning import thinned
from cfair.diagnosis.whole import left_out, whole
from cfair.errors import QueryError
from cfair.interfaces import Columns
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.threads import with_threads
from cfair.weights import effective_size

__all__ = ["MIN_DRAWS", "diagnose"]

MIN_DRAWS = 20  # replicated tables below which neither a spread nor a tail is known


@with_threads
def diagnose(scm: SCM, columns: Columns, *, training: Columns | None = None, draws: int = 200, seed: int = 0) -> Diagnosis:
    """What ``columns`` say against a learned model, what they cannot say, and a verdict per node.

    Posterior predictive checks per node and by protected group; the residue of the independence of noise and protected attributes, on
    one abducted draw per row; quadrature doubling and sampling figures; how far the data moved each latent's loadings, and directions
    of which they say nothing; whether counterfactual rows lie among the data. All p-values are corrected together (Holm 1979). A check
    "fails" where p < 0.01 and its effect is outside a stated tolerance; where it is inside, it is "detected, small": of enough rows
    any model fails by p-values alone. That a check passes does not show that the model is right.

    Args:
        scm: with its parameters learned on other rows, or fixed.
        columns: the tested rows, with every observed node.
        training: the rows that the parameters were learned from. They tell how much wider the parameters' own error makes a
            statistic (√(1 + n/n') for n tested and n' training rows, an upper bound for what maximum likelihood fits), what is constant
            or separated in them, and how far the data moved the loadings; support is judged by all rows. None: the parameters are
            taken as known, and the tested rows stand in for the others.
        draws: replicated tables.
        seed: of all draws.

    Rows with weights are thinned to rows that stand for as many people each (see ``thinned``); parameters' curvature takes the weights.
    Rows that lack a value are left out, which a note says; parameters that were learned from such rows have no curvature here.

    Raises:
        QueryError: ``draws`` is below 20.
        DataError: a column is missing, or fewer than MIN_PEOPLE rows are whole, perhaps once they are thinned.
        FitError: a row's posterior does not settle.
    """
    if draws < MIN_DRAWS:
        raise QueryError("draws", f"{draws} replicated tables are too few", f"ask for at least {MIN_DRAWS}")
    all_tested, all_training = columns, training
    columns, training = whole(scm, columns), training and whole(scm, training)
    given, learned_from = columns, training
    columns = thinned(columns, least=MIN_PEOPLE, generator=stream(seed, "thinning"))
    training = training and thinned(training, least=MIN_PEOPLE, generator=stream(seed, "thinning of training rows"))
    spec, known = scm.spec, _joined(columns, training)
    groups = groups_of(spec, columns)
    widen = (1 + columns.n / _effective(learned_from)) ** 0.5 if learned_from else 1.0
    lost = {*constant(spec, training or columns), *constant(spec, columns)}
    nodes = [node for node in spec.nodes if node not in lost]
    draw = drawn(scm, columns, seed=seed)
    checks = judged(
        [
            *degenerate_columns(scm, [training, columns] if training else [columns]),
            *predictive_checks(scm, columns, groups, nodes, draws=draws, seed=seed, widen=widen),
            *residue_checks(spec, draw, columns.rows, groups, nodes, widen=widen),
        ]
    )
    of_parameters = learned(scm, all_training and all_training.counted(), seed=seed)
    compared = [node for node in nodes if node in spec.observed and node not in spec.protected]
    return Diagnosis(
        model=spec.name,
        rows=columns.n,
        training_rows=all_training.n if all_training else None,
        seed=seed,
        draws=draws,
        nodes=of_nodes(spec, checks),
        checks=checks,
        latents=of_parameters.latents,
        flat=of_parameters.flat,
        support=judged_support(support(scm, draw, known, compared, seed=seed)),
        untestable=untestable(spec, nodes),
        engine=(*engine_checks(scm, columns, seed=seed), *of_parameters.engine),
        notes=(*left_out(all_tested, all_training), *_thinned(given, columns), *_notes(spec, groups, columns)),
        reaches=of_parameters.reaches,
    )


def _effective(columns: Columns) -> float:
    """The people of equal weight that say as much of a mean."""
    return columns.n if columns.weights is None else effective_size(columns.weights)


def _thinned(given: Columns, kept: Columns) -> Iterator[str]:
    """A word on the rows that weights left out."""
    if given.weights is not None and kept.n < given.n:
        worth = effective_size(given.weights)
        yield (
            f"By their weights {kept.n:,} of {given.n:,} tested rows were kept at random, to stand for as many people each; "
            f"all of them together are worth {worth:,.0f} of equal weight: checks with weights would find somewhat smaller misfits."
        )


def _joined(columns: Columns, training: Columns | None) -> Columns:
    """All people whose data are known."""
    if training is None:
        return columns
    return Columns(
        {node: torch.cat([columns[node], training[node]]) for node in columns if node in training},
        torch.cat([columns.rows, training.rows]),
        columns.facts,
    )


def _notes(spec: ModelSpec, groups: Groups, columns: Columns) -> Iterator[str]:
    """What was left out, and how a check of its kind is to be read."""
    sizes = groups.members({node: columns[node] for node in spec.protected or spec.observed}).sum(0)
    few = [f"{group.attribute}={group.name} ({int(size)})" for group, size in zip(groups.names, sizes, strict=True) if size < MIN_PEOPLE]
    if few:
        yield f"Not checked, having fewer than {MIN_PEOPLE} tested rows: {', '.join(few)}."
    if spec.protected and not held(spec):
        yield "A latent causes a protected attribute: replicated tables have protected attributes of their own."
