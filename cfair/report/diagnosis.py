"""A diagnosis for the terminal: the worst first, in some forty lines; all of it is in ``--json``."""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from cfair.diagnosis import Check, Diagnosis
from cfair.diagnosis.records import EngineCheck, Reach, Support
from cfair.report.numbers import plain
from cfair.report.sheets import Sheet
from cfair.report.terminal import Printed

__all__ = ["to_diagnosis"]

SHOWN = 5  # checks, of the many that may fail together
PAIRS = 3  # of groups
LINE = 60  # characters of a line of nodes, which leave room for their verdict
WORDS = {"posterior predictive": "", "residue": "noise ", "column": ""}


def to_diagnosis(found: Diagnosis) -> Printed:
    """What a reader looks at first: nodes, the worst checks, support, latents, what cannot be tested, the inference."""
    sheets = [_opening(found), _nodes(found), *_worst(found), *_support(found), *_latents(found), *_untestable(found), _engine(found)]
    return Printed(sheets)


def _opening(found: Diagnosis) -> Sheet:
    learned = f"The model is learned from {found.training_rows:,} others" if found.training_rows else "The parameters are taken as known"
    tested = sum(check.p is not None for check in found.checks)
    said = (
        f"{learned}. A check, of {tested:,}, fails where p < 0.01 after Holm's correction "
        "and its effect is outside the tolerance. Passing does not show that a model is right."
    )
    return Sheet(title=f"{found.model}: what {found.rows:,} tested rows say against it", after=(said, *found.notes))


def _nodes(found: Diagnosis) -> Sheet:
    """A line per node that does not pass, and one for those that do."""
    rows: list[tuple[str, ...]] = [(each.node, each.verdict, each.why) for each in found.nodes if each.verdict != "passes"]
    passing = [each.node for each in found.nodes if each.verdict == "passes"]
    lines = wrap(", ".join(passing), LINE)
    rows += [(line, *(("passes", "all checks") if line is lines[0] else ("", ""))) for line in lines]
    return Sheet(title="Verdicts", header=("node", "verdict", "because of its"), rows=rows, names=3, prose=True)


def _worst(found: Diagnosis) -> Iterator[Sheet]:
    """The worst check of each node, kind and statistic: the same misfit shows in many groups."""
    detected = [check for check in found.checks if check.verdict in ("fails", "detected, small")]
    if not detected:
        return
    first = dict[tuple[str | None, ...], Check]()
    for check in detected:
        first.setdefault((check.node, check.other, check.check, check.statistic), check)
    shown = list(first.values())[:SHOWN]
    rows = [_row(check) for check in shown]
    failing = sum(check.verdict == "fails" for check in detected)
    title = f"Checks: {failing} fail, {len(detected) - failing} detected but small"
    header = ("of", "statistic", "group", "observed", "95 % of the model", "effect (tolerance)")
    more = len(first) - len(shown)
    after = (f"{more} other kinds, and the other groups, are in --json.",) if more else ()
    yield Sheet(title=title, header=header, rows=rows, names=3, keys=2, after=after)


def _row(check: Check) -> tuple[str, ...]:
    low, high = check.tolerance or (0.0, 0.0)
    return (
        f"{check.node}, {check.other}" if check.other else check.node,
        f"{WORDS[check.check]}{check.statistic}",
        f"{check.attribute}={check.group}" if check.attribute else "everyone",
        plain(check.value),
        f"{plain(check.low)} to {plain(check.high)}",
        f"{plain(check.effect)} ({low:.3g} to {high:.3g}){', small' if check.verdict == 'detected, small' else ''}",
    )


def _support(found: Diagnosis) -> Iterator[Sheet]:
    """The pairs of groups from which most people leave the data."""
    judged = [pair for pair in found.support if pair.outside is not None]
    if not found.support:
        return
    outside = [pair for pair in judged if pair.verdict != "passes"]
    skipped = len(found.support) - len(judged)
    said = [*([f"{skipped} pairs were not checked: {_reason(found.support)}."] if skipped else [])]
    if not outside:
        yield Sheet(title=f"Support: counterfactual rows stay among the data in each of {len(judged)} pairs of groups", after=tuple(said))
        return
    rows = [_pair(pair) for pair in outside[:PAIRS]]
    title = f"Support: in {len(outside)} of {len(judged)} pairs of groups counterfactual rows leave the other group's data"
    header = ("moved", "people", "outside", "expected", "beyond its range", "")
    yield Sheet(title=title, header=header, rows=rows, names=1, after=tuple(said))


