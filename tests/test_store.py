"""A run comes back from its folder as it was, and a folder that is not one is refused by the name of the file."""

import json
import pickle
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cfair.data import split, to_frame
from cfair.errors import DataError, QueryError, StoreError
from cfair.inference.log_posterior import log_posteriors
from cfair.pipeline import Options, fit
from cfair.spec import ModelSpec
from cfair.store import Run, check_target, load, save

from school import OUTCOMES, people, school

ALL = Options().predictors


@cache
def fitted(outcome: str = "gaussian") -> Run:
    spec = school(outcome)
    return fit(spec, people(spec, 300)[1], Options(draws=4, min_group_size=5))


@cache
def newcomers() -> pd.DataFrame:
    """People whom no run has seen, with an index of their own."""
    spec = school()
    return to_frame(spec, dict(people(spec, 40, seed=7)[1])).set_axis([f"p{i}" for i in range(40)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save(fitted(), tmp_path / "run", texts={"report.md": "# a report\n"})


def refused(folder: Path) -> str:
    with pytest.raises(StoreError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    return caught.value.where


def amend(folder: Path, name: str, content: bytes) -> None:
    """Replace a file, and its digest in the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / name).write_bytes(content)


@pytest.mark.slow
def test_a_loaded_model_stands_where_its_log_posterior_is_highest(tmp_path: Path) -> None:
    """Its priors are stated in the units of the rows that it learned from, and these come back with it."""
    graph = school().to_graph()
    for node in graph:
        graph.nodes[node].pop("parameters", None)
    graph.nodes["grade"]["prior"] = {"weights": {"normal": 0.1}, "variance": {"inverse_gamma": [1, 1]}}
    spec, columns = ModelSpec.from_graph(graph), people(school(), 400)[1]
    run = fit(spec, columns, Options(draws=2, min_group_size=5, predictors=("constant",)))
    again, (train, _) = load(save(run, tmp_path / "run")).scm, split(columns, spec, test_share=0.2, seed=0)
    for mine, its in zip(log_posteriors(run.scm, train), log_posteriors(again, train), strict=True):
        (value, slope), (its_value, its_slope) = mine.value_and_slope(mine.start), its.value_and_slope(its.start)
        assert its_value == value
        assert torch.equal(its_slope, slope)


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("name", ALL)
def test_a_loaded_run_predicts_what_the_fitted_one_does_in_a_batch_and_row_by_row(name: str, outcome: str, tmp_path: Path) -> None:
    loaded = load(save(fitted(outcome), tmp_path / "run"))
    expected = fitted(outcome).predict(newcomers(), name)
    assert loaded.predict(newcomers(), name).equals(expected)
    alone = [loaded.predict(newcomers().iloc[[i]], name).item() for i in range(40)]
    np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-12)


def test_a_loaded_run_is_the_run_that_was_saved(folder: Path) -> None:
    run, loaded = fitted(), load(folder)
    assert (loaded.spec, loaded.report, loaded.head) == (run.spec, run.report, run.head)
    assert list(loaded.predictors) == list(run.predictors)
    for name, tensor in run.scm.state_dict().items():
        assert torch.equal(loaded.scm.state_dict()[name], tensor)


@pytest.mark.parametrize("name", ALL)
def test_a_prediction_reads_the_columns_that_it_needs_and_no_other(name: str) -> None:
    run, people = fitted(), newcomers()
    expected = run.predict(people, name)
    needed = people[list(run.predictors[name].needs)]
    assert run.predict(needed, name).equals(expected)
    others = {column: ["nonsense"] * 40 for column in people if column not in needed}
    assert run.predict(needed.assign(**others), name).equals(expected)
    for column in needed:
        with pytest.raises(DataError, match=f"no column '{column}'"):
            run.predict(needed.drop(columns=column), name)


def test_predictions_keep_the_tables_order_and_index(tmp_path: Path) -> None:
    expected = fitted().predict(newcomers())
    assert expected.index.equals(newcomers().index)
    assert expected.name == "prediction"
    assert fitted().predict(newcomers().iloc[::-1]).sort_index().equals(expected.sort_index())
    newcomers().to_csv(tmp_path / "people.csv", index=False)
    from_file = fitted().predict(tmp_path / "people.csv")
    assert from_file.index.equals(pd.RangeIndex(40, name="row"))
    assert from_file.tolist() == expected.tolist()


def test_a_missing_value_is_refused_for_every_row_must_have_its_prediction() -> None:
    with pytest.raises(DataError, match="column 'grade', row 0"):
        fitted().predict(newcomers().assign(grade=[np.nan, *newcomers()["grade"][1:]]))


def test_a_misspelt_predictor_is_told_the_nearest() -> None:
    with pytest.raises(QueryError, match="Did you mean 'residual'"):
        fitted().predict(newcomers(), "residul")


def test_a_folder_holds_text_and_tensors_only_and_is_read_without_pickle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {path.suffix for path in folder.iterdir()} == {".yaml", ".json", ".safetensors", ".md"}
    monkeypatch.setattr(pickle, "Unpickler", None)
    monkeypatch.setattr(torch, "load", None)
    load(folder)


def test_the_manifest_names_schema_versions_and_the_digest_of_every_file(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["format"], manifest["schema"]) == ("cfair run", 1)
    assert manifest["versions"]["torch"] == torch.__version__
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name != "manifest.json"}
    assert manifest["files"] == found


@pytest.mark.parametrize("name", ["dag.yaml", "scm.safetensors", "report.json", "report.md", *(f"{each}.safetensors" for each in ALL)])
def test_a_file_that_was_changed_cut_short_or_lost_is_named(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", bytes([whole[0] ^ 1]) + whole[1:], whole + b" "):
        (folder / name).write_bytes(damaged)
        assert refused(folder) == str(folder / name)
    (folder / name).unlink()
    assert refused(folder) == str(folder / name)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"format": "cfair run", "schema": 2}', '{"format": "other"}', "\x00"])
def test_a_manifest_that_is_none_of_ours_is_named(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    assert refused(folder) == str(folder / "manifest.json")


@pytest.mark.parametrize("part", ["files", "predictors", "head", "versions"])
def test_a_manifest_that_lacks_a_part_is_named(folder: Path, part: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({key: value for key, value in manifest.items() if key != part}))
    assert refused(folder) == str(folder / "manifest.json")


def test_a_manifest_that_lists_too_little_or_what_is_not_in_the_folder_is_named(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder.parent / "outside").write_bytes(b"")
    less = {name: digest for name, digest in manifest["files"].items() if name != "latent.safetensors"}
    for files in (less, {**manifest["files"], "../outside": sha256(b"").hexdigest()}):
        (folder / "manifest.json").write_text(json.dumps({**manifest, "files": files}))
        assert refused(folder) == str(folder / "manifest.json")


def test_files_that_are_sound_and_do_not_belong_together_are_named(folder: Path, tmp_path: Path) -> None:
    other = save(fitted("bernoulli"), tmp_path / "other")
    (tmp_path / "third").mkdir()
    for name, content in {
        "dag.yaml": b"protected: [a]",
        "scm.safetensors": (other / "full.safetensors").read_bytes(),
        "full.safetensors": (folder / "constant.safetensors").read_bytes(),
        "latent.safetensors": b"not tensors",
        "report.json": b'{"schema": 2}',
    }.items():
        before = (folder / name).read_bytes()
        amend(folder, name, content)
        assert refused(folder) == str(folder / name)
        amend(folder, name, before)
    load(folder)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("x")])
def test_what_is_no_run_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "run")
    assert refused(tmp_path / "run") == str(tmp_path / "run")


def test_saving_again_replaces_the_run_and_leaves_nothing_beside_it(folder: Path) -> None:
    save(fitted("bernoulli"), folder)
    assert load(folder).spec == fitted("bernoulli").spec
    assert not (folder / "report.md").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("method", ["write_bytes", "rename"])
def test_saving_that_is_cut_short_leaves_the_old_run_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, method: str, error: BaseException
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    works, calls = getattr(Path, method), []

    def fails_the_second_time(path: Path, argument: object) -> object:
        calls.append(path)
        if len(calls) == 2:
            raise error
        return works(path, argument)

    monkeypatch.setattr(Path, method, fails_the_second_time)
    with pytest.raises(StoreError if isinstance(error, OSError) else KeyboardInterrupt):
        save(fitted("bernoulli"), folder)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_a_target_is_refused_unless_it_is_new_empty_or_a_run_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for welcome in (folder, tmp_path / "empty", tmp_path / "new" / "deep"):
        check_target(welcome)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").write_text("mine")
    (folder / "predictions.csv").write_text("mine")
    mistakes = {"file": "a file stands", "file/run": "a file stands", "foreign": "holds 'thesis.tex'", "run": "not part of the run"}
    for name, problem in {**mistakes, "n" * 300: "no run can be written there"}.items():
        for attempt in (check_target, lambda path: save(fitted(), path)):
            with pytest.raises(StoreError, match=problem):
                attempt(tmp_path / name)
    assert (tmp_path / "foreign" / "thesis.tex").read_text() == (folder / "predictions.csv").read_text() == "mine"
    assert not (tmp_path / "new").exists()


def test_a_link_to_a_run_still_leads_to_the_new_one(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(folder)
    save(fitted("bernoulli"), tmp_path / "latest")
    assert (tmp_path / "latest").is_symlink()
    assert load(folder).spec == fitted("bernoulli").spec
