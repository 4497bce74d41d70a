"""A decomposition for the terminal: every term in plain words, then mediators and paths, then what it rests on."""

from collections.abc import Iterator

from cfair.auditing import Row
from cfair.effects import TERMS, Decomposition, Estimate
from cfair.effects.paths import Path
from cfair.report.numbers import figure
from cfair.report.sheets import Sheet
from cfair.report.terminal import Printed

__all__ = ["to_decomposition"]

WORDS = {  # x0 and x1 stand for the two levels
    "tv": "difference between the groups: mean of those at x1 minus mean of those at x0",
    "te": "everybody moved from x0 to x1",
    "ett": "those at x0 moved to x1",
    "nde": "everybody moved, what lies between held as under x0: direct",
    "nie": "everybody at x1, what lies between moved from x1 to x0: indirect, backwards",
    "ctf_de": "direct, for those at x0",
    "ctf_ie": "indirect, backwards, for those at x0",
    "ctf_se": "those at x0 moved to x1, against those at x1: what they differ in otherwise",
    "exp_se_from": "those at x0 against everybody moved to x0: what they differ in otherwise",
    "exp_se_to": "those at x1 against everybody moved to x1",
}
SUMS = "te = nde - nie;  ett = ctf_de - ctf_ie;  tv = ctf_de - ctf_ie - ctf_se = te + exp_se_to - exp_se_from"
METHODS = {
    "enumeration": "Exact sums over all values of all nodes",
    "common noise": "Means over people who keep their noise in every world",
    "rows": "One-step estimates from rows, without mechanisms",
    "facts": "Means of the predictions as they are",
}


def to_decomposition(found: Decomposition) -> Printed:
    """What a reader looks at first: the terms, what to notice, the mediators and paths, and what all of it rests on."""
    return Printed(
        [_terms(found), _meaning(), *_same_noise(found), *_both(found), *_mediators(found), *_paths(found), *_hidden(found), _rests(found)]
    )


def _terms(found: Decomposition) -> Sheet:
    rows = [(term, _text(found.terms.get(term)), _text(found.reverse.get(term))) for term in TERMS]
    counted = f"; {found.data['used_rows']:,} rows of {found.data['name']}" if found.data else ""
    return Sheet(
        title=f"{found.model}: {found.roles.attribute} from {found.start} (x0) to {found.end} (x1), effect on {found.of}",
        note=f"{METHODS[found.method]}{counted}. In brackets: 95 % intervals.",
        header=("term", f"{found.start} -> {found.end}", f"{found.end} -> {found.start}"),
        rows=rows,
        after=tuple(f"NOTE: {sentence}." for sentence in found.said),
    )


def _meaning() -> Sheet:
    return Sheet(title="What the terms are", header=("term", "is"), rows=list(WORDS.items()), names=2, prose=True, after=(SUMS,))


def _both(found: Decomposition) -> Iterator[Sheet]:
    """The model beside rows."""
    if found.rows_only is None or found.difference is None:
        return
    rows = [(term, *(_text(each.get(term)) for each in (found.terms, found.rows_only.terms, found.difference.terms))) for term in TERMS]
    yield Sheet(
        title="The model beside estimates from rows alone",
        note="Both rest on the graph: their agreement checks the mechanisms, not the graph.",
        header=("term", "model", "rows", "model - rows"),
        rows=rows,
    )


def _same_noise(found: Decomposition) -> Iterator[Sheet]:
    """A prediction that infers something, beside itself with that inferred once."""
    if found.same_noise:
        rows = [(term, _text(found.terms.get(term)), _text(found.same_noise.get(term))) for term in TERMS]
        yield Sheet(
            title="The deployed map, and the same with what it infers of a person left as it is",
            header=("term", "deployed", "same noise"),
            rows=rows,
        )


def _mediators(found: Decomposition) -> Iterator[Sheet]:
    if found.mediators:
        rows = [(part.mediator, *map(_text, (part.nie, part.nie_sequential, part.ctf_ie))) for part in found.mediators]
        note = "By the node through which the effect enters. Parts add up to nie, or ctf_ie."
        yield Sheet(title="By mediator", note=note, header=("mediator", "nie", "nie in this order", "ctf_ie"), rows=rows)


def _paths(found: Decomposition) -> Iterator[Sheet]:
    if found.paths:
        rows = [(_arrows(part.path), *map(_text, (part.te, part.ett)), ", ".join(part.recanting)) for part in found.paths]
        header = ("path", "te", "ett", "recanting")
        yield Sheet(title="By path", note="Averages over the orders of paths: they add up to te, or ett.", header=header, rows=rows)
    if found.along:
        asked = [("; ".join(map(_arrows, part.paths)), *map(_text, (part.te, part.ett)), ", ".join(part.recanting)) for part in found.along]
        yield Sheet(
            title="Along the paths that were asked for",
            note="x1 on these alone, x0 on all others.",
            header=("paths", "te", "ett", "recanting"),
            rows=asked,
        )


def _hidden(found: Decomposition) -> Iterator[Sheet]:
    """What is not identified, terms of one reason together."""
    reasons: dict[str, list[str]] = {}
    for each in found.not_identified:
        reasons.setdefault(each.sentence, []).append(each.term)
    if reasons:
        rows = [(", ".join(terms), why) for why, terms in reasons.items()]
        yield Sheet(title="Not identified without the mechanisms' form", header=("terms", "because"), rows=rows, names=2, prose=True)


def _rests(found: Decomposition) -> Sheet:
    roles = found.roles
    parts = [("confounders", ", ".join(roles.confounders) or "none")]
    parts.append(("mediators", ", ".join((*roles.mediators, *roles.latent_mediators)) or "none"))
    return Sheet(title="What it rests on", header=("", ""), rows=[*parts, *found.assumptions.items()], names=2, prose=True)


def _text(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    return figure(Row(predictor="", measure="", value=estimate.value, low=estimate.low, high=estimate.high))


def _arrows(path: Path) -> str:
    return " -> ".join(path)
