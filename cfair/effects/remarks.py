"""What is to be noticed in a decomposition, in sentences."""

from collections.abc import Iterator, Mapping, Sequence

from cfair.effects.contrast import Question
from cfair.effects.parts import AlongPart, PathPart
from cfair.effects.paths import MOST_PATHS
from cfair.effects.records import Estimate
from cfair.graph import Graph, descendants
from cfair.scm import SCM
from cfair.spec import ModelSpec

__all__ = ["assumed", "disagreeing", "noticed", "resolved", "untold_paths"]

SMALL = 0.2  # of the largest part: a disparity below it hides more than it shows
ROUNDING = 1e-9
PARTS = {"ctf_de": "direct", "ctf_ie": "indirect", "ctf_se": "spurious"}


def noticed(terms: Mapping[str, Estimate], of: str, paths: Sequence[PathPart], along: Sequence[AlongPart]) -> tuple[str, ...]:
    """Parts that cancel, and effects that depend on how noise is shared."""
    return (*_cancelling(terms, of), *_recanting([*paths, *along]))


def disagreeing(difference: Mapping[str, Estimate]) -> tuple[str, ...]:
    """The terms of which the model and rows alone say different things."""
    far = [term for term, apart in difference.items() if apart.low is not None and abs(apart.value) > ROUNDING and _is_clear(apart)]
    if not far:
        return ()
    said = f"the model and rows alone differ in {', '.join(far)} by more than their errors: the mechanisms' form is in doubt"
    return (f"{said}, where rows' own learners are not",)


def resolved(spec: ModelSpec) -> tuple[str, ...]:
    """That influence through some nodes is accepted, which the terms do not know of."""
    if not spec.resolving:
        return ()
    kept = ", ".join(spec.resolving)
    return (f"influence through {kept} is accepted (resolving); the terms count it all the same, 'along' is the effect by the other paths",)


def untold_paths(question: Question, graph: Graph) -> tuple[str, ...]:
    """That paths are not told apart, where there are too many of them."""
    contrast = question.contrast
    if question.paths or contrast.target.node not in descendants(graph, contrast.attribute):
        return ()
    return (f"more than {MOST_PATHS} paths lead to {contrast.target.node}: not told apart unless 'along' names some",)


def assumed(scm: SCM, *, method: str, certain: bool, has_rows: bool) -> dict[str, str]:
    """What the numbers rest on, and what their intervals cover: name -> sentence."""
    return dict(_assumed(scm, method, certain=certain, has_rows=has_rows))


def _cancelling(terms: Mapping[str, Estimate], of: str) -> Iterator[str]:
    """TV that is small because its parts cancel."""
    if "tv" not in terms or not set(PARTS) <= set(terms):
        return
    tv, parts = terms["tv"], {term: terms[term] for term in PARTS}
    largest = max(abs(part.value) for part in parts.values())
    apart = any(abs(part.value) > SMALL * largest and _is_clear(part) for part in parts.values())
    if largest > ROUNDING and abs(tv.value) < SMALL * largest and apart:
        named = ", ".join(f"{PARTS[term]} ({term}) {part.value:+.4g}" for term, part in parts.items())
        yield (
            f"the groups hardly differ in {of} (tv {tv.value:+.4g}), but only because parts cancel: {named}, with tv = ctf_de - ctf_ie "
            "- ctf_se; equal means do not show that the attribute has no effect"
        )


def _is_clear(part: Estimate) -> bool:
    """Whether the interval leaves 0 out."""
    return part.low is None or part.high is None or part.low > 0 or part.high < 0


def _recanting(parts: Sequence[PathPart | AlongPart]) -> Iterator[str]:
    """The witnesses by whom single paths depend on the coupling."""
    witnesses = sorted({node for part in parts for node in part.recanting})
    if witnesses:
        names = ", ".join(f"'{node}'" for node in witnesses)
        yield (
            f"{names} passes on x1 by one path and x0 by another: what single paths through it contribute depends on how its noise is "
            "shared between worlds, which no data reveal (for nodes with levels or counts the coupling; additive noise settles it)"
        )


def _assumed(scm: SCM, method: str, *, certain: bool, has_rows: bool) -> Iterator[tuple[str, str]]:
    """The assumptions one by one."""
    spec = scm.spec
    yield "graph", "the declared graph is right: no edge and no hidden common cause is missing"
    if spec.latents and method not in ("rows", "facts"):
        yield "latents", f"{', '.join(spec.latents)}: their distributions and their effects are as declared"
    yield "attribute", "the attribute can be set: it stands for all that the graph lets follow from it, a bundle rather than a switch"
    if method not in ("rows", "facts"):
        yield "mechanisms", "mechanisms have the declared form" + ("; their parameters are fixed by the declaration" if certain else "")
    yield "intervals", _covered(scm, method, certain=certain, has_rows=has_rows)


def _covered(scm: SCM, method: str, *, certain: bool, has_rows: bool) -> str:
    """What the 95 % intervals cover."""
    drawn = scm.uncertainty is not None and bool(scm.uncertainty.draws)
    parameters = "what the data leave open of the parameters" if drawn else "the parameters are taken as they are"
    if method == "facts":
        return "95 % over the sampling of people"
    if method == "rows":
        return "95 % over the sampling of people, if all that was learned of them converges fast enough; not a wrong graph"
    if method == "enumeration" and certain:
        return (
            "values are exact under the declared model: both ends are the value; shares of paths through a recanting witness are simulated"
        )
    if method == "enumeration":
        return f"values are exact under the learned model; 95 %: {parameters if drawn else 'none, as it holds no draws of its parameters'}"
    people = "95 % over the sampling of people" if has_rows else "95 % over the chance with which people were simulated"
    return (
        f"{people}, and {parameters}; their errors together; not a wrong graph or form of mechanism" if drawn else f"{people}; {parameters}"
    )
