"""An audit as people read it: in the terminal, and as Markdown. Nothing here prints."""

from cfair.report.decomposition import to_decomposition
from cfair.report.diagnosis import to_diagnosis
from cfair.report.explanation import to_explanation
from cfair.report.markdown import to_markdown
from cfair.report.survey import to_survey, to_survey_markdown
from cfair.report.terminal import to_table
from cfair.report.tradeoff import to_tradeoff, to_tradeoff_markdown

__all__ = [
    "to_decomposition",
    "to_diagnosis",
    "to_explanation",
    "to_markdown",
    "to_survey",
    "to_survey_markdown",
    "to_table",
    "to_tradeoff",
    "to_tradeoff_markdown",
]
