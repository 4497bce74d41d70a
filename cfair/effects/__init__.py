"""What a protected attribute does to a node or a prediction: total, natural and counterfactual effects, path by path, and their bounds."""

from cfair.effects.records import TERMS, Estimate
from cfair.effects.scored import Score, scored, with_score

__all__ = ["TERMS", "Estimate", "Score", "scored", "with_score"]
