"""A mechanism of the user's own: runs only where it is allowed, is tried before use, and is kept with the run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cfair.cli import main
from cfair.data import to_frame
from cfair.errors import CfairError, CodeError, SpecError
from cfair.inference import abduct, learn
from cfair.scm import SCM
from cfair.spec import ModelSpec, dump_spec, load_spec, read_spec
from cfair.store import load
from cfair.worlds import counterfactual, simulate

from oracles import columns_of

MODULE = '''
"""Lopsided marks."""

from typing import ClassVar

import torch
from torch import nn
from torch.distributions import Gumbel, Normal


class Heavy(nn.Module):
    """x = b + w·r + e^s·u, u ~ Gumbel(0, 1)."""

    kind: ClassVar[str] = "real"
    noise_size = 1

    def __init__(self, node, parents, unit):
        super().__init__()
        self.power = node.options.get("power", 1)
        self.names = [name for parent in parents for name in [parent.name]]
        for name in ("bias", "weight", "log_scale"):
            shape = (len(self.names),) if name == "weight" else ()
            setattr(self, name, nn.Parameter(torch.zeros(shape, dtype=torch.float64), requires_grad=False))
            self.register_buffer(f"{name}_free", torch.ones(shape, dtype=torch.bool))

    def location(self, parents):
        total = self.bias
        for weight, name in zip(self.weight, self.names):
            total = total + weight * parents[name] ** self.power
        return total

    def distribution(self, parents):
        return Gumbel(self.location(parents), self.log_scale.exp(), validate_args=False)

    def forward(self, parents):
        return self.distribution(parents)

    def noise(self, uniform):
        return Gumbel(torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)).icdf(uniform)

    def value(self, noise, parents):
        return self.location(parents) + self.log_scale.exp() * noise

    def abduct(self, value, parents, uniform):
        return (value - self.location(parents)) / self.log_scale.exp()

    def priors(self):
        zeros = {"bias": torch.zeros(()), "weight": torch.zeros(len(self.names)), "log_scale": torch.zeros(())}
        return {name: Normal(zero.double(), 10.0) for name, zero in zeros.items()}

    def start(self, value):
        self.bias.data = value.median()

    def raw(self):
        return {"bias": float(self.bias), "weight": self.weight.tolist(), "scale": float(self.log_scale.exp())}
'''

DAG = """
name: heavy
protected: [a]
outcome: y
nodes:
  a: {mechanism: bernoulli, levels: [no, yes], parameters: {intercept: 0.0, weights: {}}}
  r: {mechanism: gaussian, parameters: {intercept: 1.0, weights: {}, scale: 2.0}}
  k: {mechanism: gaussian, latent: true}
  x: {mechanism: {python: "heavy_marks:Heavy", power: 1}, parents: [a, r]}
  z: {mechanism: gaussian, parents: [k], parameters: {intercept: 0.0, weights: {k: 1.0}, scale: 0.5}}
  y: {mechanism: gaussian, parents: [x, a], parameters: {intercept: 0.0, weights: {x: 1.0, a=yes: 0.5}, scale: 1.0}}
"""


@pytest.fixture
def dag(tmp_path: Path) -> Path:
    (tmp_path / "heavy_marks.py").write_text(MODULE)
    (tmp_path / "dag.yaml").write_text(DAG)
    return tmp_path / "dag.yaml"


def told(error: CfairError, problem: str, mend: str) -> None:
    assert problem in error.problem, error
    assert mend in error.mend, error
    assert "\n" not in str(error)


def rewritten(dag: Path, before: str, after: str) -> Path:
    """The user's module with one thing changed."""
    assert before in MODULE
    (dag.parent / "heavy_marks.py").write_text(MODULE.replace(before, after))
    return dag


def truth(spec: ModelSpec) -> SCM:
    """The model with the weights of ``x`` set."""
    scm = SCM(spec)
    state = scm.state_dict()
    (prefix,) = {name.rpartition(".")[0] for name in state if name.endswith(".bias")}
    state |= {f"{prefix}.bias": torch.tensor(2.0), f"{prefix}.weight": torch.tensor([1.5, 0.8]), f"{prefix}.log_scale": torch.tensor(-1.0)}
    scm.load_state_dict(state)
    return scm


def test_without_leave_nothing_of_it_runs(dag: Path) -> None:
    rewritten(dag, '"""Lopsided marks."""', 'raise SystemExit("it ran")')
    with pytest.raises(CodeError) as caught:
        load_spec(dag)
    told(caught.value, "'heavy_marks:Heavy' is code of the user's own", "--allow-python")
    assert "dag.yaml:9, nodes.x.mechanism.python" in caught.value.where
    with pytest.raises(SpecError, match="nobody has allowed it to run"):
        ModelSpec.model_validate({"protected": ["a"], "outcome": "a", "nodes": {"a": {"mechanism": {"python": "heavy_marks:Heavy"}}}})


