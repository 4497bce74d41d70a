"""Counterfactual values per second (rows x draws x worlds), all eight nodes read: cfair, plain numpy, chirho, dowhy.

One SCM is gaussian throughout, one has categories, counts and a binary node. Everyone is given the same parameters and the same
noise, and must return the same values: a method that does not gets no ratio. Each is taken at its best block size, in processor
seconds of one thread. dowhy wants an older scipy, so that it runs in an environment of its own: ``--dowhy-python``, else a
temporary one, built with pip.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from chirho.counterfactual.handlers import MultiWorldCounterfactual
from chirho.interventional.ops import intervene
from eight_nodes import CONTINUOUS, INTERCEPT, MIXED, SCALE, WEIGHTS, Floats, Nodes, numpy_world
from table import show, versions
from torch import Tensor

from cfair import ModelSpec, World, counterfactual, learn, simulate

DRAWS = 10
SIZES = (20_000, 50_000, 100_000, 500_000)  # rows x draws in a block
SAME = 1e-9  # largest difference between two methods' values

Run = Callable[[], list[dict[str, Tensor]] | list[dict[str, Floats]]]  # to the counterfactual worlds, one after the other


@dataclass(frozen=True)
class Task:
    """People with their noise, (m,) or (m, levels), and the values that ``a`` is set to."""

    nodes: Nodes
    values: Mapping[str, Tensor]
    noise: Mapping[str, Tensor]
    do: Sequence[float]

    def head(self, size: int) -> "Task":
        """The first ``size`` of them."""
        first = {node: value[:size] for node, value in self.values.items()}
        return replace(self, values=first, noise={node: noise[:size] for node, noise in self.noise.items()})


@dataclass(frozen=True)
class Measured:
    """What a method returned for the smallest block, (worlds, m) per node, and its values per second by block size."""

    worlds: Mapping[str, Floats]
    rates: Mapping[int, float]

    @property
    def best(self) -> float:
        """The rate at the best block size."""
        return max(self.rates.values())


def task(nodes: Nodes, do: Sequence[float]) -> Task:
    """People drawn from an SCM."""
    world = simulate(learn(_spec(nodes)), max(SIZES), seed=0)
    return Task(nodes, {node: value[0] for node, value in world.values.items()}, {node: u[0] for node, u in world.noise.items()}, do)


def by_cfair(task: Task) -> Run:
    """One call of ``counterfactual`` per world; every value is read."""
    scm = learn(_spec(task.nodes))
    values = {node: value.unflatten(0, (DRAWS, -1)) for node, value in task.values.items()}
    noise = {node: value.unflatten(0, (DRAWS, -1)) for node, value in task.noise.items()}
    factual = World(values, noise, (DRAWS, len(task.values["a"]) // DRAWS))
    do = [torch.tensor(value, dtype=torch.float64) for value in task.do]
    return lambda: [dict(counterfactual(scm, factual, {"a": value}).values) for value in do]


def by_numpy(task: Task) -> Run:
    """The structural equations: the floor where noise is additive; with counts, scipy's quantile takes its time."""
    noise = {node: value.numpy() for node, value in task.noise.items()}
    return lambda: [numpy_world(task.nodes, noise, value) for value in task.do]


def by_chirho(task: Task) -> Run:
    """All worlds, and the factual one, in one pass of a model whose noise is given."""
    actions = tuple(torch.tensor(value, dtype=torch.float64) for value in task.do)

    def run() -> list[dict[str, Tensor]]:
        with MultiWorldCounterfactual(first_available_dim=-2):
            values = {"a": intervene(task.values["a"], actions, event_dim=0, name="a")}
            for node, own in list(WEIGHTS.items())[1:]:
                values[node] = INTERCEPT + sum(weight * values[parent] for parent, weight in own.items()) + SCALE * task.noise[node]
        return [{node: value[i + 1] for node, value in values.items()} for i in range(len(actions))]

    return run


def measured(methods: Mapping[str, tuple[Callable[[Task], Run], int]], task: Task, *, repeats: int) -> dict[str, Measured]:
    """Each method's values of the smallest block, and medians of ``repeats`` passes, made in turn so that neighbours slow all alike.

    Args:
        methods: name -> the method, and how many worlds a pass of it computes.
        task: people and what is asked of them.
        repeats: passes of each method; another one before each warms up.
    """
    first: dict[str, dict[str, Floats]] = {}
    rates: dict[str, dict[int, float]] = {name: {} for name in methods}
    for size in SIZES:
        runs = {name: method(task.head(size)) for name, (method, _) in methods.items()}
        if not first:
            first = {name: _stacked(run(), task.nodes) for name, run in runs.items()}
        passes = [{name: _seconds(run) for name, run in runs.items()} for _ in range(repeats)]
        for name, (_, worlds) in methods.items():
            rates[name][size] = size * worlds / float(np.median([seconds[name] for seconds in passes]))
    return {name: Measured(first[name], rates[name]) for name in methods}


