"""How many hidden nodes may hang together: what is more than can be integrated out is refused before any work."""

from collections.abc import Collection, Sequence
from math import prod

from cfair.errors import QueryError
from cfair.grouping import groups
from cfair.spec import ModelSpec

__all__ = ["MOST_REAL", "all_too_many", "check_kinds", "check_latents", "check_size", "too_many"]

MOST_REAL = 3  # real latents that a product rule integrates out together
MOST_NORMAL = 6  # of them and missing values, where their posterior is normal: three nodes per dimension are exact
MOST_SAMPLED = 20  # of them that importance sampling integrates out
MOST_COMBINATIONS = 256  # of discrete latents' levels that are summed over


def check_latents(
    spec: ModelSpec, given: Collection[str] | None = None, hidden: Sequence[str] | None = None, *, engine: str = "auto"
) -> None:
    """Refuse latents that cannot be integrated out given the evidence, that of all observed nodes if None.

    Args:
        spec: the declared model.
        given: the evidence.
        hidden: what is integrated out; the latents if None.
        engine: "svi" integrates more of them out together than others do; "auto" chooses it where it must.

    Raises:
        QueryError: with what to do instead.
    """
    hidden = spec.latents if hidden is None else hidden
    check_kinds(spec, hidden)
    for group in groups(spec, spec.observed if given is None else given, hidden):
        check_size(spec, group, given=spec.observed if given is None else given, engine=engine)


def too_many(spec: ModelSpec, given: Collection[str]) -> bool:
    """Whether more real latents hang together than a product rule integrates out, anywhere."""
    return any(_excess(spec, given))


def all_too_many(spec: ModelSpec, given: Collection[str]) -> bool:
    """Whether they are everywhere."""
    return all(_excess(spec, given))


def _excess(spec: ModelSpec, given: Collection[str]) -> list[bool]:
    """Of each group of latents that hang together, whether its real ones are more than a product rule integrates out."""
    return [sum(not spec.nodes[latent].discrete for latent in group) > MOST_REAL for group in groups(spec, given)]


def check_kinds(spec: ModelSpec, hidden: Sequence[str]) -> None:
    """Refuse hidden nodes of a kind that is neither a number to integrate over nor levels to sum over."""
    for node in hidden:
        kind = spec.nodes[node].kind
        if kind not in ("real", "binary", "category", "ordinal") and spec.nodes[node].latent:
            raise QueryError(f"nodes.{node}", f"a latent of kind {kind}", "make it gaussian, or give it levels")
        if kind not in ("real", "binary", "category", "ordinal"):
            problem = f"missing values of '{node}' have observed effects, and a {kind} is not integrated out"
            raise QueryError(f"nodes.{node}", problem, "leave these rows out (missing='drop'), or make it gaussian")


def check_size(spec: ModelSpec, latents: Sequence[str], *, given: Collection[str], engine: str = "auto") -> None:
    """Refuse hidden nodes that hang together and are too many."""
    real = [latent for latent in latents if not spec.nodes[latent].discrete]
    combinations = prod(len(spec.nodes[latent].levels) for latent in latents if latent not in real)
    missing = [node for node in latents if not spec.nodes[node].latent]
    rows = f" in rows where {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing" if missing else ""
    leave = "leave such rows out (missing='drop')" if missing else ""
    by_sampling = not missing and engine in ("auto", "svi")
    most = MOST_SAMPLED if by_sampling else MOST_NORMAL if missing and _normal(spec, real, given) else MOST_REAL
    if len(real) > most:
        what = "values" if missing else "latents"
        problem = f"{len(real)} real {what} hang together ({', '.join(real)}){rows}, and "
        problem += f"importance sampling integrates out {most}" if by_sampling else f"quadrature integrates out {most}"
        mend = "merge some, or give them children apart" if by_sampling else "use engine 'svi', merge some, or give them children apart"
        raise QueryError("nodes", problem, leave or mend)
    if combinations > MOST_COMBINATIONS:
        problem = f"{', '.join(latents)} have {combinations} combinations of levels{rows}, and {MOST_COMBINATIONS} are summed over at most"
        raise QueryError("nodes", problem, leave or "merge some, or give them fewer levels")


def _normal(spec: ModelSpec, real: Collection[str], given: Collection[str]) -> bool:
    """Whether the posterior of these hidden numbers is normal, whatever the levels of others."""
    for node in (*real, *(node for node in given if not set(real).isdisjoint(spec.nodes[node].parents))):
        multiplied = any(len(set(real).intersection(parents)) > 1 for parents in spec.nodes[node].interactions)
        if spec.nodes[node].mechanism != "gaussian" or multiplied:
            return False
    return True
