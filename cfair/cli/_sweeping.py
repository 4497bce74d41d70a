"""The work behind ``cfair sweep``: everything checked, then everything done, then the folder written."""

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast

from cfair.cli._progress import progress
from cfair.data import read_table
from cfair.mitigations import Plan
from cfair.pipeline import Options
from cfair.report import to_tradeoff_markdown
from cfair.spec import ModelSpec
from cfair.store.whole import check_free, written_whole
from cfair.tradeoff import Accepted, Curve, Policy, accepted, check_sweep, curve, policy_of

__all__ = ["Options", "Plan", "Swept", "swept"]

TRADEOFF = "a cfair trade-off"  # what a manifest says that its folder is
VERSIONED = ("cfair", "torch", "numpy", "scikit-learn")


@dataclass(frozen=True, slots=True)
class Swept:
    """A trade-off, and the point that a policy accepts, if one was asked for."""

    curve: Curve
    policy: Policy | None
    accepted: Accepted | None
    said: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The content of ``tradeoff.json``."""
        chosen = (
            {}
            if self.accepted is None or self.policy is None
            else {
                "accept": asdict(self.policy),
                "accepted": [asdict(row) for row in self.accepted.rows],
                "kept_on_test": self.accepted.kept_on_test,
            }
        )
        return {
            "rows": [asdict(row) for row in self.curve.points],
            **chosen,
            "held": self.curve.held,
            "unsettled": self.curve.unsettled,
            **self.said,
        }


def swept(
    spec: ModelSpec,
    table: str | Path,
    plan: Plan,
    options: Options,
    *,
    points: int,
    accept: str | None,
    missing: str,
    weights: str | None,
    out: Path,
    quiet: bool,
) -> Swept:
    """A trade-off that now stands in ``out``; whatever can be refused is refused before any long work.

    Args:
        spec: the declared model.
        table: a file, or a built-in table's name.
        plan: what is trained in, by what, for whom.
        options: how much work to spend.
        points: of the curve.
        accept: a policy, as typed, if there is one.
        missing: what to do with rows that lack a value.
        weights: the column that says how many people each row stands for; None: one each.
        out: where tradeoff.json and tradeoff.md are written.
        quiet: show no progress.
    """
    measures = ["accuracy", *(f"{name}_difference" for name in plan.constraints)]
    policy = None if accept is None else policy_of(accept, measures)
    check_free(out, TRADEOFF)
    columns = read_table(table, spec, missing=cast("Literal['error', 'drop']", missing), weights=weights)
    plan = check_sweep(spec, columns, plan, options, points)
    with progress(quiet=quiet) as tell:
        made = curve(spec, columns, plan, options, points=points, progress=tell)
    said = {
        "model": spec.name,
        "data": {"name": columns.facts.name, "rows": columns.facts.rows, "sha256": columns.facts.sha256},
        "plan": {name: value for name, value in plan.to_json().items() if name not in ("strength", "tolerance")},
        "options": {name: getattr(options, name) for name in ("predictors", "head", "draws", "splits", "test_share", "seed")},
        "versions": {name: version(name) for name in VERSIONED},
    }
    found = Swept(made, policy, None if policy is None else accepted(made.points, policy), said)
    with written_whole(out, TRADEOFF, {"name": spec.name}) as new:
        content = json.dumps(found.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
        (new / "tradeoff.json").write_text(content, encoding="utf-8")
        text = to_tradeoff_markdown(made, policy=policy, found=found.accepted)
        (new / "tradeoff.md").write_text(text, encoding="utf-8")
    return found
