"""What the figures rest on, in words: what was seen, assumed, read and asked for."""

import shlex
from collections.abc import Collection, Iterator, Mapping

from cfair.auditing import Assumption, Json, Report
from cfair.auditing.audit import MIN_GROUP_SIZE
from cfair.report.sheets import Sheet

__all__ = ["assumed", "opening", "provenance", "seen"]

UNDEFINED = "undefined"  # what assumptions about measures without a value are called
MANY = 12  # of them, above which they are counted in the terminal
CLAIMS = {"declared": "the declared model", "own": "its own model"}
FLAGS = (  # of cfair fit
    *("predictors", "head", "engine", "uncertainty", "parameter_draws", "draws"),
    *("splits", "test_share", "missing", "weights", "seed", "threads"),
)

TRAINED = ("constraints", "mitigations", "features", "by", "strength", "tolerance")  # those of what is trained in, if anything is


def opening(report: Report) -> Sheet:
    """Which model, which people, and what the intervals are."""
    described = _mapping(report.model["predictors"])
    splits = report.options.get("splits", 1)
    over = "over the audited people, with the learned model taken as it is"
    if any(row.measure == "gap_frozen" for row in report.rows):
        over = f"{over} unless another reading is given"
    if splits != 1:
        over = f"over {splits} random splits, by Nadeau and Bengio (2003), around means over them"
    source = str(report.model.get("source") or "")
    said = [*([f"Source: {source}"] if source else []), f"{_people(report)}. In brackets: 95 % intervals {over}.", *_weighed(report)]
    count = f"{len(described)} predictor{'s' if len(described) != 1 else ''}"
    return Sheet(title=f"{report.model['name']}: {count} of {report.model['outcome']}", after=tuple(said))


def seen(report: Report) -> Sheet:
    """What each predictor reads, and in which model its predictions do not move."""
    described = {name: _mapping(own) for name, own in _mapping(report.model["predictors"]).items()}
    latents = _list(report.model["latents"])
    rows = [(name, CLAIMS.get(str(own["invariant_in"]), ""), _reads(name, own, latents)) for name, own in described.items()]
    note = "Invariant in a model: no prediction moves there when people are moved to other groups, their noise unchanged."
    return Sheet(title="What each predictor sees", note=note, header=("predictor", "invariant in", "sees"), rows=rows, names=3, prose=True)


def assumed(report: Report, *, in_short: bool = False) -> list[Sheet]:
    """What this table cannot tell, and what was checked; of many measures without a value only how many there are, if in short."""
    undefined = [each for each in report.assumptions if each.name == UNDEFINED]
    left_out = undefined[1:] if in_short and len(undefined) > MANY else []
    told = Assumption(UNDEFINED, f"{len(undefined):,} figures have no value; each stands with its reason in report.md and report.json.")
    said = [told if left_out and each is undefined[0] else each for each in report.assumptions if each not in left_out]
    parted = {
        "Assumed, and not tested": [each for each in said if each.tested is None],
        "Assumed, and checked": [each for each in said if each.tested is not None],
    }
    sheets = {title: [_assumption(each) for each in some] for title, some in parted.items() if some}
    return [Sheet(title=title, header=("", ""), rows=rows, prose=True) for title, rows in sheets.items()]


def provenance(report: Report, *, in_short: bool = False, out: str | None = None) -> Sheet:
    """The table, the split and the options: all that is needed to do it again; the versions and the whole SHA-256 unless in short.

    Args:
        report: with the options of 'cfair fit', if that made it.
        in_short: see above.
        out: the folder that was asked for, if one was.
    """
    rows = [("table", _table(report, digits=12 if in_short else 64)), ("people", f"{_people(report)}{_split(report)}")]
    if "seconds" in report.data:
        rows.append(("time", _time(_mapping(report.data["seconds"]))))
    if report.not_used:
        rows.append(("not used", ", ".join(report.not_used)))
    if "splits" in report.options:
        rows.append(("to repeat", f"cfair fit {' '.join(_flags(report))}{'' if out is None else f' --out {shlex.quote(out)}'}"))
    if not in_short:
        rows.append(("versions", ", ".join(f"{name} {version}" for name, version in report.versions.items())))
    return Sheet(title="Data and options" if in_short else "Data, options and versions", header=("", ""), rows=rows, prose=True)


