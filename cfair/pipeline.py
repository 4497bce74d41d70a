"""The straight line from a declared model and a table to a run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeAlias, cast

from cfair.access import needs
from cfair.auditing import Json, audit
from cfair.auditing.audit import MIN_GROUP_SIZE, WORLDS
from cfair.auditing.crossing import crossing_of
from cfair.auditing.decomposed import decomposed
from cfair.auditing.splits import over_splits
from cfair.data import blocks, check_variation, split
from cfair.errors import FitError, QueryError, nearest
from cfair.heads import HEADS, head_for
from cfair.inference import abduct, check_patterns, learn
from cfair.inference.engines import check_engine, check_uncertainty, choose
from cfair.inference.learning import how_drawn
from cfair.interfaces import Columns, Predictor, World
from cfair.mitigations import MITIGATIONS, Constrained, Plan, check_head, plans, trained_in
from cfair.predictors import PREDICTORS
from cfair.scm import SCM
from cfair.spec import ModelSpec, few_indicators
from cfair.store import Run
from cfair.threads import with_threads
from cfair.weights import effective_size

__all__ = ["Options", "Progress", "fit"]

Progress: TypeAlias = Callable[[str, float], None]  # what is being done, and the share of all the work that is done

TERM_DRAWS = 20  # draws per held-out row by which predictions are decomposed
FIT_DRAWS = 50  # draws per training row that a head on draws is fitted on: their stratification makes more of them change nothing
BLOCK_DRAWS = 400_000  # draws in a block of training rows
STRENGTH = 30.0  # of a penalty: most of a difference between groups is gone
PARAMETER_DRAWS = 64  # of the parameters, at least: of fewer, nobody could tell how far they can be trusted


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How much work to spend, and on what.

    Args:
        predictors: names in PREDICTORS.
        head: a name in HEADS, or "auto" by the outcome's kind.
        engine: of the inference.
        uncertainty: how parameters are drawn, for the gap of frozen predictors; "auto" is "laplace"; "nuts" with that engine;
            "ridge" where a latent has too few children to identify its loadings; and "none" where rows lack values, the engine is
            "svi" or a ridge cannot be drawn from, of which the report speaks.
        parameter_draws: worlds of drawn parameters in which that gap is measured; PARAMETER_DRAWS draws are made at least, of which these
            are the first.
        draws: posterior draws per audited person.
        splits: random splits into training and test rows; with several, the report gives means and intervals over them.
        test_share: share of people held out for the audit, in (0, 1).
        min_group_size: people below which a group takes no part in a worst pair or a largest difference.
        seed: of the splits and the draws.
        constraints: that are trained in, each by each mitigation that can: names in CONSTRAINTS, with ``+`` between those that go together.
        mitigations: names in MITIGATIONS.
        features: the predictor that is constrained.
        by: protected attributes whose levels together make the groups; all that have levels if empty.
        strength: of mitigations that weigh violations against errors.
        tolerance: of mitigations that bound violations.
        reads_group: whether mitigations after training may read the group at prediction time.

    Raises:
        QueryError: an option is out of its range, or names what does not exist.
    """

    predictors: tuple[str, ...] = ("constant", "full", "unaware", "nondescendants", "latent", "residual")
    head: str = "auto"
    engine: Literal["auto", "quadrature", "svi", "nuts"] = "auto"
    uncertainty: Literal["auto", "none", "laplace", "nuts", "ridge"] = "auto"
    parameter_draws: int = WORLDS
    draws: int = 200
    splits: int = 1
    test_share: float = 0.2
    min_group_size: int = MIN_GROUP_SIZE
    seed: int = 0
    constraints: tuple[str, ...] = ()
    mitigations: tuple[str, ...] = ()
    features: str = "unaware"
    by: tuple[str, ...] = ()
    strength: float = STRENGTH
    tolerance: float = 0.0
    reads_group: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1:
            raise QueryError("test_share", f"{self.test_share} is not between 0 and 1", "use 0.2")
        for name, least in (("parameter_draws", 2), ("draws", 1), ("splits", 1), ("min_group_size", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise QueryError(name, f"{getattr(self, name)} is below {least}", f"use a whole number from {least}")
        if not self.predictors:
            raise QueryError("predictors", "none is named", f"use some of: {', '.join(PREDICTORS)}")
        for name in self.predictors:
            if name not in PREDICTORS:
                raise QueryError("predictors", f"'{name}' is not a predictor", nearest(name, PREDICTORS))
        if self.head not in ("auto", *HEADS):
            raise QueryError("head", f"'{self.head}' is not a head", nearest(self.head, ("auto", *HEADS)))
        check_engine(self.engine)
        if self.uncertainty != "auto":
            check_uncertainty(self.uncertainty)


@with_threads
def fit(spec: ModelSpec, columns: Columns, options: Options | None = None, *, progress: Progress | None = None) -> Run:
    """Split, learn, abduct, fit the predictors on the training rows, audit them on the test rows.

    Args:
        spec: the declared model.
        columns: people with every observed node, and perhaps their weights.
        options: how much work to spend, and on what.
        progress: called with what is being done and the share of the work that is done.

    Returns:
        The run of the first split; with several, its report holds means and intervals over all of them.

    Raises:
        QueryError: the model or the options ask for something that this version does not do.
        DataError: an attribute has one level in the table, or the outcome does not vary.
        FitError: learning or inference did not reach an answer.
    """
    options = options or Options()
    check(spec, options)
    check_variation(columns, spec)
    _how_drawn(spec, columns, options)
    constrained = [(*needs(spec, plan.features), *plan.by) for plan in _plans(spec, options)[0]]
    check_patterns(spec, columns, needs=[*(needs(spec, name) for name in options.predictors), *constrained])
    tell = progress or (lambda what, share: None)
    runs = []
    points = crossing_of(spec, columns.counted()).points  # the same in all splits
    for k in range(options.splits):
        tell(f"split {k + 1} of {options.splits}" if options.splits > 1 else "learning", k / options.splits)
        own = replace(options, seed=split_seed(options.seed, k))
        runs.append(_fit_once(spec, columns, own, points, _part(tell, k, options.splits)))
    report = over_splits([run.report for run in runs], test_share=options.test_share, min_group_size=options.min_group_size)
    return replace(runs[0], report=replace(report, options={**report.options, **_asked(options)}))


def check(spec: ModelSpec, options: Options) -> None:
    """Refuse what cannot be done before any work: latents, protected attributes, and heads that this version does not serve.

    Raises:
        QueryError: with what to do instead.
    """
    choose(spec, options.engine)
    crossing_of(spec)
    head_for(spec.outcome_kind, options.head)
    _plans(spec, options)


def _plans(spec: ModelSpec, options: Options) -> tuple[tuple[Plan, ...], tuple[str, ...]]:
    """What is to be constrained, and which pairs of mitigation and constraint cannot be had."""
    if not options.constraints and not options.mitigations:
        return (), ()
    like = Plan(
        mitigation="",
        constraints=(),
        features=options.features,
        by=options.by,
        strength=options.strength,
        tolerance=options.tolerance,
        reads_group=options.reads_group,
        min_group_size=options.min_group_size,
        seed=options.seed,
    )
    found = plans(spec, options.constraints, options.mitigations, like)
    for plan in found[0]:
        check_head(MITIGATIONS[plan.mitigation], "logistic" if options.head == "auto" else options.head)
    return found


def split_seed(seed: int, k: int) -> int:
    """The seed of the k-th split; that of the first is the seed itself."""
    return seed + 1_000_003 * k


def _fit_once(spec: ModelSpec, columns: Columns, options: Options, points: Mapping[str, Sequence[float]], tell: Progress) -> Run:
    train, test = split(columns, spec, test_share=options.test_share, seed=options.seed)
    tell("learning the model", 0.0)
    scm = learned(spec, train, options)
    tell("fitting predictors", 0.15)
    predictors = _fitted(scm, train, options)
    tell("auditing", 0.4)
    asked, refused = _plans(spec, options)
    audited = 0.5 if asked else 0.6  # of the work
    report = audit(
        scm,
        predictors,
        test,
        draws=options.draws,
        parameter_draws=options.parameter_draws,
        seed=options.seed,
        min_group_size=options.min_group_size,
        points=points,
        known=columns,
        progress=lambda done: tell("auditing", 0.4 + audited * done / test.n),
    )
    trained = {"training_rows": train.n}
    weighed = {} if train.weights is None else {"effective_training_rows": effective_size(train.weights)}
    log = trained_in(predictors, refused)
    if asked:
        terms = decomposed(
            scm,
            predictors,
            test,
            attributes=asked[0].by,
            known=columns,
            draws=min(options.draws, TERM_DRAWS),
            seed=options.seed,
            progress=lambda share: tell("decomposing predictions", 0.9 + 0.1 * share),
        )
        report = replace(report, rows=(*report.rows, *terms))
    report = replace(report, data={**report.data, **trained, **weighed, **log})
    return Run(scm, predictors, report, options.head)


def learned(spec: ModelSpec, train: Columns, options: Options) -> SCM:
    """The SCM, with draws of its parameters unless the options say otherwise."""
    drawn = max(options.parameter_draws, PARAMETER_DRAWS)
    how = _how_drawn(spec, train, options)
    try:
        return learn(spec, train, engine=options.engine, uncertainty=how, parameter_draws=drawn, seed=options.seed)
    except FitError as error:
        if how != "ridge" or options.uncertainty != "auto":
            raise
        scm = learn(spec, train, engine=options.engine, uncertainty="none", seed=options.seed)
        assert scm.engine is not None
        scm.engine = replace(scm.engine, why=f"{scm.engine.why}; none were drawn, as {error.problem}")
        return scm


def _how_drawn(spec: ModelSpec, columns: Columns, options: Options) -> Literal["none", "laplace", "nuts", "ridge"]:
    """How parameters are drawn.

    Raises:
        QueryError: not as the options ask.
    """
    chosen, asked = choose(spec, options.engine), options.uncertainty
    if asked == "auto" and chosen.engine != "nuts":
        asked = "ridge" if few_indicators(spec) else "laplace"
        asked = "none" if columns.missing or chosen.engine == "svi" else asked
    how = how_drawn(chosen, "nuts" if asked == "auto" else asked, whole=not columns.missing)
    return cast("Literal['none', 'laplace', 'nuts', 'ridge']", how)


def _fitted(scm: SCM, train: Columns, options: Options) -> dict[str, Predictor]:
    """The predictors that the options name, fitted on abducted training rows, those that have an outcome.

    What a row lacks is drawn given all that it has, its outcome, too, for a predictor that reads columns: a guess without the outcome
    would hide that the two hang together. Predictors on latents read them as they will be inferred, without the outcome.
    """
    if scm.spec.outcome in train.missing:
        train = train.take((~train.missing[scm.spec.outcome]).nonzero().squeeze(-1))
    worlds = worlds_of(scm, train, options, given=None)
    filled = worlds_of(scm, train, options, given=scm.spec.observed) if train.missing else worlds
    outcome = train[scm.spec.outcome]
    made: dict[str, Predictor] = {name: PREDICTORS[name](scm, head=options.head) for name in options.predictors}
    made |= {plan.name: Constrained(scm, plan, head=options.head) for plan in _plans(scm.spec, options)[0]}
    return {
        name: predictor.fit(filled if predictor.function_of_row else worlds, outcome, weights=train.weights)
        for name, predictor in made.items()
    }


def worlds_of(scm: SCM, train: Columns, options: Options, *, given: Sequence[str] | None) -> list[World]:
    """The factual worlds of training rows, a block at a time."""
    draws = min(options.draws, FIT_DRAWS)
    return [abduct(scm, block, given=given, draws=draws, seed=options.seed) for block in blocks(train, max(BLOCK_DRAWS // draws, 1))]


def _asked(options: Options) -> dict[str, Json]:
    """The options as JSON has them; what is trained in, if anything is, apart from what is measured."""
    said: dict[str, Json] = {**asdict(options), "predictors": list(options.predictors)}
    lists: dict[str, Json] = {name: list(getattr(options, name)) for name in ("constraints", "mitigations", "by")}
    own: dict[str, Json] = {**lists, **{name: said[name] for name in ("features", "strength", "tolerance", "reads_group")}}
    said = {name: value for name, value in said.items() if name not in own}
    return {**said, "trained_in": own} if options.mitigations else said


def _part(tell: Progress, k: int, splits: int) -> Progress:
    """Progress within the k-th of several equal parts of the work."""
    return lambda what, share: tell(what if splits == 1 else f"split {k + 1} of {splits}: {what}", (k + share) / splits)
