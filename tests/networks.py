"""The density of nodes learned by gradient, in numpy, from the weights that a model keeps: a second computation of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from cfair.scm import SCM

__all__ = ["NETWORKS", "network_log_density"]

Floats = NDArray[np.float64]

NETWORKS = ("neural", "flow")  # families learned by gradient: nothing of them can be fixed, and their weights are no parameters
BOX, SLOPE, STEEPEST = 6.0, 1e-3, 15.0  # as the flow's docstring states them


def network_log_density(scm: SCM, node: str, values: Mapping[str, Floats]) -> Floats:
    """log p(node | parents) of a neural or flow node."""
    state = {name: tensor.numpy() for name, tensor in scm.mechanisms[node].state_dict().items()}  # type: ignore[attr-defined]
    y = (values[node] - state["center"]) / state["unit"]
    outputs = _outputs(state, _features(scm, node, values, y.shape))
    if scm.spec.nodes[node].mechanism == "neural":
        return norm.logpdf(values[node], state["center"] + state["unit"] * outputs[..., 0], state["scale"])
    log_scale = STEEPEST * np.tanh(outputs[..., 1] / STEEPEST)
    u, slope = _spline(outputs[..., 2:], (y - outputs[..., 0]) / np.exp(log_scale))
    return norm.logpdf(u) + np.log(slope) - log_scale - np.log(state["unit"])


def _features(scm: SCM, node: str, values: Mapping[str, Floats], shape: tuple[int, ...]) -> Floats:
    columns = []
    for parent in scm.spec.nodes[node].parents:
        levels = len(scm.spec.nodes[parent].levels)
        columns += [(values[parent] == level) * 1.0 for level in range(1, levels)] if levels else [values[parent]]
    return np.stack([np.broadcast_to(column, shape) for column in columns], -1) if columns else np.zeros((*shape, 0))


def _outputs(state: Mapping[str, Any], features: Floats) -> Floats:
    z = (features - state["network.center"]) / state["network.scale"]
    last, hidden = sum(".bias_" in name for name in state) - 1, z
    for layer in range(last):
        before = np.einsum("...i,ij->...j", hidden, state[f"network.matrix_{layer}"]) + state[f"network.bias_{layer}"]
        hidden = before * expit(before)
    final = np.einsum("...i,ij->...j", hidden, state[f"network.matrix_{last}"]) + state[f"network.bias_{last}"]
    return final + np.einsum("...i,ij->...j", z, state["network.linear"])


def _spline(numbers: Floats, w: Floats) -> tuple[Floats, Floats]:
    """u and du/dw of a rational-quadratic spline, person by person. Source: Durkan et al. (2019), equations 4 and 5."""
    found = [_at_point(own, point) for own, point in zip(numbers.reshape(-1, numbers.shape[-1]), w.ravel(), strict=True)]
    return np.array([u for u, _ in found]).reshape(w.shape), np.array([slope for _, slope in found]).reshape(w.shape)


def _at_point(numbers: Floats, w: float) -> tuple[float, float]:
    if not -BOX < w < BOX:
        return w, 1.0
    bins, most = (len(numbers) + 1) // 3, -np.log(SLOPE)
    xs, ys = (BOX * (2 * _shares(part, most) - 1) for part in (numbers[:bins], numbers[bins : 2 * bins]))
    inner = numbers[2 * bins :]
    slopes = np.exp(np.concatenate([[0.0], inner / (1 + abs(inner) / most), [0.0]]))
    k = int(np.searchsorted(xs, w)) - 1
    steep, t = (ys[k + 1] - ys[k]) / (xs[k + 1] - xs[k]), (w - xs[k]) / (xs[k + 1] - xs[k])
    below = steep + (slopes[k] + slopes[k + 1] - 2 * steep) * t * (1 - t)
    u = ys[k] + (ys[k + 1] - ys[k]) * (steep * t**2 + slopes[k] * t * (1 - t)) / below
    return u, steep**2 * (slopes[k + 1] * t**2 + 2 * steep * t * (1 - t) + slopes[k] * (1 - t) ** 2) / below**2


def _shares(numbers: Floats, most: float) -> Floats:
    """Where bins end, as shares of the box."""
    scores = np.exp(numbers / (1 + 2 * abs(numbers) / most))
    return np.concatenate([[0.0], np.cumsum(scores / scores.sum())])
