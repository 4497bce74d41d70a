"""Which predictor is constrained, how, by what and for whom: what ``fit`` and ``sweep`` are asked to train."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from cfair.constraints import CONSTRAINTS
from cfair.errors import QueryError, nearest
from cfair.mitigations.base import Asked
from cfair.mitigations.registered import MITIGATIONS
from cfair.predictors import PREDICTORS
from cfair.spec import ModelSpec

__all__ = ["Plan", "check_plan", "plans"]

OF_ROWS = ("full", "unaware", "nondescendants")  # predictors with one head, on columns alone
TOGETHER = "+"  # between constraints that are trained in at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A predictor that is constrained.

    Args:
        mitigation: a name in MITIGATIONS.
        constraints: names in CONSTRAINTS, trained in together.
        features: the name of the predictor whose features, and latents if it reads any, it sees.
        by: protected attributes with levels; people are grouped by all of them together.
        strength: of mitigations that weigh violations against errors.
        tolerance: of mitigations that bound violations.
        min_group_size: smaller groups take no part.
        reads_group: whether a mitigation that comes after training may read ``by`` at prediction time.
        seed: of whatever it draws.
    """

    mitigation: str
    constraints: tuple[str, ...]
    features: str = "unaware"
    by: tuple[str, ...] = ()
    strength: float = 1.0
    tolerance: float = 0.0
    min_group_size: int = 30
    reads_group: bool = True
    seed: int = 0

    @property
    def name(self) -> str:
        """As in a report: ``lagrangian.demographic_parity``."""
        return f"{self.mitigation}.{TOGETHER.join(self.constraints)}"

    @property
    def asked(self) -> Asked:
        """What is to be equal, and how nearly."""
        return Asked(
            constraints=tuple(CONSTRAINTS[name] for name in self.constraints),
            strength=self.strength,
            tolerance=self.tolerance,
            min_group_size=self.min_group_size,
            seed=self.seed,
            reads_group=self.reads_group,
        )

    @property
    def refusal(self) -> str | None:
        """Why the mitigation cannot train these constraints in; None where it can."""
        mitigation = MITIGATIONS[self.mitigation]
        if len(self.constraints) > 1 and not mitigation.several:
            return f"'{self.mitigation}' trains one constraint in, and {' and '.join(self.constraints)} are asked for together"
        return next((why for name in self.constraints if (why := mitigation.refuses(CONSTRAINTS[name]))), None)

    def to_json(self) -> dict[str, Any]:
        """As a manifest keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """The plan that ``to_json`` wrote.

        Raises:
            TypeError: it has parts that a plan has not.
        """
        return cls(**{**content, "constraints": tuple(content["constraints"]), "by": tuple(content["by"])})


def plans(spec: ModelSpec, constraints: Sequence[str], mitigations: Sequence[str], like: Plan) -> tuple[tuple[Plan, ...], tuple[str, ...]]:
    """Each mitigation with each constraint that it can train in, and why the other pairs cannot be had.

    Args:
        spec: the declared model.
        constraints: names; several that are trained in at once with ``+`` between them.
        mitigations: names.
        like: what else they have in common; all protected attributes with levels where its ``by`` is empty.

    Raises:
        QueryError: a name is not known, a mitigation serves none of the constraints, or the other way round; or the model has no such
            outcome or groups.
    """
    if not constraints or not mitigations:
        have, lack = ("constraints", "mitigations") if constraints else ("mitigations", "constraints")
        raise QueryError(lack, f"{have} are named, and no {lack}", f"name some {lack}, or no {have}")
    found, refused = list[Plan](), dict[Plan, str]()
    for mitigation in dict.fromkeys(mitigations):
        for text in dict.fromkeys(constraints):
            plan = check_plan(spec, replace(like, mitigation=mitigation, constraints=tuple(text.split(TOGETHER))))
            if why := plan.refusal:
                refused[plan] = why
            else:
                found.append(plan)
    for plan, why in refused.items():
        for kind in ("mitigation", "constraints"):
            if not any(getattr(other, kind) == getattr(plan, kind) for other in found):
                mend = "name another constraint" if kind == "mitigation" else "name another mitigation"
                raise QueryError(f"{plan.mitigation} with {TOGETHER.join(plan.constraints)}", why, mend)
    return tuple(found), tuple(f"{plan.name}: {why}" for plan, why in refused.items())


def check_plan(spec: ModelSpec, plan: Plan) -> Plan:
    """The plan, with the attributes by which people are grouped.

    Raises:
        QueryError: a name is not known, the outcome has not two levels, or there are no such groups.
    """
    for where, name, known in (("mitigations", plan.mitigation, MITIGATIONS), ("features", plan.features, PREDICTORS)):
        if name not in known:
            raise QueryError(where, f"'{name}' is not known", nearest(name, known))
    for name in plan.constraints:
        if name not in CONSTRAINTS:
            raise QueryError("constraints", f"'{name}' is not a constraint", nearest(name, CONSTRAINTS))
    if spec.outcome_kind != "binary" or spec.classes:
        problem = f"constraints are trained in for an outcome of two levels, and '{spec.outcome}' has not two"
        raise QueryError("constraints", problem, "leave out --constraints and --mitigations")
    for name in plan.by:
        if name not in spec.protected:
            raise QueryError("by", f"'{name}' is not a protected attribute", nearest(name, spec.protected))
        if not spec.nodes[name].levels:
            raise QueryError("by", f"'{name}' is a number, and makes no groups", "name attributes with levels")
    by = plan.by or tuple(name for name in spec.protected if spec.nodes[name].levels)
    if not by:
        raise QueryError("by", "no protected attribute has levels", "declare one with levels, or leave out --constraints")
    if MITIGATIONS[plan.mitigation].mixes and plan.features not in OF_ROWS:
        problem = f"'{plan.mitigation}' makes a lottery among heads, of what a row holds, and '{plan.features}' reads more"
        raise QueryError("features", problem, f"use one of: {', '.join(OF_ROWS)}")
    asked, check = plan.asked, MITIGATIONS[plan.mitigation].check
    if check is not None and plan.refusal is None:
        check(asked)
    return replace(plan, by=by, constraints=tuple(dict.fromkeys(plan.constraints)))
