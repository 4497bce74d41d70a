"""How far the learned parameters are known, in words."""

from collections.abc import Mapping

from cfair.auditing.records import Assumption
from cfair.interfaces import Facts
from cfair.scm import SCM
from cfair.uncertainty import Method, Uncertainty

__all__ = ["doubt", "of_parameters"]

COVERED = "cover the sampling of people, not the model"
DRAWN: Mapping[Method, str] = {
    "laplace": "a normal around them, weighted by importance",
    "nuts": "Hamiltonian Monte Carlo",
    "ridge": "importance sampling along the ridge on which the data leave the loadings of a latent open",
}
FEW = 20  # effective draws below which an interval over worlds is hardly one
TRUSTED = "up to which they can be trusted"


def of_parameters(scm: SCM, facts: Facts) -> Assumption:
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


def doubt(drawn: Uncertainty | None) -> str | None:
    """Why means over the draws of parameters are not to be trusted; None where nothing speaks against them."""
    if drawn is None or not drawn.k_hat:
        return None
    part = _heaviest(drawn)
    if drawn.k_hat[part] > drawn.largest_k:
        limit = f"above the {drawn.largest_k:.2f} {TRUSTED}"
        return f"the weights of the parameter draws of {part} have a k-hat of {drawn.k_hat[part]:.2f}, {limit}"
    worth = min(drawn.ess.values())
    return f"some of the {drawn.count} parameter draws are worth {worth:.0f}, too few for an interval" if worth < FEW else None


def _of_draws(drawn: Uncertainty) -> str | None:
    """How far the draws of parameters can be trusted."""
    if drawn.k_hat:
        part, worth = _heaviest(drawn), min(drawn.ess.values())
        compared = "no more" if drawn.k_hat[part] <= drawn.largest_k else "MORE"
        found = f"the largest Pareto shape of the draws' weights is {drawn.k_hat[part]:.2f}, of {part}"
        source = f"drawn anew from {drawn.weighed:,} weighted points" if drawn.weighed else "by these weights"
        together = f"{source}, {drawn.count} draws are worth {worth:.0f} at least{', TOO FEW' if worth < FEW else ''}"
        return f"{found}: {compared} than the {drawn.largest_k:.2f} {TRUSTED}; {together}"
    if drawn.r_hat:
        return f"R-hat at most {max(drawn.r_hat.values()):.3f}, and {drawn.divergences} divergences"
    return None


def _heaviest(drawn: Uncertainty) -> str:
    """The part of the model whose weights have the heaviest tail."""
    return max(drawn.k_hat, key=lambda part: drawn.k_hat[part])
