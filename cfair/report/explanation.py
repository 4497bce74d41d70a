"""An explanation of one row in words: what would have been, what moved it, by which path."""

from collections.abc import Iterator, Mapping

from cfair.explaining import Explanation, NodeMove, Range, WorldMove
from cfair.report.numbers import ROUNDING, plain
from cfair.report.sheets import Sheet
from cfair.report.terminal import Printed

__all__ = ["to_explanation"]

DETAILED = 2  # worlds that are told in full
NOTED = 0.05  # share of draws that look like nobody in the group, above which it is said
CANCELLING = 2.0  # times the change: a share so much larger is undone by others
PATHS = 6  # shown of one world


def to_explanation(found: Explanation) -> Printed:
    """The person, the worlds in short where there are many, and in full those in which the prediction changes most."""
    many = len(found.worlds) > DETAILED
    full = sorted(found.worlds, key=lambda world: -abs(world.change.value))[:1] if many else found.worlds
    overview = [_overview(found)] if many else []
    return Printed([_opening(found), *overview, *(sheet for world in full for sheet in _told(found, world)), _closing(found)])


def _opening(found: Explanation) -> Sheet:
    known = ", ".join(f"{node} {_said(value)}" for node, value in found.factual.items())
    what = f"the probability of {found.outcome} {found.event}" if found.event is not None else found.outcome
    reads = f"It sees {', '.join(found.sees)}{_made_from(found)}." if found.sees else "It sees nothing of this person."
    said = [f"Known: {known}.", f"'{found.predictor}' predicts {plain(found.prediction)} for {what}. {reads}"]
    said += [f"Its probabilities: {_likely(found.classes)}."] if found.classes else []
    said += [f"Inferred: {_latent(latent)}." for latent in found.latents]
    return Sheet(title=f"{found.model}: row {found.row}", after=tuple(said))


def _likely(classes: Mapping[str, float]) -> str:
    """Levels with their probabilities."""
    return ", ".join(f"{level} {plain(share)}" for level, share in classes.items())


def _made_from(found: Explanation) -> str:
    """From which columns something is inferred, if it is."""
    return "" if set(found.sees) <= set(found.factual) else f", made from {', '.join(found.needs)}"


def _latent(latent: NodeMove) -> str:
    if latent.number is None:
        likely = ", ".join(f"{level} {plain(share)}" for level, share in latent.levels.items())
        return f"{latent.node} {likely}"
    return f"{latent.node} {_range(latent.number)}"


def _overview(found: Explanation) -> Sheet:
    """A line per world, the largest change first."""
    rows = []
    for world in sorted(found.worlds, key=lambda world: -abs(world.change.value)):
        first = _mostly(world)
        flips = () if world.flips is None else (plain(world.flips),)
        rows.append((world.world, _range(world.prediction), _change(world), *flips, first))
    flips = () if found.event is None else ("decision\nflips",)
    header = ("world", "prediction", "change", *flips, "mostly by")
    note = "In brackets: 95 % of the draws of what is not known of this person."
    return Sheet(title="What the prediction would have been", note=note, header=header, rows=rows, keys=1)


def _mostly(world: WorldMove) -> str:
    """The path with the largest share, or that shares cancel."""
    if not world.paths or _still(world):
        return ""
    largest = world.paths[0]
    cancel = abs(largest.contribution.value) > CANCELLING * abs(world.change.value)
    return "paths that cancel" if cancel else " -> ".join(largest.path)


def _told(found: Explanation, world: WorldMove) -> Iterator[Sheet]:
    """One world: what would have been, and by which paths the prediction would have changed."""
    moves = [(node.node, _said(node.factual), _would(node)) for node in world.nodes]
    yield Sheet(
        title=f"Had it been {world.world}",
        header=("node", "is", "would be"),
        rows=moves,
        prose=True,
        after=tuple(_sentences(found, world)),
    )
    if world.paths and not _still(world):
        shown = world.paths[:PATHS]
        rows = [(" -> ".join(share.path), _range(share.contribution)) for share in shown]
        left = len(world.paths) - len(shown)
        after = (f"{left} other paths, all smaller, are in --json.",) if left else ()
        exact = "" if world.exact else " Of so many paths some orders were tried, and the shares are approximate; they still add up."
        note = f"Shapley shares of the change; together they are the whole of it.{exact}"
        yield Sheet(title="By path", note=note, header=("path", "contribution"), rows=rows, after=after)


def _sentences(found: Explanation, world: WorldMove) -> Iterator[str]:
    if _still(world):
        yield f"The prediction would be the same, {plain(found.prediction)}: nothing that '{found.predictor}' reads would move it."
    else:
        yield f"The prediction would be {_range(world.prediction)} instead of {plain(found.prediction)}: a change of {_change(world)}."
        yield from _over_couplings(world)
    if world.classes and not _still(world):
        yield f"The probabilities would be {_likely(world.classes)} on average."
    if world.flips:
        which = "The likeliest level" if world.classes else "The decision at 0.5"
        yield f"{which} would be another one in {world.flips:.0%} of the draws."
    if world.outside is None:
        yield f"Whether such a row looks like anyone in that group cannot be said: {world.why}."
    elif world.outside > NOTED:
        yield f"In {world.outside:.0%} of the draws the row looks like nobody in that group: there the model speaks alone."


def _over_couplings(world: WorldMove) -> Iterator[str]:
    """The range of a change over couplings, if there is one."""
    if world.bounds is None:
        yield f"How much of this rests on the couplings of levels and counts cannot be said: {world.unbounded}."
    elif world.bounds.high - world.bounds.low > ROUNDING:
        low, high = (plain(end, max(abs(world.bounds.low), abs(world.bounds.high))) for end in (world.bounds.low, world.bounds.high))
        ends = "each end is reached by one" if world.bounds.sharp else "the range may be too wide"
        nodes = ", ".join(world.bounds.nodes)
        yield f"Over every way in which two worlds may share the noise of {nodes}, the change is between {low} and {high} ({ends})."


def _closing(found: Explanation) -> Sheet:
    said = (
        f"This is what the declared model {found.model} says of one person. Its graph, its mechanisms and what two worlds share of a "
        "person's noise are assumed; what a person would have been in another group cannot be seen in any data."
    )
    return Sheet(title="What this rests on", after=(said, f"{found.draws} draws, seed {found.seed}."))


def _still(world: WorldMove) -> bool:
    return max(abs(world.change.low), abs(world.change.high), abs(world.change.value)) <= ROUNDING


def _change(world: WorldMove) -> str:
    if _still(world):
        return "0"
    text = _range(world.change)
    return f"+{text}" if world.change.value > 0 else text


def _would(node: NodeMove) -> str:
    if node.moved == 0:
        return "the same"
    if node.number is None:
        likely = sorted(node.levels.items(), key=lambda item: -item[1])
        return ", ".join(level if share == 1 else f"{level} {share:.0%}" for level, share in likely[:4])
    return _range(node.number)


def _range(of: Range) -> str:
    """A value and the range of its draws, in the decimals of the largest of them; the value alone where they agree."""
    scale = max(abs(of.value), abs(of.low), abs(of.high))
    if of.high - of.low <= ROUNDING:
        return plain(of.value, scale)
    return f"{plain(of.value, scale)} [{plain(of.low, scale)}, {plain(of.high, scale)}]"


def _said(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}" if float(value).is_integer() else plain(float(value))
