"""A declaration with one node of each kind, and a small table that fits it."""

from pathlib import Path

import pandas as pd

from cfair.spec import ModelSpec

__all__ = ["HEADER", "NODES", "ROWS", "SPEC", "declare", "frame", "write_csv"]

NODES: dict[str, dict[str, object]] = {
    "race": {"mechanism": "categorical", "levels": ["White", "Black", "Puerto Rican"]},
    "member": {"mechanism": "bernoulli", "levels": [False, True]},
    "site": {"mechanism": "categorical", "levels": ["1", "2", "10"]},
    "lsat": {"mechanism": "poisson", "parents": ["race", "talent"], "round": True},
    "visits": {"mechanism": "poisson"},
    "ugpa": {"mechanism": "gaussian", "parents": ["race", "talent"]},
    "talent": {"mechanism": "gaussian", "latent": True},
    "y": {"mechanism": "gaussian", "parents": ["race", "talent"]},
}
HEADER = "race,member,site,lsat,visits,ugpa,y"
ROWS = ("White,true,1,33,0,2.7,1.16", "Black,false,10,34.4,2,3.4,-0.15", "Puerto Rican,true,2,45,0,3.9,0.78")


def declare(nodes: dict[str, dict[str, object]], protected: int = 1) -> ModelSpec:
    """A model of these nodes, the first ones being protected and the last the outcome."""
    names = list(nodes)
    return ModelSpec.model_validate({"protected": names[:protected], "outcome": names[-1], "nodes": nodes})


SPEC = declare(NODES)


def frame() -> pd.DataFrame:
    """The table, as a user would build it."""
    return pd.DataFrame(
        {
            "race": ["White", "Black", "Puerto Rican"],
            "member": [True, False, True],
            "site": [1, 10, 2],
            "lsat": [33.0, 34.4, 45.0],
            "visits": [0, 2, 0],
            "ugpa": [2.7, 3.4, 3.9],
            "y": [1.16, -0.15, 0.78],
        }
    )


def write_csv(folder: Path, *rows: str, header: str = HEADER) -> Path:
    """A CSV file of these lines below a header."""
    path = folder / "people.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path
