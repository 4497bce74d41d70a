"""Whether a table can be learned from at all."""

import torch

from cfair.data.decoding import decode
from cfair.errors import DataError
from cfair.interfaces import Columns
from cfair.spec import ModelSpec

__all__ = ["check_variation"]


def check_variation(columns: Columns, spec: ModelSpec) -> None:
    """Refuse, before any learning, people who all have the same protected attribute or the same outcome; those of weight 0 do not count.

    A table to be predicted may well hold one person only, so reading does not ask this.

    Raises:
        DataError: a protected attribute or the outcome has one value; the message names it.
    """
    columns = columns.counted()
    for role, nodes in (("protected attribute", spec.protected), ("outcome", (spec.outcome,))):
        for node in nodes:
            known = columns.known(node)
            first = known[:1]
            if torch.equal(known, first.expand(len(known))):
                where = f"{columns.facts.name}, column '{node}', rows 0 to {columns.facts.rows - 1}"
                if not len(known):
                    raise DataError(where, f"the {role} is missing in every row", "give a table that has some of it")
                problem = f"the {role} is '{decode(spec, node, first)[0]}' in every row"
                raise DataError(where, problem, "give a table in which it varies, or declare a model without it")
