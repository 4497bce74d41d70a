"""What the numbers of an audit rest on, in words."""

from collections.abc import Iterator, Mapping

from cfair.auditing.records import Assumption
from cfair.interfaces import Facts, Predictor
from cfair.scm import SCM
from cfair.spec import ModelSpec, spec_warnings

__all__ = ["assumptions"]

COUPLINGS = {
    "real": "additive noise: no choice is left",
    "binary": "monotone: raising a node's odds never turns its second level into its first",
    "count": "monotone: raising a node's rate never lowers anyone's count",
    "category": "Gumbel-max: raising one level's odds moves people to that level only",
}


def assumptions(scm: SCM, predictors: Mapping[str, Predictor], facts: Facts) -> tuple[Assumption, ...]:
    """The assumptions behind a report, each with how it was checked, if it was."""
    return tuple(_assumptions(scm.spec, predictors, facts))


def _assumptions(spec: ModelSpec, predictors: Mapping[str, Predictor], facts: Facts) -> Iterator[Assumption]:
    edges = ", ".join(f"{parent} -> {child}" for parent, child in spec.graph.edges)
    yield Assumption("graph", f"The declared graph holds, and no cause of two of its nodes was left out: {edges or 'no edges'}.")
    families = ", ".join(f"{node}: {declared.mechanism}" for node, declared in spec.nodes.items())
    yield Assumption("mechanisms", f"Each node follows its family, its predictor linear in the parents ({families}).")
    for latent in spec.latents:
        if not any(attribute in spec.graph and latent in _descendants(spec, attribute) for attribute in spec.protected):
            yield Assumption(
                "independence",
                f"The latent '{latent}' is independent of {' and '.join(spec.protected)}. Its mean given them cannot be tested: any difference "
                f"is absorbed by their coefficients.",
            )
        yield Assumption("latent_scale", f"The latent '{latent}' has variance 1 given its parents; its sign is the outcome's, or its largest loading's.")
    discrete = {node: declared.kind for node, declared in spec.nodes.items() if declared.kind != "real" and declared.parents}
    for node, kind in discrete.items():
        yield Assumption("coupling", f"The counterfactuals of '{node}' couple its worlds by {COUPLINGS[kind]}. Data cannot tell this from another coupling.")
    yield Assumption("evidence", f"Latents and noise are inferred from {', '.join(spec.evidence)}, without the outcome and its descendants.",
                     "the evidence is computed from the graph, and checked wherever a predictor reads a latent")
    given = [node for node, declared in spec.nodes.items() if declared.prior is not None]
    stated = f" (dag.yaml states those of {', '.join(given)})" if given else ""
    yield Assumption("priors", f"Parameters have the priors of their families{stated}.")
    yield Assumption("point_estimates", "Parameters are point estimates, the most probable ones given the training rows: the intervals cover the sampling of "
                     "people, not the uncertainty of the model.")
    if spec.latents:
        yield Assumption("quadrature", "Latents are integrated out by adaptive Gauss-Hermite quadrature.",
                         "the nodes of every row were doubled until its posterior mean and sd stood still to 1e-8 sd")
    if spec.resolving:
        yield Assumption("resolving", f"Influence through {', '.join(spec.resolving)} is accepted: they keep their factual values in every world.")
    for node, rows in facts.rounded.items():
        yield Assumption("rounding", f"'{node}' was rounded to whole numbers in {rows:,} rows.")
    if facts.dropped:
        yield Assumption("missing", f"{facts.dropped:,} rows with missing values were left out, as if they were missing at random.")
    yield from _of_predictors(predictors)
    for warning in spec_warnings(spec):
        yield Assumption("warning", f"{warning.where}: {warning.problem}; {warning.mend}.")


def _of_predictors(predictors: Mapping[str, Predictor]) -> Iterator[Assumption]:
    claims = {
        "declared": "in the declared model, because nothing that it reads moves there",
        "own": "in its own additive working model, not in the declared one",
    }
    for claim, text in claims.items():
        names = [name for name, predictor in predictors.items() if predictor.invariant_in == claim]
        if names:
            yield Assumption("invariance", f"Invariant under the protected attributes {text}: {', '.join(names)}.", "same-noise gap, in this report")


def _descendants(spec: ModelSpec, node: str) -> set[str]:
    return set(spec.graph.successors(node)) | {below for child in spec.graph.successors(node) for below in _descendants(spec, child)}
