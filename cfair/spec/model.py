"""The declaration of a structural causal model."""

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Annotated, Self

import networkx as nx
from pydantic import AfterValidator, ModelWrapValidatorHandler, ValidationError, ValidationInfo, model_validator

from cfair.errors import QueryError, SpecError, nearest
from cfair.families import Kind
from cfair.graph import Graph, descendants
from cfair.spec.checks import STAGES
from cfair.spec.confounding import confounding_mistakes, with_confounders
from cfair.spec.frozen import Frozen, Record
from cfair.spec.graphs import attributed, bare, declaration
from cfair.spec.mistake import Mistake
from cfair.spec.mistakes import spec_error
from cfair.spec.own import admitted
from cfair.spec.places import GraphPlaces, NamePlaces, Places
from cfair.spec.records import NodeSpec
from cfair.spec.scalars import Names, Paths, Text, level_text

__all__ = ["ModelSpec"]


class ModelSpec(Record):
    """What dag.yaml declares: every node with its mechanism and parents, what is protected, and what is predicted.

    Args:
        name: of the model; a run's folder is named after it.
        source: where the model comes from.
        data: a built-in table, or a path beside the file.
        protected: the protected attributes, A.
        outcome: the node to be predicted, Y.
        resolving: descendants of A through which influence is accepted.
        unfair_paths: directed paths from a protected attribute along which influence is not accepted; where there are any, what lies
            on none of them is held as ``resolving`` is. Written as lists of nodes, or ``race -> lsat -> zfya``.
        confounded: pairs of nodes with a hidden common cause. Each becomes a latent node ``a <-> b``, and is then no longer listed here.
        nodes: name -> declaration, in declared order.

    Raises:
        SpecError: anything does not fit; the message names the place.
    """

    name: Text = "model"
    source: Text = ""
    data: Text | None = None
    protected: Names
    outcome: Text
    resolving: Names = ()
    unfair_paths: Paths = ()
    confounded: tuple[Names, ...] = ()
    nodes: Annotated[Mapping[Text, NodeSpec], AfterValidator(Frozen)]

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, raw: object, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """Turn the first mistake into a SpecError at its place, which ``info.context`` knows."""
        places: Places = info.context or NamePlaces()
        try:
            spec = handler(raw)
        except ValidationError as error:
            raise spec_error(error, raw, model=cls, places=places) from None
        _refuse(list(confounding_mistakes(spec.confounded, spec.nodes)), places)
        if spec.confounded:
            spec = spec.model_copy(update={"nodes": Frozen(with_confounders(spec.confounded, spec.nodes)), "confounded": ()})
        for stage in STAGES:
            _refuse(stage(spec), places)
        return spec

    @classmethod
    def from_graph(cls, graph: Graph, *, allow_python: bool = False) -> Self:
        """The declaration in a graph's attributes: its own as dag.yaml's top keys, its nodes' as theirs, its edges as parents, in order.

        >>> graph = nx.DiGraph(protected=["a"], outcome="y")
        >>> graph.add_node("a", mechanism="bernoulli", levels=["no", "yes"])
        >>> graph.add_node("y", mechanism="gaussian")
        >>> graph.add_edge("a", "y")
        >>> ModelSpec.from_graph(graph).nodes["y"].parents
        ('a',)

        Args:
            graph: a ``networkx.DiGraph``.
            allow_python: whether mechanisms of the user's own, ``{"python": "module:Class"}``, may run their code.

        Raises:
            CodeError: code of the user's own is declared that is not allowed, or cannot be used.
            SpecError: the graph does not declare a model; the message names the node.
        """
        places = GraphPlaces()
        return cls.model_validate(admitted(declaration(graph), places, allow_python=allow_python), context=places)

    def to_graph(self) -> Graph:
        """A graph of its own from which ``from_graph`` makes an equal declaration."""
        return attributed(self)

    @cached_property
    def graph(self) -> Graph:
        """Names and edges only; frozen."""
        return bare(self.nodes)

    @property
    def outcome_kind(self) -> Kind:
        """How the outcome is predicted: by its kind, but by the probability of its second level wherever it has two."""
        outcome = self.nodes[self.outcome]
        return "binary" if len(outcome.levels) == 2 else outcome.kind

    @property
    def classes(self) -> tuple[str, ...]:
        """The outcome's levels where there are more than two, so that a prediction is a probability of each; else none."""
        levels = self.nodes[self.outcome].levels
        return levels if len(levels) > 2 else ()

    @cached_property
    def latents(self) -> tuple[str, ...]:
        """Nodes that are never observed, in declared order."""
        return tuple(name for name, node in self.nodes.items() if node.latent)

    @cached_property
    def observed(self) -> tuple[str, ...]:
        """All other nodes, in declared order."""
        return tuple(name for name, node in self.nodes.items() if not node.latent)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All nodes, parents before children, else as declared."""
        return tuple(nx.lexicographical_topological_sort(self.graph, key=list(self.nodes).index))

    @cached_property
    def descendants(self) -> tuple[str, ...]:
        """Nodes that descend from a protected attribute and are not protected themselves, in declared order."""
        after = descendants(self.graph, self.protected)
        return tuple(name for name in self.nodes if name in after and name not in self.protected)

    @cached_property
    def non_descendants(self) -> tuple[str, ...]:
        """Observed nodes that descend from no protected attribute and are neither protected nor the outcome, in declared order."""
        return tuple(name for name in self.observed if name not in {*self.descendants, *self.protected, self.outcome})

    @cached_property
    def level_1(self) -> tuple[str, ...]:
        """What a predictor of level 1 may see: the non-descendants that are not descendants of the outcome either.

        Source: Kusner et al. (2017), section 4, level 1.
        """
        return tuple(name for name in self.non_descendants if name in self.evidence)

    @cached_property
    def evidence(self) -> tuple[str, ...]:
        """What a person's latents may be inferred from: observed nodes that are neither the outcome nor its descendants."""
        after = descendants(self.graph, self.outcome)
        return tuple(name for name in self.observed if name != self.outcome and name not in after)

    @cached_property
    def held(self) -> tuple[str, ...]:
        """What keeps its factual value in every counterfactual world: resolving nodes and, where there are unfair paths, each observed
        descendant of a protected attribute on none of them; neither the outcome nor what descends from it. In declared order.

        Source: Kusner et al. (2017), Definition 7, which holds the covariates off the paths at their factual values in both worlds.
        """
        on_paths = {name for path in self.unfair_paths for name in path}
        off = {name for name in self.evidence if self.unfair_paths and name in self.descendants and name not in on_paths}
        return tuple(name for name in self.nodes if name in off or name in self.resolving)

    def level(self, node: str, level: str | float) -> int:
        """Position of a level among ``node``'s, compared by text: 1, 1.0 and "1" agree.

        Raises:
            QueryError: there is no such node, it has no levels, or none of this name.
        """
        if node not in self.nodes:
            raise QueryError(f"'{node}'", "is not a declared node", nearest(node, self.nodes))
        levels, text = self.nodes[node].levels, level_text(level)
        if not levels:
            raise QueryError(f"'{node}'", f"{self.nodes[node].titled} has no levels", "give it a number")
        if text not in levels:
            raise QueryError(f"'{node}'", f"'{text}' is not one of its levels", nearest(text, levels))
        return levels.index(text)


def _refuse(found: Collection[Mistake], places: Places) -> None:
    """Raise the first mistake, in the order of the file."""
    if found:
        path, problem, mend = min(found, key=lambda mistake: places.line(mistake.path))
        raise SpecError(places.where(path), problem, mend)