def _stacked(worlds: Sequence[Mapping[str, Tensor | Floats]], nodes: Nodes) -> dict[str, Floats]:
    return {node: np.stack([np.asarray(world[node]).ravel() for world in worlds]) for node in nodes}


def _seconds(run: Run) -> float:
    """The processor seconds of a pass after another one."""
    run()
    start = time.process_time()
    run()
    return time.process_time() - start


def measured_by_dowhy(python: str, task: Task, *, repeats: int) -> tuple[Measured, dict[str, str]]:
    """The same by ``dowhy_peer.py`` in another environment, and its versions; one call per world, its noise in a DataFrame."""
    with tempfile.TemporaryDirectory() as folder:
        noise, values = Path(folder, "noise.npz"), Path(folder, "values.npz")
        np.savez(noise, **{node: SCALE * value.numpy() for node, value in task.noise.items()})
        request = {"noise": str(noise), "values": str(values), "weights": WEIGHTS, "intercept": INTERCEPT}
        request |= {"sizes": SIZES, "repeats": repeats, "do": list(task.do)}
        command = [python, str(Path(__file__).with_name("dowhy_peer.py"))]
        one = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        answer = subprocess.run(command, input=json.dumps(request), stdout=subprocess.PIPE, text=True, check=True, env=one).stdout
        found = json.loads(answer.splitlines()[-1])
        rates = {int(size): int(size) * len(task.do) / seconds for size, seconds in found["seconds"].items()}
        return Measured(dict(np.load(values)), rates), found["versions"]


def dowhy_python(folder: str) -> str:
    """The interpreter of a new environment with dowhy in it."""
    venv.create(folder, with_pip=True)
    python = str(next(path for path in (Path(folder, "bin", "python"), Path(folder, "Scripts", "python.exe")) if path.exists()))
    subprocess.run([python, "-m", "pip", "install", "--quiet", "dowhy"], check=True, stdout=sys.stderr)
    return python


def agree(one: Measured, other: Measured) -> bool:
    """Whether two methods gave the same counterfactual values."""
    return all(np.allclose(value, other.worlds[node], rtol=0, atol=SAME) for node, value in one.worlds.items())


def main() -> None:
    """Measure, show."""
    arguments = _arguments()
    torch.set_num_threads(1)
    additive, mixed = task(CONTINUOUS, (-2.0, -1.0, 0.0, 1.0, 2.0)), task(MIXED, (0.0, 1.0, 2.0))
    found = versions("cfair", "torch", "numpy", "scipy", "chirho")
    alone = {"cfair": (by_cfair, len(additive.do)), "numpy": (by_numpy, len(additive.do)), "chirho": (by_chirho, len(additive.do) + 1)}
    results = {f"continuous, {name}": each for name, each in measured(alone, additive, repeats=arguments.repeats).items()}
    with tempfile.TemporaryDirectory() as folder:
        python = arguments.dowhy_python or dowhy_python(folder)
        results["continuous, dowhy"], theirs = measured_by_dowhy(python, additive, repeats=arguments.repeats)
    both = {"cfair": (by_cfair, len(mixed.do)), "numpy": (by_numpy, len(mixed.do))}
    results |= {f"mixed, {name}": each for name, each in measured(both, mixed, repeats=arguments.repeats).items()}
    _show(results, found | theirs)


def _show(results: Mapping[str, Measured], found: Mapping[str, str]) -> None:
    rows, ratios = [], {}
    for name, result in results.items():
        own = results[f"{name.split(',')[0]}, cfair"]
        same = agree(own, result)
        ratio = own.best / result.best
        if same and result is not own:
            ratios[name.replace(", ", "_over_")] = round(ratio, 2)
        rates = (f"{result.rates[size] / 1e6:.2f}" for size in SIZES)
        rows.append((name, *rates, "yes" if same else "NO", f"{ratio:.2f}" if same else "none: values differ"))
    header = ("millions per second", *(f"{size:,} a block" for size in SIZES), "same values", "cfair is faster by")
    millions = {name.replace(", ", "_"): round(result.best / 1e6, 3) for name, result in results.items()}
    show(header, rows, {"ratios": ratios, "millions_per_second": millions, "versions": found})


def _spec(nodes: Nodes) -> ModelSpec:
    return ModelSpec.model_validate({"protected": ["a"], "outcome": "h", "nodes": nodes})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dowhy-python", help="the interpreter of an environment that has dowhy; a temporary one is made without it")
    parser.add_argument("--repeats", type=int, default=9, help="passes, of which the median counts")
    return parser.parse_args()


if __name__ == "__main__":
    main()
