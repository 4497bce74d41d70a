"""Effects of people who keep their noise: against closed forms, exact sums and raw means."""

import json
from dataclasses import replace

import pytest
import torch

from cfair import PREDICTORS, SCM, DataError, ModelSpec, Prediction, QueryError, abduct, decompose, learn
from cfair.effects import TERMS, Estimate
from cfair.interfaces import Values

from oracles import columns_of, declare, factor, people

COIN = {"mechanism": "bernoulli", "levels": ["no", "yes"]}


def line(parents: dict[str, float], intercept: float = 0.0, scale: float = 1.0) -> dict[str, object]:
    return {
        "mechanism": "gaussian",
        "parents": list(parents),
        "parameters": {"intercept": intercept, "weights": {f"{p}=yes" if p in "az" else p: w for p, w in parents.items()}, "scale": scale},
    }


# z -> a, z -> y; a -> m -> w -> y; every effect in closed form: direct 2; through m: -1·3 = -3 by m -> y, 3·.5·4 = 6 by m -> w -> y;
# through w itself 1·4 = 4. P(z=1) = 1/2, P(a=1|z) = .3 or .7, so that P(z=1|a=1) = .7, P(z=1|a=0) = .3; z moves y by 5.
CONFOUNDED = declare(
    {
        "z": {**COIN, "parameters": {"intercept": 0.0}},
        "a": {**COIN, "parents": ["z"], "parameters": {"intercept": -0.8472978603872037, "weights": {"z=yes": 1.6945957207744073}}},
        "m": line({"a": 3.0}, 1.0, 2.0),
        "w": line({"a": 1.0, "m": 0.5}),
        "y": line({"a": 2.0, "m": -1.0, "w": 4.0, "z": 5.0}, 0.5),
    }
)
TOTAL = 2.0 - 3.0 + 6.0 + 4.0
FORWARD = {
    "tv": TOTAL + 2.0,
    "te": TOTAL,
    "ett": TOTAL,
    "nde": 2.0,
    "nie": -7.0,
    "ctf_de": 2.0,
    "ctf_ie": -7.0,
    "ctf_se": -2.0,
    "exp_se_from": -1.0,
    "exp_se_to": 1.0,
}
REVERSE = {**{term: -value for term, value in FORWARD.items()}, "exp_se_from": 1.0, "exp_se_to": -1.0}


def assert_near(found: Estimate, expected: float, standard_errors: float = 5.0) -> None:
    """The value is within so many of its own standard errors, or of rounding, of what is expected."""
    assert found.low is not None
    error = (found.value - found.low) / 1.96
    assert abs(found.value - expected) <= standard_errors * error + 1e-9, f"{found.value:.5f} is not {expected} ± {error:.5f}"


@pytest.mark.parametrize("with_table", [True, False])
def test_every_term_of_a_linear_model_is_its_closed_form(with_table: bool) -> None:
    scm = SCM(CONFOUNDED)
    table = people(scm, 20_000, seed=3) if with_table else None
    found = decompose(scm, table, attribute="a", start="no", end="yes", draws=1, people=20_000, seed=5)
    assert found.method == "common noise"
    for term in TERMS:
        assert_near(found.terms[term], FORWARD[term])
        assert_near(found.reverse[term], REVERSE[term])
    assert {part.path: round(part.te.value, 9) for part in found.paths} == {
        ("a", "y"): 2.0,
        ("a", "m", "y"): -3.0,
        ("a", "w", "y"): 4.0,
        ("a", "m", "w", "y"): 6.0,
    }
    assert {part.mediator: round(part.nie.value, 9) for part in found.mediators} == {"m": -3.0, "w": -4.0}
    assert found.not_identified == ()


