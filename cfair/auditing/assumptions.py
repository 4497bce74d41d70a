"""What the numbers of an audit rest on, in words."""

from collections.abc import Iterator, Mapping, Sequence

from cfair.auditing.records import Assumption
from cfair.comparing import Row
from cfair.families import Coupling, Kind
from cfair.graph import d_separated
from cfair.inference.limits import all_too_many
from cfair.interfaces import Facts, Predictor
from cfair.sampler import Sampler
from cfair.scm import SCM
from cfair.spec import ModelSpec, spec_warnings
from cfair.uncertainty import Method, Uncertainty

__all__ = ["assumptions"]

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
CLAIMS = {
    "declared": "in the declared model: nothing that they read moves there",
    "own": "in a working model of their own, additive and without latents, not in the declared one",
}
COVERED = "cover the sampling of people, not the model"
DRAWN: Mapping[Method, str] = {
    "laplace": "a normal around them, weighted by importance",
    "nuts": "Hamiltonian Monte Carlo",
    "ridge": "importance sampling along the ridge on which the data leave the loadings of a latent open",
}
FEW = 20  # effective draws below which an interval over worlds is hardly one
ROUNDING = 1e-9  # of a gap that is 0
CLAIMED_GAP = {"declared": "gap_same_noise", "own": "gap_own_model"}


def assumptions(scm: SCM, predictors: Mapping[str, Predictor], facts: Facts, pairs: Sequence[Row]) -> tuple[Assumption, ...]:
    """The assumptions behind a report, each with how it was checked, if it was.

    Args:
        scm: the model.
        predictors: name -> predictor.
        facts: what reading the table found.
        pairs: the gaps between groups that were measured.
    """
    spec = scm.spec
    return (
        *_of_graph(spec),
        *_of_latents(spec),
        *_of_mechanisms(spec),
        *_of_inference(scm),
        _of_parameters(scm, facts),
        *_of_table(facts),
        *_of_predictors(predictors, pairs),
    )


def _of_graph(spec: ModelSpec) -> Iterator[Assumption]:
    edges = ", ".join(f"{parent} -> {child}" for parent, child in spec.graph.edges)
    yield Assumption("graph", f"The declared graph holds, and leaves out no common cause of two nodes: {edges or 'no edges'}.")
    for warning in spec_warnings(spec):
        yield Assumption("warning", f"{warning.where}: {warning.problem}; {warning.mend}.")
    if spec.resolving:
        kept = ", ".join(spec.resolving)
        yield Assumption("resolving", f"Influence through {kept} is accepted: in every world they keep their factual values.")
    if spec.unfair_paths:
        paths, off = "; ".join(" -> ".join(path) for path in spec.unfair_paths), [name for name in spec.held if name not in spec.resolving]
        kept = (
            f"{', '.join(off)} off these paths {'keep their' if len(off) > 1 else 'keeps its'} factual values"
            if off
            else "no node is off them"
        )
        text = f"Only influence along {paths} is called unfair: {kept}."
        yield Assumption("unfair_paths", f"{text} Influence on a node of a path over an edge that is on none counts, too.")


def _of_latents(spec: ModelSpec) -> Iterator[Assumption]:
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
        known = spec.nodes[latent].parameters
        scale = known.scale if known is not None and known.scale is not None else 1.0
        text = f"The latent '{latent}' has standard deviation {scale:g} given its parents; scale and sign of a latent are conventions."
        yield Assumption("latent_scale", text)


def _of_mechanisms(spec: ModelSpec) -> Iterator[Assumption]:
    families = ", ".join(f"{node} {declared.mechanism}" for node, declared in spec.nodes.items())
    shapes = dict.fromkeys(declared.family.shape for declared in spec.nodes.values() if declared.family.shape)
    save = f" ({'; '.join(shapes)})" if shapes else ""
    yield Assumption("mechanisms", f"Each node follows its family, with a predictor linear in its parents{save}: {families}.")
    for node, declared in spec.nodes.items():
        if declared.coupled and declared.parents:
            rule = COUPLINGS.get(declared.coupled, f"the monotone coupling: {MONOTONE.get(declared.kind)}")
            text = f"Counterfactuals of '{node}' follow {rule}. Data cannot tell this coupling from another."
            yield Assumption("coupling", text)
    stated = ", ".join(node for node, declared in spec.nodes.items() if declared.prior is not None)
    yield Assumption(
        "priors", f"Parameters have their families' default priors{f', save those that dag.yaml states of {stated}' if stated else ''}."
    )


def _of_inference(scm: SCM) -> Iterator[Assumption]:
    spec, sampler = scm.spec, scm.sampler
    seen = ", ".join(spec.evidence)
    checked = "computed from the graph, and checked wherever a predictor reads a latent"
    yield Assumption("evidence", f"Latents and noise are inferred from {seen}: never from the outcome or its descendants.", checked)
    if scm.engine is not None:
        approximate = ", and is approximate: it is not calibrated on this kind of model" if scm.engine.approximate else ""
        yield Assumption("engine", f"Parameters were learned by the engine '{scm.engine.engine}': {scm.engine.why}{approximate}.")
    if sampler is not None:
        yield _sampling(sampler)
    if spec.latents and (sampler is None or (not sampler.for_all and not all_too_many(spec, spec.evidence))):
        doubled = (
            "row by row, nodes were doubled until the posterior mean and sd stood still: to 1e-8 sd (of several latents that hang together "
            "1e-6), or 1e-5 where a density has a cliff"
        )
        yield Assumption("quadrature", "Latents are integrated out: levels by sums, numbers by adaptive Gauss-Hermite quadrature.", doubled)


