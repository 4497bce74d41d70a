"""A table of people compared by groups as it is, without a causal model."""

from cfair.surveying.question import Question
from cfair.surveying.survey import groups, survey

__all__ = ["Question", "groups", "survey"]
