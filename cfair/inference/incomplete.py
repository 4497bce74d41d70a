"""Learning from rows with missing values: the values integrated out, as latents of their rows."""

from collections.abc import Iterable, Sequence

import networkx as nx
import torch
from torch import Tensor

from cfair.errors import FitError
from cfair.inference.climbing import ROUGH, Together, climb, learn_alone, learn_together
from cfair.inference.expected import STILL, learn_tables
from cfair.inference.free import FreeParameters
from cfair.inference.loadings import start_loadings
from cfair.inference.log_posterior import LogPosterior, fine_enough
from cfair.inference.neighbourhood import Neighbourhood, neighbourhoods
from cfair.inference.optimise import GRADIENT
from cfair.inference.parts import InTurn, Part, parts_of
from cfair.interfaces import Columns, SelfTaught, Values
from cfair.scm import SCM
from cfair.spec import ModelSpec

__all__ = ["learn_incomplete"]

ROUNDS = 200  # of tables and other parameters in turn


def learn_incomplete(scm: SCM, columns: Columns, unlearned: Sequence[str], *, seed: int) -> None:
    """Set the parameters of ``unlearned`` nodes to the most probable ones given what rows have, as if the rest were missing at random.

    Rows with the same missing values make one factor of the likelihood per node whose parents are known, and one per area of hidden
    nodes (latents, and missing values with known effects). Nodes that share an area are learned together; the others from the rows
    that have them and their parents: a missing value without known effects says nothing of its mechanism. Tables in an area are
    learned by expectation and maximisation, in turn with the other parameters: their probabilities end where the posterior under a
    Dirichlet prior of one more pseudo-count per cell is highest, of which their closed form is the maximising step.

    Args:
        scm: whose parameters are set.
        columns: people, some of whom lack values.
        unlearned: nodes with something to learn, in topological order.
        seed: as of ``learn``.

    Raises:
        QueryError: more is missing at once than can be integrated out.
        FitError: no most probable point was found.

    Source: Rubin (1976), Inference and missing data, for when what is missing may be ignored; Dempster, Laird & Rubin (1977) for tables.
    """
    parts = parts_of(scm, columns)
    groups = _groups(scm.spec, parts)
    filled = _filled(scm.spec, columns)
    areas = neighbourhoods(scm, filled, scm.spec.observed, columns.n)
    tied = {node for group in groups for node in group if len(group) > 1}
    for node in unlearned:
        if not scm.spec.nodes[node].latent and (node not in tied or not isinstance(scm.mechanisms[node], SelfTaught)):
            _start(scm, node, columns, filled, gradient=ROUGH if node in tied else GRADIENT, seed=seed)
    for area in areas:
        start_loadings(area)
    for group in groups:
        if len(group) > 1:
            own = [part for part in parts if part.nodes[0] in group]
            _learn_group(scm, group, own, [area for area in areas if area.factors[0] in group], seed=seed)


def _groups(spec: ModelSpec, parts: Iterable[Part]) -> list[tuple[str, ...]]:
    """The nodes in groups whose parameters no factor of the likelihood ties to another group's, in topological order."""
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(spec.nodes)
    for part in parts:
        nx.add_path(graph, part.nodes)
    return [tuple(node for node in spec.order if node in group) for group in nx.connected_components(graph)]


def _filled(spec: ModelSpec, columns: Columns) -> dict[str, Tensor]:
    """The columns with the mean of a number, and the commonest of levels and counts, in each hole: for a place to start from only."""
    filled = dict(columns.coded)
    for node, holes in columns.missing.items():
        known = columns.known(node)
        usual = known.mean() if spec.nodes[node].kind == "real" else known.mode().values
        filled[node] = torch.where(holes, usual, columns.coded[node])
    return filled


def _start(scm: SCM, node: str, columns: Columns, filled: Values, *, gradient: float, seed: int) -> None:
    """Learn one node from the rows that have it and its parents, a latent being 0; where there are none, from the filled columns."""
    names = (node, *scm.spec.nodes[node].parents)
    holes = [columns.missing[name] for name in names if name in columns.missing]
    whole = ~torch.stack(holes).any(0) if holes else torch.ones(columns.n, dtype=torch.bool)
    rows = whole if whole.any() else torch.ones_like(whole)
    values = {name: filled[name][rows] if name in filled else torch.zeros(int(rows.sum()), dtype=torch.float64) for name in names}
    weights = None if columns.weights is None else columns.weights[rows]
    mechanism = scm.mechanisms[node]
    if isinstance(mechanism, SelfTaught) and not mechanism.known:
        mechanism.learn(values[node], scm.parents(node, values), node=node, seed=seed, weights=weights)
    else:
        learn_alone(scm, node, values, weights, gradient=gradient, seed=seed)


def _learn_group(scm: SCM, nodes: tuple[str, ...], parts: Sequence[Part], areas: Sequence[Neighbourhood], *, seed: int) -> None:
    """Set the parameters of nodes that hidden values tie together: tables and the others in turn, until both stand."""

    def density(rung: int) -> LogPosterior:
        each = [part.density(scm, rung) for part in parts]
        return LogPosterior(
            nodes, FreeParameters(scm, nodes), InTurn([part.log_likelihood for part in each]), torch.cat([part.weights for part in each])
        )

    def fine(first: int) -> int:
        return max(fine_enough(part.area, first) for part in parts if part.area is not None)

    group = Together(scm, tuple(areas), density, fine)
    tables = [node for node in nodes if isinstance(mechanism := scm.mechanisms[node], SelfTaught) and not mechanism.known]
    free = FreeParameters(scm, nodes).count > 0
    if not tables:
        if free:
            learn_together(group, seed=seed)
        return
    for turn in range(ROUNDS):
        moved = learn_tables(scm, tables, [part for part in parts if set(part.nodes) & set(tables)])
        if not free or (turn and moved <= STILL):
            return
        if turn:
            climb(group, seed=seed)
        else:
            learn_together(group, seed=seed)
    raise FitError(f"learning {', '.join(nodes)}", "tables and the other parameters still move each other", "fix some under 'parameters:'")