def test_it_learns_abducts_and_answers_like_any_other(dag: Path) -> None:
    spec = load_spec(dag, allow_python=True)
    scm = truth(spec)
    world = simulate(scm, 1_500, seed=0)
    columns = columns_of({node: world.values[node][0] for node in spec.observed})
    learned = learn(spec, columns).parameters_in_units()["x"]
    assert learned["bias"] == pytest.approx(2.0, abs=0.12)
    assert learned["weight"] == pytest.approx([1.5, 0.8], abs=0.12)
    factual = abduct(scm, columns.take(torch.arange(50)), given=spec.observed, draws=3)
    same = counterfactual(scm, factual, {"a": columns["a"][:50]})
    assert all(torch.equal(same.values[node], factual.values[node]) for node in spec.nodes)
    other = counterfactual(scm, factual, {"a": 1 - columns["a"][:50]})
    moved = other.values["x"] - factual.values["x"]
    torch.testing.assert_close(moved, (1.5 * (1 - 2 * columns["a"][:50])).expand(3, 50))


def test_yaml_and_graph_round_trips_keep_it_with_the_digest_of_its_source(dag: Path) -> None:
    spec = load_spec(dag, allow_python=True)
    assert (spec.nodes["x"].mechanism, spec.nodes["x"].kind, dict(spec.nodes["x"].options)) == ("heavy_marks:Heavy", "real", {"power": 1})
    text = dump_spec(spec)
    assert 'python: "heavy_marks:Heavy", sha256: ' in text
    assert read_spec(text, name="dag.yaml", allow_python=True, folder=dag.parent) == spec
    rewritten(dag, "Lopsided", "Other")
    with pytest.raises(CodeError) as caught:
        read_spec(text, name="dag.yaml", allow_python=True, folder=dag.parent)
    told(caught.value, "is not the code that was declared", "fit again")


def test_a_module_on_the_path_is_found_and_a_graph_can_name_it(dag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dag.parent / "elsewhere").mkdir()
    (dag.parent / "elsewhere" / "marks_on_path.py").write_text(MODULE)
    monkeypatch.syspath_prepend(dag.parent / "elsewhere")
    (dag.parent / "dag.yaml").write_text(DAG.replace("heavy_marks", "marks_on_path"))
    spec = load_spec(dag, allow_python=True)
    assert SCM(spec).mechanisms["x"].kind == "real"
    assert ModelSpec.from_graph(spec.to_graph(), allow_python=True) == spec
    with pytest.raises(CodeError):
        ModelSpec.from_graph(spec.to_graph())


MISTAKES = {
    "no module": ("heavy_marks:", "light_marks:", "there is no module 'light_marks'", "put its folder on PYTHONPATH"),
    "no class": (":Heavy", ":Havy", "has no 'Havy'", "did you mean 'Heavy'?"),
    "no reference": ("heavy_marks:Heavy", "heavy_marks.Heavy", "names no class", "module:Class"),
    "a nested option": ("power: 1", "power: {to: 1}", "an option must be", "write one"),
    "a parameter": ("[a, r]}", "[a, r], parameters: {scale: 1}}", "has no parameter 'scale'", "leave 'parameters' out"),
    "a coupling": ("[a, r]}", "[a, r], coupling: gumbel}", "no coupling to choose", "leave 'coupling' out"),
    "levels": ("[a, r]}", "[a, r], levels: [x, y]}", "has no levels", "leave them out"),
    "a latent parent": ("[a, r]}", "[a, k]}", "the latent 'k' cannot be a parent", "choose gaussian"),
    "a latent itself": ("[a, r]}", "[a, r], latent: true}", "learned from its own values", "leave 'latent' out"),
    "two names": ("power: 1", "family: gaussian", "both a family and code", "keep one"),
    "a field of ours": ("[a, r]}", "[a, r], own: {reference: m, kind: real}}", "'own' is not a known key", "python"),
}


