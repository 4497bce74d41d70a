"""From what is seen to a prediction, by the name used on the command line."""

from cfair.heads.choice import HEADS, head_for, name_of

__all__ = ["HEADS", "head_for", "name_of"]
