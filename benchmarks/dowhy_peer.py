"""Counterfactuals by dowhy, for ``counterfactual.py``: runs in dowhy's own environment and imports nothing of cfair.

Reads a JSON request on stdin, writes one JSON answer on stdout and the counterfactual values of the smallest block to a file.
"""

import json
import sys
import time
from importlib.metadata import version

import networkx as nx
import numpy as np
import pandas as pd
from dowhy import gcm
from dowhy.gcm.ml import PredictionModel


class Linear(PredictionModel):
    """Σ_p w_p·p + b, given and not fitted."""

    def __init__(self, weights: list[float], intercept: float) -> None:
        self.weights, self.intercept = np.asarray(weights), intercept

    def fit(self, X: np.ndarray, Y: np.ndarray) -> None:  # noqa: N803
        """Nothing: the parameters are given."""

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """The mean, shape (n, 1)."""
        return (X @ self.weights + self.intercept).reshape(-1, 1)

    def clone(self) -> "Linear":
        """The same model."""
        return Linear(list(self.weights), self.intercept)


def causal_model(weights: dict[str, dict[str, float]], intercept: float, noise: pd.DataFrame) -> gcm.InvertibleStructuralCausalModel:
    """The linear SCM with additive noise; dowhy orders a node's parents by name."""
    model = gcm.InvertibleStructuralCausalModel(nx.DiGraph([(parent, node) for node, own in weights.items() for parent in own]))
    for node, own in weights.items():
        linear = Linear([own[parent] for parent in sorted(own)], intercept)
        model.set_causal_mechanism(
            node, gcm.AdditiveNoiseModel(linear, gcm.EmpiricalDistribution()) if own else gcm.EmpiricalDistribution()
        )
    gcm.config.disable_progress_bars()
    gcm.fit(model, noise.head(100))
    return model


def main() -> None:
    """Answer the request."""
    request = json.load(sys.stdin)
    noise = pd.DataFrame(dict(np.load(request["noise"])))
    model = causal_model(request["weights"], request["intercept"], noise)
    seconds = {}
    for size in request["sizes"]:
        block, passes = noise.head(size), []
        for _ in range(request["repeats"]):
            start = time.process_time()
            worlds = [gcm.counterfactual_samples(model, {"a": lambda _, v=v: v}, noise_data=block) for v in request["do"]]
            passes.append(time.process_time() - start)
        seconds[size] = float(np.median(passes))
        if size == min(request["sizes"]):
            np.savez(request["values"], **{node: np.stack([world[node] for world in worlds]) for node in noise})
    found = {package: version(package) for package in ("dowhy", "scipy", "numpy", "pandas")}
    print(json.dumps({"seconds": seconds, "versions": {f"dowhy_environment_{name}": each for name, each in found.items()}}))


if __name__ == "__main__":
    main()
