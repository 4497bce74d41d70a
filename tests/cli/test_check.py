"""``cfair check`` and ``cfair schema``, and what every command does with a mistake."""

import json
from pathlib import Path

import pytest

from cfair.cli import COMMANDS, main
from cfair.spec import find_model, spec_schema

DAG = str(find_model("law_school"))
BAD = Path(DAG).read_text().replace("- knowledge  # what", "- knowlege  # what")


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    code = main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_check_says_what_follows_from_the_graph(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = told(capsys, "check", DAG, "--json")
    said = json.loads(out)
    assert (code, err) == (0, "")
    assert said["name"] == "law_school"
    assert list(said["nodes"]) == ["race", "sex", "knowledge", "ugpa", "lsat", "zfya"]
    assert (said["protected"], said["outcome"], said["latents"]) == (["race", "sex"], "zfya", ["knowledge"])
    assert (said["descendants"], said["non_descendants"]) == (["ugpa", "lsat", "zfya"], [])
    assert said["predictors"]["unaware"] == {"sees": ["ugpa", "lsat"], "refused": {"race": ["race"], "sex": ["sex"], "zfya": ["zfya"]}}
    assert said["predictors"]["nondescendants"]["refused"]["lsat"] == ["race", "lsat"]
    assert [set(each) for each in said["warnings"]] == [{"where", "problem", "mend"}]


def test_explain_adds_what_the_graph_implies(capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(told(capsys, "check", DAG, "--explain", "--json")[1])
    assert said["independences"] == [{"first": "race", "second": "sex", "given": []}]


def test_check_in_words_is_plain_where_the_output_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "check", DAG)
    assert code == 0
    assert "\x1b" not in out
    assert "non-descendants  none" in out
    assert "level 1 is empty" in out
    assert all(line == line.rstrip() for line in out.splitlines())


def test_explain_in_words_gives_each_refused_column_its_path(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "check", DAG, "--explain")[1]
    assert "race -> lsat" in out
    assert "residual[ugpa], residual[lsat]" in out
    assert "race independent of sex" in out


def test_a_shipped_model_goes_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "check", "law_school", "--json") == told(capsys, "check", DAG, "--json")


def test_names_that_look_like_markup_are_printed_as_they_are(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text(
        "protected: [a]\noutcome: ':smile:'\nnodes: {a: {mechanism: bernoulli, levels: ['[red]', b]}, ':smile:': {mechanism: gaussian}}"
    )
    out = told(capsys, "check", str(tmp_path / "d.yaml"))[1]
    assert ":smile:" in out
    assert "[red], b" in out


def test_a_table_is_read_against_the_declaration(capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(told(capsys, "check", DAG, "--data", "law_school", "--json")[1])
    assert (said["data"]["name"], said["data"]["rows"], said["data"]["unused"]) == ("law_school", 21_791, ["passed_bar"])
    assert said["data"]["rounded"]["lsat"] / said["data"]["rows"] == pytest.approx(0.093, abs=5e-4)  # Kusner et al. (2017): 9.3 %
    out = told(capsys, "check", DAG, "--data", "law_school")[1]
    assert "21,791" in out
    assert "unused columns  passed_bar" in out


def test_a_table_that_does_not_fit_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("race,sex\nWhite,male\n")
    code, out, err = told(capsys, "check", DAG, "--data", str(tmp_path / "d.csv"))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "ugpa" in err


def test_a_mistake_is_one_line_with_its_place_and_exit_code_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "dag.yaml").write_text(BAD)
    line = BAD[: BAD.index("knowlege")].count("\n") + 1
    expected = f"{tmp_path / 'dag.yaml'}:{line}, nodes.lsat.parents[2]"
    code, out, err = told(capsys, "check", str(tmp_path / "dag.yaml"))
    assert (code, out) == (2, "")
    assert err == f"{expected}: 'knowlege' is not a declared node. Did you mean 'knowledge'?\n"
    code, out, err = told(capsys, "check", str(tmp_path / "dag.yaml"), "--json")
    assert json.loads(out) == {
        "error": {"where": expected, "problem": "'knowlege' is not a declared node", "mend": "did you mean 'knowledge'?"}
    }
    assert (code, err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("text", "told_by"),
    [
        ("- a\n- b", "holds a list"),
        ("", "the file is empty"),
        ("\x00\x01", "not text"),
        ("a: [", "not YAML"),
        ("name: a\nname: b", "declared twice, first on line 1"),
        ('protected: [a]\noutcome: a\nnodes: {"a\\nb\\e[31m": {}}', "nodes.a\\nb\\x1b[31m: 'mechanism' is missing"),
    ],
)
def test_whatever_the_file_the_message_is_one_printable_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, told_by: str
) -> None:
    (tmp_path / "dag.yaml").write_text(text)
    code, out, err = told(capsys, "check", str(tmp_path / "dag.yaml"))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.removesuffix("\n").isprintable()
    assert told_by in err


@pytest.mark.parametrize(
    ("words", "told_by"),
    [
        (["check"], "cfair check: Missing argument 'DAG'. See 'cfair check --help'"),
        (["check", DAG, "--explian"], "--explain"),
        (["check", "law_scool"], "Did you mean 'law_school'?"),
        (["chek", DAG], "Did you mean 'check'"),
        (["--jsn"], "See 'cfair --help'"),
    ],
)
def test_a_word_that_is_not_understood_is_a_users_mistake(capsys: pytest.CaptureFixture[str], words: list[str], told_by: str) -> None:
    code, out, err = told(capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told_by in err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--help"]):
        code, out, _ = told(capsys, *words)
        assert code == 0
        assert all(name in out for name in COMMANDS)


def test_schema_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "schema")
    assert (code, json.loads(out)) == (0, spec_schema())


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "schema", ("cfair.errors:nearest", "Called without its arguments."))
    monkeypatch.setattr("cfair.errors.nearest", _broken)
    with pytest.raises(ZeroDivisionError):  # the interpreter prints its traceback and exits 1
        main(["schema"])


def _broken() -> None:
    raise ZeroDivisionError


def test_check_says_what_is_missing_where_and_refuses_what_cannot_be_integrated_out(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data, model = tmp_path / "people.csv", tmp_path / "dag.yaml"
    data.write_text("race,sex,ugpa,lsat,zfya\nWhite,male,,30,0.1\nBlack,female,3.1,,0.2\nWhite,female,,,\n")
    assert told(capsys, "check", DAG, "--data", str(data))[0] == 2
    code, out, _ = told(capsys, "check", DAG, "--data", str(data), "--missing", "latent", "--json")
    assert code == 0
    assert json.loads(out)["data"]["missing"] == {"ugpa": 2, "lsat": 2, "zfya": 1}
    assert "ugpa: 2 rows, integrated out" in told(capsys, "check", DAG, "--data", str(data), "--missing", "latent")[1]
    nodes = "a: {mechanism: bernoulli, levels: [n, y]}\n  x: {mechanism: poisson}\n  y: {mechanism: gaussian, parents: [x]}"
    model.write_text(f"protected: [a]\noutcome: y\nnodes:\n  {nodes}\n")
    data.write_text("a,x,y\nn,,0.1\ny,3,0.2\n")
    code, _, err = told(capsys, "check", str(model), "--data", str(data), "--missing", "latent")
    assert (code, err.startswith("nodes.x: missing values of 'x' have observed effects, and a count is not integrated out")) == (2, True)
