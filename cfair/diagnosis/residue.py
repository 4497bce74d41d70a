"""What can be tested of the independence that the graph declares: of noise and protected attributes, and of noise and noise."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from scipy.special import kolmogi
from torch import Tensor

from cfair.diagnosis.abducted import BEYOND, Drawn
from cfair.diagnosis.groups import EVERYONE, MIN_PEOPLE, Group, Groups
from cfair.diagnosis.predictive import TOLERANCES, two_sided
from cfair.diagnosis.records import Check, Untestable
from cfair.graph import ancestral_closure
from cfair.spec import ModelSpec

__all__ = ["residue_checks", "untestable"]

DISTANCE = (0.0, 0.05)  # of Kolmogorov and Smirnov
CORRELATION = TOLERANCES["covariance"]
RATIO = TOLERANCES["positive"]
SHIFT = TOLERANCES["mean"]
OUTLIER = (-BEYOND, 1.0)  # sds that the largest score may exceed the median of what it would be
NORMAL = 1.96  # 97.5 % quantile

Floats = NDArray[np.float64]


def residue_checks(spec: ModelSpec, draw: Drawn, rows: Tensor, groups: Groups, nodes: Sequence[str], *, widen: float) -> list[Check]:
    """Each node's noise by group: variance and shape, its mean where no coefficient absorbs it, and correlations between nodes.

    A node's noise is independent of an attribute unless it is one of the attribute's causes, or the attribute itself. On one draw
    per row, so that p-values mean what they say; ``mean shift`` that a coefficient absorbs is in ``untestable``.

    Args:
        spec: the declared model.
        draw: one draw per row.
        rows: position of each row in the table as given, shape (n,), for the message on an extreme one.
        groups: of the rows.
        nodes: to check.
        widen: by which the spread of a statistic is multiplied to allow for the error of the parameters.
    """
    members = groups.members({node: draw.values[node] for node in spec.protected} or {"": rows.to(torch.float64)}) > 0
    scores = {node: draw.scores[node].numpy() for node in nodes}
    checks = [_extreme(node, scores[node], rows) for node in nodes if len(rows) >= MIN_PEOPLE]
    for g, group in enumerate(groups.names):
        people = members[:, g].numpy()
        if people.sum() < MIN_PEOPLE:
            continue
        causes = ancestral_closure(spec.graph, group.attribute) if group.attribute else frozenset()
        mine = {node: z[people] for node, z in scores.items() if node not in causes}
        checks += _of_group(spec, group, mine, widen)
    return checks


def untestable(spec: ModelSpec, nodes: Sequence[str]) -> tuple[Untestable, ...]:
    """What no table can contradict: means that coefficients absorb, and the couplings of discrete nodes."""
    found = []
    for attribute in (node for node in spec.nodes if node in spec.protected):
        for node in nodes:
            if node in ancestral_closure(spec.graph, attribute):
                continue
            if by := _absorbing(spec, attribute, node):
                why = f"the coefficients of {attribute} in {', '.join(by)} absorb it"
                found.append(Untestable(node, attribute, f"a shift of the mean of its noise by {attribute}", why))
    for node, declared in spec.nodes.items():
        if declared.coupled and declared.parents:
            what = f"its {declared.coupled} coupling between worlds"
            found.append(Untestable(node, None, what, "each person is seen in one world only"))
    return tuple(found)


def _of_group(spec: ModelSpec, group: Group, scores: Mapping[str, Floats], widen: float) -> Iterator[Check]:
    for node, z in scores.items():
        if not (_absorbing(spec, group.attribute, node) if group.attribute else _levelled(spec, node)):
            yield _mean(node, group, z, widen)
        if not spec.nodes[node].levels:
            yield _variance(node, group, z, widen)
        yield _shape(node, group, z, widen)
    for first, second in combinations([node for node in scores if node not in spec.protected], 2):
        yield _correlation((first, second), group, scores[first], scores[second], widen)


def _absorbing(spec: ModelSpec, attribute: str, node: str) -> tuple[str, ...]:
    """The nodes whose coefficients of ``attribute`` absorb a shift of the mean of ``node``'s noise; none where one does not."""
    if attribute in spec.nodes[node].parents:
        return (node,) if _learned(spec, node) else ()
    children = tuple(spec.graph.successors(node)) if spec.nodes[node].latent else ()
    return children if all(attribute in spec.nodes[child].parents and _learned(spec, child) for child in children) else ()


