"""Whether the inference itself is to be trusted: quadrature against twice as many nodes, and what sampling says of its chains."""

import math
from collections.abc import Callable, Iterator, Mapping

import torch

from cfair.diagnosis.records import EngineCheck, Verdict
from cfair.diagnosis.streams import stream
from cfair.errors import FitError
from cfair.inference import posterior
from cfair.inference.quadrature import NODES
from cfair.interfaces import Columns
from cfair.scm import SCM
from cfair.uncertainty import LARGEST_K, Uncertainty

__all__ = ["engine_checks"]

ROWS = 2_000  # integrated twice; a tenth of them for each further dimension
LEAST = 1e-6  # sd of a latent with levels below which it counts as known
MOVE = 1e-4  # posterior sds that doubling may move a mean or an sd
R_HAT, ESS = 1.01, 400.0  # Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021)
WEIGHED = 20.0  # of weighted draws, which are few by choice: their mean is then right to a fifth of a posterior sd
ABSENT = "the model was learned without it"


def engine_checks(scm: SCM, columns: Columns, *, seed: int) -> tuple[EngineCheck, ...]:
    """Quadrature doubling on some of the rows, R-hat, effective sample sizes, k-hat and divergences; "not computed" where they were not."""
    return (*_doubling(scm, columns, seed), *_sampled(scm.uncertainty))


def _doubling(scm: SCM, columns: Columns, seed: int) -> Iterator[EngineCheck]:
    """The largest move of any row's posterior mean or sd when the first rule has twice the nodes."""
    limit = f"at most {MOVE:g} posterior sds"
    if not scm.spec.latents:
        yield EngineCheck(check="quadrature doubling", limit=limit, verdict="not checked", why="the model has no latent to integrate out")
        return
    if scm.sampler is not None:
        why = "latents are integrated out by importance sampling: the report says what its k-hat is worth"
        yield EngineCheck(check="quadrature doubling", limit=limit, verdict="not checked", why=why)
        return
    real = sum(not scm.spec.nodes[latent].levels for latent in scm.spec.latents)
    doubled = 2 * NODES.get(real, max(NODES.values()))
    some = columns.take(torch.randperm(columns.n, generator=stream(seed, "rows"))[: ROWS // 10 ** max(real - 1, 0)])
    try:
        coarse, fine = (posterior(scm, some, given=scm.spec.observed, nodes=count) for count in (None, doubled))
    except FitError as error:
        yield EngineCheck(check="quadrature doubling", limit=limit, verdict="fails", why=str(error))
        return
    for latent in fine.mean:
        sd = fine.sd[latent].clamp(min=LEAST)
        moves = torch.maximum((coarse.mean[latent] - fine.mean[latent]).abs() / sd, (coarse.sd[latent] - fine.sd[latent]).abs() / sd)
        move = float(moves.max())
        verdict: Verdict = "passes" if move <= MOVE else "fails"
        why = f"on {some.n:,} rows"
        yield EngineCheck(check="quadrature doubling", of=latent, value=move, limit=limit, verdict=verdict, why=why)


def _sampled(uncertainty: Uncertainty | None) -> Iterator[EngineCheck]:
    """The worst of each figure."""
    none = dict[str, float]()
    r_hat, ess, k_hat = (uncertainty.r_hat, uncertainty.ess, uncertainty.k_hat) if uncertainty is not None else (none, none, none)
    yield _worst("R-hat", r_hat, max, lambda r: r <= R_HAT, f"at most {R_HAT}")
    least = ESS if r_hat else WEIGHED
    yield _worst("ESS", ess, min, lambda size: size >= least, f"at least {least:.0f}")
    trusted = uncertainty.largest_k if uncertainty is not None else LARGEST_K
    yield _worst("k-hat", k_hat, max, lambda k: k <= trusted, f"at most {trusted:.2f}")
    divergences = {"chains": float(uncertainty.divergences)} if uncertainty is not None and r_hat else none
    yield _worst("divergences", divergences, max, lambda count: count == 0, "none")


def _worst(
    check: str,
    figures: Mapping[str, float],
    choose: Callable[..., str],
    well: Callable[[float], bool],
    limit: str,
) -> EngineCheck:
    """The worst of some figures by name."""
    if not figures:
        return EngineCheck(check=check, limit=limit, verdict="not checked", why=f"not computed: {ABSENT}")
    name = choose(figures, key=figures.__getitem__)
    value = figures[name]
    if not math.isfinite(value):
        return EngineCheck(check=check, of=name, limit=limit, verdict="fails", why="it is not a finite number")
    return EngineCheck(check=check, of=name, value=value, limit=limit, verdict="passes" if well(value) else "fails")