def _time(seconds: Mapping[str, Json]) -> str:
    """Cfair's own time, that of learning and that of models from elsewhere apart."""
    models = ", ".join(f"{name} {_figure(own)} s" for name, own in _mapping(seconds["models"]).items())
    learning = f"{_figure(seconds['learning'])} s of learning, then " if "learning" in seconds else ""
    return f"{learning}{_figure(seconds['cfair'])} s of cfair's own; scoring by models from elsewhere: {models}"


def _figure(seconds: Json) -> str:
    assert isinstance(seconds, int | float)
    return f"{seconds:.1f}"


def _assumption(said: Assumption) -> tuple[str, str]:
    return said.name.replace("_", " "), said.text + (f" Checked: {said.tested}." if said.tested is not None else "")


def _reads(name: str, own: Mapping[str, Json], latents: Collection[Json]) -> str:
    """The columns and latents that enter the head."""
    sees = _list(own["sees"])
    if "external" in own:
        return f"reads: {', '.join(map(str, sees))}; nothing is claimed"
    if not sees:
        return "nothing" if name == "constant" else "predicts a constant: no observed column is free of the protected attributes"
    return ", ".join(map(str, sees)) + (_chosen(own) if "variant" in own and set(map(str, latents)) & set(map(str, sees)) else "")


def _chosen(own: Mapping[str, Json]) -> str:
    """Which variant of level 2 it is, and what validation said of both."""
    losses = "; ".join(f"{_variant(variant)} {loss:.5g}" for variant, loss in _mapping(own["validation_mse"]).items())
    return f"; latents by their {_variant(str(own['variant']))}, chosen inside the training rows (mean squared error: {losses})"


def _variant(name: str) -> str:
    return name.removeprefix("latent_").replace("_", " ")


def _people(report: Report) -> str:
    audited, trained = report.data["audited_rows"], report.data.get("training_rows")
    return f"{audited:,} people audited" + (f", {trained:,} others fitted on" if trained is not None else "")


def _weighed(report: Report) -> Iterator[str]:
    """By what column people are weighed, and how many of equal weight would tell as much."""
    data, column = report.data, report.options.get("weights")
    if "effective_rows" in data:
        sizes = [f"the audited people tell as much as {_size(data['effective_rows'])} of equal weight"]
        sizes += [f"those fitted on as {_size(data['effective_training_rows'])}"] if "effective_training_rows" in data else []
        none = f"; {data['weightless']:,} of weight 0 were left out" if data["weightless"] else ""
        yield f"Weighted{f' by {column}' if column is not None else ''}: {', '.join(sizes)}{none}."


def _size(effective: Json) -> str:
    assert isinstance(effective, float)
    return f"{effective:,.0f}"


def _split(report: Report) -> str:
    options, protected = report.options, _list(report.model["protected"])
    if "test_share" not in options:
        return ""
    return f": a share of {options['test_share']} drawn within {' x '.join(map(str, protected))}, seed {options['seed']}"


def _table(report: Report, *, digits: int) -> str:
    data = report.data
    dropped = f", {data['dropped']:,} left out for missing values" if data.get("dropped") else ""
    missing = ", ".join(f"{count:,} of {node}" for node, count in _mapping(data.get("missing", {})).items())
    dropped += f", missing and integrated out: {missing}" if missing else ""
    dropped += (
        f", {data['audited_rows_without_outcome']:,} not audited for want of an outcome" if data.get("audited_rows_without_outcome") else ""
    )
    sha = str(data["sha256"])
    return f"{data['name']}, {data['rows']:,} rows{dropped}, sha256 {sha[:digits]}{'...' if len(sha) > digits else ''}"


def _flags(report: Report) -> Iterator[str]:
    yield f"--dag {shlex.quote(str(report.options.get('dag', 'dag.yaml')))}"
    if report.options.get("allow_python"):
        yield "--allow-python"
    if _mapping(report.options.get("trained_in", {})).get("reads_group") is False:
        yield "--without-group"
    asked = {**report.options, **_mapping(report.options.get("trained_in", {}))}
    for name in ("data", *FLAGS, *TRAINED):
        value = asked.get(name) if name not in TRAINED or "trained_in" in report.options else None
        value = None if value == [] else value
        if value is not None:
            yield f"--{name.replace('_', '-')} {shlex.quote(','.join(map(str, value)) if isinstance(value, list) else str(value))}"
    if (least := report.options.get("min_group_size", MIN_GROUP_SIZE)) != MIN_GROUP_SIZE:
        yield f"--min-group-size {least}"


def _mapping(value: Json) -> Mapping[str, Json]:
    assert isinstance(value, Mapping)
    return value


def _list(value: Json) -> list[Json]:
    assert isinstance(value, list)
    return value