def _of_parameters(scm: SCM, facts: Facts) -> Assumption:
    """Which numbers know that parameters are uncertain, and which do not."""
    drawn, estimates = scm.uncertainty, "Parameters are point estimates, the most probable given the training rows"
    if drawn is None and scm.sampler is not None:
        undrawn = "; the engine svi draws none, so that gaps of frozen predictors are not taken"
        return Assumption("point_estimates", f"{estimates}{undrawn}: intervals {COVERED}.")
    if drawn is None and facts.missing:
        undrawn = "; none were drawn, as some rows lack values, so that gaps of frozen predictors are not taken"
        return Assumption("point_estimates", f"{estimates}{undrawn}: intervals {COVERED}.")
    if drawn is None:
        return Assumption("point_estimates", f"{estimates}: intervals {COVERED}.")
    if not drawn.draws:
        return Assumption("point_estimates", f"Every parameter is as the model fixes it: intervals {COVERED}.")
    left = f" Those of {' and '.join(drawn.uncovered)} stay as they are." if drawn.uncovered else ""
    text = (
        f"{estimates}, in all but the gaps of frozen predictors (gap_frozen): these are taken in worlds of drawn parameters, "
        f"by {DRAWN[drawn.method]}.{left} The draws know what the data leave open within the declared graph and families, and nothing of "
        "what these get wrong."
    )
    return Assumption("point_estimates", text, _of_draws(drawn))


def _of_draws(drawn: Uncertainty) -> str | None:
    """How far the draws of parameters can be trusted."""
    if drawn.k_hat:
        part, limit = max(drawn.k_hat, key=lambda part: drawn.k_hat[part]), drawn.largest_k
        found = f"the largest Pareto shape of the draws' weights is {drawn.k_hat[part]:.2f}, of {part}"
        worth = 1 / float(drawn.weights.square().sum())
        together = f"the weights of all parts together leave {worth:.0f} effective draws of {drawn.count}"
        if drawn.weighed:
            worth = min(drawn.ess.values())
            together = f"drawn anew from {drawn.weighed:,} weighted points, {drawn.count} draws are worth {worth:.0f} at least"
        together += ", TOO FEW" if worth < FEW else ""
        compared = "no more" if drawn.k_hat[part] <= limit else "MORE"
        return f"{found}: {compared} than the {limit:.2f} up to which they can be trusted; {together}"
    if drawn.r_hat:
        return f"R-hat at most {max(drawn.r_hat.values()):.3f}, and {drawn.divergences} divergences"
    return None


def _sampling(sampler: Sampler) -> Assumption:
    """What the engine svi did, why, and what it is worth."""
    why = "as was asked for" if sampler.for_all else "because more than three real latents hang together"
    largest, share = sampler.k_hat.tolist()
    text = (
        f"Engine svi, approximate, {why}: latents are integrated out by importance sampling around each row's mode"
        f"{', and from an amortised guide where modes will not do' if len(sampler.guides) else ''}. "
        "Moments are right to about 0.01 posterior sd where k-hat is below 0.7, parameters to a tenth of theirs."
    )
    checked = (
        f"points were added until moments moved by less than 0.005 sd; of up to 2,000 training rows {share:.1%} had a k-hat above 0.7, "
        f"the largest {largest:.2f}"
    )
    return Assumption("svi", text, checked)


def _of_table(facts: Facts) -> Iterator[Assumption]:
    yield Assumption("rows", "People are drawn independently of one another, and the audited ones from where the trained ones came.")
    for node, rows in facts.rounded.items():
        yield Assumption("rounding", f"'{node}' was rounded to whole numbers in {rows:,} rows.")
    if facts.weights is not None:
        text = (
            f"People count by the column '{facts.weights}', in all that was learned and measured: one of weight 2 as two like them. "
            "The weights are known without error, and only their ratios matter: beside a prior, n people count as n."
        )
        yield Assumption("weights", text)
    if facts.missing:
        counted = ", ".join(f"{count:,} of {node}" for node, count in facts.missing.items())
        text = (
            f"Missing values ({counted}) are missing at random: who lacks one may depend on what the table has of that person, not on the "
            "value itself. They are integrated out, not filled in; what is missing stays so in every world that is asked about."
        )
        yield Assumption("missing", text)
    if facts.dropped:
        yield Assumption("missing", f"{facts.dropped:,} rows with missing values were left out, as if missing completely at random.")


def _of_predictors(predictors: Mapping[str, Predictor], pairs: Sequence[Row]) -> Iterator[Assumption]:
    for claim, text in CLAIMS.items():
        names = [name for name, predictor in predictors.items() if predictor.invariant_in == claim]
        gaps = [row.value or 0.0 for row in pairs if row.predictor in names and row.measure == CLAIMED_GAP[claim]]
        if names:
            worst = max(gaps, default=0.0)
            held = "" if worst <= ROUNDING else "; this is more than rounding, so the claim does not hold as computed"
            checked = f"the largest such gap between any two groups was {worst:.2g}{held}" if gaps else None
            yield Assumption("invariance", f"Invariant under the protected attributes {text}: {', '.join(names)}.", checked)
