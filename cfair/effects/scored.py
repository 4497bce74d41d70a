"""A prediction as one more node of the graph, so that whatever is asked of a node can be asked of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from cfair.errors import QueryError, SpecError, nearest
from cfair.families import Kind
from cfair.interfaces import Outlined, Values, World
from cfair.scm import SCM
from cfair.spec import ModelSpec, NodeSpec

__all__ = ["Score", "scored", "with_score"]

Score: TypeAlias = Callable[[Values, int], Tensor]  # columns (m,) of m rows, and m -> their predictions (m,), as ``Predictor.deploy``


def scored(scm: SCM, name: str, needs: Sequence[str], score: Score, outline: object = None) -> SCM:
    """``scm`` with a node ``name`` at its end, which a map from rows to predictions makes of its parents ``needs``, without noise.

    Args:
        scm: the model of the people whose rows are scored; it is left as it is, and its mechanisms are shared.
        name: of the new node.
        needs: the observed nodes that the map reads.
        score: from rows to predictions; called once for all rows of a world that differ from the factual ones.
        outline: what makes the predictions: where it is ``Outlined`` the new mechanism is so, too.

    Raises:
        QueryError: the name is taken, or the map reads what is no observed node.
    """
    if name in scm.spec.nodes:
        raise QueryError("prediction", f"'{name}' is already a node of the model", "name the prediction otherwise")
    for node in needs:
        if node not in scm.spec.observed:
            raise QueryError("prediction", f"it reads '{node}', which is no observed node of the model", nearest(node, scm.spec.observed))
    nodes = {**scm.spec.nodes, name: NodeSpec(mechanism="gaussian", parents=tuple(needs))}
    try:
        spec = ModelSpec.model_validate({**{key: getattr(scm.spec, key) for key in ModelSpec.model_fields}, "nodes": nodes})
    except SpecError as error:
        raise QueryError("prediction", f"'{name}' cannot name a node: {error.problem}", error.mend) from None
    known = (outline.span, outline.monotone) if isinstance(outline, Outlined) else ((-inf, inf), False)
    return SCM(spec, mechanisms={**scm.mechanisms, name: _Scored(tuple(needs), score, *known)})


def with_score(scm: SCM, world: World, name: str) -> World:
    """A factual world of the people with the prediction's node ``name`` of ``scm``, shape (draws, n), and noise 0 for it."""
    noise = torch.zeros((), dtype=torch.float64).expand(world.shape)
    value = scm.mechanisms[name].value(noise, scm.parents(name, world.values)).expand(world.shape)
    return replace(world, values={**world.values, name: value}, noise={**world.noise, name: noise})


class _Scored(nn.Module):
    """A node that is a function of its parents."""

    kind: Kind = "real"
    noise_size = 1

    def __init__(self, needs: tuple[str, ...], score: Score, span: tuple[float, float], monotone: bool) -> None:
        super().__init__()
        self._needs, self._score = needs, score
        self.span, self.monotone = span, monotone

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """The prediction, of the shape to which its parents broadcast."""
        shape = torch.broadcast_shapes(*(parents[node].shape for node in self._needs), (1,))
        rows = {node: parents[node].expand(shape).reshape(-1) for node in self._needs}
        return self._score(rows, shape.numel()).to(torch.float64).reshape(shape)

    def noise(self, uniform: Tensor) -> Tensor:
        """None: 0."""
        return torch.zeros_like(uniform)

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """None: 0."""
        return torch.zeros_like(uniform)

    def distribution(self, parents: Values) -> Distribution:
        """A prediction is no random variable given its row.

        Raises:
            QueryError: always.
        """
        raise QueryError("prediction", "a prediction has no distribution given its row", "ask for its value")

    def priors(self) -> Mapping[str, Distribution]:
        """Nothing of it is learned here."""
        return {}

    def start(self, value: Tensor) -> None:
        """Nothing of it is learned here."""

    def raw(self) -> Mapping[str, object]:
        """It has no parameters of its own."""
        return {}
