"""How ``learn`` and posterior moments grow with the number of rows: seconds, peak memory, and the slope of log seconds in log rows.

Rows are drawn from a model like the law school's: two protected roots, one latent, a Poisson score and two gaussian ones. Each size is
measured in a process of its own, whose peak memory counts Python, torch and the table as well. Seconds are processor seconds of one
thread, so that a neighbour on the same machine does not bend the line.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from itertools import pairwise
from math import log
from typing import Any

from table import show, versions

SIZES = (20_000, 60_000, 200_000, 600_000, 2_000_000)
BLOCK = 100_000  # rows simulated at a time, so that simulation does not set the peak
CALIBRATED = (0.95, 1.05)  # the root mean square of (K − E[K]) / sd[K] over the simulated people, 1 where all is right

RACES = ["White", "Black", "Asian", "Hispanic", "Mexican", "Other", "Puerto Rican", "Native American"]
SHARES = [0.84, 0.06, 0.04, 0.02, 0.01, 0.01, 0.01, 0.01]
EFFECTS = dict(zip((f"race={race}" for race in RACES[1:]), (-0.4, -0.1, -0.2, -0.2, -0.1, -0.3, -0.2), strict=True))


def declared(*, parameters: bool) -> dict[str, Any]:
    """The model, its parameters fixed or to be learned."""
    parents = ["race", "sex", "knowledge"]
    weights = EFFECTS | {"sex=male": 0.1}
    nodes: dict[str, dict[str, Any]] = {
        "race": {"mechanism": "categorical", "levels": RACES, "parameters": {"probabilities": SHARES}},
        "sex": {"mechanism": "bernoulli", "levels": ["female", "male"], "parameters": {"intercept": 0.2, "weights": {}}},
        "knowledge": {"mechanism": "gaussian", "latent": True},
        "ugpa": {"mechanism": "gaussian", "parents": parents, "parameters": _known(3.2, weights, 0.25) | {"scale": 0.3}},
        "lsat": {"mechanism": "poisson", "parents": parents, "parameters": _known(3.6, weights, 0.12)},
        "zfya": {"mechanism": "gaussian", "parents": parents, "parameters": _known(0.1, weights, 0.5) | {"scale": 0.8}},
    }
    kept = nodes if parameters else {node: {key: each[key] for key in each if key != "parameters"} for node, each in nodes.items()}
    return {"protected": ["race", "sex"], "outcome": "zfya", "nodes": kept}


def _known(intercept: float, weights: Mapping[str, float], loading: float) -> dict[str, Any]:
    return {"intercept": intercept, "weights": {**weights, "knowledge": loading}}


def measure(rows: int) -> dict[str, float]:
    """Seconds and peak memory of one size; runs in its own process."""
    import torch

    from cfair import Columns, ModelSpec, learn, posterior, simulate
    from cfair.interfaces import Facts

    torch.set_num_threads(1)
    truth, spec = learn(ModelSpec.model_validate(declared(parameters=True))), ModelSpec.model_validate(declared(parameters=False))
    blocks = [simulate(truth, min(BLOCK, rows - first), seed=first).values for first in range(0, rows, BLOCK)]
    values = {node: torch.cat([block[node][0] for block in blocks]) for node in spec.nodes}
    del blocks
    columns = Columns({node: values[node] for node in spec.observed}, torch.arange(rows), Facts("simulated", rows, "0" * 64))
    start = time.process_time()
    scm = learn(spec, columns)
    learned = time.process_time()
    moments = posterior(scm, columns)
    done = time.process_time()
    peak = _peak_gb()
    z = (values["knowledge"] - moments.mean["knowledge"]) / moments.sd["knowledge"]
    return {"learn": learned - start, "posterior": done - learned, "peak_gb": peak, "calibration": float(z.square().mean().sqrt())}


def _peak_gb() -> float:
    """The most memory that this process has held, in units of 1e9 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def slope(rows: list[int], seconds: list[float]) -> float:
    """Of the least-squares line through log seconds against log rows."""
    return statistics.linear_regression([log(each) for each in rows], [log(each) for each in seconds]).slope


def main() -> None:
    """Measure each size, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--max-rows", type=int, default=SIZES[-1], help="leave out larger sizes")
    parser.add_argument("--measure", type=int, metavar="ROWS", help="measure one size in this process, and print JSON")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    sizes = [size for size in SIZES if size <= arguments.max_rows]
    if len(sizes) < 2:
        parser.error(f"--max-rows: a slope needs at least two sizes, and the second is {SIZES[1]:,}")
    _show({size: _measured_apart(size) for size in sizes})


def _measured_apart(rows: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", str(rows)]
    found: dict[str, float] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])
    print(f"{rows:,} rows: {found['learn'] + found['posterior']:.1f} s", file=sys.stderr)
    return found


def _show(found: dict[int, dict[str, float]]) -> None:
    sizes = list(found)
    seconds = [each["learn"] + each["posterior"] for each in found.values()]
    local = ["", *(f"{slope(list(x), list(y)):.2f}" for x, y in zip(pairwise(sizes), pairwise(seconds), strict=True))]
    rows = [
        (f"{size:,}", f"{each['learn']:.2f}", f"{each['posterior']:.2f}", step, f"{each['peak_gb']:.2f}", f"{each['calibration']:.3f}")
        for (size, each), step in zip(found.items(), local, strict=True)
    ]
    sound = all(CALIBRATED[0] <= each["calibration"] <= CALIBRATED[1] for each in found.values())
    ratios = {"slope": round(slope(sizes, seconds), 3), "peak_gb": round(found[sizes[-1]]["peak_gb"], 2)} if sound else {}
    header = ("rows", "learn, s", "posterior, s", "slope so far", "peak, GB", "RMS of (K − E[K])/sd")
    result = {"rows": sizes, "seconds": [round(each, 2) for each in seconds], "versions": versions("cfair", "torch", "numpy")}
    show(header, rows, {"ratios": ratios, **result})


if __name__ == "__main__":
    main()
