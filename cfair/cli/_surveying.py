"""The work behind ``cfair groups``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from cfair.auditing import Report
from cfair.cli._keeping import keep_report
from cfair.errors import QueryError
from cfair.report import to_survey_markdown
from cfair.spec import ModelSpec
from cfair.store.whole import check_free
from cfair.surveying import Question, survey
from cfair.surveying.references import Shares

__all__ = ["Question", "bins_of", "surveyed"]

SURVEY = "a cfair survey of groups"  # what a manifest says that its folder is


def surveyed(data: str, question: Question, *, reference: str | None, spec: ModelSpec | None, out: Path | None) -> Report:
    """The report, which then stands in ``out`` if a folder is named.

    Args:
        data: a file, or a built-in table's name.
        question: which columns are what.
        reference: a table, or a .json file of attribute -> level -> share.
        spec: the declared model, if there is one.
        out: where the report is kept.
    """
    if out is not None:
        check_free(out, SURVEY)
    known = None if reference is None else _shares(Path(reference)) if reference.lower().endswith(".json") else reference
    report = survey(data, question, reference=known, spec=spec)
    if out is not None:
        keep_report(report, to_survey_markdown(report), out, SURVEY)
    return report


def bins_of(texts: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """What ``age=0,30,50,100`` says, once for each attribute.

    Raises:
        QueryError: it says nothing.
    """
    found = {}
    for text in texts:
        attribute, equals, bounds = text.partition("=")
        try:
            found[attribute.strip()] = tuple(float(bound) for bound in bounds.split(","))
        except ValueError:
            equals = ""
        if not equals:
            raise QueryError("--bins", f"'{text}' bounds nothing", "write it as age=0,30,50,100")
    return found


def _shares(path: Path) -> Shares:
    """Attribute -> level -> share, from a file.

    Raises:
        QueryError: there is no such file, or it says something else.
    """
    mend = 'write it as {"race": {"Black": 0.14, "White": 0.86}}'
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise QueryError(str(path), f"it cannot be read as JSON ({' '.join(str(error).split())})", mend) from error
    if not isinstance(content, Mapping) or not all(isinstance(own, Mapping) for own in content.values()):
        raise QueryError(str(path), "it does not say attribute -> level -> share", mend)
    if not all(isinstance(share, int | float) for own in content.values() for share in own.values()):
        raise QueryError(str(path), "a share in it is no number", mend)
    return content
