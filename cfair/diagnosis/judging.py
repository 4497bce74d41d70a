"""From p-values and effects to verdicts: Holm's correction over all checks, then the size of the effect."""

from collections.abc import Sequence, Set
from dataclasses import replace

from cfair.diagnosis.records import Check, NodeVerdict, Support, Verdict
from cfair.graph import ancestors, descendants
from cfair.spec import ModelSpec

__all__ = ["LEVEL", "adjusted", "described", "judged", "judged_support", "of_nodes", "verdict_of"]

LEVEL = 0.01  # below which a p-value, after Holm's correction, counts as detected
RANK: dict[Verdict, int] = {"fails": 0, "detected, small": 1, "untestable": 2, "not checked": 3, "passes": 4}


def adjusted(p: Sequence[float]) -> list[float]:
    """p-values after Holm's correction, in the order given.

    The i-th smallest of m becomes (m − i + 1)·p, and no smaller than the one before it.

    Source: Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    corrected, largest = [0.0] * len(p), 0.0
    for i, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - i) * p[place]))
        corrected[place] = largest
    return corrected


def verdict_of(p_holm: float, *, tolerable: bool) -> Verdict:
    """What a corrected p-value and the size of the effect say together."""
    if p_holm >= LEVEL:
        return "passes"
    return "detected, small" if tolerable else "fails"


def judged(checks: Sequence[Check]) -> tuple[Check, ...]:
    """The checks with their corrected p-values and verdicts, the worst first: by verdict, then by how far outside its tolerance."""
    tested = [check for check in checks if check.p is not None]
    corrected = iter(adjusted([check.p for check in tested if check.p is not None]))
    done = [_judged(check, next(corrected)) if check.p is not None else check for check in checks]
    return tuple(sorted(done, key=lambda check: (RANK[check.verdict], 1.0 if check.p_holm is None else check.p_holm, -_size(check))))


def judged_support(pairs: Sequence[Support]) -> tuple[Support, ...]:
    """The pairs of groups likewise."""
    corrected = iter(adjusted([pair.p for pair in pairs if pair.p is not None]))
    done = []
    for pair in pairs:
        if pair.p is None or pair.outside is None or pair.expected is None:
            done.append(pair)
            continue
        p_holm = next(corrected)
        tolerable = pair.outside - pair.expected <= pair.tolerance
        done.append(replace(pair, p_holm=p_holm, verdict=verdict_of(p_holm, tolerable=tolerable)))
    return tuple(sorted(done, key=lambda pair: (RANK[pair.verdict], -(pair.outside or 0.0))))


def of_nodes(spec: ModelSpec, checks: Sequence[Check]) -> tuple[NodeVerdict, ...]:
    """Each node's verdict, the worst first, from checks in their order: the worst first."""
    alone = {check.node for check in checks if check.other is None and check.verdict == "fails"}
    concerned = [_concerned(spec, check, alone) for check in checks]
    own = {node: [check for check, nodes in zip(checks, concerned, strict=True) if node in nodes] for node in spec.nodes}
    verdicts = [_of_node(spec, node, own[node], checks) for node in spec.nodes]
    worst = {node: i for i, nodes in reversed([*enumerate(concerned)]) for node in nodes}
    return tuple(sorted(verdicts, key=lambda each: (RANK[each.verdict], 0 if each.verdict == "passes" else worst.get(each.node, 0))))


def described(check: Check, node: str) -> str:
    """``variance in race=Black: 0.61 where the model says 0.45 (0.40 to 0.51)``, said of ``node``."""
    where = f" in {check.attribute}={check.group}" if check.attribute else ""
    beside = f" with {check.other if check.node == node else check.node}" if check.other else ""
    kind = f"{check.statistic}{' of its noise' if check.check == 'residue' else ''}{beside}{where}"
    if check.value is None or check.expected is None:
        return f"{kind}: {check.why}"
    span = f" ({check.low:.3g} to {check.high:.3g})" if check.low is not None and check.high is not None else ""
    return f"{kind}: {check.value:.3g} where the model says {check.expected:.3g}{span}{f', {check.why}' if check.why else ''}"


def _concerned(spec: ModelSpec, check: Check, alone: Set[str]) -> tuple[str, ...]:
    """The nodes whose mechanism a check speaks of: of two, those that fail by themselves, else the one that descends from the other.

    Both where that does not decide.
    """
    if check.other is None:
        return (check.node,)
    if wrong := tuple(node for node in (check.node, check.other) if node in alone):
        return wrong
    if check.other in descendants(spec.graph, check.node):
        return (check.other,)
    return (check.node,) if check.node in descendants(spec.graph, check.other) else (check.node, check.other)


def _judged(check: Check, p_holm: float) -> Check:
    assert check.effect is not None
    assert check.tolerance is not None
    tolerable = check.tolerance[0] <= check.effect <= check.tolerance[1]
    return replace(check, p_holm=p_holm, verdict=verdict_of(p_holm, tolerable=tolerable))


def _size(check: Check) -> float:
    """How far an effect is from the middle of its tolerance, in halves of its width."""
    if check.effect is None or check.tolerance is None:
        return 0.0
    low, high = check.tolerance
    return abs(check.effect - (low + high) / 2) / ((high - low) / 2)


def _of_node(spec: ModelSpec, node: str, own: Sequence[Check], checks: Sequence[Check]) -> NodeVerdict:
    tested = [check for check in own if check.p is not None]
    stated = [check for check in own if check.check == "column"]
    first = next((check for check in own if check.verdict in ("fails", "detected, small")), None)
    if first is not None:
        return NodeVerdict(node, first.verdict, described(first, node) + _inherited(spec, node, own, checks))
    if stated:
        return NodeVerdict(node, stated[0].verdict, stated[0].why or "")
    if not tested:
        return NodeVerdict(node, "not checked", own[0].why or "" if own else "no group of rows is large enough")
    return NodeVerdict(node, "passes", f"{len(tested)} checks")


def _inherited(spec: ModelSpec, node: str, own: Sequence[Check], checks: Sequence[Check]) -> str:
    """A word where only the values of a node are off, its noise is not, and an ancestor's noise is."""
    wrong = {check.node for check in checks if check.check == "residue" and check.verdict == "fails"} - {*spec.protected}
    before = [ancestor for ancestor in spec.order if ancestor in wrong & ancestors(spec.graph, node)]
    if any(check.check == "residue" and check.verdict != "passes" and check.p is not None for check in own) or not before:
        return ""
    return f"; its own noise passes: look at {before[0]} first"