@pytest.mark.parametrize(("before", "after", "problem", "mend"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_in_naming_it_is_told_at_its_place(dag: Path, before: str, after: str, problem: str, mend: str) -> None:
    assert before in DAG
    dag.write_text(DAG.replace(before, after))
    with pytest.raises(CfairError) as caught:
        load_spec(dag, allow_python=True)
    told(caught.value, problem, mend)
    assert "dag.yaml:9, nodes.x" in caught.value.where


BROKEN = {
    "syntax": ("class Heavy(nn.Module):", "class Heavy(nn.Module)", "is not Python", "mend the module"),
    "no kind": ('"real"', '"reel"', "Heavy.kind is 'reel'", "another of: real"),
    "an import that fails": ('kind: ClassVar[str] = "real"', "kind = undefined", "raised NameError: name 'undefined'", "mend the code"),
    "leaving the process": ('kind: ClassVar[str] = "real"', "import sys; sys.exit(0)", "raised SystemExit", "mend the code"),
    "a constructor that raises": (
        "self.power = ",
        "self.power = 1 / 0 or ",
        "Heavy(node, parents, unit) raised ZeroDivisionError",
        "cause",
    ),
    "a verb that raises": ("return (value", "return missing + (value", "abduct(value, parents, uniform) raised NameError", "cause"),
    "no verb": ("def raw(", "def row(", "Heavy has no 'raw'", "contract"),
    "no module of torch": ("class Heavy(nn.Module)", "class Heavy", "raised", "cause"),
    "a law": ("/ self.log_scale.exp()\n\n    def priors", "* 2\n\n    def priors", "breaks the law 'value undoes abduct'", "contract"),
    "a density": (
        "return Gumbel(self.location",
        "return Normal(self.location",
        "breaks the law 'values follow the distribution'",
        "contract",
    ),
}


@pytest.mark.parametrize(("before", "after", "problem", "mend"), BROKEN.values(), ids=list(BROKEN))
def test_broken_code_is_told_before_any_work(dag: Path, before: str, after: str, problem: str, mend: str) -> None:
    with pytest.raises(CodeError) as caught:
        SCM(load_spec(rewritten(dag, before, after), allow_python=True))
    told(caught.value, problem, mend)


def test_what_the_code_raises_later_is_wrapped_and_kept_as_the_cause(dag: Path) -> None:
    rewritten(dag, "return (value - ", "assert value.shape[-1] != 7, 'seven'\n        return (value - ")
    spec = load_spec(dag, allow_python=True)
    scm = truth(spec)
    with pytest.raises(CodeError, match="raised AssertionError: seven") as caught:
        scm.mechanisms["x"].abduct(torch.zeros(7).double(), {"a": torch.zeros(7), "r": torch.zeros(7)}, torch.rand(7))
    assert isinstance(caught.value.__cause__, AssertionError)


def test_check_reads_it_without_running_it_or_importing_torch(dag: Path) -> None:
    rewritten(dag, '"""Lopsided marks."""', "print('it ran')")
    program = "import sys; from cfair.cli import main; code = main(sys.argv[1:]); print(code, 'torch' in sys.modules, file=sys.stderr)"
    run = subprocess.run(
        [sys.executable, "-c", program, "check", str(dag), "--allow-python", "--json"], capture_output=True, text=True, check=True
    )
    assert run.stderr.split() == ["0", "False"]
    assert json.loads(run.stdout)["nodes"]["x"]["kind"] == "real"


def test_from_the_command_line_it_is_fitted_kept_and_used_only_with_leave(dag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = load_spec(dag, allow_python=True)
    world = simulate(truth(spec), 300, seed=1)
    table, run, out = dag.parent / "t.csv", dag.parent / "run", dag.parent / "p.csv"
    to_frame(spec, {node: world.values[node][0] for node in spec.observed}).to_csv(table, index=False)
    fit = ["fit", "--dag", str(dag), "--data", str(table), "--out", str(run), "--draws", "4", "--predictors", "full,latent", "--quiet"]
    assert main(fit) == 2
    assert "pass --allow-python" in capsys.readouterr().err
    assert main([*fit, "--allow-python"]) == 0
    assert (run / "heavy_marks.py").read_text() == MODULE
    (dag.parent / "heavy_marks.py").unlink()  # the run keeps what it was fitted with
    predict = ["predict", "--run", str(run), "--data", str(table), "--predictor", "latent", "--out", str(out)]
    assert main(predict) == 2
    assert "pass --allow-python" in capsys.readouterr().err
    assert main([*predict, "--allow-python"]) == 0
    assert len(out.read_text().splitlines()) == 301
    (dag.parent / "heavy_marks.py").write_text(MODULE)
    assert main([*fit, "--allow-python"]) == 0  # replaces the run: nothing was left in its folder
    report = load(run, allow_python=True).report
    assert any("heavy_marks:Heavy: by code of the user's own" in assumption.text for assumption in report.assumptions)
    assert main(["simulate", "--dag", str(dag), "--rows", "5", "--out", str(out), "--data", str(table), "--allow-python"]) == 0
    assert main(["simulate", "--dag", str(dag), "--rows", "5", "--out", str(out), "--data", str(table)]) == 2
