"""A run in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from cfair.auditing import Report
from cfair.data import read_table
from cfair.errors import QueryError, nearest
from cfair.interfaces import Predictor
from cfair.predictors.incomplete import deploy
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.threads import with_threads

__all__ = ["Run"]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A learned SCM, predictors fitted on the same people, and their audit on others.

    Args:
        scm: learned on the training rows.
        predictors: name -> predictor, fitted on the training rows.
        report: the audit on the test rows.
        head: the head that was asked for.
    """

    scm: SCM
    predictors: Mapping[str, Predictor]
    report: Report
    head: str

    @property
    def spec(self) -> ModelSpec:
        """The declared model."""
        return self.scm.spec

    @with_threads
    def predict(
        self, table: pd.DataFrame | str | Path, predictor: str = "latent", *, missing: Literal["error", "latent"] = "error"
    ) -> pd.Series | pd.DataFrame:
        """Predictions for new people, in the order and with the index of ``table``.

        Args:
            table: a DataFrame, a file, or the name of a built-in table. Only the predictor's ``needs`` are read of it.
            predictor: one of the run's.
            missing: ``error`` refuses a row without a value that is needed; ``latent`` integrates it out.

        Returns:
            A series named ``prediction``: the value of a real outcome, the probability of a binary one's second level. Of an outcome with
            several levels a table of their probabilities, with a column ``prediction[level]`` for each.

        Raises:
            QueryError: the run has no such predictor, ``missing`` is neither word, or more is missing at once than can be integrated out.
            DataError: the table does not fit the model, or a value that is needed is missing.
        """
        if predictor not in self.predictors:
            raise QueryError("predictor", f"the run has no predictor '{predictor}'", nearest(predictor, self.predictors))
        chosen = self.predictors[predictor]
        if missing not in ("error", "latent"):
            raise QueryError("missing", f"'{missing}' is not a way to predict rows with missing values", "use 'error' or 'latent'")
        columns = read_table(table, self.spec, missing=missing, require=chosen.needs)
        index = table.index if isinstance(table, pd.DataFrame) else pd.RangeIndex(columns.n, name="row")
        found = deploy(self.scm, chosen, columns).numpy()
        if not self.spec.classes:
            return pd.Series(found, index=index, name="prediction")
        return pd.DataFrame(found, index=index, columns=[f"prediction[{level}]" for level in self.spec.classes])
