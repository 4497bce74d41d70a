"""What the declared nodes assume, in words."""

from collections.abc import Iterator, Mapping

from cfair.auditing.records import Assumption
from cfair.families import Coupling, Kind
from cfair.graph import d_separated
from cfair.spec import ModelSpec

__all__ = ["of_latents", "of_mechanisms"]

MONOTONE: Mapping[Kind, str] = {
    "binary": "raising the odds of its second level never turns that level into the first",
    "real": "everyone keeps their quantile among those with the same parents",
    "count": "raising its rate never lowers anyone's count",
    "ordinal": "raising its predictor never lowers anyone's level",
    "category": "a change that makes later levels likelier, in their declared order, never moves anyone to an earlier one",
}
COUPLINGS: Mapping[Coupling, str] = {
    "gumbel": "Gumbel-max: raising one level's odds moves people to that level only",
    "independent": "the independent coupling: what a person has under one combination of its parents' levels says nothing of any other",
}


def of_latents(spec: ModelSpec) -> Iterator[Assumption]:
    """Of each latent: of what it is independent, and what of it is a convention."""
    for latent in spec.latents:
        free = [attribute for attribute in spec.protected if d_separated(spec.graph, latent, attribute, ())]
        if free:
            text = (
                f"The latent '{latent}' is independent of {' and '.join(free)}. Of its mean this cannot be tested: coefficients absorb it."
            )
            yield Assumption("independence", text)
        if spec.nodes[latent].discrete:
            count = len(spec.nodes[latent].levels)
            yield Assumption("latent_levels", f"The latent '{latent}' has {count} levels; in which order they stand is a convention.")
            continue
        scale = f"The latent '{latent}' has standard deviation {_scale(spec, latent)}"
        yield Assumption("latent_scale", f"{scale}; scale and sign of a latent are conventions.")


def of_mechanisms(spec: ModelSpec) -> Iterator[Assumption]:
    """What each node follows, how its noise is shared between worlds, and its priors."""
    families = ", ".join(f"{node} {declared.mechanism}{_chosen(spec, node)}" for node, declared in spec.nodes.items())
    shapes = dict.fromkeys(declared.family.shape for declared in spec.nodes.values() if declared.family.shape)
    save = f" ({'; '.join(shapes)})" if shapes else ""
    products = " and the products that are named" if any(declared.interactions for declared in spec.nodes.values()) else ""
    yield Assumption("mechanisms", f"Each node follows its family, with a predictor linear in its parents{products}{save}: {families}.")
    for node, declared in spec.nodes.items():
        if declared.coupled and declared.parents:
            rule = COUPLINGS.get(declared.coupled, f"the monotone coupling: {MONOTONE.get(declared.kind)}")
            text = f"Counterfactuals of '{node}' follow {rule}. Data cannot tell this coupling from another."
            yield Assumption("coupling", text)
    stated = ", ".join(node for node, declared in spec.nodes.items() if declared.prior is not None)
    yield Assumption(
        "priors", f"Parameters have their families' default priors{f', save those that dag.yaml states of {stated}' if stated else ''}."
    )


def _chosen(spec: ModelSpec, node: str) -> str:
    """What was chosen for a node beside its family, in brackets."""
    declared, said = spec.nodes[node], list[str]()
    if declared.interactions:
        said.append(f"with {' and '.join(' x '.join(group) for group in declared.interactions)}")
    if moving := _scale_parents(spec, node):
        said.append(f"its scale changes with {' and '.join(moving)}")
    if "link" in declared.family.options:
        said += [f"{declared.word('link')} link"] if "link" in declared.options else []
    return f" ({'; '.join(said)})" if said else ""


def _scale_parents(spec: ModelSpec, node: str) -> list[str]:
    """The parents that change the node's scale."""
    declared = spec.nodes[node]
    return [parent for parent in declared.parents if declared.heteroscedastic and not spec.nodes[parent].latent]


def _scale(spec: ModelSpec, latent: str) -> str:
    """A latent's standard deviation, and of whom it is said."""
    known, moving = spec.nodes[latent].parameters, _scale_parents(spec, latent)
    scale = known.scale if known is not None and known.scale is not None else 1.0
    if not moving:
        return f"{scale:g} given its parents"
    where = " and ".join(f"{parent} is {next(iter(spec.nodes[parent].levels), '0')}" for parent in moving)
    return f"{scale:g} given its parents where {where}, and another where not"
