"""People divided by their attributes: by each, and by all of them at once."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from cfair.comparing.people import Division

__all__ = ["Attribute", "divisions"]

Attribute: TypeAlias = tuple[Sequence[str], Tensor]  # the levels' names, and each person's place among them, shape (n,)


def divisions(attributes: Mapping[str, Attribute]) -> Iterator[Division]:
    """Each attribute by itself, then, where there are several, those combinations of all that somebody has, the last level fastest."""
    for attribute, (names, member) in attributes.items():
        yield Division(attribute, tuple(names), member.long())
    if len(attributes) > 1:
        places = torch.stack([member.long() for _, member in attributes.values()], 1)
        combinations, member = torch.unique(places, dim=0, return_inverse=True)
        levels = [names for names, _ in attributes.values()]
        names = tuple(", ".join(own[i] for own, i in zip(levels, row, strict=True)) for row in combinations.tolist())
        yield Division(" x ".join(attributes), names, member)
