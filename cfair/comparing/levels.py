"""Outcomes with several levels: each level against the rest."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cfair.comparing.people import People

__all__ = ["one_vs_rest"]


def one_vs_rest(people: People, levels: Sequence[str]) -> Iterator[tuple[str, People]]:
    """Each level with the same people: whether they have it, and the probability of it, of whom all levels' are predicted."""
    for k, level in enumerate(levels):
        predictions = {name: y_hat[:, k] for name, y_hat in people.predictions.items()}
        yield level, replace(people, y=(people.y == k).to(people.y.dtype), predictions=predictions)
