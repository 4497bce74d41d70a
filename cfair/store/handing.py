"""Worlds as files: each counterfactual world's rows in the table's own words, for anybody's model to score."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from pyarrow import parquet
from safetensors.torch import save as bytes_of
from torch import Tensor

from cfair.auditing.crossing import Crossing, crossing_of
from cfair.auditing.foreign import offered
from cfair.auditing.gaps import world_under
from cfair.data import Carried, blocks, to_original
from cfair.errors import QueryError, StoreError
from cfair.inference import abduct
from cfair.interfaces import Columns, World
from cfair.scm import SCM
from cfair.spec import ModelSpec, dump_spec
from cfair.store.whole import check_free, written_whole
from cfair.threads import with_threads

__all__ = ["DAG", "FACTUAL", "IDS", "MODEL", "PEOPLE", "WORLDS_FOLDER", "check_worlds", "write_worlds"]

WORLDS_FOLDER = "cfair worlds"  # what a manifest says that its folder is
DAG, MODEL, PEOPLE = "dag.yaml", "scm.safetensors", "people.safetensors"
FACTUAL = "factual"
IDS = ("world", "row", "draw")
BLOCK_PATHS = 1_000_000  # rows of all worlds that are held at a time


@with_threads
def write_worlds(
    scm: SCM, columns: Columns, folder: Path, *, draws: int = 50, seed: int = 0, attributes: Sequence[str] | None = None
) -> dict[str, str]:
    """Write one parquet file per world of the people, the factual one and each counterfactual one, whole or not at all.

    A file's rows hold the world's label, ``row`` (the person's position in the table as given, from 0), ``draw`` (from 0; the factual
    world, which all draws share, has draw 0 only), and every column that a model may read, written as the people's table writes it.
    ``manifest.json`` says which file is which world, the seed, the draws and the SHA-256 of every file. What reads predictions back is
    kept beside them: the declaration, the parameters and the coded people with their outcomes.

    Args:
        scm: in which people are moved.
        columns: people of whom nothing is missing; those of weight 0 are left out.
        folder: where; an older folder of worlds there is replaced.
        draws: of the noise, per person.
        seed: of the draws.
        attributes: the protected attributes to ask about; all if None.

    Returns:
        Label of each world -> its file.

    Raises:
        QueryError: somebody lacks a value, or a column has the name of an id.
        StoreError: ``folder`` is in the way, or cannot be written; or the SCM is not declared in full.
    """
    check_worlds(scm.spec, columns, folder)
    columns, crossing = columns.counted(), crossing_of(scm.spec, columns.counted(), attributes=attributes)
    names = offered(scm.spec, columns)
    if not scm.is_declared:
        problem = "its model has mechanisms that dag.yaml does not declare, and files cannot keep them"
        raise StoreError(str(folder), problem, "learn the declared model")
    labels = [FACTUAL, *crossing.labels()]
    files = {label: FACTUAL + ".parquet" if label == FACTUAL else f"world_{i:03d}.parquet" for i, label in enumerate(labels)}
    said: dict[str, object] = {
        "name": scm.spec.name,
        "draws": draws,
        "seed": seed,
        "people": columns.n,
        "attributes": [*crossing.levels, *crossing.points],
        "columns": list(names),
        "carried": [name for name in names if isinstance(columns.codings.get(name), Carried)],
        "table": asdict(columns.facts),
        "engine": None if scm.engine is None else asdict(scm.engine),
        "unseen_levels": {node: list(levels) for node, levels in scm.unseen.items()},
        "version": version("cfair"),
        "worlds": files,
    }
    with written_whole(folder, WORLDS_FOLDER, said) as new, ExitStack() as stack:
        (new / DAG).write_text(dump_spec(scm.spec), encoding="utf-8")
        (new / MODEL).write_bytes(bytes_of({name: tensor.detach().clone().contiguous() for name, tensor in scm.state_dict().items()}))
        (new / PEOPLE).write_bytes(bytes_of(_people(scm, columns)))
        writers: dict[str, parquet.ParquetWriter] = {}
        for label, table in _tables(scm, columns, crossing, names, draws=draws, seed=seed):
            if label not in writers:
                writers[label] = stack.enter_context(parquet.ParquetWriter(new / files[label], table.schema))
            writers[label].write_table(table.cast(writers[label].schema))
        stack.close()
    return files


def check_worlds(spec: ModelSpec, columns: Columns, folder: Path) -> None:
    """Refuse, before any long work, what could not be written, or not be read back.

    Raises:
        QueryError: somebody lacks a value, or a column has the name of an id.
        StoreError: ``folder`` is in the way.
    """
    check_free(folder, WORLDS_FOLDER)
    if columns.missing:
        problem = f"values of {', '.join(columns.missing)} are missing, and files hold whole rows"
        raise QueryError(columns.facts.name, problem, "leave these rows out (--missing drop), or audit the model itself (--model)")
    for name in offered(spec, columns):
        if name in (*IDS, "prediction"):
            raise QueryError(f"nodes.{name}", f"the worlds' files have a column '{name}' of their own", "rename the column")


def _people(scm: SCM, columns: Columns) -> dict[str, Tensor]:
    """Coded people and, where they have any, weights."""
    coded = {f"coded.{node}": columns[node].contiguous() for node in scm.spec.observed if node in columns}
    weights = {} if columns.weights is None else {"weights": columns.weights.contiguous()}
    return {**coded, **weights, "rows": columns.rows.contiguous()}


def _tables(
    scm: SCM, columns: Columns, crossing: Crossing, names: Sequence[str], *, draws: int, seed: int
) -> Iterator[tuple[str, pa.Table]]:
    """Label and rows of each world, a block of people after the other."""
    for block in blocks(columns, max(BLOCK_PATHS // (draws * (crossing.worlds + 1)), 1)):
        factual = abduct(scm, block, draws=draws, seed=seed)
        yield FACTUAL, _table(scm, block, factual, names, label=FACTUAL, draws=1)
        for label, setting in zip(crossing.labels(), crossing.settings(), strict=True):
            yield label, _table(scm, block, world_under(scm, crossing, block, factual, setting), names, label=label, draws=draws)


def _table(scm: SCM, block: Columns, world: World, names: Sequence[str], *, label: str, draws: int) -> pa.Table:
    """A world's rows, person by person and draw by draw, under their ids."""
    held: Mapping[str, Tensor] = {name: world.values[name][:draws] if name in world.values else block[name][None] for name in names}
    rows = {name: value.expand(draws, block.n).T.reshape(-1) for name, value in held.items()}
    frame = to_original(block.codings, rows, scm.spec)
    ids = {"row": np.repeat(block.rows.numpy(), draws), "draw": np.tile(np.arange(draws, dtype=np.int32), block.n)}
    whole = pd.concat([pd.DataFrame(ids), frame], axis=1)
    table = pa.Table.from_pandas(whole, preserve_index=False)
    labels = pa.DictionaryArray.from_arrays(pa.array(torch.zeros(len(whole), dtype=torch.int32).numpy()), pa.array([label]))
    return table.add_column(0, IDS[0], labels)
