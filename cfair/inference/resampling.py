"""Joint draws of many latents: proposals around each person's mode, resampled by their importance weights."""

from collections.abc import Callable

import torch
from torch import Tensor

from cfair.inference.cloud import candidates
from cfair.inference.landscape import Landscape
from cfair.inference.pareto import tail_shape
from cfair.inference.summit import Summit

__all__ = ["resampled"]

FEWEST = 512  # proposals per person
PER_DRAW = 4  # of them where many draws are asked for
PEOPLE = 128  # drawn for at a time


def resampled(land: Landscape, top: Summit) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """From positions of rows (p,), numbers in (0, 1), (d, p, draws), and shifts (d, p), to joint draws (d, p, draws).

    Each person has Sobol points of their own, shifted by their numbers. Ordered by the first latent, they are resampled by the
    first numbers, which fall one into each stratum. The error of a draw's distribution is of the order of 1/proposals.

    Source: Rubin (1988), Using the SIR algorithm; Douc, Cappé & Moulines (2005) for stratified resampling.
    """

    def draws(at: Tensor, uniform: Tensor, shift: Tensor) -> Tensor:
        count = max(FEWEST, PER_DRAW * uniform.shape[-1])
        return torch.cat(
            [_of_some(land, top, at[some], uniform[0, some], shift[:, some], count) for some in torch.arange(len(at)).split(PEOPLE)], 1
        )

    return draws


def _of_some(land: Landscape, top: Summit, at: Tensor, uniform: Tensor, shift: Tensor, count: int) -> Tensor:
    t, log_weights = candidates(count, shift)
    points = top.center[:, at].unsqueeze(1) + torch.einsum("ijp,jqp->iqp", top.root[:, :, at], t)
    _, log_mass = tail_shape(land.take(at)(points) + log_weights)
    order = points[0].argsort(0)
    cumulative = log_mass.softmax(0).gather(0, order).cumsum(0).T.contiguous()  # (p, count)
    chosen = torch.searchsorted(cumulative, uniform.contiguous() * cumulative[:, -1:]).clamp(max=count - 1)
    places = order.T.gather(1, chosen)  # (p, draws)
    return points.movedim(1, 2).gather(2, places.expand(land.d, *places.shape))