def test_the_identities_hold_to_rounding_and_tv_is_the_plain_difference_of_the_groups() -> None:
    scm = SCM(CONFOUNDED)
    table = people(scm, 3_000, seed=1)
    found = decompose(scm, table, attribute="a", start="no", end="yes", draws=3)
    y, a = table["y"], table["a"]
    assert found.terms["tv"].value == pytest.approx(float(y[a == 1].mean() - y[a == 0].mean()), abs=1e-12)
    for terms in (found.terms, found.reverse):
        t = {term: estimate.value for term, estimate in terms.items()}
        assert t["tv"] == pytest.approx(t["te"] + t["exp_se_to"] - t["exp_se_from"], abs=1e-12)
        assert t["tv"] == pytest.approx(t["ctf_de"] - t["ctf_ie"] - t["ctf_se"], abs=1e-12)
        assert t["te"] == pytest.approx(t["nde"] - t["nie"], abs=1e-12)
        assert t["ett"] == pytest.approx(t["ctf_de"] - t["ctf_ie"], abs=1e-12)
        assert sum(part.nie.value for part in found.mediators) == pytest.approx(found.terms["nie"].value, abs=1e-12)
        assert sum(part.te.value for part in found.paths) == pytest.approx(found.terms["te"].value, abs=1e-12)
        assert sum(part.ett.value for part in found.paths) == pytest.approx(found.terms["ett"].value, abs=1e-12)


def test_the_interval_of_tv_is_that_of_two_means() -> None:
    table = people(SCM(CONFOUNDED), 3_000, seed=1)
    tv = decompose(SCM(CONFOUNDED), table, attribute="a", start="no", end="yes", draws=1).terms["tv"]
    y, a = table["y"], table["a"]
    error = sum(float(y[a == g].var(correction=0)) / int((a == g).sum()) for g in (0, 1)) ** 0.5
    assert tv.low is not None
    assert (tv.value - tv.low) / 1.959964 == pytest.approx(error, rel=1e-3)


def test_weights_are_repeated_rows() -> None:
    scm = SCM(CONFOUNDED)
    table = people(scm, 200, seed=2)
    weights = torch.arange(200, dtype=torch.float64) % 3
    twice = table.take(torch.repeat_interleave(torch.arange(200), weights.long()))
    asked = {"attribute": "a", "start": "no", "end": "yes", "draws": 2}
    one, other = (decompose(scm, each, **asked) for each in (replace(table, weights=weights), twice))  # type: ignore[arg-type]
    for term in TERMS:
        assert one.terms[term].value == pytest.approx(other.terms[term].value, abs=1e-10)


def test_blocks_change_nothing() -> None:
    scm = SCM(CONFOUNDED)
    table = people(scm, 300, seed=2)
    whole, cut = (decompose(scm, table, attribute="a", start="no", end="yes", draws=2, block_rows=rows) for rows in (None, 37))
    for term in TERMS:
        assert whole.terms[term].value == pytest.approx(cut.terms[term].value, abs=1e-12)


LEVELLED = declare(  # a has three levels, m and y two; the coupling of m's noise does not matter
    {
        "z": {**COIN, "parameters": {"intercept": 0.3}},
        "a": {
            "mechanism": "categorical",
            "levels": ["p", "q", "r"],
            "parents": ["z"],
            "parameters": {"q": {"intercept": 0.2, "weights": {"z=yes": 1.0}}, "r": {"intercept": -0.5, "weights": {"z=yes": -1.0}}},
        },
        "m": {**COIN, "parents": ["a", "z"], "parameters": {"intercept": 0.1, "weights": {"a=q": 1.0, "a=r": -1.5, "z=yes": 0.7}}},
        "y": {**COIN, "parents": ["a", "m", "z"], "parameters": {"intercept": -1.0, "weights": {"a=q": 0.8, "m=yes": 1.2, "z=yes": 1.0}}},
    }
)


def test_people_who_keep_their_noise_agree_with_exact_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    scm = SCM(LEVELLED)
    exact = decompose(scm, attribute="a", start="q", end="r")
    assert exact.method == "enumeration"
    monkeypatch.setattr("cfair.effects.modelled.why_not_enumerable", lambda model, contrast: "because")
    for table in (None, people(scm, 8_000, seed=1)):
        found = decompose(scm, table, attribute="a", start="q", end="r", draws=10, people=50_000)
        assert found.method == "common noise"
        for term in TERMS:
            assert_near(found.terms[term], exact.terms[term].value)
            assert_near(found.reverse[term], exact.reverse[term].value)


