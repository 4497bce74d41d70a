"""What a declaration may say, and its reader should know."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from cfair.graph import directed_paths
from cfair.spec.model import ModelSpec
from cfair.spec.parameters import weight_names

__all__ = ["SpecWarning", "few_indicators", "spec_warnings"]

_INDICATORS = 3  # children with free loadings that identify one linear-Gaussian factor


@dataclass(frozen=True, slots=True)
class SpecWarning:
    """Something that is legal and changes what the answers mean.

    Args:
        where: the place in the declaration.
        problem: what follows from it, in one sentence.
        mend: what could be done about it.
    """

    where: str
    problem: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}. {self.mend[:1].upper()}{self.mend[1:]}"


def spec_warnings(spec: ModelSpec) -> tuple[SpecWarning, ...]:
    """All that ``check`` says beside the declaration itself."""
    return tuple(warning for check in _CHECKS for warning in check(spec))


def _closure(spec: ModelSpec) -> Iterator[SpecWarning]:
    """Source: Kusner et al. (2017), section 3, ancestral closure of protected attributes."""
    for name in spec.protected:
        for parent in spec.nodes[name].parents:
            if parent not in spec.protected:
                problem = f"'{parent}' is a cause of protected '{name}' and is not protected, which changes the question"
                yield SpecWarning(f"nodes.{name}.parents", problem, f"protect '{parent}' too, unless only what follows '{name}' is asked")


def _moving_latents(spec: ModelSpec) -> Iterator[SpecWarning]:
    for latent in spec.latents:
        if latent in spec.descendants:
            paths = (next(directed_paths(spec.graph, name, latent), ()) for name in spec.protected)
            path = min(filter(None, paths), key=len)
            problem = f"latent '{latent}' descends from a protected attribute ({' -> '.join(path)}) and is kept out of level 2"
            mend = "nothing to mend if that is meant: it is integrated out, and moves in counterfactual worlds"
            yield SpecWarning(f"nodes.{latent}", problem, mend)


def _indicators(spec: ModelSpec) -> Iterator[SpecWarning]:
    """Source: Bollen (1989), Structural Equations with Latent Variables, chapter 7: the three-indicator rule."""
    for latent in spec.latents:
        children = _loadings(spec, latent)
        free = [child for child, loading in children.items() if loading == "free"]
        if not children:
            problem = f"latent '{latent}' has no observed child: nothing can be learned of it"
            yield SpecWarning(f"nodes.{latent}", problem, "give it one, or leave it out")
        elif latent in few_indicators(spec):
            found = f"latent '{latent}' has {len(free)} observed children with free loadings ({', '.join(free)})"
            problem = f"{found}; a linear-Gaussian factor needs {_INDICATORS} without edges among them"
            mend = "add an observed child, or fix a loading under a child's 'parameters'"
            yield SpecWarning(f"nodes.{latent}", problem, mend)


def few_indicators(spec: ModelSpec) -> tuple[str, ...]:
    """The latents with observed children by too few of which their free loadings are identified in a linear-Gaussian model."""
    found = []
    for latent in spec.latents:
        children = _loadings(spec, latent)
        free = [child for child, loading in children.items() if loading == "free"]
        if free and "fixed" not in children.values() and not _triple(spec, free):
            found.append(latent)
    return tuple(found)


def _loadings(spec: ModelSpec, latent: str) -> dict[str, Literal["free", "fixed", "absent"]]:
    """The observed children of a latent, and what is known of their weights on it."""
    return {child: _loading(spec, latent, child) for child in spec.observed if latent in spec.nodes[child].parents}


def _loading(spec: ModelSpec, latent: str, child: str) -> Literal["free", "fixed", "absent"]:
    """Whether ``child``'s weights on ``latent`` are learned, fixed at something, or fixed at 0."""
    node, given = spec.nodes[child], spec.nodes[child].parameters
    names = {name for name in weight_names(spec, child) if name == latent or name.startswith(f"{latent}=")}
    fixed = [given.weights if given else None]
    if node.family.by_level:
        levels = (given.levels if given else None) or {}
        fixed = [levels[level].weights if level in levels else None for level in node.levels[1:]]
    if None in fixed:
        return "free"
    return "fixed" if any(weights and weights.get(name) for weights in fixed for name in names) else "absent"


def _triple(spec: ModelSpec, children: list[str]) -> bool:
    """Whether three of ``children`` have no edges among them."""
    apart = {(a, b) for a, b in combinations(children, 2) if not spec.graph.has_edge(a, b) and not spec.graph.has_edge(b, a)}
    return any(set(combinations(three, 2)) <= apart for three in combinations(children, _INDICATORS))


def _unused_priors(spec: ModelSpec) -> Iterator[SpecWarning]:
    """A prior on what is not learned has no effect."""
    for name, node in spec.nodes.items():
        for parameter in _fixed(spec, name):
            if node.prior and getattr(node.prior, parameter) is not None:
                problem = f"'{parameter}' is not learned, so its prior has no effect"
                yield SpecWarning(f"nodes.{name}.prior.{parameter}", problem, "leave it out")


def _fixed(spec: ModelSpec, name: str) -> Iterator[str]:
    """What of a node needs no prior: what is fixed, a latent gaussian's location and scale, weights without parents."""
    node, given = spec.nodes[name], spec.nodes[name].parameters
    standard = node.latent and node.mechanism == "gaussian"
    if standard or (given and (given.intercept is not None or given.probabilities is not None)):
        yield "intercept"
    if standard or (given and given.scale is not None):
        yield "variance"
    if given and given.scale_weights is not None:
        yield "scale_weights"
    if not node.parents or (given and given.weights is not None):
        yield "weights"


def _resolving(spec: ModelSpec) -> Iterator[SpecWarning]:
    for position, name in enumerate(spec.resolving):
        if name not in spec.descendants:
            problem = f"'{name}' does not descend from a protected attribute, so there is no influence to accept through it"
            yield SpecWarning(f"resolving[{position}]", problem, "leave it out")


def _unfair_paths(spec: ModelSpec) -> Iterator[SpecWarning]:
    starts = {path[0] for path in spec.unfair_paths}
    for name in spec.protected:
        if starts and name not in starts:
            problem = f"no unfair path starts at '{name}', yet in its worlds the nodes on the others' paths move (Definition 7)"
            yield SpecWarning("unfair_paths", problem, f"name its paths, too, or take '{name}' out of 'protected'")


def _empty_level_1(spec: ModelSpec) -> Iterator[SpecWarning]:
    if not spec.level_1:
        problem = "level 1 is empty: no observed node is free of the protected attributes, so 'nondescendants' predicts a constant"
        yield SpecWarning("nodes", problem, "nothing to mend if the graph is right")


_CHECKS: tuple[Callable[[ModelSpec], Iterator[SpecWarning]], ...] = (
    _closure,
    _moving_latents,
    _indicators,
    _unused_priors,
    _resolving,
    _unfair_paths,
    _empty_level_1,
)
