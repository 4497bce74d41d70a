"""Predictions of worlds that were handed over as files, read back and audited."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load as tensors_of
from torch import Tensor

from cfair.auditing import Report
from cfair.auditing.audit import MIN_GROUP_SIZE
from cfair.auditing.crossing import crossing_of
from cfair.auditing.elsewhere import check_levels
from cfair.auditing.foreign import SAME, Foreign, settle
from cfair.auditing.handed import audit_handed
from cfair.auditing.outputs import read_answer
from cfair.auditing.sources import External, Source
from cfair.data import Carried
from cfair.errors import DataError, StoreError, nearest
from cfair.interfaces import Chosen, Coding, Columns, Facts
from cfair.scm import SCM
from cfair.spec import read_spec
from cfair.store.handing import DAG, IDS, MODEL, PEOPLE, WORLDS_FOLDER
from cfair.store.whole import digest, manifest_of

__all__ = ["Handed", "audit_worlds", "read_worlds"]

PREDICTION = "prediction"
FIRST = 3  # ids that a message names


@dataclass(frozen=True, slots=True, eq=False)
class Handed:
    """What a folder of worlds says of them.

    Args:
        scm: in which they were made.
        columns: the people.
        files: label of each world -> its file, the factual one first.
        attributes: that they cross.
        names: the columns that a model could read.
        draws: of each counterfactual world.
        seed: of the draws.
    """

    scm: SCM
    columns: Columns
    files: Mapping[str, str]
    attributes: tuple[str, ...]
    names: tuple[str, ...]
    draws: int
    seed: int


def read_worlds(folder: Path, *, allow_python: bool = False) -> Handed:
    """What ``write_worlds`` kept beside the worlds; the worlds themselves are not read.

    Args:
        folder: of worlds.
        allow_python: whether mechanisms of the user's own may run their code.

    Raises:
        StoreError: there is no such folder, or a file that is needed is missing or damaged.
    """
    said = manifest_of(folder, WORLDS_FOLDER)
    listed = cast("dict[str, str]", said["files"])
    for name in (DAG, MODEL, PEOPLE):
        if not (folder / name).is_file() or digest(folder / name) != listed.get(name):
            raise StoreError(str(folder / name), "the file is missing, or not the one that was written", "write the worlds again")
    try:
        spec = read_spec((folder / DAG).read_text("utf-8"), name=str(folder / DAG), allow_python=allow_python, folder=folder)
        scm = SCM.restored(spec, tensors_of((folder / MODEL).read_bytes()))
        engine = cast("dict[str, object] | None", said["engine"])
        scm.engine = None if engine is None else Chosen(**engine)  # type: ignore[arg-type]
        scm.unseen = cast("dict[str, list[str]]", said.get("unseen_levels", {}))
        kept = tensors_of((folder / PEOPLE).read_bytes())
        facts = dict(cast("dict[str, object]", said["table"]))
        facts["unused"] = tuple(cast("list[str]", facts["unused"]))
        coded = {name.removeprefix("coded."): column for name, column in kept.items() if name.startswith("coded.")}
        carried = cast("list[str]", said["carried"])
        codings: dict[str, Coding] = {name: Carried(pd.Series(dtype=object)) for name in carried}
        columns = Columns(coded, kept["rows"], Facts(**facts), kept.get("weights"), codings=codings)  # type: ignore[arg-type]
        return Handed(
            scm,
            columns,
            cast("dict[str, str]", said["worlds"]),
            tuple(cast("list[str]", said["attributes"])),
            tuple(cast("list[str]", said["columns"])),
            cast("int", said["draws"]),
            cast("int", said["seed"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(str(folder), f"its files do not fit one another ({error})", "write the worlds again") from error


def audit_worlds(
    folder: Path,
    predictions: Path,
    *,
    name: str = "model",
    output: str = "auto",
    min_group_size: int = MIN_GROUP_SIZE,
    allow_python: bool = False,
) -> Report:
    """The audit of a model by what it predicts of the worlds in a folder.

    Args:
        folder: that ``write_worlds`` wrote.
        predictions: a parquet or CSV file, or a folder of such, with columns ``world`` (or files named as the worlds'), ``row``, ``draw``,
            and ``prediction`` or, of class probabilities, ``prediction[level]`` for each.
        name: of the model in the report.
        output: as of ``External``.
        min_group_size: as of ``audit``.
        allow_python: whether mechanisms of the user's own may run their code.

    Raises:
        StoreError: the folder of worlds is damaged.
        DataError: predictions cannot be read, or ids are missing, double or unknown, or a prediction is NaN, or one row has two; the
            message says which.
        QueryError: ``output`` is no kind of output.
        CodeError: predictions are no numbers, or not of one kind.
    """
    said_of = External(_never, cast("Literal['auto', 'score']", output))  # refuses what is no kind of output
    handed = read_worlds(folder, allow_python=allow_python)
    scm, columns = handed.scm, handed.columns
    check_levels(columns, scm.spec, crossing_of(scm.spec, attributes=handed.attributes))
    table = _read(predictions, handed)
    order = _order(table, handed, predictions)
    spec = scm.spec
    given = [column for column in table.columns if column not in IDS]
    said: object = table[PREDICTION].to_numpy() if given == [PREDICTION] else table[given].rename(columns=_level)
    answer = read_answer(said, len(table), spec.nodes[spec.outcome], where=str(predictions))
    factual = order < columns.n
    settled = settle(name, [answer.taken(torch.from_numpy(factual))], spec, output=said_of.output)
    model = Foreign(name, Source(_never, f"predictions in {predictions.name}"), handed.names, codings={}, spec=spec, settled=settled)
    model.check(answer)
    by_world = _by_world(answer.values, order, handed)
    _check_own(by_world, handed, predictions)
    return audit_handed(
        scm,
        model,
        columns,
        by_world,
        attributes=handed.attributes,
        draws=handed.draws,
        seed=handed.seed,
        min_group_size=min_group_size,
    )


def _never(frame: pd.DataFrame) -> object:
    raise AssertionError(f"nobody calls a model that is not here, on {len(frame)} rows")


def _level(column: str) -> str:
    """``Black`` of ``prediction[Black]``."""
    return column.removeprefix(f"{PREDICTION}[").removesuffix("]")


def _read(path: Path, handed: Handed) -> pd.DataFrame:
    """All predictions with their ids, from one file or a folder of files."""
    paths = sorted(each for each in path.iterdir() if each.suffix.lower() in (".csv", ".parquet")) if path.is_dir() else [path]
    if not paths or not path.exists():
        raise DataError(str(path), "there are no predictions", "give a .csv or .parquet file, or a folder of them")
    by_file = {Path(file).stem: label for label, file in handed.files.items()}
    tables = [_read_file(each, by_file) for each in paths]
    for each, table in zip(paths, tables, strict=True):
        if list(table.columns) != list(tables[0].columns):
            problem = f"its columns are {', '.join(table.columns)}, and those of {paths[0].name} {', '.join(tables[0].columns)}"
            raise DataError(str(each), problem, "write all files alike")
    return pd.concat(tables, ignore_index=True).astype({"world": "category"})


def _read_file(path: Path, by_file: Mapping[str, str]) -> pd.DataFrame:
    """One file's ids and predictions; what else it holds is not looked at."""
    try:
        table = pd.read_parquet(path) if path.suffix.lower() == ".parquet" else pd.read_csv(path, keep_default_na=True)
    except (OSError, ValueError) as error:
        raise DataError(str(path), f"cannot be read: {' '.join(str(error).split())}", "write it again as parquet or CSV") from error
    if "world" not in table.columns and path.stem in by_file:
        table = table.assign(world=by_file[path.stem])
    given = [PREDICTION] if PREDICTION in table.columns else [name for name in table.columns if str(name).startswith(f"{PREDICTION}[")]
    for name in (*IDS, *(given or [PREDICTION])):
        if name not in table.columns:
            said = ", or name the file as that world's" if name == "world" else ""
            raise DataError(str(path), f"there is no column '{name}'", f"give world, row, draw and prediction{said}")
    return table[[*IDS, *given]]


def _order(table: pd.DataFrame, handed: Handed, path: Path) -> NDArray[np.int64]:
    """Each prediction's place, shape (m,): factual people first, then the worlds in order, person by person, draw by draw.

    Raises:
        DataError: an id is unknown, missing or there twice, or a prediction is NaN.
    """
    labels, n, draws = list(handed.files), handed.columns.n, handed.draws
    known = {str(label): labels.index(str(label)) if str(label) in labels else -1 for label in table["world"].cat.categories}
    for label, place in known.items():
        if place < 0:
            raise DataError(f"{path}, column 'world'", f"there is no world '{label}'", nearest(label, labels))
    worlds = np.array([*known.values(), -1])[table["world"].cat.codes.to_numpy()]
    rows, drawn = _whole(table, "row", path), _whole(table, "draw", path)
    people = handed.columns.rows.numpy()
    person = np.searchsorted(people, rows).clip(max=n - 1)
    wrong = (worlds < 0) | (people[person] != rows) | (drawn < 0) | (drawn >= np.where(worlds == 0, 1, draws))
    if wrong.any():
        mend = f"keep the ids of the worlds' files: draws 0 to {draws - 1}, the factual world's 0 only"
        raise DataError(str(path), f"{_ids(table[wrong])} is in no world", mend)
    empty = table[[name for name in table.columns if name not in IDS]].isna().any(axis=1).to_numpy()
    if empty.any():
        raise DataError(str(path), f"{empty.sum():,} predictions are NaN: {_ids(table[empty])}", "give a finite number for every row")
    order = np.where(worlds == 0, person, n + ((worlds - 1) * n + person) * draws + drawn)
    times = np.bincount(order, minlength=n + (len(labels) - 1) * n * draws)
    if (times > 1).any():
        twice = table[times[order] > 1].drop_duplicates(list(IDS))
        raise DataError(str(path), f"{(times > 1).sum():,} predictions are there twice or more: {_ids(twice)}", "give each once")
    if (times == 0).any():
        lacking = _unread(np.flatnonzero(times == 0)[:FIRST], handed)
        raise DataError(str(path), f"{(times == 0).sum():,} predictions are missing: {_ids(lacking)}", "score every row of every world")
    return order


def _whole(table: pd.DataFrame, name: str, path: Path) -> NDArray[np.int64]:
    """A column of whole numbers."""
    values = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~np.isfinite(values) | (values != np.rint(values))
    if wrong.any():
        raise DataError(f"{path}, column '{name}'", f"'{table[name][wrong].iloc[0]}' is not a whole number", "keep the worlds' own ids")
    return values.astype(np.int64)


def _unread(places: NDArray[np.int64], handed: Handed) -> pd.DataFrame:
    """The ids that belong to places."""
    labels, n, draws, rows = list(handed.files), handed.columns.n, handed.draws, handed.columns.rows.numpy()
    ids = []
    for place in places.tolist():
        world, rest = (0, place) if place < n else (1 + (place - n) // (n * draws), (place - n) % (n * draws))
        person, draw = (rest, 0) if world == 0 else divmod(rest, draws)
        ids.append((labels[world], int(rows[person]), draw))
    return pd.DataFrame(ids, columns=list(IDS))


def _ids(table: pd.DataFrame) -> str:
    """The first few ids of a table, in words."""
    said = [f"world {world}, row {row}, draw {draw}" for world, row, draw in table[list(IDS)].head(FIRST).itertuples(index=False)]
    return "; ".join(said) + (" and others" if len(table) > FIRST else "")


def _by_world(values: Tensor, order: NDArray[np.int64], handed: Handed) -> Sequence[Tensor]:
    """Predictions of the factual world, (n, 1[, classes]), and of each other, (n, draws[, classes])."""
    n, draws, count = handed.columns.n, handed.draws, len(handed.files) - 1
    placed = torch.empty_like(values)
    placed[torch.from_numpy(order)] = values
    shape = values.shape[1:]
    return [placed[:n].reshape(n, 1, *shape), *placed[n:].reshape(count, n, draws, *shape)]


def _check_own(predictions: Sequence[Tensor], handed: Handed, path: Path) -> None:
    """Refuse two predictions of one row: in the world of their own group people's rows are the factual ones.

    Args:
        predictions: as of ``_by_world``.
        handed: the worlds.
        path: of the predictions.

    Raises:
        DataError: somebody has two.
    """
    crossing = crossing_of(handed.scm.spec, handed.columns, attributes=handed.attributes)
    group, (factual, *worlds) = crossing.group(handed.columns), predictions
    for world, after in enumerate(worlds[: crossing.size]):
        own = (group == world).nonzero().squeeze(-1)
        apart = (after[own] - factual[own]).abs().reshape(len(own), -1)
        if apart.numel() and apart.max() > SAME * factual.abs().max():
            row = int(handed.columns.rows[own[apart.amax(-1).argmax()]])
            problem = f"row {row} has two predictions, as it is and in the world '{list(handed.files)[1 + world]}', which is its own"
            raise DataError(str(path), problem, "let each follow from its row alone: no fresh random numbers, no other rows, no mixed ids")