def test_the_probability_of_a_level_is_asked_for_by_its_name() -> None:
    scm = SCM(LEVELLED)
    with pytest.raises(QueryError, match="have no order"):
        decompose(scm, attribute="z", start="no", end="yes", of="a")
    parts = [decompose(scm, attribute="z", start="no", end="yes", of=f"a={level}").terms["te"].value for level in "pqr"]
    assert sum(parts) == pytest.approx(0.0, abs=1e-12)
    assert max(map(abs, parts)) > 0.1


NUMBERS = declare(  # a = z + u, so that z | a = x is normal around x/2: E[y | a = x] = 2x + 3·x/2
    {"z": line({}), "a": {**line({}), "parents": ["z"], "parameters": {"intercept": 0.0, "weights": {"z": 1.0}, "scale": 1.0}}}
    | {
        "y": {
            "mechanism": "gaussian",
            "parents": ["a", "z"],
            "parameters": {"intercept": 0.0, "weights": {"a": 2.0, "z": 3.0}, "scale": 1.0},
        }
    }
)


def test_of_a_continuous_attribute_two_values_are_compared() -> None:
    scm = SCM(NUMBERS)
    found = decompose(scm, people(scm, 20_000, seed=4), attribute="a", start=-1.0, end=1.0, draws=1)
    expected = {"te": 4.0, "tv": 7.0, "ett": 4.0, "nde": 4.0, "nie": 0.0, "ctf_se": -3.0, "exp_se_from": -1.5, "exp_se_to": 1.5}
    for term, value in expected.items():
        assert_near(found.terms[term], value)


def test_a_prediction_that_reads_the_row_is_decomposed_as_a_node() -> None:
    scm = SCM(CONFOUNDED)

    def score(rows: Values, n: int) -> torch.Tensor:
        return 10 * rows["a"] + rows["m"] - 2 * rows["z"]

    table = people(scm, 10_000, seed=6)
    without_outcome = columns_of({node: table[node] for node in "zamw"})
    found = decompose(scm, without_outcome, attribute="a", start="no", end="yes", prediction=Prediction(["a", "m", "z"], score), draws=1)
    expected = {"te": 13.0, "nde": 10.0, "nie": -3.0, "ctf_se": 0.8, "exp_se_to": -0.4}
    for term, value in expected.items():
        assert_near(found.terms[term], value)
    assert found.of == "prediction"
    assert [part.path for part in found.paths] == [("a", "prediction"), ("a", "m", "prediction")]


def test_a_prediction_that_is_no_number_is_refused() -> None:
    scm = SCM(CONFOUNDED)
    broken = Prediction(["m"], lambda rows, n: torch.full((n,), torch.nan, dtype=torch.float64))
    with pytest.raises(QueryError, match="not finite"):
        decompose(scm, attribute="a", start="no", end="yes", prediction=broken, people=10)
    short = Prediction(["m"], lambda rows, n: torch.zeros(n - 1, dtype=torch.float64))
    with pytest.raises(QueryError, match="of shape"):
        decompose(scm, attribute="a", start="no", end="yes", prediction=short, people=10)


def test_parts_that_cancel_are_said_to() -> None:
    level = declare({"a": {**COIN, "parameters": {"intercept": 0.0}}, "m": line({"a": 2.0}), "y": line({"a": 2.0, "m": -1.0})})
    found = decompose(SCM(level), attribute="a", start="no", end="yes", people=20_000)
    assert any("cancel" in sentence for sentence in found.said)
    apart = declare({"a": {**COIN, "parameters": {"intercept": 0.0}}, "m": line({"a": 2.0}), "y": line({"a": 2.0, "m": 1.0})})
    assert decompose(SCM(apart), attribute="a", start="no", end="yes", people=2_000).said == ()


