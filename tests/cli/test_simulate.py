"""``cfair simulate``: people drawn from a declared model, in a file that the model reads again."""

from pathlib import Path

import pandas as pd
import pytest

from cfair.cli import main
from cfair.data import read_table
from cfair.spec import dump_spec, find_model, load_spec

from school import people, school


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the school's declaration, every parameter of which is fixed."""
    monkeypatch.chdir(tmp_path)
    Path("dag.yaml").write_text(dump_spec(school("bernoulli")))


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    code = main(["simulate", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("out", ["people.csv", "people.parquet"])
def test_the_file_holds_the_observed_nodes_as_the_model_reads_them(capsys: pytest.CaptureFixture[str], out: str) -> None:
    code, said, err = told(capsys, "--dag", "dag.yaml", "--rows", "50", "--seed", "3", "--out", out)
    assert (code, err) == (0, "")
    assert said == f"50 people drawn from school written to {out}\n"
    table = pd.read_csv(out) if out.endswith(".csv") else pd.read_parquet(out)
    assert list(table) == ["race", "sex", "age", "grade", "visits", "track", "y", "salary"]
    assert set(table["race"]) == {"w", "b", "h"}
    assert table["visits"].dtype.kind == "i"
    spec = school("bernoulli")
    coded, expected = read_table(Path(out), spec), people(spec, 50, seed=3)[1]
    assert all(coded[node].equal(expected[node]) for node in spec.observed)


def test_the_same_seed_gives_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    for seed, out in (("1", "a.csv"), ("1", "b.csv"), ("2", "c.csv")):
        assert told(capsys, "--dag", "dag.yaml", "--rows", "20", "--seed", seed, "--out", out)[0] == 0
    first, again, other = (Path(name).read_bytes() for name in ("a.csv", "b.csv", "c.csv"))
    assert first == again != other


def test_what_is_left_open_is_learned_from_the_table_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "--dag", "dag.yaml", "--rows", "500", "--out", "people.csv")[0] == 0
    graph = school("bernoulli").to_graph()
    graph.nodes["age"].pop("parameters")
    graph.graph["data"] = "./people.csv"
    Path("open.yaml").write_text(dump_spec(type(school()).from_graph(graph)))
    code, _, err = told(capsys, "--dag", "open.yaml", "--rows", "500", "--out", "more.csv")
    assert (code, err) == (0, "learning from people.csv, 500 rows, what dag.yaml leaves open\n")
    before, after = pd.read_csv("people.csv")["age"], pd.read_csv("more.csv")["age"]
    assert after.mean() == pytest.approx(before.mean(), abs=5 * before.std() * (2 / 500) ** 0.5)


def test_without_a_table_what_is_left_open_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    Path("open.yaml").write_text(find_model("law_school").read_text().replace("data: law_school", ""))
    code, _, err = told(capsys, "--dag", "open.yaml", "--rows", "5", "--out", "p.csv")
    assert (code, err.count("\n")) == (2, 1)
    assert "has parameters to learn" in err
    assert load_spec("open.yaml").data is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rows", "0"], "0 people cannot be simulated"),
        (["--rows", "some"], "valid integer"),
        (["--seed", "-1"], "--seed"),
        (["--out", "p.txt"], "not a table's extension"),
        (["--out", "nowhere/p.csv"], "there is no folder"),
        (["--data", "nowhere.csv"], "there is no such file"),
        (["--dag", "scool"], "neither a file nor a shipped model"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    code, out, err = told(capsys, "--dag", "dag.yaml", "--rows", "5", "--out", "p.csv", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert [path.name for path in Path.cwd().iterdir()] == ["dag.yaml"]


def test_a_table_or_a_network_that_nothing_was_learned_of_is_not_drawn_from(capsys: pytest.CaptureFixture[str]) -> None:
    for mechanism in ("{mechanism: table, levels: [l, r], parents: [a]}", "{mechanism: neural, parents: [a]}"):
        a = '{mechanism: bernoulli, levels: ["0", "1"], parameters: {intercept: 0.0, weights: {}}}'
        Path("open.yaml").write_text(f"protected: [a]\noutcome: y\nnodes:\n  a: {a}\n  y: {mechanism}\n")
        code, _, err = told(capsys, "--dag", "open.yaml", "--rows", "5", "--out", "p.csv")
        assert code == 2
        assert "'y' has parameters to learn" in err
