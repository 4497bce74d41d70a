"""The inverse of the negative binomial distribution function: its probabilities added up, and a search for the few that are left."""

import torch
from scipy.special import gammainccinv, gammaincinv
from torch import Tensor

from cfair.mechanisms.counting import counted
from cfair.mechanisms.interpolated import in_blocks
from cfair.mechanisms.negative_binomial_tails import negative_binomial_step
from cfair.mechanisms.search import searched

__all__ = ["negative_binomial_quantile"]

LONGEST = 500  # count up to which adding up takes less time than a search


def negative_binomial_quantile(u: Tensor, log_mean: Tensor, log_size: Tensor) -> Tensor:
    """min{k : log-odds F(k) ≥ u} for mean exp(log_mean), of the shape to which u and log_mean broadcast; ``log_size`` has shape ()."""
    count = in_blocks(lambda u, log_mean: _added_up(u, log_mean, log_size), [u, log_mean])
    left = count.flatten().isnan().nonzero().squeeze(-1)
    if len(left):
        own_u, own_mean = (each.expand(count.shape).reshape(-1)[left] for each in (u, log_mean))
        size = log_size.expand_as(own_u)
        count.view(-1)[left] = searched(_guess(own_u, own_mean, size), own_u, negative_binomial_step, own_mean, size)
    return count


def _added_up(u: Tensor, log_mean: Tensor, log_size: Tensor) -> Tensor:
    """The quantile from P(0) = (1 + μ/r)⁻ʳ and P(k) = P(k − 1)·μ/(r + μ)·(k − 1 + r)/k, NaN where that is not clear."""
    size, log_odds = float(log_size.exp()), log_mean - log_size
    first = log_odds.exp().log1p_().mul_(-size).exp_()
    return counted(u, first, torch.sigmoid(log_odds), factor=lambda k: (k - 1 + size) / k, longest=LONGEST)


def _guess(u: Tensor, log_mean: Tensor, log_size: Tensor) -> Tensor:
    """About the quantile at log-odds u: that of the Gamma with the same mean and variance, from the nearer tail."""
    inverse_shape = (-log_mean).exp() + (-log_size).exp()
    shape, tail, lower = 1 / inverse_shape, torch.sigmoid(-u.abs()), u < 0
    gamma = torch.empty_like(u)
    gamma[lower] = torch.from_numpy(gammaincinv(shape[lower].numpy(), tail[lower].numpy()))
    gamma[~lower] = torch.from_numpy(gammainccinv(shape[~lower].numpy(), tail[~lower].numpy()))
    guess = gamma * inverse_shape * log_mean.exp()
    return (guess - 0.5).ceil().nan_to_num(nan=0.0, posinf=0.0).clamp(min=0) + 0.0  # no −0
