"""What a declaration must satisfy as a whole: names that exist, no cycle, and what each family allows."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING
from unicodedata import category

import networkx as nx

from cfair.errors import nearest
from cfair.spec.graphs import bare
from cfair.spec.mistake import Mistake
from cfair.spec.node_checks import node_mistakes
from cfair.spec.parameters import parameter_mistakes, prior_mistakes
from cfair.spec.places import Path
from cfair.spec.records import NodeSpec

if TYPE_CHECKING:
    from cfair.spec.model import ModelSpec

__all__ = ["STAGES"]

_LONGEST = 200  # characters of a name: YAML stops looking for a key's colon after 1,024
_IN_NODES = re.compile(r"[=,\[\]]")  # worlds are labelled race=Black,sex=female, weights race=Black, features residual[ugpa]
_IN_MODELS = re.compile(r"^\.|[/\\]")  # a run's folder is named after its model
_IN_LEVELS = re.compile(r"(?!)")  # nothing: "<=50K" and "Private, part-time" are levels


def _emptiness(spec: "ModelSpec") -> Iterator[Mistake]:
    if not spec.nodes:
        yield Mistake(("nodes",), "no node is declared", "declare at least a protected attribute and an outcome")


def _names(spec: "ModelSpec") -> Iterator[Mistake]:
    """Names that can be printed in one line and told apart in labels; names that refer to a declared node."""
    yield from _name(("name",), spec.name, _IN_MODELS)
    if spec.data == "":
        yield Mistake(("data",), "no table is named", "name a built-in table or a file, or leave the line out")
    for name, node in spec.nodes.items():
        yield from _name(("nodes", name), name, _IN_NODES)
        for position, level in enumerate(node.levels):
            yield from _name(("nodes", name, "levels", position), level, _IN_LEVELS)
        yield from _listed(("nodes", name, "levels"), node.levels)
        yield from _references(("nodes", name, "parents"), node.parents, spec.nodes)
    if not spec.protected:
        yield Mistake(("protected",), "no protected attribute is named", "list at least one, as in 'protected: [race]'")
    yield from _references(("protected",), spec.protected, spec.nodes)
    yield from _references(("resolving",), spec.resolving, spec.nodes)
    for position, path in enumerate(spec.unfair_paths):
        yield from _references(("unfair_paths", position), path, spec.nodes)
    yield from _references(("outcome",), spec.outcome, spec.nodes)


def _name(path: Path, text: str, reserved: re.Pattern[str]) -> Iterator[Mistake]:
    """A name is neither empty nor endless, keeps to one line, and holds nothing reserved."""
    if not text or len(text) > _LONGEST:
        yield Mistake(path, f"a name is longer than {_LONGEST} characters" if text else "a name is empty", "give it a short name")
    elif any(category(character) in {"Cc", "Zl", "Zp"} for character in text):
        yield Mistake(path, f"a name holds a control character: {text!a}", "keep names to one line of printable text")
    elif found := reserved.search(text):
        yield Mistake(path, f"'{text}' holds '{found[0]}', which has a meaning in labels or paths", "choose a name without it")


def _references(path: Path, given: str | Sequence[str], nodes: Mapping[str, NodeSpec]) -> Iterator[Mistake]:
    for position, name in enumerate([given] if isinstance(given, str) else given):
        if name not in nodes:
            place = path if isinstance(given, str) else (*path, position)
            yield Mistake(place, f"'{name}' is not a declared node", nearest(name, nodes))
    yield from _listed(path, () if isinstance(given, str) else given)


def _listed(path: Path, names: Sequence[str]) -> Iterator[Mistake]:
    for position, name in enumerate(names):
        if name in names[:position]:
            yield Mistake((*path, position), f"'{name}' is repeated", "name it once")


def _roles(spec: "ModelSpec") -> Iterator[Mistake]:
    """No node plays two roles that exclude each other."""
    if spec.outcome in spec.protected:
        yield Mistake(("outcome",), f"'{spec.outcome}' is both protected and the outcome", "take it out of one of them")
    if spec.nodes[spec.outcome].latent:
        yield Mistake(("outcome",), f"the outcome '{spec.outcome}' is latent", "an outcome is observed: leave 'latent' out")
    for role, names in (("protected", spec.protected), ("resolving", spec.resolving)):
        for position, name in enumerate(names):
            if spec.nodes[name].latent:
                yield Mistake((role, position), f"'{name}' is latent", f"name observed nodes under '{role}'")
    for position, name in enumerate(spec.resolving):
        if name in (*spec.protected, spec.outcome):
            yield Mistake(("resolving", position), f"'{name}' is protected or the outcome", "name nodes between the two")


def _unfair_paths(spec: "ModelSpec") -> Iterator[Mistake]:
    """Each leads from a protected attribute along edges of the graph, and holds nothing that resolves."""
    for position, path in enumerate(spec.unfair_paths):
        place: Path = ("unfair_paths", position)
        if len(path) < 2 or path[0] not in spec.protected:
            problem, mend = f"'{' -> '.join(path)}' does not lead from a protected attribute", "write it as 'race -> lsat -> zfya'"
            yield Mistake(place, problem, mend)
        for parent, child in pairwise(path):
            if parent not in spec.nodes[child].parents:
                yield Mistake(place, f"'{parent} -> {child}' is not an edge of the graph", "follow the edges that 'parents:' declare")
        for name in path:
            if name in spec.resolving:
                yield Mistake(place, f"'{name}' is resolving: influence through it is accepted", "take it out of one of the two")
        if path in spec.unfair_paths[:position]:
            yield Mistake(place, f"'{' -> '.join(path)}' is repeated", "name it once")


def _cycles(spec: "ModelSpec") -> Iterator[Mistake]:
    try:
        edges = nx.find_cycle(bare(spec.nodes))
    except nx.NetworkXNoCycle:
        return
    parent, child = edges[-1]
    place = ("nodes", child, "parents", spec.nodes[child].parents.index(parent))
    names = [edge[0] for edge in edges]
    yield Mistake(place, f"cycle {' -> '.join([*names, names[0]])}", "remove one of these edges")


def _families(spec: "ModelSpec") -> Iterator[Mistake]:
    for name, node in spec.nodes.items():
        yield from node_mistakes(spec.nodes, name)
        yield from prior_mistakes(name, node)


def _parameters(spec: "ModelSpec") -> Iterator[Mistake]:
    for name in spec.nodes:
        yield from parameter_mistakes(spec.nodes, name)


def _all(*checks: Callable[["ModelSpec"], Iterator[Mistake]]) -> Callable[["ModelSpec"], Collection[Mistake]]:
    return lambda spec: [mistake for check in checks for mistake in check(spec)]


STAGES = (
    _all(_emptiness),
    _all(_names),
    _all(_roles, _unfair_paths, _cycles, _families),
    _all(_parameters),
)  # each may trust those before it
