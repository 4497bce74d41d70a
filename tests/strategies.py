"""Random graphs, declarations and damage for hypothesis; the same ones in every run."""

from itertools import combinations
from random import Random
from typing import Any

import networkx as nx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from cfair.families import FAMILIES
from cfair.spec import ModelSpec, NodeSpec, scale_weight_names, weight_names

from oracles import rows_of

LAW = settings(derandomize=True, deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))

TRICKY = ["no", "on", "null", "~", "true", "1", "1.0", "0x1F", "1e3", ".inf", "a b", " a", "x: y", "# c", "'", '"', "\\", "- a", "{b}"]
TRICKY += ["*a", "&a", "!t", "%d", "@", "`", "<<", "?", ":", "é", "日本", "a\u00a0b", "\ufeff", "\U0001f600", "a.b", "|", ">"]
TRICKY += ["probabilities", "levels", "normal"]

_UNPRINTED = ("Cc", "Cs", "Zl", "Zp")
_level_characters = st.characters(exclude_categories=_UNPRINTED)
_name_characters = st.characters(exclude_categories=_UNPRINTED, exclude_characters="=,[]")
levels_text = st.sampled_from([*TRICKY, "<=50K", "a,b", "a=b", "[x]"]) | st.text(_level_characters, min_size=1, max_size=6)
node_names = st.sampled_from(TRICKY) | st.text(_name_characters, min_size=1, max_size=6)

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-3, 3)
positives = st.floats(min_value=1e-300, max_value=1e300)


@st.composite
def dags(draw: DrawFn, max_nodes: int = 6) -> "nx.DiGraph[str]":
    """A random acyclic graph, its nodes in random order."""
    names = [f"v{i}" for i in range(draw(st.integers(1, max_nodes)))]
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(draw(st.permutations(names)))
    graph.add_edges_from(edge for edge in combinations(names, 2) if draw(st.booleans()))
    return graph


@st.composite
def specs(draw: DrawFn, names: SearchStrategy[str] = node_names) -> ModelSpec:
    """A random declaration with anything that dag.yaml may say."""
    order = draw(st.lists(names, min_size=2, max_size=6, unique=True))
    bare: dict[str, dict[str, Any]] = {}
    for name in order:
        bare[name] = _bare_node(draw, bare)
    protected, outcome = draw(st.sampled_from([(a, b) for a in order for b in order if a != b]))
    for name in (protected, outcome):
        bare[name]["latent"] = False
    head = {"name": "m", "protected": [protected], "outcome": outcome, **_head(draw, order, (protected, outcome), bare)}
    declared = {name: bare[name] for name in draw(st.permutations(order))}
    spec = ModelSpec.model_validate({**head, "nodes": declared})
    full = {
        name: {**node, **_fixed(draw, spec, name), **_prior(draw, spec.nodes[name]), **_coupling(draw, spec, name)}
        for name, node in declared.items()
    }
    return ModelSpec.model_validate({**head, "nodes": full})


def _head(draw: DrawFn, order: list[str], taken: tuple[str, str], bare: dict[str, dict[str, Any]]) -> dict[str, Any]:
    observed = [name for name in order if name not in taken and not bare[name]["latent"]]
    resolving = draw(st.lists(st.sampled_from(observed), unique=True)) if observed else []
    paths = [[taken[0], name] for name in order if taken[0] in bare[name]["parents"] and name not in resolving]
    unfair = draw(st.lists(st.sampled_from(paths), unique_by=tuple)) if paths else []
    texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
    return {
        "resolving": resolving,
        "unfair_paths": unfair,
        "source": draw(texts),
        "data": draw(st.none() | st.sampled_from(["law_school", "a.csv", "no"])),
    }


def _bare_node(draw: DrawFn, before: dict[str, dict[str, Any]]) -> dict[str, Any]:
    mechanism = draw(st.sampled_from(sorted(FAMILIES)))
    kind = FAMILIES[mechanism].kind
    discrete = [name for name, node in before.items() if node["levels"] and not node["latent"] and name != "p"]
    known = [name for name, node in before.items() if FAMILIES[mechanism].latent_parents or not node["latent"]]
    fitting = discrete if FAMILIES[mechanism].discrete_parents else known
    parents = draw(st.lists(st.sampled_from(fitting), unique=True, max_size=3)) if fitting else []
    count = {"binary": (2, 2), "category": (2, 4), "ordinal": (2, 4)}.get(kind)
    return {
        "mechanism": {"family": mechanism, **_options(draw, mechanism, parents, before)},
        "parents": parents,
        "levels": draw(st.lists(levels_text, min_size=count[0], max_size=count[1], unique=True)) if count else [],
        "latent": FAMILIES[mechanism].latent and mechanism != "table" and draw(st.booleans()),
        "round": kind == "count" and draw(st.booleans()),
    }


