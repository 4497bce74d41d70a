"""The heads, and which of them suits which outcome."""

from collections.abc import Mapping

from cfair.errors import QueryError
from cfair.families import Kind
from cfair.heads.base import Head
from cfair.registry import Registry

__all__ = ["HEADS", "head_for", "name_of"]

HEADS: Registry[type[Head]] = Registry(
    "head",
    linear="cfair.heads.linear:Linear",
    logistic="cfair.heads.logistic:Logistic",
    multinomial="cfair.heads.multinomial:Multinomial",
    mlp="cfair.heads.mlp:MLP",
    boosted="cfair.heads.boosted:Boosted",
    boosted_levels="cfair.heads.boosted_levels:BoostedLevels",
)
AUTO: Mapping[Kind, str] = {
    "real": "linear",
    "count": "linear",
    "binary": "logistic",
    "category": "multinomial",
    "ordinal": "multinomial",
}
OF_LEVELS = {"boosted": "boosted_levels"}  # heads by whose name the one for several levels may be asked for, too


def head_for(kind: Kind, name: str = "auto") -> type[Head]:
    """The head called ``name`` for outcomes of this ``kind``; ``auto`` is linear for numbers, logistic for two levels, else multinomial.

    ``boosted`` is ``boosted_levels`` for an outcome of several levels.

    Raises:
        QueryError: no head has that name, or it does not suit the outcome.
    """
    chosen = AUTO[kind] if name == "auto" else name
    head = HEADS[OF_LEVELS.get(chosen, chosen) if kind in ("category", "ordinal") else chosen]
    if kind not in head.kinds:
        mend = f"use '{AUTO[kind]}', or 'auto'"
        raise QueryError(where="head", problem=f"'{name}' does not predict an outcome of kind '{kind}'", mend=mend)
    return head


def name_of(head: Head) -> str:
    """By which name in HEADS a head is asked for."""
    return next(name for name in HEADS if HEADS[name] is type(head))
