"""A declared model with a node of every kind in every place, all parameters fixed, and people drawn from it."""

import torch

from cfair.interfaces import Columns, Facts
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import simulate

__all__ = ["OUTCOMES", "SEVERAL", "clubs", "columns_of", "people", "school"]

OUTCOMES = ("gaussian", "bernoulli")
SEVERAL = ("categorical", "ordinal")  # outcomes of three levels


def school(outcome: str = "gaussian") -> ModelSpec:
    """Two protected attributes, a free covariate, a latent, descendants of every kind, an outcome and a descendant of it."""
    levels = {"bernoulli": {"levels": ["fail", "pass"]}, **{name: {"levels": ["fail", "pass", "honours"]} for name in SEVERAL}}
    nodes = {
        "race": {"mechanism": "categorical", "levels": ["w", "b", "h"], "parameters": {"probabilities": [0.5, 0.3, 0.2]}},
        "sex": {
            "mechanism": {"family": "bernoulli", "link": "probit"},
            "levels": ["m", "f"],
            "parameters": {"intercept": 0.2, "weights": {}},
        },
        "talent": {"mechanism": "gaussian", "latent": True},
        "age": {"mechanism": "gaussian", "parameters": {"intercept": 40.0, "weights": {}, "scale": 9.0}},
        "grade": {
            "mechanism": "gaussian",
            "parents": ["race", "sex", "talent", "age"],
            "parameters": {
                "intercept": 2.0,
                "weights": {"race=b": -0.4, "race=h": -0.2, "sex=f": 0.1, "talent": 0.5, "age": 0.01},
                "scale": 0.6,
            },
        },
        "visits": {
            "mechanism": {"family": "poisson", "interactions": [["race", "talent"]]},
            "parents": ["race", "talent"],
            "parameters": {"intercept": 1.2, "weights": {"race=b": 0.5, "race=h": 0.3, "talent": -0.4, "race=b:talent": 0.1}},
        },
        "track": {
            "mechanism": "categorical",
            "levels": ["arts", "maths", "law"],
            "parents": ["sex", "grade"],
            "parameters": {
                "maths": {"intercept": -1.0, "weights": {"sex=f": -0.5, "grade": 0.6}},
                "law": {"intercept": 0.3, "weights": {"sex=f": 0.4, "grade": -0.2}},
            },
        },
        "y": {
            "mechanism": outcome,
            "parents": ["race", "talent", "grade", "age"],
            "parameters": _of_outcome(outcome),
            **levels.get(outcome, {}),
        },
        "salary": {
            "mechanism": {"family": "student_t", "heteroscedastic": True},
            "parents": ["y"],
            "parameters": {"intercept": 0.0, "weights": {}, "scale": 1.0, "scale_weights": {}, "degrees": 5.0},
        },
    }
    return ModelSpec.model_validate({"name": "school", "protected": ["race", "sex"], "outcome": "y", "nodes": nodes})


def _of_outcome(mechanism: str) -> dict[str, object]:
    """What moves the outcome, by its mechanism."""
    weights = {"race=b": -0.6, "race=h": -0.3, "talent": 0.8, "grade": 0.3, "age": 0.01}
    if mechanism == "ordinal":
        return {"cutpoints": [0.2, 1.8], "weights": weights}
    if mechanism == "categorical":
        rarer = {"race=b": -1.1, "race=h": 0.2, "talent": 1.4, "grade": 0.5, "age": -0.01}
        return {"pass": {"intercept": -1.0, "weights": weights}, "honours": {"intercept": -1.2, "weights": rarer}}
    return {"intercept": -1.0, "weights": weights, **({"scale": 0.8} if mechanism == "gaussian" else {})}


def clubs() -> ModelSpec:
    """The school with two more latents: a club, which is one of three, and drive, which a protected attribute moves."""
    graph = school().to_graph()
    levels = {"maths": {"intercept": 0.3, "weights": {}}, "chess": {"intercept": -0.5, "weights": {}}}
    graph.add_node("club", mechanism="categorical", levels=["none", "maths", "chess"], latent=True, parameters=levels)
    graph.add_node("drive", mechanism="gaussian", latent=True, parameters={"weights": {"sex=f": 0.4}})
    graph.add_edges_from([("sex", "drive"), ("club", "grade"), ("club", "y"), ("drive", "visits"), ("talent", "visits")])
    for node, weights in {"grade": {"club=maths": 0.5, "club=chess": 1.2}, "y": {"club=chess": 0.7}, "visits": {"drive": 0.3}}.items():
        parameters = graph.nodes[node]["parameters"]
        graph.nodes[node]["parameters"] = {**parameters, "weights": {**parameters["weights"], **weights}}
    return ModelSpec.from_graph(graph)


def people(spec: ModelSpec, n: int, *, seed: int = 0) -> tuple[SCM, Columns]:
    """The model, every parameter fixed, and ``n`` people drawn from it."""
    scm = SCM(spec)
    world = simulate(scm, n, seed=seed)
    return scm, columns_of({node: world.values[node][0] for node in spec.observed})


def columns_of(coded: dict[str, torch.Tensor]) -> Columns:
    """Coded columns as a table."""
    n = len(next(iter(coded.values())))
    return Columns(coded, torch.arange(n), Facts("simulated", n, "0" * 64))
