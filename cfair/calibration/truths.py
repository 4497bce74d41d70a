"""Parameters from their prior, and tables from these."""

import math
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from cfair.errors import QueryError
from cfair.inference.conventions import is_oriented
from cfair.inference.neighbourhood import neighbourhoods
from cfair.interfaces import Columns, ExactPosterior, Facts, Mechanism, SelfTaught, World
from cfair.mechanisms import Unit
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import simulate

__all__ = ["Units", "simulated", "table_of", "truth"]

Units = Mapping[str, Unit]

PATIENCE = 2_000  # draws from the prior, before it is taken for one that never keeps the latents' conventions
LARGEST_COUNT = 1e6  # a count beyond is no data that anyone has, and its density loses digits
LARGEST = 1e9  # a number beyond, in its unit


def truth(spec: ModelSpec, units: Units, *, seed: int) -> SCM:
    """An SCM with its learned parameters drawn from their prior, given the conventions of its latents: by rejection.

    Raises:
        QueryError: a node's prior cannot be drawn from, or the prior hardly ever keeps the conventions.
    """
    scm = SCM(spec, units)
    empty = {node: torch.zeros(0, dtype=torch.float64) for node in spec.order}
    groups = [area.factors for area in neighbourhoods(scm, empty, spec.observed, 0)]
    source = torch.Generator().manual_seed(seed)
    for _ in range(PATIENCE):
        drawn = scm.at({node: _from_prior(scm, node, mechanism, source) for node, mechanism in scm.mechanisms.items()})
        if all(is_oriented(drawn, nodes) for nodes in groups):
            return drawn
    raise QueryError("prior", f"of {PATIENCE} draws from it none keeps the latents' conventions", "widen it, or fix a loading")


def _from_prior(scm: SCM, node: str, mechanism: Mechanism, source: torch.Generator) -> dict[str, Tensor]:
    """Parameter -> a draw from its prior, fixed entries as they are; of a closed-form family, from its posterior given no rows."""
    if isinstance(mechanism, SelfTaught):
        return {} if mechanism.known else _of_closed_form(scm, node, mechanism, source)
    module = cast("nn.Module", mechanism)
    known, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    drawn = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (), generator=source)))
        for name, prior in mechanism.priors().items():
            drawn[name] = torch.where(buffers[f"{name}_free"], prior.sample(), known[name].detach())
    return drawn


def _of_closed_form(scm: SCM, node: str, mechanism: SelfTaught, source: torch.Generator) -> dict[str, Tensor]:
    if not isinstance(mechanism, ExactPosterior):
        problem = "its family has no prior to draw from, so that no truth can be simulated"
        raise QueryError(f"nodes.{node}", problem, "fix its parameters, or take another family")
    nothing = torch.zeros(0, dtype=torch.float64)
    drawn = mechanism.posterior_draws(nothing, dict.fromkeys(scm.spec.nodes[node].parents, nothing), count=1, source=source)
    if not all(bool(each.isfinite().all()) for each in drawn.values()):
        raise QueryError(f"nodes.{node}.prior", "a prior of 0 is none to draw from", "leave 'prior: 0' out, or give it a number above 0")
    return {name: each[0] for name, each in drawn.items()}


def simulated(scm: SCM, rows: int, *, seed: int) -> World:
    """People drawn from a truth.

    Raises:
        QueryError: the prior is so wide that they have values no table holds.
    """
    world = simulate(scm, rows, seed=seed)
    for node in scm.spec.observed:
        largest = float(world.values[node].abs().max().nan_to_num(nan=math.inf))
        count = scm.spec.nodes[node].kind == "count"
        if not largest <= (LARGEST_COUNT if count else LARGEST):
            what = "counts" if count else "values"
            problem = f"the prior is so wide that {what} of {largest:.2g} were simulated"
            mend = "state narrower priors for it and its parents, as prior: {intercept: {normal: 1}, weights: {normal: 0.5}}"
            raise QueryError(f"nodes.{node}", problem, mend)
    return world


def table_of(world: World, spec: ModelSpec) -> Columns:
    """The observed nodes of a world of one draw."""
    rows = world.shape[1]
    coded = {node: world.values[node][0].contiguous() for node in spec.observed}
    return Columns(coded, torch.arange(rows), Facts("simulated", rows, "0" * 64))
