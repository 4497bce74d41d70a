import networkx as nx
import pytest
from hypothesis import given

from cfair.access import ACCESS, guard, needs, refused, sees, working_parents
from cfair.errors import LeakageError, QueryError
from cfair.graph import descendants
from cfair.predictors import PREDICTORS
from cfair.spec import ModelSpec, find_model, load_spec, read_spec

from strategies import LAW, specs

LAW_SCHOOL = load_spec(find_model("law_school"))
# Stop and frisk in small: one latent is caused by race (perceived), one is not (true); age is free of race.
STOPS = read_spec(
    """\
protected: [race]
outcome: arrest
nodes:
  race: {mechanism: bernoulli, levels: [a, b]}
  age: {mechanism: gaussian}
  true: {mechanism: gaussian, latent: true}
  perceived: {mechanism: gaussian, latent: true, parents: [race, true, age]}
  frisk: {mechanism: bernoulli, levels: [n, y], parents: [perceived]}
  force: {mechanism: bernoulli, levels: [n, y], parents: [perceived, frisk]}
  weapon: {mechanism: bernoulli, levels: [n, y], parents: [true]}
  arrest: {mechanism: bernoulli, levels: [n, y], parents: [frisk, weapon]}
  record: {mechanism: gaussian, parents: [arrest]}
  note: {mechanism: gaussian, parents: [age, record]}
""",
    name="stops.yaml",
)


def test_law_school_by_predictor() -> None:
    seen = {name: sees(LAW_SCHOOL, name) for name in ACCESS}
    assert seen["constant"] == ()
    assert seen["full"] == ("race", "sex", "ugpa", "lsat")
    assert seen["unaware"] == ("ugpa", "lsat")
    assert seen["nondescendants"] == ()
    assert seen["latent"] == seen["latent_draws"] == seen["latent_posterior_mean"] == ("knowledge",)
    assert seen["residual"] == ("residual[ugpa]", "residual[lsat]")


def test_law_school_by_what_a_row_must_have() -> None:
    evidence = ("race", "sex", "ugpa", "lsat")
    assert needs(LAW_SCHOOL, "latent") == needs(LAW_SCHOOL, "residual") == needs(LAW_SCHOOL, "full") == evidence
    assert needs(LAW_SCHOOL, "unaware") == ("ugpa", "lsat")
    assert needs(LAW_SCHOOL, "nondescendants") == needs(LAW_SCHOOL, "constant") == ()


def test_law_school_by_the_path_that_forbids() -> None:
    paths = {"race": ("race",), "sex": ("sex",), "ugpa": ("race", "ugpa"), "lsat": ("race", "lsat"), "zfya": ("zfya",)}
    assert refused(LAW_SCHOOL, "nondescendants") == refused(LAW_SCHOOL, "latent") == refused(LAW_SCHOOL, "residual") == paths
    assert refused(LAW_SCHOOL, "full") == {"zfya": ("zfya",)}
    assert refused(LAW_SCHOOL, "constant") == {}


def test_a_latent_caused_by_race_is_never_a_feature() -> None:
    assert sees(STOPS, "latent") == ("age", "weapon", "true")
    assert refused(STOPS, "latent")["perceived"] == ("race", "perceived")
    assert "perceived" not in refused(STOPS, "nondescendants")
    with pytest.raises(LeakageError, match="race -> perceived"):
        guard(STOPS, "latent", ["age", "perceived"])


def test_descendants_of_the_outcome_are_refused_to_all_even_with_another_cause() -> None:
    assert refused(STOPS, "full") == {"arrest": ("arrest",), "record": ("arrest", "record"), "note": ("arrest", "record", "note")}
    assert all("note" not in sees(STOPS, name) for name in ACCESS)


def test_working_parents_replace_a_latent_by_its_observed_causes() -> None:
    assert working_parents(STOPS, "frisk") == ("race", "age")
    assert working_parents(STOPS, "force") == ("race", "age", "frisk")
    assert working_parents(STOPS, "weapon") == ()
    assert needs(STOPS, "residual") == ("race", "age", "frisk", "force", "weapon")
    assert sees(STOPS, "residual") == ("age", "weapon", "residual[frisk]", "residual[force]")


