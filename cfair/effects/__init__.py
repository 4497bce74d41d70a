"""What a protected attribute does to a node or a prediction: total, natural and counterfactual effects, path by path, and their bounds."""

from cfair.effects.bounds import bounds_of, coupled_nodes, coupling_bounds
from cfair.effects.bounds_records import Bounds, Question
from cfair.effects.decomposing import decompose
from cfair.effects.decomposition import Decomposition
from cfair.effects.prediction import Predicted, Prediction, prediction_of
from cfair.effects.records import TERMS, Estimate
from cfair.effects.scored import Score, scored, with_score

__all__ = [
    "TERMS",
    "Bounds",
    "Decomposition",
    "Estimate",
    "Predicted",
    "Prediction",
    "Question",
    "Score",
    "bounds_of",
    "coupled_nodes",
    "coupling_bounds",
    "decompose",
    "prediction_of",
    "scored",
    "with_score",
]
