"""What is legal and changes what the answers mean."""

import pytest
from hypothesis import given

from cfair.spec import ModelSpec, SpecWarning, read_spec, spec_warnings

from strategies import LAW, specs

GOOD = """\
protected: [a]
outcome: y
nodes:
  a: {mechanism: bernoulli, levels: [u, v]}
  k: {mechanism: gaussian, latent: true}
  w: {mechanism: gaussian, parents: [k]}
  x: {mechanism: gaussian, parents: [a, k]}
  y: {mechanism: gaussian, parents: [a, k]}
"""


def warned(*changes: tuple[str, str]) -> tuple[SpecWarning, ...]:
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return spec_warnings(read_spec(text, name="dag.yaml"))


def test_a_model_without_surprises_has_no_warnings() -> None:
    assert warned() == ()


def test_a_cause_of_a_protected_attribute_should_be_protected_too() -> None:
    (warning,) = warned(("levels: [u, v]", "levels: [u, v], parents: [w]"))
    assert warning.where == "nodes.a.parents"
    assert "'w' is a cause of protected 'a'" in warning.problem
    assert "protect 'w' too" in str(warning).lower()
    closed = (("levels: [u, v]", "levels: [u, v], parents: [w]"), ("[a]", "[a, w]"), ("parents: [k]}", "}"))
    assert not [each for each in warned(*closed) if "cause" in each.problem]


def test_a_latent_that_descends_from_a_protected_attribute_is_named_with_the_path() -> None:
    warnings = warned(("latent: true", "latent: true, parents: [a]"))
    assert "descends from a protected attribute (a -> k) and is kept out of level 2" in warnings[0].problem
    assert warnings[0].where == "nodes.k"


@pytest.mark.parametrize(
    ("changes", "free"),
    [
        ([("w: {mechanism: gaussian, parents: [k]}", "w: {mechanism: gaussian}")], "2 observed children with free loadings (x, y)"),
        (
            [("w: {mechanism: gaussian, parents: [k]}", "w: {mechanism: gaussian, parents: [k, x]}")],
            "3 observed children with free loadings",
        ),
        ([("x: {mechanism: gaussian, parents: [a, k]}", "x: {mechanism: gaussian, latent: true, parents: [k]}")], "2 observed children"),
    ],
)
def test_one_factor_needs_three_free_loadings_without_edges_among_its_children(changes: list[tuple[str, str]], free: str) -> None:
    assert any(free in each.problem and each.where == "nodes.k" for each in warned(*changes))


def test_fixed_loadings_need_no_indicators() -> None:
    one = ("w: {mechanism: gaussian, parents: [k]}", "w: {mechanism: gaussian}")
    fixed = ("x: {mechanism: gaussian, parents: [a, k]}", "x: {mechanism: gaussian, parents: [a, k], parameters: {weights: {k: 0.5}}}")
    assert warned(one, fixed) == ()
    absent = (fixed[0], fixed[1].replace("k: 0.5", "a=v: 0.5"))
    assert "1 observed children with free loadings (y)" in warned(one, absent)[0].problem


def test_a_category_loads_freely_unless_every_level_is_fixed() -> None:
    changed = "x: {mechanism: categorical, levels: [p, q, r], parents: [k], parameters: {q: {weights: {k: 1}}, r: {weights: {k: 1}}}}"
    fixed = ("x: {mechanism: gaussian, parents: [a, k]}", changed)
    assert warned(fixed) == ()
    assert warned((fixed[0], changed.replace(", r: {weights: {k: 1}}", "")), ("parents: [k]}", "}"))[0].where == "nodes.k"


def test_a_latent_without_children_is_named() -> None:
    changes = [("parents: [k]", "parents: []"), ("parents: [a, k]", "parents: [a]"), ("parents: [a, k]", "parents: [a]")]
    assert "has no observed child" in warned(*changes)[0].problem


def test_a_protected_attribute_without_an_unfair_path_still_moves_the_others() -> None:
    found = warned(("protected: [a]", "protected: [a, w]\nunfair_paths: [a -> x]"))
    (warning,) = (each for each in found if each.where == "unfair_paths")
    assert "no unfair path starts at 'w'" in warning.problem


def test_a_resolving_node_must_descend_from_a_protected_attribute_to_matter() -> None:
    (warning,) = warned(("outcome: y", "outcome: y\nresolving: [x, w]"))
    assert (warning.where, warning.mend) == ("resolving[1]", "leave it out")


def test_an_empty_level_1_is_said() -> None:
    (warning,) = warned(("parents: [k]", "parents: [a, k]"))
    assert warning.where == "nodes"
    assert "level 1 is empty" in warning.problem


@pytest.mark.parametrize(
    ("old", "new", "parameter"),
    [
        ("parents: [a, k]", "parents: [a, k], parameters: {scale: 1}, prior: {variance: {inverse_gamma: [1, 1]}}", "variance"),
        ("parents: [a, k]", "parents: [a, k], parameters: {intercept: 1}, prior: {intercept: {normal: 1}}", "intercept"),
        ("parents: [a, k]", "parents: [a, k], parameters: {weights: {k: 1}}, prior: {weights: {normal: 1}}", "weights"),
        ("levels: [u, v]", "levels: [u, v], prior: {weights: {normal: 1}}", "weights"),
        ("latent: true", "latent: true, prior: {variance: {inverse_gamma: [1, 1]}}", "variance"),
    ],
)
def test_a_prior_of_what_is_not_learned_is_named(old: str, new: str, parameter: str) -> None:
    (warning,) = warned((old, new))
    assert warning.where.endswith(f"prior.{parameter}")


@LAW
@given(specs())
def test_every_declaration_can_be_warned_about_in_one_line(spec: ModelSpec) -> None:
    assert all(each.where and each.problem and each.mend for each in spec_warnings(spec))
