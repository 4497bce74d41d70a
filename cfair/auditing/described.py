"""What was declared and learned, for a report."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import cast

from cfair.auditing.estimates import doubt
from cfair.auditing.foreign import Foreign
from cfair.auditing.records import Json
from cfair.graph import ancestors
from cfair.interfaces import Predictor
from cfair.predictors.latent import Latent
from cfair.scm import SCM

__all__ = ["describe"]


def describe(scm: SCM, predictors: Mapping[str, Predictor]) -> dict[str, Json]:
    """The model's declaration in short, its parameters in the columns' own units, and what each predictor sees and needs."""
    spec = scm.spec
    return {
        "name": spec.name,
        "source": spec.source,
        "protected": list(spec.protected),
        "outcome": spec.outcome,
        "outcome_kind": spec.outcome_kind,
        "outcome_classes": list(spec.classes),
        "resolving": list(spec.resolving),
        "unfair_paths": [list(path) for path in spec.unfair_paths],
        "held": list(spec.held),
        "causes": {attribute: [node for node in spec.nodes if node in ancestors(spec.graph, attribute)] for attribute in spec.protected},
        "latents": list(spec.latents),
        "evidence": list(spec.evidence),
        "engine": None if scm.engine is None else cast("Json", asdict(scm.engine)),
        "uncertainty": _uncertainty(scm),
        "parameters": cast("Json", scm.parameters_in_units()),
        "predictors": {name: _predictor(predictor) for name, predictor in predictors.items()},
    }


def _uncertainty(scm: SCM) -> Json:
    """How the parameters were drawn, how often, and why means over the draws are not to be trusted, if they are not."""
    drawn = scm.uncertainty
    return None if drawn is None else {"method": drawn.method, "draws": drawn.count, "doubt": doubt(drawn)}


def _predictor(predictor: Predictor) -> Json:
    described: dict[str, Json] = {"sees": list(predictor.sees), "needs": list(predictor.needs), "invariant_in": predictor.invariant_in}
    if isinstance(predictor, Foreign):
        settled = predictor.settled
        described |= {"external": predictor.source.what, "output": settled.kind, "classes": list(settled.classes)}
    if isinstance(predictor, Latent):
        described |= {"variant": predictor.chosen.name, "validation_mse": dict(predictor.losses)}
    return described