FREE = declare(
    {
        "a": {"mechanism": "table", "levels": ["no", "yes"]},
        "m": {"mechanism": "table", "levels": ["no", "yes"], "parents": ["a"]},
        "y": {"mechanism": "table", "levels": ["no", "yes"], "parents": ["a", "m"]},
    }
)


def test_intervals_of_a_learned_discrete_model_are_those_of_its_parameters() -> None:
    dice = torch.Generator().manual_seed(0)
    a = (torch.rand(2_000, generator=dice) < 0.4).double()
    m = (torch.rand(2_000, generator=dice) < 0.3 + 0.3 * a).double()
    y = (torch.rand(2_000, generator=dice) < 0.2 + 0.2 * a + 0.3 * m).double()
    table = columns_of({"a": a, "m": m, "y": y})
    bare = decompose(learn(FREE, table), table, attribute="a", start="no", end="yes")
    assert bare.terms["te"].low is None
    found = decompose(learn(FREE, table, uncertainty="laplace"), table, attribute="a", start="no", end="yes", parameter_draws=64)
    assert found.terms["te"].value == bare.terms["te"].value
    error = sum(float(y[a == g].var(correction=0)) / int((a == g).sum()) for g in (0, 1)) ** 0.5  # without confounders TE is TV
    assert found.terms["te"].low is not None
    assert (found.terms["te"].value - found.terms["te"].low) / 1.96 == pytest.approx(error, rel=0.35)  # an sd of 64 draws is so far off


def test_intervals_of_means_over_people_are_wider_by_what_is_not_known_of_the_parameters() -> None:
    spec = declare(
        {
            "a": {"mechanism": "bernoulli", "levels": ["no", "yes"]},
            "y": {"mechanism": "gaussian", "parents": ["a"]},
        }
    )
    dice = torch.Generator().manual_seed(1)
    a = (torch.rand(500, generator=dice) < 0.5).double()
    y = a + torch.randn(500, generator=dice).double()
    table = columns_of({"a": a, "y": y})
    known, drawn = (
        decompose(learn(spec, table, uncertainty=how), table, attribute="a", start="no", end="yes", draws=1)  # type: ignore[arg-type]
        for how in ("none", "laplace")
    )
    assert known.terms["te"].low == pytest.approx(known.terms["te"].value, abs=1e-9)  # the same for everyone once weights are known
    error = 2 / 500**0.5
    assert drawn.terms["te"].low is not None
    assert (drawn.terms["te"].value - drawn.terms["te"].low) / 1.96 == pytest.approx(error, rel=0.35)


MILD = declare(  # as CONFOUNDED, with mediators that leave the level open: direct 2, through m -.5·1 = -.5
    {"z": CONFOUNDED.nodes["z"], "a": CONFOUNDED.nodes["a"], "m": line({"a": -0.5, "z": 0.3}), "y": line({"a": 2.0, "m": 1.0, "z": 5.0})}
)


def test_both_sources_stand_beside_one_another_with_their_difference() -> None:
    scm = SCM(MILD)
    table = people(scm, 4_000, seed=8)
    found = decompose(scm, table, attribute="a", start="no", end="yes", source="both", draws=1)
    assert found.rows_only is not None
    assert found.difference is not None
    for term, value in {"te": 1.5, "ett": 1.5, "nde": 2.0, "nie": 0.5, "ctf_de": 2.0, "ctf_ie": 0.5}.items():
        assert_near(found.rows_only.terms[term], value)
    for term in TERMS:
        assert_near(found.difference.terms[term], 0.0)
        assert found.difference.terms[term].value == pytest.approx(found.terms[term].value - found.rows_only.terms[term].value, abs=1e-9)
    assert found.difference.terms["tv"].value == pytest.approx(0, abs=1e-9)
    assert found.difference.standard_errors["tv"] == pytest.approx(0, abs=1e-9)
    said = json.loads(json.dumps(found.to_json()))
    assert set(TERMS) < set(said["doubly_robust"])
    assert set(said["difference"]["te"]) == {"value", "low", "high", "standard_error"}
    alone = decompose(scm, table, attribute="a", start="no", end="yes", source="doubly_robust")
    assert alone.terms["nde"] == found.rows_only.terms["nde"]
    assert alone.method == "rows"


