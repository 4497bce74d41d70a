"""Pareto-smoothed importance weights: how heavy their tail is, and a milder one in its place."""

import torch
from torch import Tensor

__all__ = ["HEAVY", "tail_shape"]

HEAVY = 0.7  # k-hat above which an importance-sampled answer is not to be trusted (Vehtari et al. 2024, section 3.2)
SMOOTH = 0.5  # k-hat above which the variance of the weights is infinite: from there on the largest are smoothed
EQUAL = 1e-9  # spread of the largest weights, against the largest, below which all are equal: there is no tail to fit
PRIOR = 10.0  # points at k = 1/2 that count as seen (Vehtari et al. 2024, appendix C)


def tail_shape(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """The shape k-hat of each row's largest importance weights, and the weights, the largest smoothed where k-hat is above SMOOTH.

    The M = min(Q/5, 3·√Q) largest of Q weights less the next are fitted by a generalised Pareto distribution
    F(x) = 1 − (1 + k·x/σ)^(−1/k); smoothed, they are its quantiles at (j − 1/2)/M, none above the largest.

    Args:
        log_weights: up to a constant per row, shape (Q, n), Q ≥ 25.

    Returns:
        k-hat, (n,), 0 where all weights are equal; and log weights (Q, n).

    Source: Vehtari, Simpson, Gelman, Yao & Gabry (2024), Pareto smoothed importance sampling, algorithm 1.
    """
    tail = int(min(len(log_weights) / 5, 3 * len(log_weights) ** 0.5))
    largest, places = log_weights.topk(tail + 1, dim=0)
    top = largest[0]
    cut = (largest[tail] - top).exp()
    excess = ((largest[:tail] - top).exp() - cut).flip(0)  # increasing
    flat = ~(excess[-1] > EQUAL)
    k, scale = _fitted(torch.where(flat, torch.linspace(0, 1, tail + 1, dtype=torch.float64)[1:].unsqueeze(-1), excess.clamp(min=1e-300)))
    k = torch.where(flat, 0.0, k)
    p = ((torch.arange(tail, dtype=torch.float64) + 0.5) / tail).unsqueeze(-1)
    smooth = (cut + scale * torch.expm1(-k * torch.log1p(-p)) / k.clamp(min=1e-8)).clamp(max=1.0).log() + top
    replaced = log_weights.scatter(0, places[:tail], smooth.flip(0))
    return k, torch.where(k > SMOOTH, replaced, log_weights)


def _fitted(x: Tensor) -> tuple[Tensor, Tensor]:
    """Shape k and scale σ, (n,) each, of the generalised Pareto distribution of increasing positive ``x``, (M, n).

    The posterior mean of θ = −k/σ over a grid that a profile likelihood weighs.

    Source: Zhang & Stephens (2009), A new and efficient estimation method for the generalized Pareto distribution, section 3.
    """
    count = len(x)
    steps = 30 + int(count**0.5)
    quartile = x[int(count / 4 + 0.5) - 1]
    j = torch.arange(1, steps + 1, dtype=torch.float64).unsqueeze(-1)
    theta = 1 / x[-1] + (1 - (steps / (j - 0.5)).sqrt()) / (3 * quartile)  # (steps, n)
    k = torch.log1p(-theta.unsqueeze(1) * x).mean(1)
    profile = count * ((-theta / k).log() - k - 1)
    chosen = (profile.nan_to_num(nan=-torch.inf).softmax(0) * theta).sum(0)
    k = torch.log1p(-chosen * x).mean(0)
    return (k * count + PRIOR / 2) / (count + PRIOR), -k / chosen
