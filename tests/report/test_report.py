"""The report in the terminal and as Markdown: every figure, nothing else, and in words that claim no more than was found."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from rich.cells import cell_len
from rich.console import Console

from cfair.auditing import Report, audit
from cfair.pipeline import Options, fit
from cfair.report import to_markdown, to_table
from cfair.spec import ModelSpec, find_model, load_spec

from school import OUTCOMES, columns_of, people, school

WIDTHS = (60, 80, 100, 120, 200)
CLAIMS = re.compile(r"\b(fair|unfair|fairer|unbiased|biased|debias\w*)\b", re.IGNORECASE)


@cache
def report(outcome: str = "gaussian", splits: int = 1) -> Report:
    spec = school(outcome)
    return fit(spec, people(spec, 400)[1], Options(draws=4, min_group_size=5, splits=splits)).report


def printed(report: Report, width: int = 100) -> list[str]:
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(to_table(report))
    return [line.rstrip() for line in captured.get().splitlines()]


def in_words(report: Report) -> str:
    return " ".join(" ".join(printed(report, 200)).split())


def renamed(old: str, new: str) -> Report:
    """The report of the school with another name for one of its levels."""
    graph = school().to_graph()
    levels = graph.nodes["sex"]["levels"]
    graph.nodes["sex"]["levels"] = [new if level == old else level for level in levels]
    for node in graph:
        graph.nodes[node].pop("parameters", None)
    spec = ModelSpec.from_graph(graph)
    return fit(spec, people(school(), 400)[1], Options(draws=2, uncertainty="none", predictors=("full", "latent"))).report


def value(report: Report, predictor: str, measure: str, attribute: str | None = None, group: str | None = None) -> float:
    key = (predictor, measure, attribute, group, None)
    (found,) = [row.value for row in report.rows if (row.predictor, row.measure, row.attribute, row.group, row.world) == key]
    assert found is not None
    return found


def tables(markdown: str) -> list[list[list[str]]]:
    """The tables of a Markdown text: rows of cells, the rule left out."""
    found: list[list[list[str]]] = [[]]
    for line in markdown.splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif found[-1]:
            found.append([])
    for table in filter(None, found):
        assert all(re.fullmatch(r"-{2,}:?", cell) for cell in table[1])
    return [[table[0], *table[2:]] for table in found if table]


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal_and_no_figure_is_lost_in_a_narrow_one(width: int, outcome: str) -> None:
    def figures(at: int) -> set[str]:
        return {figure for line in printed(report(outcome), at) for figure in re.findall(r"-?\d+\.\d+", line)}

    assert max(map(cell_len, printed(report(outcome), width))) <= width
    assert figures(width) == figures(200)


@pytest.mark.parametrize("splits", [1, 3])
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_no_text_claims_what_no_audit_can_show(outcome: str, splits: int) -> None:
    for text in (to_markdown(report(outcome, splits)), "\n".join(printed(report(outcome, splits)))):
        assert not CLAIMS.findall(text)
        assert "declared model" in text


def test_output_that_is_no_terminal_is_plain() -> None:
    assert "\x1b" not in "".join(printed(report()))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_markdown_tables_have_as_many_cells_in_each_row_as_in_the_header(outcome: str) -> None:
    for table in tables(to_markdown(report(outcome))):
        assert {len(row) for row in table} == {len(table[0])}


@pytest.mark.parametrize("name", ["a|b", "_a_", "*a*", "<b>", "`a`", "a\\", "a\\|b", "&lt;", "~~a~~"])
def test_names_that_look_like_markdown_are_escaped_and_the_terminal_shows_them_as_they_are(name: str) -> None:
    odd = renamed("m", name)
    for table in tables(to_markdown(odd)):
        assert {len(row) for row in table} == {len(table[0])}
    cells = {cell for table in tables(to_markdown(odd)) for row in table for cell in row}
    escaped = [cell for cell in cells if re.sub(r"\\(.)", r"\1", cell) == name]
    assert escaped
    assert name not in escaped
    assert f"  {name} " in "\n".join(printed(odd))


def test_identifiers_are_readable_in_markdown_as_it_stands() -> None:
    text = to_markdown(replace(report(), model={**report().model, "name": "law_school"}))
    assert text.startswith("# law_school: 6 predictors of y\n")


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_predictor_has_its_loss_and_both_paired_differences(outcome: str) -> None:
    loss = {"gaussian": "RMSE", "bernoulli": "accuracy"}[outcome]
    first = tables(to_markdown(report(outcome)))[0]
    assert first[0] == ["predictor", loss, f"{loss} minus full", f"{loss} minus constant"]
    assert [row[0] for row in first[1:]] == list(Options().predictors)
    assert [row[0] for row in first[1:] if not row[2]] == ["full"]
    assert [row[0] for row in first[1:] if not row[3]] == ["constant"]


def test_gaps_are_exactly_0_where_claimed_and_stand_in_full_in_markdown() -> None:
    gaps = {(row[0], row[1]): row[2:] for row in tables(to_markdown(report()))[1][1:]}
    for name in ("constant", "nondescendants", "latent"):
        assert gaps[name, "same noise"] == ["0", "0", "0"]
    assert "0" not in gaps["latent", "re-abducted"]
    assert gaps["full", "same noise"] == gaps["full", "re-abducted"]
    assert {name for name, kind in gaps if kind == "own model"} == {"residual"}


def test_the_terminal_gives_a_gap_its_own_line_only_where_it_says_something_else() -> None:
    lines = printed(report(), 200)
    start = lines.index("Counterfactual gaps")
    named = [line[:16].strip() for line in lines[start:] if re.match(r"(constant|full|unaware|nondesc|latent|residual|  re-|  own)", line)]
    assert named[:8] == ["constant", "full", "unaware", "nondescendants", "latent", "re-abducted", "residual", "own model"]


def test_the_worst_pair_is_named() -> None:
    rows = [row for row in report().rows if (row.predictor, row.measure, row.attribute) == ("full", "gap_same_noise", "race")]
    worst = max(rows, key=lambda row: row.value or 0)
    assert worst.value == value(report(), "full", "gap_same_noise_worst", "race")
    assert f"Worst by race: {worst.group} -> {str(worst.world).removeprefix('race=')} (full" in in_words(report())


def test_an_empty_level_1_is_said_to_predict_a_constant() -> None:
    spec = load_spec(find_model("law_school_gaussian"))
    seen = {**report().model, "predictors": {"nondescendants": {"sees": [], "needs": [], "invariant_in": "declared"}}}
    sentence = "predicts a constant: no observed column is free of the protected attributes"
    assert not spec.level_1
    for text in (in_words(replace(report(), model=seen)), to_markdown(replace(report(), model=seen))):
        assert sentence in text
    assert sentence not in in_words(report())


def test_the_latent_predictors_variant_is_said_with_both_validation_figures() -> None:
    own = report().model["predictors"]["latent"]
    losses = own["validation_mse"]
    chosen = {"latent_posterior_mean": "posterior mean", "latent_draws": "draws"}[own["variant"]]
    for text in (in_words(report()), to_markdown(report())):
        assert f"latents by their {chosen}, chosen inside the training rows" in text
        assert f"posterior mean {losses['latent_posterior_mean']:.5g}; draws {losses['latent_draws']:.5g}" in text


def test_without_a_latent_nothing_is_said_of_one() -> None:
    graph = school().to_graph()
    graph.remove_node("talent")
    for node in graph:
        graph.nodes[node].pop("parameters", None)
    graph.nodes["visits"]["mechanism"] = "poisson"  # without its interaction with talent
    everyone = {node: column for node, column in people(school(), 200)[1].items() if node != "talent"}
    own = fit(ModelSpec.from_graph(graph), columns_of(everyone), Options(draws=2, uncertainty="none", predictors=("latent",))).report
    assert "latents by" not in in_words(own)
    assert "latent the declared model age" in in_words(own)


def test_a_groups_mean_outcome_stands_beside_its_residuals() -> None:
    spec, (_, everyone) = school(), people(school(), 400)
    run = fit(spec, everyone, Options(draws=2, predictors=("full",)))
    audited = audit(run.scm, run.predictors, everyone, draws=2)
    (line,) = [line for line in printed(audited) if re.match(r"  b ", line)]
    member = everyone["race"] == 1
    assert line.split()[:3] == ["b", str(int(member.sum())), f"{float(everyone['y'][member].mean()):.3f}"]


def test_predictors_whose_groups_do_not_differ_are_shown_once() -> None:
    constant = report()
    twice = [replace(row, predictor="again") for row in constant.rows if row.predictor == "constant"]
    text = in_words(replace(constant, rows=(*constant.rows, *twice)))
    assert "again: the same as constant." in text
    assert "full: the same as" not in text


@pytest.mark.parametrize("ratio", [0.79, 0.8, 1.0, None])
def test_a_ratio_of_selection_rates_below_four_fifths_is_flagged(ratio: float | None) -> None:
    rows = tuple(
        replace(row, value=ratio, low=None, high=None)
        if (row.predictor, row.measure) == ("full", "demographic_parity_ratio")
        else replace(row, value=0.9)
        if row.measure == "demographic_parity_ratio"
        else row
        for row in report("bernoulli").rows
    )
    flagged = ratio is not None and ratio < 0.8
    for text in (in_words(replace(report("bernoulli"), rows=rows)), to_markdown(replace(report("bernoulli"), rows=rows))):
        assert ("a ratio of selection rates below 0.8 under full." in text) is flagged
        assert ("undefined" in text) or ratio is not None


def test_a_binary_outcome_has_rates_and_constraints_by_group_and_a_real_one_has_not() -> None:
    rates = ("Selection rate by group", "True positive rate by group", "False positive rate by group", "Group constraints by race x sex")
    for words in rates:
        assert words in printed(report("bernoulli"))
        assert words not in printed(report())
    assert "Mean residual by group" in printed(report())


@pytest.mark.slow
def test_intervals_are_said_to_be_what_they_are() -> None:
    assert "95 % intervals over the audited people" in in_words(report())
    assert "95 % intervals over 3 random splits, by Nadeau and Bengio (2003)" in in_words(report(splits=3))
    assert "hold for all pairs of groups at once" in in_words(report("bernoulli"))
    assert "at once" not in in_words(report("bernoulli", splits=3))


@pytest.mark.parametrize("write", [in_words, to_markdown])
def test_every_assumption_is_listed_with_how_it_was_checked(write: Callable[[Report], str]) -> None:
    text = write(report())
    for each in report().assumptions:
        assert each.text in text.replace("\\", "")
        assert each.tested is None or f"Checked: {each.tested}." in text
    assert text.index("Assumed, and not tested") < text.index("Assumed, and checked")


def test_data_split_options_and_versions_are_said() -> None:
    text = to_markdown(report())
    for words in (*report().versions.values(), "0" * 64, "80 people audited, 320 others fitted on", "within race x sex, seed 0"):
        assert words in text
    assert "--draws 4 --splits 1 --test-share 0.2 --seed 0" in in_words(report())


def test_an_audit_by_hand_of_ones_own_predictors_is_reported_too() -> None:
    spec = school("bernoulli")
    scm, everyone = people(spec, 300)
    predictors = {"mine": fit(spec, everyone, Options(draws=2, predictors=("unaware",))).predictors["unaware"]}
    own = audit(scm, predictors, columns_of(dict(everyone)), draws=2, metrics=["brier"], constraints=[])
    assert "school: 1 predictor of y" in in_words(own)
    assert "Brier score" in to_markdown(own)
    assert "to repeat" not in to_markdown(own)


def test_a_notebook_shows_the_table_by_itself() -> None:
    shown = to_table(report())._repr_mimebundle_([], [])
    assert "Counterfactual gaps" in shown["text/html"]
