"""The work behind ``cfair audit`` and ``cfair worlds``: whom the question is about, and in which model."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import typer

from cfair.auditing import External, Json, Report, audit
from cfair.auditing.crossing import crossing_of
from cfair.auditing.elsewhere import carried, check_levels
from cfair.auditing.foreign import admit
from cfair.cli._dag import read_dag, table_of
from cfair.cli._keeping import keep_report
from cfair.cli._listed import names
from cfair.cli._models import check_model, read_model
from cfair.data import check_variation, original_columns, read_table, split
from cfair.errors import QueryError
from cfair.inference import learn
from cfair.inference.engines import check_engine
from cfair.interfaces import Columns
from cfair.report import to_markdown
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.store import load, parts

__all__ = ["AUDIT", "Question", "audit_model", "check_unused", "learned", "people_of", "question_of", "save_report"]

AUDIT = "a cfair audit"  # what a manifest says that its folder is
PARAMETER_DRAWS = 64  # of the parameters, at least: of fewer, nobody could tell how far they can be trusted


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Who is asked about, and in which model.

    Args:
        dag: a dag.yaml, or a shipped model's name; None with ``run``.
        data: the table; None for that of the DAG or the run.
        run: the folder of a run whose model is taken as it is; None to learn one.
        attributes: protected attributes; all if empty.
        carry: columns of the table that go through every world unchanged.
        test_share: of people whom the model is not learned from and who alone are asked about; 0 learns from, and asks about, everyone.
        missing: what to do with rows that lack a value.
        weights: the column of weights.
        engine: of the inference.
        uncertainty: how parameters are drawn: none, laplace or nuts.
        seed: of the split, the learning and the draws.
        allow_python: whether code of the user's own may run.
    """

    dag: str | None
    data: str | None
    run: Path | None
    attributes: tuple[str, ...] = ()
    carry: tuple[str, ...] = ()
    test_share: float = 0.0
    missing: str = "error"
    weights: str | None = None
    engine: str = "auto"
    uncertainty: str = "none"
    seed: int = 0
    allow_python: bool = False

    def __post_init__(self) -> None:
        if (self.dag is None) == (self.run is None):
            raise QueryError("dag", "one of --dag and --run says in which model people are moved", "give one of them, not both")
        if not 0 <= self.test_share < 1:
            raise QueryError("test_share", f"{self.test_share} is not between 0 and 1", "use 0.2, or leave it out")
        check_engine(self.engine)
        if self.uncertainty not in ("none", "laplace", "nuts"):
            raise QueryError("uncertainty", f"'{self.uncertainty}' is no way to draw parameters", "use none, laplace or nuts")


def question_of(context: typer.Context) -> Question:
    """What the words of ``cfair audit`` and ``cfair worlds`` ask, which have the same names in both.

    Raises:
        QueryError: they contradict one another, or name what there is not.
    """
    said = context.params
    return Question(
        dag=said["dag"],
        data=said["data"],
        run=None if said["run"] is None else Path(said["run"]),
        attributes=names(said["attributes"]),
        carry=names(said["carry"]),
        test_share=said["test_share"],
        missing=said["missing"],
        weights=said["weights"],
        engine=said["engine"],
        uncertainty=said.get("uncertainty", "none"),  # worlds that are written are those of one model
        seed=said["seed"],
        allow_python=said["allow_python"],
    )


