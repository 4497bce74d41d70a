"""What a protected attribute does to a node or a prediction: total, natural and counterfactual effects, path by path, and their bounds."""

from cfair.effects.bounds import bounds_of, coupled_nodes, coupling_bounds
from cfair.effects.bounds_records import Bounds, Question
from cfair.effects.records import TERMS, Estimate
from cfair.effects.scored import Score, scored, with_score

__all__ = ["TERMS", "Bounds", "Estimate", "Question", "Score", "bounds_of", "coupled_nodes", "coupling_bounds", "scored", "with_score"]
