"""How far predictions move between groups: the worst pair of each protected attribute."""

from collections.abc import Collection, Iterator, Sequence

from cfair.auditing import Row
from cfair.report.figures import Figures
from cfair.report.numbers import ROUNDING, figure
from cfair.report.sheets import Sheet

__all__ = ["gaps_in_full", "largest_pair", "unit_and_groups", "worst_gaps", "worst_pairs"]

KINDS = {"gap_same_noise": "same noise", "gap_reabducted": "re-abducted", "gap_own_model": "own model"}
PAIRS = ("gap_same_noise", "gap_reabducted")  # gaps whose worst pair is named: the first that is more than rounding
TITLE = "Counterfactual gaps"
OWN_UNITS = {"score": "in the unit of its own score", "classes": "the total variation distance of its class probabilities"}
OTHERS = {  # gaps beside the first: what their lines say
    "re-abducted": "the deployed predictor on their counterfactual rows",
    "own model": "in the predictor's own working model",
}


def worst_gaps(figures: Figures) -> Sheet:
    """A line per predictor for the same-noise gap, and one below it for any gap that says something else."""
    rows = []
    for name in figures.predictors:
        same = _cells(figures, name, "gap_same_noise")
        rows.append((name, *same))
        again = _cells(figures, name, "gap_reabducted")
        rows += [("  re-abducted", *again)] if again != same else []
        own = _cells(figures, name, "gap_own_model")
        rows += [("  own model", *own)] if any(own) else []
    others = _where({row[0].strip() for row in rows})
    note = f"{unit_and_groups(figures)} A predictor's first line: their noise unchanged{f'; where it differs, {others}' if others else ''}."
    return Sheet(title=TITLE, note=note, header=("predictor", *figures.groups), rows=rows, after=worst_pairs(figures, PAIRS))


def gaps_in_full(figures: Figures) -> Sheet:
    """A line per predictor and gap; of one that gives probabilities of classes, of each class, too."""
    rows = []
    for name in figures.measured:
        for kind, words in _kinds(figures, name).items():
            cells = _cells(figures, name, kind)
            rows += [(name, words, *cells)] if any(cells) else []
    others = _where({row[1] for row in rows})
    note = f"{unit_and_groups(figures)} Same noise: their noise unchanged{f'; {others}' if others else ''}. Every pair is in report.json."
    header = ("predictor", "gap", *figures.groups)
    return Sheet(title=TITLE, note=note, header=header, rows=rows, names=2, keys=2, after=worst_pairs(figures, PAIRS))


def _kinds(figures: Figures, predictor: str) -> dict[str, str]:
    """The gaps of a predictor that can differ: a model from elsewhere is a function of the row, with nothing to be abducted anew."""
    described = figures.report.model["predictors"]
    assert isinstance(described, dict)
    own = described.get(predictor, described.get(predictor.partition("[")[0]))
    return {"gap_same_noise": "same noise"} if isinstance(own, dict) and "external" in own else KINDS


def _where(shown: Collection[str]) -> str:
    """What the lines of the gaps beside the first say, of those that are shown."""
    return "; ".join(f"{words}: {said}" for words, said in OTHERS.items() if words in shown)


def _cells(figures: Figures, predictor: str, kind: str) -> tuple[str, ...]:
    return tuple(figure(figures.row(predictor, f"{kind}_worst", attribute)) for attribute in figures.groups)


def unit_and_groups(figures: Figures) -> str:
    """What a gap is, in which unit, and of which groups."""
    described = figures.report.model["predictors"]
    assert isinstance(described, dict)
    outputs = {name: own.get("output") for name, own in described.items() if isinstance(own, dict)}
    own = {name: str(kind) for name, kind in outputs.items() if str(kind) in OWN_UNITS and not (figures.classes and kind == "classes")}
    others = "".join(f" Of {name}: {OWN_UNITS[kind]}." for name, kind in own.items())
    unit = "absolute change of probability" if figures.binary else f"absolute change in the unit of {figures.outcome}"
    if figures.classes:
        unit = f"total variation distance of the probabilities of {', '.join(figures.classes)}"
    least = figures.option("min_group_size", 1)
    return f"Mean {unit} when people are moved to another group: the worst pair, of groups of {least} people or more.{others}"


def worst_pairs(figures: Figures, measures: Sequence[str]) -> tuple[str, ...]:
    """For each attribute, which pair is the worst, and under which predictors: by the first of the measures that is more than rounding."""
    lines = []
    for attribute in figures.groups:
        pairs: dict[str, list[str]] = {}
        for name in figures.predictors:
            for pair in _worst_pair(figures, name, attribute, measures):
                pairs.setdefault(pair, []).append(name)
        if pairs:
            named = "; ".join(f"{pair} ({', '.join(names)})" for pair, names in pairs.items())
            lines.append(f"Worst by {attribute}: {named}.")
    return tuple(lines)


def _worst_pair(figures: Figures, predictor: str, attribute: str, measures: Sequence[str]) -> Iterator[str]:
    """The pair with the largest gap; nothing where none moves but by rounding."""
    for measure in measures:
        worst = largest_pair(figures, predictor, attribute, measure)
        if worst is not None and (worst.value or 0.0) > ROUNDING:
            levels = ", ".join(setting.partition("=")[2] for setting in str(worst.world).split(","))
            yield f"{worst.group or 'everyone'} -> {levels}"
            return


def largest_pair(figures: Figures, predictor: str, attribute: str, measure: str) -> Row | None:
    """The pair with the largest gap, of groups that are large enough to count; None where there is no such group."""
    return max(_pairs(figures, predictor, attribute, measure), key=lambda row: row.value or 0.0, default=None)


def _pairs(figures: Figures, predictor: str, attribute: str, kind: str) -> list[Row]:
    """The gaps from groups that are large enough to count."""
    least = figures.option("min_group_size", 1)
    rows = figures.report.rows
    return [row for row in rows if (row.predictor, row.attribute, row.measure) == (predictor, attribute, kind) and (row.n or 0) >= least]
