"""What can go wrong, and how to mend it.

CfairError
├── SpecError       dag.yaml, or a graph, does not declare a model
├── DataError       a table does not fit the declared model
├── QueryError      a question that the model or the options cannot answer
│   └── LeakageError    a predictor would see what it must not
├── CodeError       code of the user's own may not run, raised something, or breaks the contract
├── FitError        learning or inference did not reach an answer
└── StoreError      a run folder is damaged, foreign, or in the way
"""

from collections.abc import Collection
from difflib import get_close_matches

__all__ = ["CfairError", "CodeError", "DataError", "FitError", "LeakageError", "QueryError", "SpecError", "StoreError", "nearest"]


class CfairError(Exception):
    """A mistake with its place, its nature and its mend.

    Args:
        where: the file and line, the column and rows, or the argument.
        problem: what is wrong, in one sentence.
        mend: what to do about it.
    """

    def __init__(self, where: str, problem: str, mend: str) -> None:
        super().__init__(where, problem, mend)
        self.where, self.problem, self.mend = where, problem, mend

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}. {self.mend[:1].upper()}{self.mend[1:]}"


class SpecError(CfairError):
    """dag.yaml, or a graph, does not declare a model."""


class DataError(CfairError):
    """A table does not fit the declared model."""


class QueryError(CfairError):
    """A question that the model or the options cannot answer."""


class LeakageError(QueryError):
    """A predictor would see a descendant of a protected attribute, or the outcome."""


class CodeError(CfairError):
    """Code of the user's own may not run, raised something, or breaks the contract."""


class FitError(CfairError):
    """Learning or inference did not reach an answer."""


class StoreError(CfairError):
    """A run folder is damaged, foreign, or in the way."""


def nearest(word: str, words: Collection[str]) -> str:
    """The mend for a misspelt ``word``: the nearest right one, else all of ``words``."""
    close = get_close_matches(word, words, n=1)
    return f"did you mean '{close[0]}'?" if close else f"use one of: {', '.join(words) or '(none)'}"
