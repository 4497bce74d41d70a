"""What an audit must say, and must ask first, of models from elsewhere."""

from collections.abc import Iterator, Mapping
from typing import Literal

import pandas as pd

from cfair.auditing.classes import classes_of, measured_as
from cfair.auditing.crossing import Crossing
from cfair.auditing.foreign import Foreign
from cfair.auditing.records import Assumption
from cfair.data import Carried, Written, carry, decode
from cfair.errors import DataError, QueryError
from cfair.interfaces import Columns, Predictor
from cfair.spec import ModelSpec

__all__ = ["carried", "check_levels", "foreign_of", "of_elsewhere", "output_of", "units_of"]

UNITS = {
    "classes": "probabilities of classes: its gaps are total variation distances, and those of each class changes of its probability",
    "score": "a score: its gaps are in a unit of its own",
}


def foreign_of(predictors: Mapping[str, Predictor]) -> dict[str, Foreign]:
    """Those of the predictors that were made elsewhere."""
    return {name: each for name, each in predictors.items() if isinstance(each, Foreign)}


def output_of(predictor: Predictor, spec: ModelSpec) -> Literal["outcome", "score", "classes"]:
    """In which unit a predictor speaks: the outcome's, or its probabilities, unless it is from elsewhere and says otherwise.

    Probabilities of classes that are the outcome's levels are predictions of it.
    """
    kind = predictor.settled.kind if isinstance(predictor, Foreign) else "prediction"
    if kind == "classes" and classes_of(predictor) == spec.classes:
        return "outcome"
    return kind if kind in ("score", "classes") else "outcome"


def units_of(predictors: Mapping[str, Predictor], columns: Columns, spec: ModelSpec) -> dict[str, float]:
    """What is measured -> the unit of its (δ, ε) curve: 1 of a probability, else the standard deviation of the outcome, or of a score."""
    own = 1.0 if spec.nodes[spec.outcome].discrete else float(columns[spec.outcome].std(correction=0)) or 1.0
    found = {}
    for name, each in measured_as(predictors).items():
        kind = output_of(each, spec)
        found[name] = 1.0 if kind == "classes" else each.settled.spread if isinstance(each, Foreign) and kind == "score" else own
    return found


def carried(columns: Columns, table: pd.DataFrame, spec: ModelSpec) -> Columns:
    """The people with columns that no node describes, to be carried unchanged into every world.

    Args:
        columns: people, whose ``rows`` are positions in the table.
        table: the columns, with a row for each of the table's rows.
        spec: of the people.

    Raises:
        QueryError: a column is a node, or there are more or fewer rows than the table has.
    """
    for name in table.columns:
        if name in spec.nodes:
            raise QueryError("carry", f"'{name}' is a node of the model, which says what becomes of it", "leave it out of carry")
    if len(table) != columns.facts.rows:
        problem = f"{len(table)} rows to carry, and {columns.facts.name} has {columns.facts.rows}"
        raise QueryError("carry", problem, "give the columns of the whole table, in its order")
    return carry(columns, table)


def check_levels(columns: Columns, spec: ModelSpec, crossing: Crossing) -> None:
    """Refuse people who all have the same level of an attribute that is asked about.

    Raises:
        DataError: they do; the message names it.
    """
    for attribute in crossing.levels:
        known = columns.known(attribute)
        if len(known) and bool((known == known[0]).all()):
            level = decode(spec, attribute, known[:1])[0]
            problem = f"the protected attribute is '{level}' in every audited row, so that there is no other group to compare"
            where = f"{columns.facts.name}, column '{attribute}'"
            raise DataError(where, problem, "give people of both, or ask about other attributes (attributes=[...], --attributes)")


def of_elsewhere(predictors: Mapping[str, Predictor], columns: Columns, spec: ModelSpec) -> Iterator[Assumption]:
    """What is assumed of models from elsewhere and of their rows, and which figures they do not get."""
    foreign = foreign_of(predictors)
    for name, model in foreign.items():
        reads = "is given" if model.source.needs is None else "reads"
        text = (
            f"'{name}' ({model.source.what}) was made elsewhere and is taken as it is: it {reads} {', '.join(model.needs)}, and nothing is "
            "claimed of it. Whether it was fitted on people who are audited here is not known: of those its accuracy is too high."
        )
        yield Assumption("external", text)
        if model.settled.note:
            yield Assumption("external", f"'{name}': {model.settled.note}.")
        if (unit := output_of(model, spec)) != "outcome":
            least = "accuracy is not measured, nor are residuals and group constraints"
            text = f"'{name}' gives {UNITS[unit]}; {least}, which need predictions of {spec.outcome}."
            yield Assumption("not_measured", text)
    if not foreign:
        return
    kept = [name for name, coding in columns.codings.items() if isinstance(coding, Carried)]
    if kept:
        text = f"{', '.join(kept)}: carried unchanged into every world, as if no protected attribute caused any of it."
        yield Assumption("carried", text)
    spelled = {name: coding.spellings for name, coding in columns.codings.items() if isinstance(coding, Written) and coding.spellings}
    for name, levels in spelled.items():
        text = f"The table spells {', '.join(levels)} of '{name}' in several ways; models from elsewhere get the most frequent one."
        yield Assumption("spelling", text)