def test_mediators_that_all_but_tell_the_level_cost_their_terms_and_no_other() -> None:
    scm = SCM(CONFOUNDED)
    found = decompose(scm, people(scm, 4_000, seed=8), attribute="a", start="no", end="yes", source="doubly_robust")
    assert set(found.terms) == {"tv", "te", "ett", "ctf_se", "exp_se_from", "exp_se_to"}
    assert_near(found.terms["te"], TOTAL)
    assert any("all but excluded" in sentence for sentence in found.said)


def test_a_latent_between_mediator_and_outcome_is_refused_by_rows_and_marked_by_the_model() -> None:
    nodes = {
        "a": {**COIN, "parameters": {"intercept": 0.0}},
        "u": {"mechanism": "gaussian", "latent": True},
        "m": line({"a": 1.0, "u": 1.0}),
        "y": line({"a": 1.0, "m": 1.0, "u": 1.0}),
    }
    scm = SCM(declare(nodes))
    table = people(scm, 2_000, seed=0)
    rows = decompose(scm, table, attribute="a", start="no", end="yes", source="doubly_robust")
    said = rows.to_json()
    assert set(rows.terms) == {"tv", "te", "ett", "ctf_se", "exp_se_from", "exp_se_to"}
    assert said["nde"] == {"value": None, "low": None, "high": None}
    assert {each.term for each in rows.not_identified} == {"nde", "nie", "ctf_de", "ctf_ie"}
    assert all(each.latents == ("u",) and "'u' is a hidden common cause of 'm' and 'y'" in each.why for each in rows.not_identified)
    assert all("which was not asked" in each.sentence for each in rows.not_identified)
    assert not {"latents", "mechanisms"} & set(rows.assumptions)
    model = decompose(scm, table, attribute="a", start="no", end="yes", draws=4)
    assert "latents" in model.assumptions
    assert_near(model.terms["nde"], 1.0)
    assert all("identified by the parametric model only" in each.sentence for each in model.not_identified)


def test_what_cannot_be_asked_is_refused_with_its_mend() -> None:
    scm = SCM(CONFOUNDED)
    table = people(scm, 20, seed=0)
    asked = {"attribute": "a", "start": "no", "end": "yes"}
    for wrong, match in [
        ({"attribute": "b"}, "'b' is not a node"),
        ({"end": "maybe"}, "not one of its levels"),
        ({"end": "no"}, "both sides"),
        ({"of": "x"}, "'x' is not a node"),
        ({"of": "a"}, "the attribute itself"),
        ({"source": "table"}, "not a source"),
        ({"along": ["a->z->y"]}, "no edge a -> z"),
        ({"draws": 0}, "below 1"),
    ]:
        with pytest.raises(QueryError, match=match):
            decompose(scm, table, **{**asked, **wrong})  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="no table"):
        decompose(scm, source="both", **asked)  # type: ignore[arg-type]
    only = columns_of({node: table[node][table["a"] == 0] for node in table})
    with pytest.raises(DataError, match="nobody has 'yes'"):
        decompose(scm, only, **asked)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="no value of"):
        decompose(SCM(NUMBERS), attribute="a", start="low", end=1.0)


def test_the_factual_worlds_of_effects_are_abducted_from_all_observed_nodes() -> None:
    scm = SCM(CONFOUNDED)
    table = people(scm, 50, seed=0)
    world = abduct(scm, table, given=scm.spec.observed, draws=1)
    assert torch.equal(world.values["y"][0], table["y"])


