"""Laws of every declared model that comes with cfair: of its dag.yaml, its README, and the table that it reads."""

import json
import re
from pathlib import Path

import pytest

from cfair import load_spec, read_table
from cfair.cli import main
from cfair.spec import ModelSpec, shipped_models, spec_warnings

EVERY = pytest.mark.parametrize("name", shipped_models())
EXPLAINED = ("level 1 is empty", "is not protected, which changes the question")  # warnings that a README must speak of, in these words
EDGE = re.compile(r"^ +- (?P<parent>[^#]+?) +# (?P<reason>.*\w.*)$")

FAILING = {  # what held-out rows say against each, at seed 0: its README says the same
    "law_school": {"lsat", "sex", "zfya"},
    "law_school_gaussian": {"sex"},
    "berkeley": set(),
    "compas": set(),
    "german": set(),
    "adult": {"sex"},
}


def declared(name: str) -> tuple[ModelSpec, str, str]:
    """A shipped model, the text of its dag.yaml, and that of its README with its lines joined."""
    file = shipped_models()[name]
    return load_spec(file), file.read_text(encoding="utf-8"), " ".join((file.parent / "README.md").read_text(encoding="utf-8").split())


def reasons(text: str) -> dict[str, list[tuple[str, str]]]:
    """Node -> its parents as they are listed, each with the comment behind it."""
    found, node, listing = dict[str, list[tuple[str, str]]](), "", False
    for line in text.splitlines():
        if match := re.match(r"^  (\w+):", line):
            node, listing = match[1], False
        elif re.match(r"^    \w+:", line):
            listing = line.strip() == "parents:"
        elif listing and (edge := EDGE.match(line)):
            found.setdefault(node, []).append((edge["parent"], edge["reason"]))
    return found


@EVERY
def test_it_is_named_after_its_folder_and_names_a_source(name: str) -> None:
    spec, _, _ = declared(name)
    assert spec.name == name
    assert re.search(r"\(\d{4}\)", spec.source)
    assert spec.protected
    assert spec.outcome in spec.descendants


@EVERY
def test_check_accepts_it_without_a_cycle(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", name, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    order = load_spec(shipped_models()[name]).order
    assert set(order) == set(found["nodes"])
    assert all(order.index(parent) < order.index(node) for node, each in found["nodes"].items() for parent in each["parents"])


@EVERY
def test_every_edge_has_a_reason_beside_it(name: str) -> None:
    spec, text, _ = declared(name)
    told = {node: tuple(parent for parent, _ in edges) for node, edges in reasons(text).items()}
    assert told == {node: each.parents for node, each in spec.nodes.items() if each.parents}


@EVERY
def test_its_table_has_its_columns_and_every_level_that_it_declares(name: str) -> None:
    spec, _, _ = declared(name)
    assert spec.data is not None
    columns = read_table(spec.data, spec)
    for node in spec.observed:
        levels = len(spec.nodes[node].levels)
        assert not levels or set(columns[node].unique().tolist()) == set(range(levels))


@EVERY
def test_its_readme_says_what_is_asked_and_speaks_of_what_check_warns_of(name: str) -> None:
    spec, _, readme = declared(name)
    assert readme.startswith(f"# {name} ")
    assert all(node in readme for node in (*spec.protected, spec.outcome, *spec.latents))
    for warning in spec_warnings(spec):
        (words,) = [words for words in EXPLAINED if words in warning.problem]
        assert words in readme


@pytest.mark.slow
@EVERY
def test_it_is_fitted_and_diagnosed_by_name(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / name)
    assert main(["fit", "--dag", name, "--draws", "4", "--out", run, "--quiet", "--json"]) == 0
    figures = [row["value"] for row in json.loads(capsys.readouterr().out)["rows"] if row["measure"] == "gap_same_noise_worst"]
    assert figures
    assert main(["diagnose", "--run", run, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {node["node"] for node in found["nodes"] if node["verdict"] == "fails"} == FAILING[name]