def check_unused(context: typer.Context, used: Collection[str]) -> None:
    """Refuse options that would change nothing where worlds are audited that are written already.

    Raises:
        QueryError: some were given beside those that are ``used``.
    """
    given = [name for name in context.params if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"]
    unused = [f"--{name.replace('_', '-')}" for name in given if name not in used]
    if unused:
        problem = "worlds that are written are audited as they are: nothing would come of it"
        raise QueryError(", ".join(unused), problem, "leave it out, give it to 'cfair worlds', or audit the model itself (--model)")


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """Those who are asked about, and what is needed to learn a model of them.

    Args:
        spec: the declared model.
        asked: the people asked about.
        training: those to learn from; None where ``scm`` was learned before.
        scm: of a run.
        table: that they come from, as it was named.
    """

    spec: ModelSpec
    asked: Columns
    training: Columns | None
    scm: SCM | None
    table: str


def people_of(question: Question) -> People:
    """The people, read and checked: whatever is wrong with them shows before anything is learned.

    Raises:
        SpecError, DataError, QueryError, StoreError: with where, what and how to mend it.
    """
    people = _of_run(question, question.run) if question.run is not None else _of_table(question, str(question.dag))
    check_levels(people.asked, people.spec, crossing_of(people.spec, attributes=question.attributes))
    if not question.carry:
        return people
    table = original_columns(people.table, question.carry)
    return replace(people, asked=carried(people.asked, table, people.spec))


def learned(people: People, question: Question) -> SCM:
    """The model in which people are moved: the run's, or one learned from the people."""
    if people.scm is not None:
        return people.scm
    return learn(
        people.spec,
        people.training,
        engine=cast("Literal['auto']", question.engine),
        uncertainty=cast("Literal['none']", question.uncertainty),
        parameter_draws=PARAMETER_DRAWS,
        seed=question.seed,
    )


def audit_model(
    question: Question,
    reference: str,
    *,
    name: str,
    output: str,
    trust: Sequence[str],
    draws: int,
    bounds: int,
    tell: Callable[[str, float], None],
) -> Report:
    """The audit of the model that ``reference`` names, which is tried before anything is learned."""
    check_model(reference, allow_python=question.allow_python)
    people = people_of(question)
    beside = Path(question.dag).parent if question.dag is not None and Path(question.dag).is_file() else None
    model = External(read_model(reference, trust=trust, beside=beside), cast("Literal['auto', 'score']", output))
    tell("trying the model", 0.0)
    foreign = admit(name, model, people.spec, people.asked)
    tell("learning", 0.05)
    started = time.perf_counter()
    scm = learned(people, question)
    learning = time.perf_counter() - started if people.scm is None else None
    report = audit(
        scm,
        {name: foreign},
        people.asked,
        attributes=question.attributes,
        draws=draws,
        seed=question.seed,
        bounds=bounds,
        progress=lambda done: tell("auditing", 0.4 + 0.6 * done / people.asked.n),
    )
    said = {"data": people.table, "model": reference, "missing": question.missing}
    trained = {} if people.training is None or not question.test_share else {"training_rows": people.training.n}
    return replace(report, options={**report.options, **said}, data={**report.data, **trained, "seconds": _seconds(report, learning)})


def _seconds(report: Report, learning: float | None) -> Json:
    """The report's times, with that of learning where the model was learned for it."""
    seconds = report.data["seconds"]
    assert isinstance(seconds, dict)
    return seconds if learning is None else {"learning": round(learning, 3), **seconds}


def save_report(report: Report, folder: Path) -> None:
    """Write report.json and report.md into a folder, whole or not at all.

    Raises:
        StoreError: the folder is in the way, or cannot be written.
    """
    keep_report(report, to_markdown(report), folder, AUDIT)


def _of_table(question: Question, dag: str) -> People:
    spec = read_dag(dag, allow_python=question.allow_python)
    crossing_of(spec, attributes=question.attributes)
    table = table_of(spec, dag, question.data)
    columns = _read(question, spec, table)
    check_variation(columns, spec)
    if not question.test_share:
        return People(spec, columns, columns, None, str(table))
    training, tested = split(columns, spec, test_share=question.test_share, seed=question.seed)
    return People(spec, tested, training, None, str(table))


def _of_run(question: Question, folder: Path) -> People:
    """A run's model; its held-out people, or all of another table."""
    run = load(folder, allow_python=question.allow_python)
    if question.data is None:
        return People(run.spec, parts(run)[1], None, run.scm, str(run.report.options.get("data", run.report.data["name"])))
    return People(run.spec, _read(question, run.spec, question.data), None, run.scm, question.data)


def _read(question: Question, spec: ModelSpec, table: str | Path) -> Columns:
    return read_table(table, spec, missing=cast("Literal['error', 'drop', 'latent']", question.missing), weights=question.weights)