def _levelled(spec: ModelSpec, node: str) -> bool:
    """Whether an intercept, a node's own or its children's, absorbs a shift of everyone's mean."""
    known = spec.nodes[node].parameters
    return spec.nodes[node].latent or known is None or (known.intercept is None and _learned(spec, node))


def _learned(spec: ModelSpec, node: str) -> bool:
    """Whether a node's coefficients are learned."""
    known = spec.nodes[node].parameters
    return known is None or (known.weights is None and known.levels is None and known.rows is None)


class _Test(NamedTuple):
    """What the model expects of a statistic, and how surprising the observed one is."""

    value: float
    expected: float
    low: float
    high: float
    p: float
    effect: float


def _check(statistic: str, node: str, group: Group, n: int, test: _Test, tolerance: tuple[float, float]) -> Check:
    return Check(
        check="residue",
        statistic=statistic,
        node=node,
        attribute=group.attribute,
        group=group.name,
        n=n,
        tolerance=tolerance,
        **test._asdict(),
    )


def _mean(node: str, group: Group, z: Floats, widen: float) -> Check:
    """√n·z̄ is standard normal."""
    mean, error = float(z.mean()), widen / len(z) ** 0.5
    test = _Test(mean, 0.0, -NORMAL * error, NORMAL * error, two_sided(mean / error), mean)
    return _check("mean", node, group, len(z), test, SHIFT)


def _variance(node: str, group: Group, z: Floats, widen: float) -> Check:
    """The cube root of s² is normal with mean 1 − 2/(9ν) and variance 2/(9ν), ν = n − 1 (Wilson & Hilferty 1931)."""
    ratio, part = float(z.var(ddof=1)), 2 / (9 * (len(z) - 1))
    center, error = 1 - part, widen * part**0.5
    low, high = (max(center + end * NORMAL * error, 0.0) ** 3 for end in (-1, 1))
    test = _Test(ratio, 1.0, low, high, two_sided((ratio ** (1 / 3) - center) / error), ratio)
    return _check("variance", node, group, len(z), test, RATIO)


def _shape(node: str, group: Group, z: Floats, widen: float) -> Check:
    """D = sup |F_n(z) − Φ(z)|, exact for n people; parameters fitted to other rows widen its bridge by at most ``widen``."""
    n, ordered = len(z), stats.norm.cdf(np.sort(z))
    steps = np.arange(n + 1) / n
    distance = float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))
    root = n**0.5 + 0.12 + 0.11 / n**0.5  # Stephens (1970): what makes the limit's quantiles good for any n
    low, middle, high = (widen * float(kolmogi(1 - share)) / root for share in (0.025, 0.5, 0.975))
    test = _Test(distance, middle, low, high, float(stats.kstwo.sf(distance / widen, n)), distance)
    return _check("KS distance", node, group, n, test, DISTANCE)


def _correlation(nodes: tuple[str, str], group: Group, x: Floats, y: Floats, widen: float) -> Check:
    """√(n − 3)·artanh r is standard normal (Fisher 1921)."""
    r = float(np.corrcoef(x, y)[0, 1].clip(-1 + 1e-15, 1 - 1e-15))  # artanh stays finite
    error = widen / (len(x) - 3) ** 0.5
    bound = float(np.tanh(NORMAL * error))
    test = _Test(r, 0.0, -bound, bound, two_sided(float(np.arctanh(r)) / error), r)
    return replace(_check("correlation", nodes[0], group, len(x), test, CORRELATION), other=nodes[1])


def _extreme(node: str, z: Floats, rows: Tensor) -> Check:
    """The largest |z| of n: P(max > m) = 1 − (2Φ(m) − 1)ⁿ; a score is never larger than BEYOND."""
    n, place = len(z), int(np.abs(z).argmax())
    largest = float(abs(z[place]))
    low, middle, high = (float(stats.norm.isf(-np.expm1(np.log(share) / n) / 2)) for share in (0.025, 0.5, 0.975))
    p = float(-np.expm1(n * np.log1p(-2 * stats.norm.sf(largest)))) if largest > 0 else 1.0
    test = _Test(largest, middle, low, high, min(1.0, 2 * min(p, 1 - p)), largest - middle)
    return replace(_check("largest score", node, EVERYONE, n, test, OUTLIER), why=f"row {int(rows[place])}")
