"""Learning a network's weights by gradient, stopped where people that it does not learn from are predicted best."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.errors import FitError

__all__ = ["DROPS", "Schedule", "Split", "Trained", "split_rows", "train"]

RATE = 0.01  # of Adam's first steps, in standard units
DROPS = 3  # times that the rate is divided before learning ends
DIVISOR = 4.0  # of the rate, each time
STEPS, SMALLEST, LARGEST = 8, 64, 512  # steps that a walk over the rows should have, and the bounds of rows per step
STEEPEST = 10.0  # norm of a gradient beyond which a step is shortened: a tail's density may be steep
FEWEST = 20  # rows from which a network can be learned, and some be held out

Loss = Callable[[Mapping[str, Tensor], Tensor], Tensor]  # of weights and positions (m,) of rows, to each row's loss (m,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """How long to learn.

    Args:
        epochs: the most walks over the rows.
        patience: walks without a better validation loss after which the best weights come back and the rate is divided by DIVISOR;
            after DROPS times learning ends.
        seed: of the rows' order.
    """

    epochs: int
    patience: int
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Positions of the rows that are learned from and of those held out, and the weights of all rows, which have mean 1."""

    learned: Tensor
    held_out: Tensor
    weights: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """The best weights, and the validation loss after each walk over the rows, shape (walks,)."""

    weights: dict[str, Tensor]
    history: Tensor


def split_rows(n: int, weights: Tensor | None, share: float, *, seed: int, node: str) -> Split:
    """Rows to learn from and a ``share`` of them held out, drawn at random; a row of weight 0 is in neither.

    Raises:
        FitError: fewer than FEWEST rows have a weight.
    """
    weighted = torch.ones(n, dtype=torch.float64) if weights is None else weights.to(torch.float64)
    some = weighted.nonzero().squeeze(-1)
    if len(some) < FEWEST:
        problem = f"a network cannot be learned from {len(some)} rows, some of which are held out"
        raise FitError(f"learning {node}", problem, f"give at least {FEWEST} rows, or choose gaussian")
    shuffled = some[torch.randperm(len(some), generator=torch.Generator().manual_seed(seed))]
    held = max(round(share * len(some)), 1)
    return Split(shuffled[held:], shuffled[:held], weighted / weighted[some].mean())


def train(loss: Loss, start: Mapping[str, Tensor], split: Split, schedule: Schedule, *, node: str) -> Trained:
    """The weights at which the held-out rows' mean loss is least, by Adam in minibatches from ``start``.

    Raises:
        FitError: the loss is not a number, from the start.

    Source: Kingma & Ba (2015), algorithm 1; early stopping as in Prechelt (1998), with the best weights restored.
    """
    source = torch.Generator().manual_seed(schedule.seed)
    best, least, rate, waited, drops = _leaves(start), _mean_loss(loss, start, split), RATE, 0, 0
    if not math.isfinite(least):
        raise FitError(f"learning {node}", "the loss of the held-out rows is not a number", "look for an extreme value in the table")
    weights, history = best, list[float]()
    optimiser = torch.optim.Adam(weights.values(), lr=rate)
    while len(history) < schedule.epochs and drops < DROPS:
        _walk(loss, weights, optimiser, split, source)
        history.append(_mean_loss(loss, weights, split))
        if history[-1] < least:
            best, least, waited = _leaves(weights), history[-1], 0
            continue
        waited += 1
        if waited >= schedule.patience or not math.isfinite(history[-1]):
            rate, drops, waited, weights = rate / DIVISOR, drops + 1, 0, _leaves(best)
            optimiser = torch.optim.Adam(weights.values(), lr=rate)
    return Trained({name: weight.detach() for name, weight in best.items()}, torch.tensor(history, dtype=torch.float64))


def _walk(loss: Loss, weights: Mapping[str, Tensor], optimiser: torch.optim.Optimizer, split: Split, source: torch.Generator) -> None:
    """One walk over the rows that are learned from, in random order; it changes ``weights``."""
    order = split.learned[torch.randperm(len(split.learned), generator=source)]
    batch = min(max(len(order) // STEPS, SMALLEST), LARGEST)
    with torch.enable_grad():
        for people in order.split(batch):
            optimiser.zero_grad()
            each = split.weights[people]
            ((loss(weights, people) * each).sum() / each.sum()).backward()
            torch.nn.utils.clip_grad_norm_(weights.values(), STEEPEST)
            optimiser.step()


def _mean_loss(loss: Loss, weights: Mapping[str, Tensor], split: Split) -> float:
    """The weighted mean loss of the held-out rows."""
    each = split.weights[split.held_out]
    with torch.no_grad():
        return float((loss(weights, split.held_out) * each).sum() / each.sum())


def _leaves(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies that can be learned."""
    return {name: weight.detach().clone().requires_grad_() for name, weight in weights.items()}
