"""Worlds handed over as files, and predictions of them read back."""

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hiring import HIRING, READ, hiring
from sklearn.ensemble import HistGradientBoostingClassifier

from cfair.auditing import audit
from cfair.data import read_table
from cfair.errors import CodeError, DataError, QueryError, StoreError
from cfair.store import audit_worlds, write_worlds

N, DRAWS = 90, 3
NUMBERS = ["sex", "grade", "gaps"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worlds of some people."""
    scm, _, columns = hiring(N)
    path = tmp_path_factory.mktemp("hand") / "worlds"
    write_worlds(scm, columns, path, draws=DRAWS)
    return path


@pytest.fixture(scope="module")
def model() -> HistGradientBoostingClassifier:
    _, table, _ = hiring(400, seed=1)
    return HistGradientBoostingClassifier(max_iter=10).fit(table[NUMBERS], table["hired"])


def files_of(folder: Path) -> dict[str, str]:
    """Label of each world -> its file."""
    files = json.loads((folder / "manifest.json").read_text())["worlds"]
    assert isinstance(files, dict)
    return files


def scored(folder: Path, model: HistGradientBoostingClassifier) -> pd.DataFrame:
    """Predictions of every world, in one table."""
    parts = [pd.read_parquet(folder / file) for file in files_of(folder).values()]
    return pd.concat(
        [
            part[["row", "draw"]].assign(world=part["world"].astype(str), prediction=model.predict_proba(part[NUMBERS])[:, 1])
            for part in parts
        ],
        ignore_index=True,
    )


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Two reports' rows are the same, figures to 1e-9."""
    pd.testing.assert_frame_equal(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("form", ["scored.parquet", "scored.csv", "folder"])
def test_predictions_of_the_files_have_the_figures_that_the_model_itself_has(
    folder: Path, model: HistGradientBoostingClassifier, tmp_path: Path, form: str
) -> None:
    scm, _, columns = hiring(N)
    table, path = scored(folder, model).sample(frac=1, random_state=0), tmp_path / form
    if form == "folder":
        path.mkdir()
        for label, file in files_of(folder).items():
            table[table["world"] == label].drop(columns="world").to_parquet(path / file)
    elif form.endswith("csv"):
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    expected = audit(scm, {"model": model}, columns, draws=DRAWS)
    found = audit_worlds(folder, path)
    assert_same(found.to_frame(), expected.to_frame())
    assert found.options == expected.options
    assert found.support == expected.support
    assert [curve.n for curve in found.curves] == [curve.n for curve in expected.curves]
    assert np.allclose([curve.delta for curve in found.curves], [curve.delta for curve in expected.curves], rtol=0, atol=1e-9)
    assert np.allclose([curve.epsilon for curve in found.curves], [curve.epsilon for curve in expected.curves], rtol=0, atol=1e-9)
    assert found.model["parameters"] == expected.model["parameters"]


def test_class_probabilities_come_back_by_their_columns(folder: Path, tmp_path: Path) -> None:
    scm, _, columns = hiring(N)

    def three(frame: pd.DataFrame) -> pd.DataFrame:
        odds = np.exp(np.column_stack([0 * frame["grade"], frame["grade"], 0.3 * frame["gaps"]]))
        return pd.DataFrame(odds / odds.sum(1, keepdims=True), columns=["low", "mid", "high"])

    parts = [pd.read_parquet(folder / file).astype({"world": str}) for file in files_of(folder).values()]
    table = pd.concat([part[["world", "row", "draw"]].join(three(part).add_prefix("prediction[").add_suffix("]")) for part in parts])
    table.to_parquet(tmp_path / "scored.parquet")
    expected = audit(scm, {"model": three}, columns, draws=DRAWS)
    assert_same(audit_worlds(folder, tmp_path / "scored.parquet").to_frame(), expected.to_frame())


def test_files_hold_every_world_in_the_owners_own_words_with_ids_and_digests(folder: Path) -> None:
    _, table, _ = hiring(N)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {path.name for path in folder.iterdir()} == {*manifest["files"], "manifest.json"}
    assert all(sha256((folder / name).read_bytes()).hexdigest() == digest for name, digest in manifest["files"].items())
    factual = pd.read_parquet(folder / "factual.parquet")
    pd.testing.assert_frame_equal(factual[READ], table[READ])
    world = pd.read_parquet(folder / files_of(folder)["sex=2,race=b"])
    assert len(world) == N * DRAWS
    assert (world["sex"] == 2).all()
    assert (world["race"] == "b").all()
    assert world[READ].dtypes.equals(table[READ].dtypes)
    assert sorted(set(zip(world["row"], world["draw"], strict=True))) == [(i, d) for i in range(N) for d in range(DRAWS)]


def test_how_worlds_are_blocked_changes_no_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cfair.store.handing.BLOCK_PATHS", 200)
    scm, _, columns = hiring(N)
    files = write_worlds(scm, columns, tmp_path / "worlds", draws=DRAWS)
    for file in files.values():
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "worlds" / file), pd.read_parquet(folder / file))


