"""What equality costs, as people read it: a line per point of the front, and per predictor without constraints."""

from collections.abc import Iterator, Sequence

from cfair.report.markdown import written
from cfair.report.numbers import plain
from cfair.report.sheets import Sheet
from cfair.report.terminal import Printed
from cfair.tradeoff import GAP, Accepted, Curve, Point, Policy, by_point

__all__ = ["to_tradeoff", "to_tradeoff_markdown"]


def to_tradeoff(curve: Curve, *, policy: Policy | None = None, found: Accepted | None = None) -> Printed:
    """The points to be printed by rich.

    Args:
        curve: of a sweep.
        policy: that a point had to keep, if one was asked for.
        found: the point that keeps it, if any does.
    """
    return Printed(list(_sheets(curve, policy, found)))


def to_tradeoff_markdown(curve: Curve, *, policy: Policy | None = None, found: Accepted | None = None) -> str:
    """The same as Markdown, with every point."""
    first, *others = _sheets(curve, policy, found, full=True)
    return written(first, others)


def _sheets(curve: Curve, policy: Policy | None, found: Accepted | None, *, full: bool = False) -> Iterator[Sheet]:
    rows = curve.points
    measures = ["accuracy", *dict.fromkeys(row.measure for row in rows if row.measure.endswith("_difference")), GAP]
    points = [(key, own) for key, own in by_point(rows) if full or key[1] is None or own[0].pareto]
    dialled = sum(key[1] is not None for key, _ in by_point(rows))
    title = f"{rows[0].constraint} by {next(row.mitigation for row in rows if row.strength is not None)}: {dialled} points"
    note = (
        "Test rows; in brackets 95 % intervals. front: no other point has on validation rows, by which points are chosen, at least its "
        f"accuracy and at most its difference. {GAP}: how far deployed predictions move when people are moved to another group."
    )
    shown = "" if full else " Points that are not on the front stand in tradeoff.json and tradeoff.md."
    header = ("trained by", "setting", "front", *(measure.replace("_", " ") for measure in measures))
    lines = [_line(key, own, measures) for key, own in sorted(points, key=lambda each: each[0][1] is None)]
    yield Sheet(title=title, note=note + shown, header=header, rows=lines, names=1, keys=2, after=tuple(_trained(curve)))
    if policy is not None and found is not None:
        yield _verdict(policy, found)


def _trained(curve: Curve) -> Iterator[str]:
    """Who took no part, and where training did not settle."""
    if curve.held:
        yield f"Took no part, being too small or without anybody of whom the constraint asks: {'; '.join(curve.held)}."
    if curve.unsettled:
        yield f"Training did not settle at: {', '.join(map(plain, curve.unsettled))}."


def _line(key: tuple[str, float | None], rows: Sequence[Point], measures: Sequence[str]) -> tuple[str, ...]:
    name, strength = key
    return (
        name,
        "" if strength is None else plain(strength),
        "yes" if rows[0].pareto else "",
        *(_cell(rows, "test", each) for each in measures),
    )


def _cell(rows: Sequence[Point], part: str, measure: str) -> str:
    """A value with its interval; empty where it was not measured."""
    row = next((row for row in rows if (row.split, row.measure) == (part, measure)), None)
    if row is None or row.value is None:
        return ""
    return plain(row.value) if row.low is None or row.high is None else f"{plain(row.value)} [{plain(row.low)}, {plain(row.high)}]"


def _verdict(policy: Policy, found: Accepted) -> Sheet:
    """Which point a policy accepts, and what test rows then show."""
    asked = f"{policy.measure} {'at most' if policy.at_most else 'at least'} {plain(policy.bound)}"
    if not found.rows:
        return Sheet(title="Accepted: none", after=(f"No point has {asked} on validation rows.",))
    strength = found.rows[0].strength
    assert strength is not None
    said = [
        f"{found.rows[0].mitigation} at {plain(strength)}: the most accurate of the points with {asked} on validation rows.",
        *(
            f"{measure}: {_cell(found.rows, 'validation', measure)} on validation rows, {_cell(found.rows, 'test', measure)} on test rows."
            for measure in dict.fromkeys(["accuracy", policy.measure])
        ),
        "Test rows keep it, too." if found.kept_on_test else "Test rows do not keep it.",
    ]
    return Sheet(title="Accepted", after=tuple(said))
