"""A declaration in the terminal: short tables, plain where the output is not a terminal."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from rich.table import Table
from rich.text import Text

from cfair.access import ACCESS, refused, sees
from cfair.cli._drawing import draw
from cfair.families import OptionValue
from cfair.graph import implied_independences
from cfair.spec import ModelSpec, NodeSpec, spec_warnings

__all__ = ["show"]

Cells: TypeAlias = tuple[str, ...]
Rows: TypeAlias = list[Cells]


def show(spec: ModelSpec, *, explain: bool, table: Mapping[str, object] | None) -> None:
    """Print what ``spec`` declares.

    Args:
        spec: the declaration.
        explain: also what each predictor may see, and what the graph implies.
        table: what reading a table found, if one was read.
    """
    head = [Text(spec.name, style="bold"), *([Text(spec.source, style="dim")] if spec.source else [])]
    grids = [_grid(title, rows) for title, rows in _sections(spec, explain=explain, table=table)]
    draw(*head, *(part for grid in grids for part in ("", grid)), wrap=False)


def _sections(spec: ModelSpec, *, explain: bool, table: Mapping[str, object] | None) -> Iterator[tuple[Cells, Rows]]:
    """A title row and rows, for each part that has something to say."""
    yield ("node", "mechanism", "parents", ""), [(name, *_node(node)) for name, node in spec.nodes.items()]
    yield ("in the graph", ""), _roles(spec)
    if explain:
        yield ("predictor", "sees", "may not see", "because"), [row for names in _predictors() for row in _access(spec, names)]
        implied: Rows = [(str(each),) for each in implied_independences(spec.graph, spec.latents)]
        yield ("the graph implies",), implied or [("nothing that the observed nodes can test",)]
    if table is not None:
        yield ("table", ""), _table(table)
    if warnings := spec_warnings(spec):
        yield ("warning", ""), [(warning.where, str(warning).removeprefix(f"{warning.where}: ")) for warning in warnings]


def _node(node: NodeSpec) -> tuple[str, str, str]:
    """Mechanism, parents, and whatever else is said of a node."""
    said = ["latent"] if node.latent else []
    said += [f"levels {', '.join(node.levels)}"] if node.levels else []
    said += ["rounded"] if node.round else []
    if node.parameters is not None:
        said.append(f"fixed {_listed([name for name in type(node.parameters).model_fields if getattr(node.parameters, name) is not None])}")
    said += [f"{name.replace('_', ' ')} {_shown(value)}" for name, value in node.options.items()]
    return node.mechanism, ", ".join(node.parents), "; ".join(said)


def _shown(value: OptionValue) -> str:
    """An option's value in a few words; parents that interact as ``a x b``."""
    if isinstance(value, tuple):
        return ", ".join(" x ".join(each) if isinstance(each, tuple) else str(each) for each in value)
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _roles(spec: ModelSpec) -> Rows:
    roles = {
        "protected": spec.protected,
        "outcome": (_outcome(spec),),
        "resolving": spec.resolving,
        "unfair paths": tuple(" -> ".join(path) for path in spec.unfair_paths),
        "held": spec.held if spec.unfair_paths else (),
        "latents": spec.latents,
        "descendants": spec.descendants,
        "non-descendants": spec.non_descendants,
    }
    return [(role, _listed(names)) for role, names in roles.items() if names or role not in ("resolving", "unfair paths", "held")]


def _outcome(spec: ModelSpec) -> str:
    """The outcome, and of several levels that each gets a probability."""
    return f"{spec.outcome}: each of {len(spec.classes)} levels is predicted by its probability" if spec.classes else spec.outcome


def _predictors() -> Rows:
    """Names of predictors, those together that may see the same."""
    return list({id(access): tuple(name for name in ACCESS if ACCESS[name] is access) for access in ACCESS.values()}.values())


def _access(spec: ModelSpec, names: Cells) -> Rows:
    """What predictors may see, and a line for each column that they may not."""
    reasons = [(column, _why(spec, path)) for column, path in refused(spec, names[0]).items()] or [("", "")]
    first, *others = reasons
    return [(", ".join(names), _listed(sees(spec, names[0])), *first), *(("", "", *other) for other in others)]


def _why(spec: ModelSpec, path: Cells) -> str:
    if len(path) > 1:
        return " -> ".join(path)
    return "it is the outcome" if path[0] == spec.outcome else "it is protected"


def _table(table: Mapping[str, object]) -> Rows:
    """What reading the table found, without what is empty."""
    rounded, unused, missing = table["rounded"], table["unused"], table["missing"]
    assert isinstance(rounded, Mapping)
    assert isinstance(missing, Mapping)
    assert isinstance(unused, Iterable)
    rows: Rows = [("name", str(table["name"])), ("rows", f"{table['rows']:,}")]
    rows += [("rounded", f"{name}: {count:,} rows") for name, count in rounded.items() if count]
    rows += [("dropped", f"{table['dropped']:,} rows, for missing values")] if table["dropped"] else []
    rows += [("missing", f"{name}: {count:,} rows, integrated out") for name, count in missing.items()]
    rows += [("weights", f"{table['weights']}; 0 in {table['weightless']:,} rows")] if table["weights"] is not None else []
    return [*rows, ("unused columns", _listed(unused))]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _grid(title: Cells, rows: Rows) -> Table:
    grid = Table(*title, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        grid.add_row(*row)
    return grid