def damaged(table: pd.DataFrame, how: str) -> pd.DataFrame:
    if how == "missing":
        return table.drop(index=len(table) - 1)
    if how == "double":
        return pd.concat([table, table.iloc[[5]]])
    if how == "unknown world":
        return table.assign(world=table["world"].replace("sex=2,race=b", "sex=2,race=B"))
    if how == "unknown row":
        return table.assign(row=table["row"].replace(7, 700))
    if how == "NaN":
        return table.assign(prediction=table["prediction"].where(table.index != 3))
    return table.drop(columns="draw")


DAMAGES = {
    "missing": f"1 predictions are missing: world sex=2,race=h, row {N - 1}, draw {DRAWS - 1}",
    "double": "1 predictions are there twice or more: world factual, row 5, draw 0",
    "unknown world": "there is no world 'sex=2,race=B'. Did you mean 'sex=2,race=",
    "unknown row": "row 700, draw 0",
    "NaN": "1 predictions are NaN: world factual, row 3, draw 0",
    "no draw": "there is no column 'draw'",
}


@pytest.mark.parametrize("how", DAMAGES)
def test_ids_and_predictions_that_are_wrong_are_named(
    folder: Path, model: HistGradientBoostingClassifier, tmp_path: Path, how: str
) -> None:
    damaged(scored(folder, model), how).to_parquet(tmp_path / "bad.parquet")
    with pytest.raises(DataError) as raised:
        audit_worlds(folder, tmp_path / "bad.parquet")
    assert DAMAGES[how] in str(raised.value)


def test_predictions_that_are_no_numbers_are_refused(folder: Path, model: HistGradientBoostingClassifier, tmp_path: Path) -> None:
    scored(folder, model).assign(prediction="maybe").to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(CodeError, match="neither a number nor a level"):
        audit_worlds(folder, tmp_path / "bad.csv")


def test_predictions_that_do_not_follow_from_the_row_are_refused(
    folder: Path, model: HistGradientBoostingClassifier, tmp_path: Path
) -> None:
    table = scored(folder, model)
    generator = np.random.default_rng(0)
    table.assign(prediction=generator.random(len(table))).to_csv(tmp_path / "random.csv", index=False)
    with pytest.raises(DataError, match=r"row \d+ has two predictions, as it is and in the world '.*', which is its own"):
        audit_worlds(folder, tmp_path / "random.csv")
    with pytest.raises(QueryError, match="'rank' is not a kind of output"):
        audit_worlds(folder, tmp_path / "random.csv", output="rank")


def test_what_is_no_folder_of_worlds_or_was_changed_is_refused(tmp_path: Path) -> None:
    scm, table, columns = hiring(20)
    with pytest.raises(StoreError, match=r"no manifest\.json"):
        audit_worlds(tmp_path, tmp_path / "scored.csv")
    write_worlds(scm, columns, tmp_path / "worlds", draws=1)
    (tmp_path / "worlds" / "dag.yaml").write_text("name: other\n")
    with pytest.raises(StoreError, match="not the one that was written"):
        audit_worlds(tmp_path / "worlds", tmp_path / "scored.csv")
    (tmp_path / "worlds" / "mine.txt").write_text("precious")
    with pytest.raises(StoreError, match=r"the folder holds 'mine\.txt'"):
        write_worlds(scm, columns, tmp_path / "worlds", draws=1)
    holes = read_table(table.assign(grade=table["grade"].where(table.index != 3)), HIRING, missing="latent")
    with pytest.raises(QueryError, match="values of grade are missing, and files hold whole rows"):
        write_worlds(scm, holes, tmp_path / "others", draws=1)
    assert not (tmp_path / "others").exists()
