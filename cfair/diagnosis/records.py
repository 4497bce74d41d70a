"""What a diagnosis says: checks with their verdicts, and what was not or cannot be checked."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal, TypeAlias

import pandas as pd

__all__ = ["Check", "Diagnosis", "EngineCheck", "Flat", "Json", "Movement", "NodeVerdict", "Reach", "Support", "Untestable", "Verdict"]

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Verdict = Literal["fails", "detected, small", "untestable", "not checked", "passes"]  # the worst first


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One statistic of the tested rows beside what the model says of it; what does not apply is None, and ``why`` says so.

    Args:
        check: "posterior predictive" (of values), "residue" (of abducted noise) or "column" (of the table itself).
        statistic: what is compared, as ``variance`` or ``share of Black``.
        node: of which node.
        other: the second node of a covariance or a correlation.
        attribute: protected attribute that groups the rows; None for everyone.
        group: its level.
        n: rows of the group.
        value: of the statistic in these rows.
        expected: under the model.
        low: 2.5 % quantile under the model.
        high: 97.5 % quantile under the model.
        p: two-sided.
        p_holm: after Holm's correction over all checks of the diagnosis.
        effect: how far the value is off, on the scale of the tolerance.
        tolerance: between which two effects a difference is small.
        verdict: "fails" where p_holm < 0.01 and the effect is outside the tolerance, "detected, small" where it is inside.
        why: in words, where the numbers do not say it.
    """

    check: str
    statistic: str
    node: str
    other: str | None = None
    attribute: str | None = None
    group: str | None = None
    n: int
    value: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    effect: float | None = None
    tolerance: tuple[float, float] | None = None
    verdict: Verdict = "not checked"
    why: str | None = None


@dataclass(frozen=True, slots=True)
class NodeVerdict:
    """The worst that any check says of a node, and which one says it."""

    node: str
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """Whether people of one group, put into another, look like anyone in it.

    Args:
        attribute: protected attribute that is changed.
        group: level that the people have.
        world: level that they are given.
        n: people moved.
        columns: node -> share of them whose value no one of the other group reaches.
        outside: share of them farther from the other group than its own people are from one another.
        expected: of ``outside``, were they people of that group.
        p: that so many are outside, were they people of that group.
        p_holm: after Holm's correction over all pairs of groups.
        tolerance: how far ``outside`` may exceed ``expected``.
        verdict: as for a check.
        why: in words, where it was not checked.
    """

    attribute: str
    group: str
    world: str
    n: int
    columns: Mapping[str, float]
    outside: float | None = None
    expected: float | None = None
    p: float | None = None
    p_holm: float | None = None
    tolerance: float
    verdict: Verdict = "not checked"
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """How far the data moved one parameter: a loading of a latent, or a parameter of its own, on the scale on which it is learned.

    Args:
        latent: whose parameter it is.
        node: the mechanism that holds it.
        parameter: its name there.
        prior_sd: before the data.
        posterior_sd: after them, from the curvature at the estimate.
        ratio: posterior_sd / prior_sd: near 1 where the data say nothing.
        shift: from the prior's mean to the estimate, in prior sds.
        verdict: "untestable" where the ratio is above 0.9.
    """

    latent: str
    node: str
    parameter: str
    prior_sd: float
    posterior_sd: float
    ratio: float
    shift: float
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """A direction among the parameters of which the data say nothing.

    Args:
        ratio: posterior sd / prior sd along it.
        parameters: ``node.parameter`` -> its part of the direction, in prior sds; the largest parts only.
    """

    ratio: float
    parameters: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Reach:
    """A parameter that the data hold less than the curvature at the estimate says, on the scale on which it is learned.

    Args:
        node: the mechanism that holds it.
        parameter: its name there.
        estimate: the most probable value.
        sd: of the normal approximation there.
        low: below which the profile of the log posterior has fallen by 1.92, as a normal one has at 1.96 sd; None where it never does.
        high: likewise above.
        fall_low: of the profile, in nats, at 3 sd below the estimate, where a normal one falls by 4.5.
        fall_high: likewise above.
        ratio: from low to high, over the width of the normal approximation; of an end that is None, at least so much.
    """

    node: str
    parameter: str
    estimate: float
    sd: float
    low: float | None
    high: float | None
    fall_low: float
    fall_high: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Untestable:
    """An assumption that no table can contradict under this graph."""

    node: str
    attribute: str | None
    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCheck:
    """One number about the inference itself.

    Args:
        check: "quadrature doubling", "R-hat", "ESS", "k-hat", "divergences", "distance from the peak" or "flat directions".
        of: the latent, parameter or block of nodes that it is the worst of.
        value: the number.
        limit: on which side of which number it is well.
        verdict: "not checked" where it was not computed.
        why: in words.
    """

    check: str
    of: str | None = None
    value: float | None = None
    limit: str
    verdict: Verdict
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was checked of a learned model, on which rows, and what could not be."""

    model: str
    rows: int
    training_rows: int | None
    seed: int
    draws: int
    nodes: tuple[NodeVerdict, ...]
    checks: tuple[Check, ...]
    latents: tuple[Movement, ...]
    flat: tuple[Flat, ...]
    support: tuple[Support, ...]
    untestable: tuple[Untestable, ...]
    engine: tuple[EngineCheck, ...]
    notes: tuple[str, ...]
    reaches: tuple[Reach, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """One line per check, the worst first."""
        return pd.DataFrame([asdict(check) for check in self.checks], columns=[field.name for field in fields(Check)])

    def to_json(self) -> dict[str, Json]:
        """The content of ``cfair diagnose --json``, schema 1."""
        parts: dict[str, Json] = json.loads(json.dumps(asdict(self), allow_nan=False))
        return {"schema": 1, **parts}
