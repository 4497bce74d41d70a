"""Engine ``svi``: more latents than a product rule integrates out, by importance sampling, with guides where modes will not do."""

import torch

from cfair.inference.landscape import curved
from cfair.inference.learning import climb_to_the_top
from cfair.inference.neighbourhood import neighbourhoods
from cfair.inference.pareto import HEAVY
from cfair.inference.patterns import check_whole
from cfair.inference.posterior import posterior_of_rows
from cfair.inference.svi import train
from cfair.interfaces import Columns
from cfair.scm import SCM

__all__ = ["learn_by_sampling", "train_guides"]

AUDITED = 2_000  # training rows whose k-hat is kept


def learn_by_sampling(scm: SCM, columns: Columns, *, seed: int) -> None:
    """Engine ``svi``: set what is free in ``scm``, then train the guides of curved neighbourhoods for abduction.

    ``scm.sampler`` says which latents are sampled; it keeps the guides, and how heavy the weights' tails are on the training rows.
    These guides know the default evidence alone: never the outcome or its descendants.

    Raises:
        QueryError: ``columns`` lack values.
        FitError: no most probable point was found.
    """
    check_whole(columns)
    assert scm.sampler is not None
    climb_to_the_top(scm, columns, seed=seed)
    train_guides(scm, columns, seed=seed)
    some = columns.take(torch.randperm(columns.n, generator=torch.Generator().manual_seed(seed))[:AUDITED])
    scm.sampler.k_hat.copy_(_tails(scm, some))


def train_guides(scm: SCM, columns: Columns, *, seed: int) -> None:
    """Train the guides of curved neighbourhoods at the parameters that ``scm`` has; see ``learn_by_sampling``."""
    assert scm.sampler is not None
    values = {**columns.coded} | {latent: torch.zeros(columns.n, dtype=torch.float64) for latent in scm.spec.latents}
    for j, area in enumerate(neighbourhoods(scm, columns.coded, scm.spec.evidence, columns.n)):
        if curved(area):
            scm.sampler.guides[str(j)] = train(area, values, columns.weights, learn=False, seed=seed)


def _tails(scm: SCM, columns: Columns) -> torch.Tensor:
    """The largest k-hat of these people, and the share of them above HEAVY, shape (2,)."""
    moments = posterior_of_rows(scm, columns.coded, columns.n)
    k_hats = torch.stack([*moments.k_hat.values()]).amax(0) if moments.k_hat else torch.zeros(1, dtype=torch.float64)
    return torch.stack([k_hats.max(), (k_hats > HEAVY).to(torch.float64).mean()])
