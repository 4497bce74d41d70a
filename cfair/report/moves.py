"""Whose predictions move most, and how predictions respond to attributes that are numbers."""

from collections.abc import Iterator

from cfair.auditing import Curve, Row
from cfair.report.figures import Figures
from cfair.report.numbers import ROUNDING, figure, plain
from cfair.report.sheets import Sheet

__all__ = ["most_moved", "responses"]

GAP = "gap_reabducted"
TOP = 3  # pairs of groups of each predictor


def most_moved(figures: Figures) -> Iterator[Sheet]:
    """For each predictor the pairs of groups, intersections among them, with the largest gaps; nothing where none moves."""
    rows = [row for name in figures.predictors for row in _top(figures, name)]
    if rows:
        least = figures.option("min_group_size", 1)
        share, size = _threshold(figures)
        note = (
            "The deployed prediction on people's counterfactual rows, largest gaps first, of groups of "
            f"{least} people or more, intersections included. {share}"
        )
        flips = ("decisions\nflip",) if figures.leveled_outcome else ()
        header = ("predictor", "people", "moved to", "n", "gap", *flips, *_distance(figures, "distance"), size)
        yield Sheet(title="Whose predictions move most", note=note, header=header, rows=rows, names=3, keys=3, after=_named(figures))


def responses(figures: Figures) -> Iterator[Sheet]:
    """For each attribute that is a number, the mean prediction with everyone put at each of its points."""
    for attribute in figures.groups:
        points = [row for row in figures.report.rows if (row.measure, row.attribute) == ("response", attribute)]
        worlds = list(dict.fromkeys(str(row.world) for row in points))
        if not worlds:
            continue
        rows = []
        for name in figures.having(["response"], among=figures.measured):
            cells = [plain(figures.found[name, "response", attribute, None, world].value) for world in worlds]
            rows.append((name, *cells, figure(figures.row(name, "response_span", attribute))))
        note = (
            f"The mean of the deployed prediction with everyone's {attribute} set to each value; span: the largest minus the smallest "
            "prediction of a person over these values, averaged over people. Slopes are in report.json."
        )
        header = ("predictor", *(world.partition("=")[2] for world in worlds), "span")
        yield Sheet(title=f"Response to {attribute}", note=note, header=header, rows=rows)


def _top(figures: Figures, predictor: str) -> Iterator[tuple[str, ...]]:
    least = figures.option("min_group_size", 1)
    pairs = [row for row in figures.report.rows if (row.predictor, row.measure) == (predictor, GAP) and row.group is not None]
    large = [row for row in pairs if (row.n or 0) >= least and (row.value or 0.0) > ROUNDING]
    for row in sorted(large, key=lambda row: row.value or 0.0, reverse=True)[:TOP]:
        curve = next((curve for curve in figures.report.curves if _is_of(curve, row)), None)
        flips = (_other(figures, row, "flip_rate"),) if figures.leveled_outcome else ()
        beyond = plain(curve.delta[_PLACE]) if curve else "0"
        levels = ", ".join(setting.partition("=")[2] for setting in str(row.world).split(","))
        distance = _distance(figures, _other(figures, row, "wasserstein"))
        yield (predictor, str(row.group), levels, f"{row.n:,}", figure(row), *flips, *distance, beyond)


def _distance(figures: Figures, text: str) -> tuple[str, ...]:
    """The text, unless the outcome has several levels: each of them has a distance of its own, in report.json."""
    return () if figures.classes else (text,)


_PLACE = 2  # of the epsilon that is shown: 0.05


def _threshold(figures: Figures) -> tuple[str, str]:
    """What the last column says, and its title."""
    known = [curve.epsilon[_PLACE] for curve in figures.report.curves]
    if not known:
        return "", "beyond"
    size = plain(known[0])
    distance = "Distance: Wasserstein's, between the distributions of predictions before and after. "
    last = f"Last column: how often a prediction moves by more than {size}, by draws and people."
    return "".join((*_distance(figures, distance), last)), f"beyond\n{size}"


def _is_of(curve: Curve, row: Row) -> bool:
    return (curve.predictor, curve.attribute, curve.group, curve.world) == (row.predictor, row.attribute, row.group, row.world)


def _other(figures: Figures, row: Row, measure: str) -> str:
    """Another measure of the same pair."""
    found = figures.found.get((row.predictor, measure, row.attribute, row.group, row.world))
    return "" if found is None else plain(found.value)


def _named(figures: Figures) -> tuple[str, ...]:
    """People who were asked for by row."""
    named = figures.report.data.get("most_moved")
    if not isinstance(named, dict):
        return ()
    said = []
    for predictor, people in named.items():
        assert isinstance(people, list)
        rows = [str(person["row"]) for person in people if isinstance(person, dict)]
        said.append(f"Rows whose prediction moves most under {predictor}: {', '.join(rows)}.")
    return tuple(said)