def test_a_predictor_that_infers_a_latent_is_shown_with_its_inference_left_as_it_is() -> None:
    nodes = factor([1.0, 0.8, 1.2], [0.5, 0.7, 0.6]).nodes
    count = {"mechanism": "poisson", "parents": ["a", "k"], "parameters": {"intercept": 1.0, "weights": {"a=yes": 0.5, "k": 0.7}}}
    scm = SCM(declare({**nodes, "x2": count, "y": line({"a": 1.0, "k": 1.0})}))
    table = people(scm, 600, seed=2)
    latent = PREDICTORS["latent"](scm).fit([abduct(scm, table, draws=10)], table["y"])
    prediction = Prediction(latent.needs, latent.deploy, same_noise=latent.predict)
    found = decompose(scm, table, attribute="a", start="no", end="yes", prediction=prediction, draws=10)
    for term in ("te", "ett", "nde", "nie", "ctf_de", "ctf_ie"):
        assert found.same_noise[term].value == pytest.approx(0.0, abs=1e-12)  # what it reads does not move
    assert abs(found.terms["te"].value) > 1e-4  # a count is not additive: inferred anew, the latent moves
    assert found.to_json()["same_noise"]["te"]["value"] == found.same_noise["te"].value  # type: ignore[index, call-overload]


def test_more_paths_than_can_be_told_apart_are_said_to_be_untold() -> None:
    nodes: dict[str, dict[str, object]] = {"a": {**COIN, "parameters": {"intercept": 0.0}}}
    for j in range(8):
        nodes[f"m{j}"] = line(dict.fromkeys(nodes, 0.1))
    found = decompose(SCM(declare(nodes, outcome="m7")), attribute="a", start="no", end="yes", people=50, along=["a->m0->m7"])
    assert found.paths == ()
    assert any("more than 64 paths" in sentence for sentence in found.said)
    assert found.along[0].te.value == pytest.approx(0.01)


def test_people_who_lack_values_are_followed_with_these_integrated_out() -> None:
    scm = SCM(CONFOUNDED)
    table = people(scm, 8_000, seed=9)
    dice = torch.Generator().manual_seed(2)
    holes = {node: torch.rand(table.n, generator=dice) < 0.2 for node in ("m", "y")}
    coded = {node: torch.where(holes[node], torch.nan, table[node]) if node in holes else table[node] for node in table}
    found = decompose(scm, replace(table, coded=coded, missing=holes), attribute="a", start="no", end="yes", draws=5)
    for term in TERMS:
        assert_near(found.terms[term], FORWARD[term])


def test_a_value_that_nobody_is_near_is_refused_instead_of_divided_by() -> None:
    scm = SCM(NUMBERS)
    with pytest.raises(QueryError, match="nobody is anywhere near it"):
        decompose(scm, attribute="a", start=0.0, end=1e9, people=500)


def test_influence_that_is_accepted_is_left_out_of_the_effect_along_the_other_paths() -> None:
    declared = CONFOUNDED.to_graph()
    declared.graph["resolving"] = ["m"]
    scm = SCM(ModelSpec.from_graph(declared))
    found = decompose(scm, people(scm, 2_000, seed=1), attribute="a", start="no", end="yes", draws=1)
    (told,) = found.along
    assert told.paths
    assert not any("m" in path for path in told.paths)
    assert any("influence through m is accepted" in each for each in found.said)


def test_a_model_that_rows_contradict_is_said_to_be_in_doubt() -> None:
    graph = CONFOUNDED.to_graph()
    world = people(SCM(CONFOUNDED), 4_000, seed=2)
    parameters = graph.nodes["y"]["parameters"]
    graph.nodes["y"]["parameters"] = {**parameters, "weights": {**parameters["weights"], "a=yes": parameters["weights"]["a=yes"] + 5.0}}
    wrong = decompose(SCM(ModelSpec.from_graph(graph)), world, attribute="a", start="no", end="yes", draws=1, source="both")
    assert any("the mechanisms' form is in doubt" in each for each in wrong.said)
    right = decompose(SCM(CONFOUNDED), world, attribute="a", start="no", end="yes", draws=1, source="both")
    assert not any("in doubt" in each for each in right.said)
