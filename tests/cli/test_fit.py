"""``cfair fit``: the report on stdout, the run in its folder, and every mistake in one line before any work."""

import inspect
import io
import json
import re
import shlex
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cfair.cli import main
from cfair.cli.fit import fit
from cfair.data import builtin_path
from cfair.pipeline import Options
from cfair.spec import find_model
from cfair.store import load

DAG = str(find_model("law_school"))
QUICK = ["--draws", "4", "--predictors", "constant,full,latent", "--uncertainty", "none"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command runs in a folder of its own, on a terminal of no width."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)


def law_school(rows: int = 300) -> pd.DataFrame:
    """Some of the law school's people, of both races and sexes that occur most."""
    everyone = pd.read_parquet(builtin_path("law_school"))
    return everyone[everyone["race"].isin(["White", "Black"])].sample(rows, random_state=0).reset_index(drop=True)


def write(table: pd.DataFrame, name: str = "people.csv") -> str:
    table.to_csv(name, index=False)
    return name


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    code = main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on stderr of a command that a mistake stops, with nothing left behind."""
    before = sorted(Path.cwd().rglob("*"))
    code, out, err = told(capsys, "fit", "--dag", DAG, *QUICK, *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert sorted(Path.cwd().rglob("*")) == before
    as_json = told(capsys, "fit", "--dag", DAG, *QUICK, *words, "--json")
    mistake = json.loads(as_json[1])["error"]
    assert (as_json[0], as_json[2]) == (2, err)
    assert all(mistake[key] for key in ("where", "problem", "mend"))
    return err.rstrip()


def test_the_table_is_on_stdout_and_the_run_where_the_last_line_says(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = told(capsys, "fit", "--dag", DAG, "--data", write(law_school()), *QUICK)
    assert (code, err) == (0, "")
    assert out.startswith("law_school: 3 predictors of zfya\n")
    assert out.splitlines()[-1].startswith(
        "Written to runs/law_school. Next: cfair predict --run runs/law_school --data F --predictor latent"
    )
    assert max(map(len, out.splitlines()[:-1])) <= 100
    assert "\x1b" not in out
    assert not re.search(r"\bfair\b", out, re.IGNORECASE)
    assert list(load("runs/law_school").predictors) == ["constant", "full", "latent"]
    assert "# law_school: 3 predictors" in Path("runs/law_school/report.md").read_text()


def test_json_is_one_document_the_report_and_where_the_run_is(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = told(capsys, "fit", "--dag", DAG, "--data", write(law_school()), *QUICK, "--out", "deep/run", "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document.pop("out") == "deep/run"
    assert document == json.loads(Path("deep/run/report.json").read_text())
    assert document["schema"] == 1
    assert set(document["rows"][0]) == {"predictor", "measure", "attribute", "group", "world", "value", "low", "high", "n"}


def test_what_the_report_says_to_repeat_gives_the_same_report(capsys: pytest.CaptureFixture[str]) -> None:
    data = write(law_school().assign(ugpa=[np.nan, *law_school()["ugpa"][1:]]))
    words = [
        "--draws",
        "3",
        "--parameter-draws",
        "2",
        "--seed",
        "5",
        "--test-share",
        "0.3",
        "--missing",
        "drop",
        "--predictors",
        "unaware, residual",
        "--min-group-size",
        "40",
    ]
    assert told(capsys, "fit", "--dag", DAG, "--data", data, *words, "--out", "run")[0] == 0
    (line,) = [line for line in Path("run/report.md").read_text().splitlines() if line.startswith("| to repeat")]
    _, *again = shlex.split(line.split("|")[2])
    assert again[:5] == ["fit", "--dag", DAG, "--data", data]
    assert again[-2:] == ["--out", "run"]
    assert told(capsys, *again, "--out", "again")[0] == 0
    assert load("again").report == load("run").report


def test_missing_values_are_integrated_out_when_asked_and_the_report_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    table = law_school()
    gaps = table.assign(ugpa=[np.nan, *table["ugpa"][1:]], lsat=[np.nan, np.nan, *table["lsat"][2:]])
    words = [*QUICK, "--missing", "latent", "--predictors", "constant,full,unaware,nondescendants,latent,residual"]
    assert told(capsys, "fit", "--dag", DAG, "--data", write(gaps), *words, "--out", "run")[0] == 0
    report = load("run").report
    assert report.data["missing"] == {"ugpa": 1, "lsat": 2}
    assert report.options["missing"] == "latent"
    assert all(row.value is None or np.isfinite(row.value) for row in report.rows)
    assert "missing and integrated out: 1 of ugpa, 2 of lsat" in Path("run/report.md").read_text()


def test_several_splits_give_intervals_over_them(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = told(capsys, "fit", "--dag", DAG, "--data", write(law_school()), *QUICK, "--splits", "2", "--json")
    rows = {(row["predictor"], row["measure"]): row for row in json.loads(out)["rows"] if row["attribute"] is None}
    found = rows["latent", "rmse_minus_full"]
    assert found["low"] < found["value"] < found["high"]


def test_a_run_is_replaced_and_anything_else_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    data = write(law_school())
    for seed in ("1", "2"):
        assert told(capsys, "fit", "--dag", DAG, "--data", data, *QUICK, "--seed", seed, "--out", "run")[0] == 0
    assert load("run").report.options["seed"] == 2
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["people.csv", "run"]
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("x")
    assert "mine: the folder holds 'thesis.tex' and is not a run" in refused(capsys, "--data", data, "--out", "mine")
    assert "people.csv: a file stands where the run's folder would" in refused(capsys, "--data", data, "--out", "people.csv")


def test_the_table_is_the_dags_own_unless_data_says_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    text = Path(DAG).read_text()
    Path("sub").mkdir()
    Path("sub/dag.yaml").write_text(text.replace("data: law_school", "data: ./people.csv"))
    write(law_school(), "sub/people.csv")
    _, out, _ = told(capsys, "fit", "--dag", "sub/dag.yaml", *QUICK, "--json")
    assert json.loads(out)["data"]["name"] == "people.csv"
    Path("bare.yaml").write_text(text.replace("data: law_school", ""))
    code, _, err = told(capsys, "fit", "--dag", "bare.yaml", *QUICK)
    assert (code, "pass --data" in err) == (2, True)


def test_a_table_that_does_not_fit_is_refused_by_column_and_rows(capsys: pytest.CaptureFixture[str]) -> None:
    table = law_school()
    lsat = [*table["lsat"][:7], np.inf, *table["lsat"][8:]]
    text = [*table["ugpa"][:3].astype(str), "good", *table["ugpa"][4:].astype(str)]
    race = [*table["race"][:2], "Blak", *table["race"][3:]]
    gap = [np.nan, *table["zfya"][1:]]
    mistakes = {
        "there is no column 'lsat'": table.drop(columns="lsat"),
        "column 'race', row 2 (line 4): 'Blak' is not a declared level. Did you mean 'Black'?": table.assign(race=race),
        "column 'lsat', row 7 (line 9): 'inf' is infinite": table.assign(lsat=lsat),
        "column 'ugpa', row 3 (line 5): 'good' is not a number": table.assign(ugpa=text),
        "column 'zfya', row 0 (line 2): missing values: 1 in 'zfya'": table.assign(zfya=gap),
        "people.csv: has no rows": table.head(0),
        "column 'sex', rows 0 to 299: the protected attribute is 'male' in every row": table.assign(sex="male"),
    }
    for said, wrong in mistakes.items():
        assert said in refused(capsys, "--data", write(wrong))
    Path("people.csv").write_bytes(b"")
    assert "people.csv: is empty" in refused(capsys, "--data", "people.csv")
    assert "there is no such file" in refused(capsys, "--data", "nowhere.csv")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--predictors", "latnt"], "Did you mean 'latent'?"),
        (["--predictors", ","], "none is named"),
        (["--head", "lineer"], "Did you mean 'linear'?"),
        (["--head", "logistic"], "logistic"),
        (["--engine", "gibbs"], "'gibbs' is not an engine"),
        (["--draws", "0"], "0 is below 1"),
        (["--parameter-draws", "1"], "1 is below 2"),
        (["--uncertainty", "laplas"], "Did you mean 'laplace'"),
        (["--draws", "many"], "valid integer"),
        (["--splits", "0"], "0 is below 1"),
        (["--test-share", "1.5"], "not between 0 and 1"),
        (["--test-share", "nan"], "not between 0 and 1"),
        (["--test-share", "0.0001"], "cannot be parted"),
        (["--seed", "-1"], "-1 is below 0"),
        (["--threads", "0"], "--threads"),
        (["--missing", "guess"], "use 'error', 'drop' or 'latent'"),
        (["--draw", "5"], "--draws"),
        (["--out", "people.csv/run"], "a file stands"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert said.lower() in refused(capsys, "--data", write(law_school()), *words).lower()


def test_options_are_refused_before_the_table_is_read_and_the_folder_before_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean 'latent'?" in refused(capsys, "--data", "nowhere.csv", "--predictors", "latnt")
    Path("mine").mkdir()
    Path("mine/x").write_text("")
    assert "is not a run" in refused(capsys, "--data", "nowhere.csv", "--out", "mine")


def test_a_dag_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = told(capsys, "fit")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--dag" in err


def test_the_flags_defaults_are_those_of_the_library() -> None:
    defaults = {name: parameter.default for name, parameter in inspect.signature(fit).parameters.items()}
    options = Options()
    assert defaults["predictors"] == ",".join(options.predictors)
    for name in ("head", "engine", "uncertainty", "parameter_draws", "draws", "splits", "test_share", "seed"):
        assert defaults[name] == getattr(options, name)


class Screen(io.StringIO):
    """A terminal to write to."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("quiet", [True, False])
def test_progress_is_drawn_on_a_terminals_stderr_only_and_not_when_quiet(monkeypatch: pytest.MonkeyPatch, quiet: bool) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    assert main(["fit", "--dag", DAG, "--data", write(law_school()), *QUICK, *(["--quiet"] if quiet else [])]) == 0
    assert ("auditing" in screen.getvalue()) is not quiet
    assert quiet is (screen.getvalue() == "")


@pytest.mark.parametrize(
    "stage", ["cfair.cli._fitting.read_table", "cfair.pipeline.learn", "cfair.pipeline.audit", "cfair.cli._fitting.to_markdown"]
)
def test_a_run_that_is_interrupted_exits_130_and_leaves_nothing_behind(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr(stage, lambda *words, **flags: signal.raise_signal(signal.SIGINT))
    data = write(law_school())
    assert told(capsys, "fit", "--dag", DAG, "--data", data, *QUICK, "--out", "deep/run") == (130, "", "")
    assert [path.name for path in Path.cwd().iterdir()] == [data]


def test_an_interrupt_while_the_run_is_written_leaves_the_old_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["fit", "--dag", DAG, "--data", write(law_school()), *QUICK, "--out", "run"]
    assert told(capsys, *words)[0] == 0
    before, rename = load("run").report, Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path.name == "new":
            signal.raise_signal(signal.SIGINT)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    assert told(capsys, *words, "--seed", "9")[0] == 130
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["people.csv", "run"]
    assert load("run").report == before