def _pair(pair: Support) -> tuple[str, ...]:
    beyond = sorted(pair.columns.items(), key=lambda column: -column[1])[:2]
    columns = ", ".join(f"{node} {share:.1%}" for node, share in beyond if share)
    moved = f"{pair.attribute}: {pair.group} -> {pair.world}"
    return moved, f"{pair.n:,}", f"{pair.outside:.1%}", f"{pair.expected:.1%}", columns or "none", pair.verdict


def _reason(pairs: Sequence[Support]) -> str:
    return next(pair.why or "" for pair in pairs if pair.outside is None)


def _latents(found: Diagnosis) -> Iterator[Sheet]:
    """How far the data moved the loadings, and what they say nothing of."""
    if not found.latents and not found.flat and not found.reaches:
        return
    rows = [
        (each.latent, f"{each.node}.{each.parameter}", plain(each.prior_sd), plain(each.posterior_sd), f"{each.shift:+.2f}")
        for each in found.latents[:SHOWN]
    ]
    flat = tuple(
        f"Flat: {' '.join(f'{part:+.2f} {name}' for name, part in [*each.parameters.items()][:3])} keeps {each.ratio:.0%} of its prior sd."
        for each in found.flat[:PAIRS]
    )
    header = ("latent", "parameter", "prior sd", "posterior sd", "shift in prior sds")
    yield Sheet(
        title="Latents: from prior to posterior", header=header, rows=rows, names=2, after=(*flat, *map(_ridge, found.reaches[:PAIRS]))
    )


def _ridge(each: Reach) -> str:
    """How far the data let a parameter go, against what the curvature says."""
    near = f"{plain(each.estimate)} ± {plain(1.96 * each.sd)}"
    return f"Ridge: {each.node}.{each.parameter} may be {_ends(each)}, {_times(each)} its curvature says ({near})."


def _ends(each: Reach) -> str:
    """Between which values it may be, were there an end on either side."""
    if each.low is None or each.high is None:
        ends = [f"from {plain(each.low)} on" if each.low is not None else "", f"up to {plain(each.high)}" if each.high is not None else ""]
        return " ".join(["anything", *filter(None, ends)])
    return f"from {plain(each.low)} to {plain(each.high)}"


def _times(each: Reach) -> str:
    """How much wider that is than the normal approximation, at least so where an end is open."""
    if each.low is not None and each.high is not None:
        return f"{each.ratio:.1f} times as wide as"
    return f"at least {each.ratio:.1f} times as wide as" if each.ratio > 1 else "farther than"


def _untestable(found: Diagnosis) -> Iterator[Sheet]:
    """What no table can contradict, those with one reason together."""
    if not found.untestable:
        return
    shifted, others = dict[str, list[str]](), dict[str, list[str]]()
    for each in found.untestable:
        if each.attribute is None:
            others.setdefault(each.what, []).append(each.node)
        else:
            shifted.setdefault(each.node, []).append(each.attribute)
    shifts = dict[str, list[str]]()
    for node, by in shifted.items():
        shifts.setdefault(", ".join(by), []).append(node)
    rows = [(f"mean noise by {by}", f"{', '.join(nodes)}: coefficients absorb any shift") for by, nodes in shifts.items()]
    rows += [(what, ", ".join(nodes)) for what, nodes in others.items()]
    yield Sheet(title="Untestable by any table", header=("", ""), rows=rows, names=2, prose=True)


def _engine(found: Diagnosis) -> Sheet:
    """What does not pass, a line each; then what does, and what was not computed."""
    parted = {verdict: [each for each in found.engine if each.verdict == verdict] for verdict in ("passes", "not checked")}
    rows = [(each.check, each.of or "", each.verdict, _figure(each)) for each in found.engine if each.verdict not in parted]
    said = []
    if parted["passes"]:
        said.append(f"Passes: {'; '.join(f'{each.check} {plain(each.value)}' for each in parted['passes'])}.")
    if parted["not checked"]:
        said.append(f"Not computed: {', '.join(each.check for each in parted['not checked'])}.")
    return Sheet(title="Inference", header=("", "", "", ""), rows=rows, names=4, prose=True, after=(" ".join(said),) if said else ())


def _figure(check: EngineCheck) -> str:
    return check.why or "" if check.value is None else f"{plain(check.value)} ({check.limit})"
