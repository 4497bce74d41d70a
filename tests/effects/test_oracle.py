"""The discrete oracle: every effect by hand."""

import json
from math import log

import pytest

from cfair import SCM, ModelSpec, Prediction, decompose
from cfair.effects import TERMS

from oracles import declare

COIN = [{"p": [0.5, 0.5]}]


def chance(parents: list[str], p: object) -> dict[str, object]:
    """A table node of two levels, P(1) by the levels of its parents."""
    rows = []
    for code in range(2 ** len(parents)):
        bits = [(code >> k) & 1 for k in range(len(parents))]
        one = p(*bits)  # type: ignore[operator]
        rows.append({**{parent: str(bit) for parent, bit in zip(parents, bits, strict=True)}, "p": [1 - one, one]})
    return {"mechanism": "table", "levels": ["0", "1"], "parents": parents, "parameters": {"probabilities": rows}}


def from_half(other: float) -> dict[str, object]:
    """P = 0.5 where u is 0, another where it is 1: a table may not have a latent parent, a logistic node may."""
    parameters = {"intercept": 0.0, "weights": {"u=1": log(other / (1 - other))}}
    return {"mechanism": "bernoulli", "levels": ["0", "1"], "parents": ["u"], "parameters": parameters}


def oracle(*, latent: bool) -> SCM:
    """x ~ B(.5+.1u), z ~ B(.5+.3u), d ~ B(.5+.2x), y ~ B(.1+.1x+.3d+.1z), u ~ B(.5)."""
    return SCM(
        declare(
            {
                "u": {"mechanism": "table", "levels": ["0", "1"], "latent": latent, "parameters": {"probabilities": COIN}},
                "x": from_half(0.6),
                "z": from_half(0.8),
                "d": chance(["x"], lambda x: 0.5 + 0.2 * x),
                "y": chance(["x", "d", "z"], lambda x, d, z: 0.1 + 0.1 * x + 0.3 * d + 0.1 * z),
            },
            protected=["x"],
        )
    )


# By hand. P(x=1) = .55; P(u=1|x=1) = .3/.55 = 6/11, P(u=1|x=0) = .2/.45 = 4/9; E[z|u] = .5 + .3u: E[z] = .65.
# E[y_x] = .1 + .1x + .3(.5 + .2x) + .1·.65 = .315 + .16x; given x0 or x1 only z's mean differs, by the u of such people:
SPURIOUS_1 = 0.1 * 0.3 * (6 / 11 - 1 / 2)  # E[y|x1] - E[y_x1]
SPURIOUS_0 = 0.1 * 0.3 * (4 / 9 - 1 / 2)  # E[y|x0] - E[y_x0]
BETWEEN = SPURIOUS_1 - SPURIOUS_0
FORWARD = {
    "tv": 0.16 + BETWEEN,
    "te": 0.16,
    "ett": 0.16,
    "nde": 0.1,
    "nie": -0.06,
    "ctf_de": 0.1,
    "ctf_ie": -0.06,
    "ctf_se": -BETWEEN,
    "exp_se_from": SPURIOUS_0,
    "exp_se_to": SPURIOUS_1,
}
REVERSE = {
    "tv": -0.16 - BETWEEN,
    "te": -0.16,
    "ett": -0.16,
    "nde": -0.1,
    "nie": 0.06,
    "ctf_de": -0.1,
    "ctf_ie": 0.06,
    "ctf_se": BETWEEN,
    "exp_se_from": SPURIOUS_1,
    "exp_se_to": SPURIOUS_0,
}


@pytest.mark.parametrize("latent", [False, True])
def test_the_discrete_oracle_is_exact(latent: bool) -> None:
    found = decompose(oracle(latent=latent), attribute="x", start="0", end="1", along=["x->d->y"])
    assert found.method == "enumeration"
    for term in TERMS:
        assert found.terms[term].value == pytest.approx(FORWARD[term], abs=1e-12)
        assert found.reverse[term].value == pytest.approx(REVERSE[term], abs=1e-12)
        assert found.terms[term].low == found.terms[term].high == found.terms[term].value
    (mediator,) = found.mediators
    assert mediator.nie.value == mediator.nie_sequential.value == pytest.approx(-0.06, abs=1e-12)
    assert {part.path: round(part.te.value, 12) for part in found.paths} == {("x", "y"): 0.1, ("x", "d", "y"): 0.06}
    assert found.along[0].te.value == pytest.approx(0.06, abs=1e-12)
    assert found.along[0].ett.value == pytest.approx(0.06, abs=1e-12)
    assert found.not_identified == ()


def test_the_document_has_the_keys_that_others_read() -> None:
    said = json.loads(json.dumps(decompose(oracle(latent=True), attribute="x", start=0, end=1).to_json()))
    assert set(TERMS) < set(said)
    assert set(said["reverse"]) == set(TERMS)
    assert all(set(said[term]) == {"value", "low", "high"} for term in TERMS)
    assert said["source"] == "scm"
    assert said["seed"] == 0
    assert said["not_identified"] == []
    assert said["nie"]["value"] == pytest.approx(sum(each["value"] for each in said["mediators"]), abs=1e-12)
    assert said["te"]["value"] == pytest.approx(sum(each["value"] for each in said["paths"]), abs=1e-12)


def test_declared_unfair_paths_are_asked_for_unless_others_are() -> None:
    declared = oracle(latent=False).spec.to_graph()
    declared.graph["unfair_paths"] = [["x", "d", "y"]]
    scm = SCM(ModelSpec.from_graph(declared))
    (told,) = decompose(scm, attribute="x", start="0", end="1").along
    assert told.paths == (("x", "d", "y"),)
    assert told.te.value == pytest.approx(0.06, abs=1e-12)
    (other,) = decompose(scm, attribute="x", start="0", end="1", along=["x->y"]).along
    assert other.te.value == pytest.approx(0.1, abs=1e-12)
    score = Prediction(["x", "d", "z"], lambda rows, n: rows["x"] + 10 * rows["d"] + rows["z"])
    (read,) = decompose(scm, attribute="x", start="0", end="1", prediction=score).along
    assert read.paths == (("x", "prediction"), ("x", "d", "prediction"))
    assert read.te.value == pytest.approx(1 + 10 * 0.2, abs=1e-12)
