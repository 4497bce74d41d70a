"""What the numbers of an audit rest on, in words."""

from collections.abc import Iterator, Mapping, Sequence

from cfair.auditing.declarations import of_latents, of_mechanisms
from cfair.auditing.estimates import of_parameters
from cfair.auditing.records import Assumption
from cfair.comparing import Row
from cfair.inference.limits import all_too_many
from cfair.interfaces import Facts, Predictor
from cfair.sampler import Sampler
from cfair.scm import SCM
from cfair.spec import ModelSpec, spec_warnings

__all__ = ["assumptions"]

CLAIMS = {
    "declared": "in the declared model: nothing that they read moves there",
    "own": "in a working model of their own, additive and without latents, not in the declared one",
}
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
        *of_latents(spec),
        *of_mechanisms(spec),
        *_of_inference(scm),
        of_parameters(scm, facts),
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


def _of_inference(scm: SCM) -> Iterator[Assumption]:
    spec, sampler = scm.spec, scm.sampler
    seen = ", ".join(spec.evidence)
    checked = "computed from the graph, and checked wherever a predictor reads a latent"
    yield Assumption("evidence", f"Latents and noise are inferred from {seen}: never from the outcome or its descendants.", checked)
    if scm.engine is not None:
        approximate = " It is not calibrated on models of this kind: take its answers as approximate." if scm.engine.approximate else ""
        yield Assumption("engine", f"Parameters were learned by the engine '{scm.engine.engine}': {scm.engine.why}.{approximate}")
    if sampler is not None:
        yield _sampling(sampler)
    if spec.latents and (sampler is None or (not sampler.for_all and not all_too_many(spec, spec.evidence))):
        doubled = (
            "row by row, nodes were doubled until the posterior mean and sd stood still: to 1e-8 sd (of several latents that hang together "
            "1e-6), or 1e-5 where a density has a cliff"
        )
        yield Assumption("quadrature", "Latents are integrated out: levels by sums, numbers by adaptive Gauss-Hermite quadrature.", doubled)


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
