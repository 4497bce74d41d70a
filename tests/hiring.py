"""A declared model of hiring, every parameter fixed, and a table of people as its owner would keep it: codes, booleans, a free column."""

import pandas as pd
import torch

from cfair.data import read_table
from cfair.interfaces import Columns
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import simulate

__all__ = ["HIRING", "READ", "hiring", "owners_table"]

READ = ["region", "sex", "race", "grade", "gaps", "member"]
HIRING = ModelSpec.model_validate(
    {
        "name": "hiring",
        "protected": ["sex", "race"],
        "outcome": "hired",
        "nodes": {
            "sex": {"mechanism": "bernoulli", "levels": [1, 2], "parameters": {"intercept": 0.1, "weights": {}}},
            "race": {"mechanism": "categorical", "levels": ["w", "b", "h"], "parameters": {"probabilities": [0.5, 0.3, 0.2]}},
            "region": {"mechanism": "categorical", "levels": ["n", "s"], "parameters": {"probabilities": [0.6, 0.4]}},
            "grade": {
                "mechanism": "gaussian",
                "parents": ["sex", "race"],
                "parameters": {"intercept": 2.0, "weights": {"sex=2": 0.4, "race=b": -0.5, "race=h": 0.2}, "scale": 0.7},
            },
            "gaps": {
                "mechanism": "poisson",
                "parents": ["sex", "grade"],
                "parameters": {"intercept": 0.6, "weights": {"sex=2": 0.5, "grade": -0.1}},
            },
            "member": {
                "mechanism": "bernoulli",
                "levels": [False, True],
                "parents": ["race"],
                "parameters": {"intercept": -0.2, "weights": {"race=b": 0.9, "race=h": 0.3}},
            },
            "hired": {
                "mechanism": "bernoulli",
                "levels": ["no", "yes"],
                "parents": ["grade", "gaps", "member"],
                "parameters": {"intercept": -1.5, "weights": {"grade": 1.0, "gaps": -0.3, "member=true": 0.4}},
            },
        },
    }
)


def owners_table(n: int, *, seed: int = 0) -> pd.DataFrame:
    """People as their owner's table has them: sex is a number, member a boolean, region a category, and nobody declared ``id``."""
    values = {node: value[0] for node, value in simulate(SCM(HIRING), n, seed=seed).values.items()}
    named = {node: [HIRING.nodes[node].levels[int(i)] for i in values[node]] for node in ("race", "region", "hired")}
    table = {
        "id": torch.arange(n).numpy() + 1000,
        "region": pd.Categorical(named["region"], categories=["s", "n"]),
        "sex": (values["sex"] + 1).long().numpy(),
        "race": named["race"],
        "grade": values["grade"].numpy(),
        "gaps": values["gaps"].long().numpy(),
        "member": values["member"].bool().numpy(),
        "hired": named["hired"],
    }
    return pd.DataFrame(table)


def hiring(n: int, *, seed: int = 0) -> tuple[SCM, pd.DataFrame, Columns]:
    """The model, a table, and the people in it."""
    table = owners_table(n, seed=seed)
    return SCM(HIRING), table, read_table(table, HIRING)
