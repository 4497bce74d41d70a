"""How groups are to be compared."""

from dataclasses import dataclass

from cfair.constraints.definition import OURS, Definition
from cfair.constraints.permutation import REPLICATES

__all__ = ["Comparison"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is compared with what, and how much work is spent on it.

    Args:
        constraints: names in ``CONSTRAINTS``.
        min_group_size: people below which a group takes part in no difference.
        definition: what is meant by the difference of several groups.
        replicates: permutations, and tables that are drawn anew.
        seed: of them.
    """

    constraints: tuple[str, ...]
    min_group_size: int
    definition: Definition = OURS
    replicates: int = REPLICATES
    seed: int = 0
