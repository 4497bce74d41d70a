"""The heads, and which of them suits which outcome."""

from collections.abc import Mapping

from cfair.errors import QueryError
from cfair.families import Kind
from cfair.heads.base import Head
from cfair.registry import Registry

__all__ = ["HEADS", "head_for"]

HEADS: Registry[type[Head]] = Registry(
    "head",
    linear="cfair.heads.linear:Linear",
    logistic="cfair.heads.logistic:Logistic",
    boosted="cfair.heads.boosted:Boosted",
)
AUTO: Mapping[Kind, str] = {"real": "linear", "count": "linear", "binary": "logistic"}


def head_for(kind: Kind, name: str = "auto") -> type[Head]:
    """The head called ``name`` for outcomes of this ``kind``; ``auto`` is linear for numbers, logistic for two levels.

    Raises:
        QueryError: no head has that name, it does not suit the outcome, or the outcome has more than two levels.
    """
    if kind not in AUTO:
        mend = "declare the outcome with two levels (mechanism: bernoulli); outcomes with more of them come later"
        raise QueryError(where="outcome", problem=f"no head predicts an outcome of kind '{kind}' yet", mend=mend)
    head = HEADS[AUTO[kind] if name == "auto" else name]
    if kind not in head.kinds:
        mend = f"use '{AUTO[kind]}', or 'auto'"
        raise QueryError(where="head", problem=f"'{name}' does not predict an outcome of kind '{kind}'", mend=mend)
    return head
