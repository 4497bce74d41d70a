"""One person's prediction: what it would have been in other worlds, what moved it, and by which paths."""

from cfair.explaining.explain import explain
from cfair.explaining.records import Explanation, NodeMove, OverCouplings, PathShare, Range, WorldMove

__all__ = ["Explanation", "NodeMove", "OverCouplings", "PathShare", "Range", "WorldMove", "explain"]