def _options(draw: DrawFn, mechanism: str, parents: list[str], before: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Some of the family's options, of any value that their forms allow."""
    plain = all(":" not in name for name in (*parents, *(level for parent in parents for level in before[parent]["levels"])))
    groups = [[*two] for two in combinations(parents, 2) if not all(before[parent]["latent"] for parent in two)]
    forms = {
        "flag": st.booleans(),
        "positive": positives,
        "whole": st.integers(1, 9),
        "sizes": st.lists(st.integers(1, 64), min_size=1, max_size=3),
        "groups": st.lists(st.sampled_from(groups), unique_by=str) if groups and plain else st.just([]),
    }
    stated = FAMILIES[mechanism].options
    values = {name: st.sampled_from(each.form) if isinstance(each.form, tuple) else forms[each.form] for name, each in stated.items()}
    return draw(st.fixed_dictionaries({}, optional=values))


def _fixed(draw: DrawFn, spec: ModelSpec, name: str) -> dict[str, Any]:
    node = spec.nodes[name]
    weights = dict.fromkeys(weight_names(spec, name), numbers)
    ends = max(len(node.levels) - 1, 1)
    steps = st.lists(st.integers(-50, 50), min_size=ends, max_size=ends, unique=True).map(sorted)
    forms = {"number": numbers, "positive": positives, "weights": st.fixed_dictionaries({}, optional=weights), "cutpoints": steps}
    if node.levels:
        forms["rows"] = st.just(rows_of(spec, name, lambda: 1.0))
    if node.heteroscedastic:
        forms["scale_weights"] = st.fixed_dictionaries({}, optional=dict.fromkeys(scale_weight_names(spec, name), numbers))
    stated = {name: form for name, form in node.family.parameters.items() if form != "scale_weights" or node.heteroscedastic}
    own = st.fixed_dictionaries({}, optional={name: forms[form] for name, form in stated.items()})
    if node.family.by_level:
        own = st.fixed_dictionaries({}, optional=dict.fromkeys(node.levels[1:], own))
        if not node.parents:
            own |= st.just({"probabilities": [1 / len(node.levels)] * len(node.levels)})
    return draw(st.fixed_dictionaries({}, optional={"parameters": own}))


def _coupling(draw: DrawFn, spec: ModelSpec, name: str) -> dict[str, Any]:
    node = spec.nodes[name]
    known = all(spec.nodes[parent].discrete and not spec.nodes[parent].latent for parent in node.parents)
    couplings = [each for each in node.family.couplings if each != "independent" or known]
    return draw(st.fixed_dictionaries({}, optional={"coupling": st.sampled_from(couplings)} if couplings else {}))


def _prior(draw: DrawFn, node: NodeSpec) -> dict[str, Any]:
    normal = st.fixed_dictionaries({"normal": positives | st.tuples(numbers, positives)})
    gamma = st.fixed_dictionaries({"inverse_gamma": st.tuples(positives, positives)})
    if "cell" in node.family.priors:
        return draw(st.fixed_dictionaries({}, optional={"prior": st.just(0) | positives}))
    forms = {"normal": normal, "inverse_gamma": gamma}
    stated = {name: form for name, form in node.family.priors.items() if name != "scale_weights" or node.heteroscedastic}
    own = {parameter: forms[form] for parameter, form in stated.items()}
    return draw(st.fixed_dictionaries({}, optional={"prior": st.fixed_dictionaries({}, optional=own)}))


def damaged(text: str) -> SearchStrategy[str]:
    """``text`` with a few characters or lines cut, doubled or put in, evenly over its length."""
    return st.integers(0, 2**32 - 1).map(lambda seed: _damage(text, Random(seed)))


def _damage(text: str, dice: Random) -> str:
    for _ in range(dice.randint(1, 3)):
        lines, at, splinter = text.splitlines(keepends=True), dice.randint(0, len(text)), dice.choice(SPLINTERS)
        line = dice.randint(0, len(lines))
        text = dice.choice(
            [
                text[:at] + text[at + dice.randint(1, 12) :],
                text[:at] + splinter + text[at:],
                text[:at] if dice.random() < 0.1 else text[:at] + dice.choice("abcxyz") + text[at + 1 :],
                "".join(lines[:line] + lines[line + 1 :]),
                "".join(lines[: line + 1] + lines[line:]),
                "".join([*lines[:line], dice.choice(["\t", "- ", "  ", splinter]), *lines[line:]]),
            ]
        )
    return text


SPLINTERS = ["[", "]", "{", "}", ":", ": ", "- ", "&a ", "*a", "!t ", "!!int ", "<<: ", "---\n", "...\n", "'", '"', "|", ">", "#", "%", "@"]
SPLINTERS += ["\t", "\x00", "\ud800", "null", "~", "1e999", ".nan", "-.inf", "0x", '"\\ud800"', '"\\U7fffffff"', "? ", ",", "\r", "\u2028"]
SPLINTERS += ["\ufeff", "[" * 30, "9" * 5000, "true", "1", "no"]