def test_a_list_within_what_may_be_seen_is_kept_as_it_is() -> None:
    assert guard(LAW_SCHOOL, "full", ["lsat", "race"]) == ("lsat", "race")
    assert guard(LAW_SCHOOL, "residual", ["residual[lsat]"]) == ("residual[lsat]",)
    assert guard(LAW_SCHOOL, "constant", []) == ()


@pytest.mark.parametrize(
    ("predictor", "feature", "problem", "mend"),
    [
        ("nondescendants", "lsat", "'lsat' descends from a protected attribute: race -> lsat", "may see: nothing"),
        ("latent", "race", "'race' is a protected attribute", "may see: knowledge"),
        ("residual", "ugpa", "race -> ugpa", "use 'residual[ugpa]'"),
        ("full", "zfya", "'zfya' is the outcome", "may see: race, sex, ugpa, lsat"),
        ("unaware", "sex", "'sex' is a protected attribute", "may see: ugpa, lsat"),
    ],
)
def test_the_leak_guard_gives_the_path_and_the_mend(predictor: str, feature: str, problem: str, mend: str) -> None:
    with pytest.raises(LeakageError) as refusal:
        guard(LAW_SCHOOL, predictor, [feature])
    assert refusal.value.where == f"features[0] of '{predictor}'"
    assert problem in refusal.value.problem
    assert mend in refusal.value.mend


@pytest.mark.parametrize(
    ("predictor", "features", "mend"),
    [
        ("full", ["lsta"], "did you mean 'lsat'?"),
        ("full", ["lsat", "lsat"], "once"),
        ("full", ["knowledge"], "use one of"),
        ("constant", ["race"], "none"),
    ],
)
def test_a_feature_that_is_merely_wrong_is_no_leak(predictor: str, features: list[str], mend: str) -> None:
    with pytest.raises(QueryError) as refusal:
        guard(LAW_SCHOOL, predictor, features)
    assert not isinstance(refusal.value, LeakageError)
    assert mend in refusal.value.mend


def test_a_misspelt_predictor_meets_its_nearest() -> None:
    with pytest.raises(QueryError, match="Did you mean 'unaware'"):
        sees(LAW_SCHOOL, "unawre")


def test_every_predictor_has_its_line_in_the_table() -> None:
    assert set(PREDICTORS) <= set(ACCESS)


@LAW
@given(specs())
def test_levels_1_and_2_see_nothing_that_moves_with_a_protected_attribute(spec: ModelSpec) -> None:
    moving = descendants(spec.graph, spec.protected) | set(spec.protected)
    assert not set(sees(spec, "nondescendants")) & moving
    assert not set(sees(spec, "latent")) & moving
    assert set(sees(spec, "latent")) - set(spec.latents) == set(sees(spec, "nondescendants"))


@LAW
@given(specs())
def test_nobody_sees_or_needs_the_outcome_or_what_follows_from_it(spec: ModelSpec) -> None:
    after = descendants(spec.graph, spec.outcome) | {spec.outcome}
    for name in ACCESS:
        assert not {column.removeprefix("residual[").removesuffix("]") for column in sees(spec, name)} & (after - set(spec.latents))
        assert not set(needs(spec, name)) & after
        assert set(needs(spec, name)) <= set(spec.observed)


@LAW
@given(specs())
def test_every_observed_node_is_seen_or_refused_by_a_real_path(spec: ModelSpec) -> None:
    for name in set(ACCESS) - {"constant"}:
        paths = refused(spec, name)
        assert set(paths) | set(sees(spec, name)) >= set(spec.observed)
        assert not set(paths) & set(sees(spec, name))
        for column, path in paths.items():
            assert path[-1] == column
            assert path[0] in (*spec.protected, spec.outcome)
            assert len(path) == 1 or nx.is_simple_path(spec.graph, path)
            with pytest.raises(LeakageError):
                guard(spec, name, [column])
        assert guard(spec, name, sees(spec, name)) == sees(spec, name)


@LAW
@given(specs())
def test_working_parents_are_the_parents_where_none_is_latent(spec: ModelSpec) -> None:
    for name, node in spec.nodes.items():
        if not set(node.parents) & set(spec.latents):
            assert set(working_parents(spec, name)) == set(node.parents)
        assert set(working_parents(spec, name)) <= set(nx.ancestors(spec.graph, name)) & set(spec.observed)
