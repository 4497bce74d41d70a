"""What each predictor may see, computed from the graph: the one table, and the guard that enforces it. Imports no torch.

constant        nothing
full            every observed node but the outcome and its descendants
unaware         the same but the protected attributes; sees their descendants, so it is not level 1
nondescendants  level 1: what descends from neither a protected attribute nor the outcome
latent          level 1, and each latent that descends from no protected attribute, inferred from the evidence (level 2)
residual        level 1, and of each observed descendant of a protected attribute what its observed causes leave over (level 3)

Source: Kusner et al. (2017), Definition 5, Lemma 1 and the three levels of section 4.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cfair.errors import LeakageError, QueryError, nearest
from cfair.graph import ancestors, descendants, directed_paths
from cfair.spec import ModelSpec

__all__ = ["ACCESS", "Access", "guard", "needs", "refused", "sees", "working_parents"]

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """What one predictor may see and must be given.

    Args:
        sees: what enters its head.
        needs: columns that a row must have at prediction time.
        protected: whether it may see the protected attributes.
        descendants: whether it may see what descends from them.
    """

    sees: Callable[[ModelSpec], Names]
    needs: Callable[[ModelSpec], Names]
    protected: bool = False
    descendants: bool = False


def _nothing(spec: ModelSpec) -> Names:
    return ()


def _unaware(spec: ModelSpec) -> Names:
    return tuple(name for name in spec.evidence if name not in spec.protected)


def _level_1(spec: ModelSpec) -> Names:
    return spec.level_1


def _evidence(spec: ModelSpec) -> Names:
    return spec.evidence


def _latent(spec: ModelSpec) -> Names:
    return spec.level_1 + tuple(name for name in spec.latents if name not in spec.descendants)


def _residual(spec: ModelSpec) -> Names:
    return spec.level_1 + tuple(f"residual[{name}]" for name in _affected(spec))


def _residual_needs(spec: ModelSpec) -> Names:
    read = {*spec.level_1, *_affected(spec)}.union(*(working_parents(spec, name) for name in _affected(spec)))
    return tuple(name for name in spec.observed if name in read)


def _affected(spec: ModelSpec) -> Names:
    """Observed descendants of a protected attribute whose residuals may be looked at: neither the outcome nor its descendants.

    Nor a node that is held: it keeps its value in every world while its expected one moves, and its residual would move with that.
    """
    return tuple(name for name in spec.evidence if name in spec.descendants and name not in spec.held)


_LATENT = Access(_latent, _evidence)

ACCESS: dict[str, Access] = {
    "constant": Access(_nothing, _nothing),
    "full": Access(_evidence, _evidence, protected=True, descendants=True),
    "unaware": Access(_unaware, _unaware, descendants=True),
    "nondescendants": Access(_level_1, _level_1),
    "latent": _LATENT,
    "latent_posterior_mean": _LATENT,
    "latent_draws": _LATENT,
    "residual": Access(_residual, _residual_needs),
}


def sees(spec: ModelSpec, predictor: str) -> Names:
    """What enters the predictor's head: nodes, and ``residual[node]``; in declared order, what is inferred last."""
    return _access(predictor).sees(spec)


def needs(spec: ModelSpec, predictor: str) -> Names:
    """The columns that a row must have for the predictor to answer, in declared order."""
    return _access(predictor).needs(spec)


def refused(spec: ModelSpec, predictor: str) -> dict[str, Names]:
    """What the predictor must not see, and why: column, or latent where it sees latents -> a shortest directed path that forbids it.

    The path starts at a protected attribute or at the outcome and ends at the node; it is the node alone if that is one of them.
    ``constant`` sees nothing by choice, so nothing is refused.
    """
    access = _access(predictor)
    latents = () if access is _LATENT else spec.latents
    return {name: path for name, path in _forbidden(spec, access).items() if name not in latents}


def guard(spec: ModelSpec, predictor: str, features: Sequence[str]) -> Names:
    """A user's own list of features, if the predictor may see them all.

    Raises:
        LeakageError: a feature descends from a protected attribute, or is the outcome or a descendant of it; the message has the path.
        QueryError: a feature is not declared, repeated, or not something that this predictor sees.
    """
    allowed, forbidden = sees(spec, predictor), _forbidden(spec, _access(predictor))
    for position, feature in enumerate(features):
        where = f"features[{position}] of '{predictor}'"
        if feature in forbidden:
            raise LeakageError(where, _reason(spec, feature, forbidden[feature]), _instead(feature, allowed))
        if feature not in allowed:
            raise QueryError(where, f"'{feature}' is not something that it sees", nearest(feature, allowed))
        if feature in features[:position]:
            raise QueryError(where, f"'{feature}' is repeated", "name it once")
    return tuple(features)


def working_parents(spec: ModelSpec, node: str) -> Names:
    """The observed parents of ``node`` once latents are projected out: its own, and those that reach it through latents only.

    In declared order.
    """
    between = ancestors(spec.graph.subgraph([*spec.latents, node]), node) | {node}
    return tuple(name for name in spec.observed if any(spec.graph.has_edge(name, below) for below in between))


def _access(predictor: str) -> Access:
    if predictor not in ACCESS:
        raise QueryError("predictor", f"'{predictor}' is not a known predictor", nearest(predictor, ACCESS))
    return ACCESS[predictor]


def _forbidden(spec: ModelSpec, access: Access) -> dict[str, Names]:
    """Every node that is kept from a predictor, with a shortest path."""
    seen = access.sees(spec)
    found = {} if access is ACCESS["constant"] else {name: _forbidding(spec, access, name) for name in spec.nodes if name not in seen}
    return {name: path for name, path in found.items() if path}


def _forbidding(spec: ModelSpec, access: Access, node: str) -> Names:
    """The shortest path that keeps ``node`` from a predictor; empty if none does."""
    sources = [spec.outcome]
    if not access.descendants:
        sources = [*spec.protected, *sources]
    if node == spec.outcome or (node in spec.protected and not access.protected):
        return (node,)
    if node not in descendants(spec.graph, sources):
        return ()
    return min(filter(None, (next(directed_paths(spec.graph, source, node), ()) for source in sources)), key=len)


def _reason(spec: ModelSpec, feature: str, path: Names) -> str:
    """Why ``feature`` is refused, in words."""
    role = "the outcome" if path[0] == spec.outcome else "a protected attribute"
    return f"'{feature}' is {role}" if len(path) == 1 else f"'{feature}' descends from {role}: {' -> '.join(path)}"


def _instead(feature: str, allowed: Names) -> str:
    if f"residual[{feature}]" in allowed:
        return f"use 'residual[{feature}]'"
    return f"leave it out; this predictor may see: {', '.join(allowed) or 'nothing'}"
