"""What the README shows is true."""

import re
from pathlib import Path

import pytest

from cfair.auditing import Row, audit
from cfair.cli import COMMANDS, main
from cfair.constraints import CONSTRAINTS, GROUP_RATES
from cfair.inference import abduct
from cfair.metrics import METRICS
from cfair.mitigations import MITIGATIONS
from cfair.predictors import PREDICTORS
from cfair.spec import read_spec, shipped_models

from school import OUTCOMES, people, school

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_its_dag_declares_a_model() -> None:
    (text,) = blocks("yaml")
    assert read_spec(text, name="README.md").outcome == "hired"


@pytest.mark.slow
def test_its_python_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    text = "\n".join(blocks("python"))  # each goes on where the one before it ended
    names: dict[str, object] = {}
    exec(text, names)
    assert float(names["gap"]) == 0  # type: ignore[arg-type]


def test_it_names_every_command_predictor_and_model() -> None:
    for name in [*COMMANDS, *PREDICTORS, *shipped_models(), *METRICS, *CONSTRAINTS, *GROUP_RATES]:
        assert re.search(rf"\b{name}", README), name


def test_its_table_says_which_mitigation_serves_which_constraint() -> None:
    served = {name: [MITIGATIONS[name].refuses(CONSTRAINTS[each]) is None for each in CONSTRAINTS] for name in MITIGATIONS}
    rows = [f"| `{name}`, {MITIGATIONS[name].stage} | {' | '.join('yes' if one else '' for one in own)} |" for name, own in served.items()]
    header = f"| | {' | '.join(name.replace('_', ' ') for name in CONSTRAINTS)} |"
    assert "\n".join([header, "|" + "---|" * (len(CONSTRAINTS) + 1), *rows]) in README


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_it_explains_every_measure(outcome: str) -> None:
    scm, columns = people(school(outcome), 200)
    worlds = [abduct(scm, columns, draws=2)]
    predictors = {name: PREDICTORS[name](scm).fit(worlds, columns["y"]) for name in ("constant", "full", "residual")}
    rows: tuple[Row, ...] = audit(scm, predictors, columns, draws=2).rows
    for measure in {row.measure for row in rows}:
        stem = re.sub(r"(_(minus_\w+|signed|worst|difference|ratio|pair|p|shrunken)|\[.*\])+$", "", measure)
        assert stem in README, measure


def test_its_comparison_of_groups_is_what_the_command_prints(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    (command,) = [line for text in blocks("sh") for line in text.splitlines() if line.startswith("cfair groups")]
    (shown,) = [text for text in blocks("text") if "By race" in text]
    assert main(command.split()[1:]) == 0
    printed = capsys.readouterr().out.splitlines()
    for line in shown.splitlines():
        assert line in printed or line.startswith("["), line
