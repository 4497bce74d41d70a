"""A survey in the terminal and as Markdown: every figure, in words that claim no more than was found."""

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
from rich.cells import cell_len
from rich.console import Console

from cfair import groups
from cfair.auditing import Report
from cfair.comparing.representation import DATA
from cfair.report import to_survey, to_survey_markdown

KINDS = ("decisions", "several", "scores", "levels", "numbers", "data")
CLAIMS = re.compile(r"\b(fair|unfair|fairer|unbiased|biased|debias\w*)\b", re.IGNORECASE)


@cache
def report(kind: str) -> Report:
    source = np.random.default_rng(0)
    frame = pd.DataFrame({"race": source.choice(["w", "b", "a|b"], 300, p=[0.5, 0.45, 0.05]), "x": source.normal(size=300)})
    frame["score"], frame["w"] = source.random(300), source.random(300)
    frame["y"] = (source.random(300) < frame["score"]).astype(int)
    frame["sex"], frame["chosen"] = source.choice(["m", "f"], 300), (frame["score"] > 0.4).astype(int)
    frame["level"] = source.choice(["low", "mid", "high"], 300)
    frame.loc[:20, "x"] = np.nan
    asked: dict[str, dict[str, str | list[str]]] = {
        "decisions": {"outcome": "y", "prediction": "chosen"},
        "several": {"outcome": "y", "score": ["score", "w"]},
        "scores": {"outcome": "y", "score": "score", "weights": "w"},
        "levels": {"outcome": "level", "prediction": "guess"},
        "numbers": {"outcome": "score", "prediction": "w"},
        "data": {"outcome": "y"},
    }
    frame["guess"] = frame["level"].sample(frac=1, random_state=0).to_numpy()
    reference = {"race": {"w": 0.5, "b": 0.3, "a|b": 0.1, "none": 0.1}} if kind == "data" else None
    return groups(frame, attributes=["race", "sex"], reference=reference, **asked[kind])  # type: ignore[arg-type]


def printed(kind: str, width: int = 100) -> list[str]:
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(to_survey(report(kind)))
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [60, 100])
def test_no_line_is_wider_than_the_terminal_and_no_figure_is_lost_in_a_narrow_one(kind: str, width: int) -> None:
    def figures(at: int) -> set[str]:
        return {figure for line in printed(kind, at) for figure in re.findall(r"-?\d+\.\d+", line)}

    assert max(map(cell_len, printed(kind, width))) <= width
    assert figures(width) == figures(200)


@pytest.mark.parametrize("kind", KINDS)
def test_markdown_tables_have_as_many_cells_in_each_row_as_in_the_header(kind: str) -> None:
    blocks = [block.splitlines() for block in to_survey_markdown(report(kind)).split("\n\n") if block.startswith("|")]
    assert blocks
    for block in blocks:
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in block}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_claims_what_no_table_can_show(kind: str) -> None:
    for text in (to_survey_markdown(report(kind)), "\n".join(printed(kind))):
        assert not CLAIMS.findall(text.replace("Fair prediction", ""))


@pytest.mark.parametrize("kind", KINDS)
def test_every_group_has_its_share_and_how_it_fares(kind: str) -> None:
    text = to_survey_markdown(report(kind)).replace("\\", "")
    means = ("base_rate", "mean_outcome")
    for row in report(kind).rows:
        if row.predictor == DATA and row.measure.startswith(("share", *means)) and row.value:
            assert f"| {row.group} | " in text
            assert f"{row.value:.2f}"[:4] in text or f"{row.value:.1f}" in text


def test_columns_that_carry_an_attribute_and_missing_values_are_shown() -> None:
    text = "\n".join(printed("data"))
    assert "Columns that carry race" in text
    assert "all of them" in text
    assert "Missing values" in text
    assert "share minus" in text
    assert "other columns carry less" not in text


def test_a_group_of_the_reference_that_nobody_is_in_is_shown_with_its_share() -> None:
    (line,) = [line for line in printed("data") if line.startswith("none ")]
    assert line.split()[1] == "0"


def test_sixty_small_groups_have_their_rates_and_no_table_of_what_is_not_compared() -> None:
    source = np.random.default_rng(0)
    frame = pd.DataFrame({"g": [f"g{i % 60}" for i in range(600)], "score": source.random(600)})
    frame["y"] = (source.random(600) < frame["score"]).astype(int)
    found = groups(frame, outcome="y", score="score", attributes=["g"], proxies=False)
    console = Console(width=100)
    with console.capture() as captured:
        console.print(to_survey(found))
    text = captured.get()
    lines = [line.split() for line in text.splitlines() if line.startswith("g") and not line.startswith("group")]
    assert [words[1] for words in lines] == ["10"] * 120  # by group, and of the data
    assert "Fewer than two groups have 30 people: none are compared." in text
    assert "Four-fifths" not in text
    assert "figures have no value; each stands with its reason" in text
    assert text.count("undefined") < 20
    reasons = [each.text for each in found.assumptions if each.name == "undefined"]
    assert "demographic_parity_difference by g is undefined: fewer than two groups have people enough (score)." in reasons
    assert to_survey_markdown(found).count("is undefined: ") == len(reasons)


def test_of_very_many_groups_the_terminal_shows_the_largest_and_counts_the_others() -> None:
    source = np.random.default_rng(0)
    frame = pd.DataFrame({"g": [f"g{i % 80 if i < 160 else i % 60}" for i in range(800)], "y": source.integers(0, 2, 800)})
    frame["guess"] = source.integers(0, 2, 800)
    found = groups(frame, outcome="y", prediction="guess", attributes=["g"], proxies=False)
    console = Console(width=140)
    with console.capture() as captured:
        console.print(to_survey(found))
    text = captured.get()
    assert text.count("The 60 largest groups; 20 others, of at most 2 people, are in report.md and report.json (--out).") == 2
    assert "g59 " in text
    assert "g79" not in text.partition("Assumed")[0]
    assert to_survey_markdown(found).count("| g79 |") == 2


def test_several_levels_are_shown_one_by_one_and_their_mean() -> None:
    text = "\n".join(printed("levels"))
    for words in ("By race: mid against the others", "Group constraints by race: the mean over levels"):
        assert words in text
