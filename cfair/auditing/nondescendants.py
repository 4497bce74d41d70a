"""Whether a table contradicts what a graph says of columns that a protected attribute does not cause."""

from collections.abc import Iterator, Mapping

import torch

from cfair.auditing.records import Assumption
from cfair.comparing.proxies import Feature, carried_by, folds_of, told_apart
from cfair.graph import d_separated, directed_paths, non_descendants
from cfair.interfaces import Columns, Measured
from cfair.metrics import interval
from cfair.spec import ModelSpec

__all__ = ["held_against", "measured_non_descendants"]

MOST_PEOPLE = 100_000  # of whom columns are asked
SMALL = 0.53  # an area below which what a column tells is little: that of two normals a tenth of their spread apart is 0.528
Found = Mapping[tuple[str, str], Measured]  # (attribute, column) -> how well the column alone tells the attribute's levels apart


def measured_non_descendants(spec: ModelSpec, columns: Columns, *, seed: int) -> dict[tuple[str, str], Measured]:
    """How well each protected attribute with levels is predicted from each observed column that does not descend from it.

    Args:
        spec: the declared model.
        columns: the people.
        seed: of who is asked, where there are many, and of the folds.
    """
    n, found = columns.n, {}
    some = torch.arange(n) if n <= MOST_PEOPLE else torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:MOST_PEOPLE]
    weights = None if columns.weights is None else columns.weights[some]
    for attribute in spec.protected:
        if not (levels := len(spec.nodes[attribute].levels)):
            continue
        member = columns[attribute][some].long()
        fold = folds_of(member, seed)
        for node in _asked(spec, attribute):
            feature = Feature(node, columns.coded[node][some], leveled=spec.nodes[node].discrete)
            if len(told_apart(member, levels)) >= 2 and not feature.constant:
                found[attribute, node] = carried_by(feature, member, levels, fold, weights)
    return found


def held_against(spec: ModelSpec, found: Found) -> Iterator[Assumption]:
    """What the graph says of columns that do not descend from an attribute, and what predicting the attribute from them says.

    A column that the graph separates from the attribute must tell nothing of it: where the interval of its area under the ROC curve,
    which holds for all columns of that attribute at once (Bonferroni), lies above 0.5, the table contradicts the graph. One that does
    not descend from the attribute but hangs together with it, as a cause of it does, contradicts nothing and carries it all the same.

    Args:
        spec: the declared model.
        found: as of ``measured_non_descendants``, or of any columns: those that the model does not declare as such are passed over.
    """
    for attribute in spec.protected:
        own = {node: found[attribute, node] for node in _asked(spec, attribute) if (attribute, node) in found}
        if own:
            level = 1 - 0.05 / len(own)
            apart = {node: each for node, each in own.items() if d_separated(spec.graph, node, attribute)}
            yield from _separated(attribute, apart, level)
            yield from _connected(spec, attribute, {node: each for node, each in own.items() if node not in apart}, level)


def _asked(spec: ModelSpec, attribute: str) -> list[str]:
    """The observed columns that do not descend from an attribute; the outcome and its descendants are no causes to predict it from."""
    free = non_descendants(spec.graph, attribute)
    return [node for node in spec.observed if node in free and (node in spec.evidence)]


def _separated(attribute: str, found: Mapping[str, Measured], level: float) -> Iterator[Assumption]:
    """Columns that must tell nothing."""
    telling = {node: each for node, each in found.items() if (interval(each, level)[0] or 0.0) > 0.5}
    for node, each in telling.items():
        little = ", which is little" if each.value < SMALL else ""
        text = (
            f"CONTRADICTED: the graph has no open path between '{node}' and '{attribute}', so that neither tells anything of the other; "
            f"but '{attribute}' is predicted from '{node}'{little}. An arrow, or a common cause, is missing between them, or who is in the "
            "table depends on both."
        )
        yield Assumption("non_descendant", text, _said(attribute, {node: each}, level))
    if quiet := {node: each for node, each in found.items() if node not in telling}:
        text = f"By the graph nothing can be told of '{attribute}' from {_named(quiet)}."
        yield Assumption("non_descendant", text, _said(attribute, quiet, level))


def _connected(spec: ModelSpec, attribute: str, found: Mapping[str, Measured], level: float) -> Iterator[Assumption]:
    """Columns that may tell something though the attribute does not cause them."""
    for node, each in found.items():
        if (interval(each, level)[0] or 0.0) > 0.5:
            path = next(directed_paths(spec.graph, node, attribute), None)
            how = " -> ".join(path) if path else "a common cause"
            text = (
                f"'{node}' does not descend from '{attribute}', yet hangs together with it ({how}): a prediction from it alone moves in no "
                f"world of '{attribute}', and may differ between its groups all the same."
            )
            yield Assumption("non_descendant", text, _said(attribute, {node: each}, level))


def _said(attribute: str, found: Mapping[str, Measured], level: float) -> str:
    """The areas with their intervals."""
    figures = "; ".join(f"{node} {each.value:.3f} [{low:.3f}, {high:.3f}]" for node, each, low, high in _intervals(found, level))
    return f"area under the ROC curve of predicting '{attribute}' for people of whom nothing was learned, 0.5 being chance: {figures}"


def _intervals(found: Mapping[str, Measured], level: float) -> Iterator[tuple[str, Measured, float, float]]:
    for node, each in found.items():
        low, high = interval(each, level)
        yield node, each, max(low or 0.0, 0.0), min(1.0 if high is None else high, 1.0)


def _named(nodes: Mapping[str, Measured]) -> str:
    names = [f"'{node}'" for node in nodes]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
