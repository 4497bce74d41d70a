"""One message per mistake: file and line, what is wrong, and the mend."""

import pytest

from cfair.errors import SpecError
from cfair.spec import read_spec

GOOD = """\
name: small
protected: [race]
outcome: y
nodes:
  race: {mechanism: categorical, levels: [a, b, c]}
  k: {mechanism: gaussian, latent: true}
  x: {mechanism: poisson, parents: [race, k]}
  y: {mechanism: gaussian, parents: [race, k, x]}
"""
K, X, Y = "latent: true", "mechanism: poisson", "parents: [race, k, x]"

CASES = {
    "unknown parent": ("[race, k]", "[race, kk]", "7, nodes.x.parents[1]", "'kk' is not a declared node", "did you mean 'k'?"),
    "unknown mechanism": ("poisson", "poison", "7, nodes.x.mechanism", "'poison' is not a known mechanism", "'poisson'"),
    "unknown family": (X, "mechanism: {family: poison}", "7, nodes.x.mechanism", "'poison' is not a known", "'poisson'"),
    "unknown option": (
        X,
        "mechanism: {family: poisson, hidden: 3}",
        "7, nodes.x.mechanism.hidden",
        "'hidden' is not an option",
        "interactions",
    ),
    "no family": (X, "mechanism: {hidden: 3}", "7, nodes.x.mechanism", "a mechanism is named by", "poisson"),
    "mechanism a list": (X, "mechanism: [poisson]", "7, nodes.x.mechanism", "a mechanism is named by", "poisson"),
    "mechanism near one": (X, "mechanism: neura", "7, nodes.x.mechanism", "'neura' is not a known mechanism", "did you mean 'neural'?"),
    "no mechanism": (X, "latent: true", "7, nodes.x", "'mechanism' is missing", "poisson"),
    "unknown key": ("name: small", "nam: small", "1, nam", "'nam' is not a known key", "did you mean 'name'?"),
    "unknown key of a node": ("latent: true", "latnt: true", "6, nodes.k.latnt", "'latnt' is not a known key", "'latent'?"),
    "misspelt mechanism": (X, "mechanizm: poisson", "7, nodes.x.mechanizm", "'mechanizm' is not a known key", "'mechanism'?"),
    "misspelt outcome": ("outcome: y", "outcom: y", "3, outcom", "'outcom' is not a known key", "'outcome'?"),
    "misspelt nodes": ("nodes:", "node:", "4, node", "'node' is not a known key", "'nodes'?"),
    "key to come": ("name: small", "columns: {}", "1, columns", "is not a known key", "it is planned"),
    "unfair path of no edge": (
        "name: small",
        "unfair_paths: [k -> x, race -> x -> k]",
        "1, unfair_paths[0]",
        "does not lead from",
        "race -> lsat",
    ),
    "unfair path back": ("name: small", "unfair_paths: [[race, y, x]]", "1, unfair_paths[0]", "'y -> x' is not an edge", "parents"),
    "unfair path of one": ("name: small", "unfair_paths: [[race]]", "1, unfair_paths[0]", "'race' does not lead from", "->"),
    "unfair path unknown": ("name: small", "unfair_paths: [race -> xx]", "1, unfair_paths[0][1]", "'xx' is not a declared node", "'x'?"),
    "unfair path twice": ("name: small", "unfair_paths: [race -> x, [race, x]]", "1, unfair_paths[1]", "'race -> x' is repeated", "once"),
    "unfair path one word": ("name: small", "unfair_paths: [race]", "1, unfair_paths[0]", "must be a list, not 'race'", "write [race]"),
    "unfair and resolving": (
        "name: small",
        "resolving: [x]\nunfair_paths: [race -> x]",
        "2, unfair_paths[0]",
        "'x' is resolving",
        "take it out of one",
    ),
    "unknown protected": ("[race]", "[rac]", "2, protected[0]", "'rac' is not a declared node", "did you mean 'race'?"),
    "unknown outcome": ("outcome: y", "outcome: why", "3, outcome", "'why' is not a declared node", "use one of: race, k, x, y"),
    "unknown resolving": ("name: small", "resolving: [xx]", "1, resolving[0]", "'xx' is not a declared node", "'x'?"),
    "no protected": ("protected: [race]\n", "", "1", "'protected' is missing", "as in 'protected: [race]'"),
    "empty protected": ("[race]", "[]", "2, protected", "no protected attribute is named", "at least one"),
    "protected one word": ("[race]", "race", "2, protected", "must be a list, not 'race'", "write [race]"),
    "outcome protected": ("outcome: y", "outcome: race", "3, outcome", "'race' is both protected and the outcome", "take it out"),
    "outcome latent": ("outcome: y", "outcome: k", "3, outcome", "the outcome 'k' is latent", "leave 'latent' out"),
    "outcome a list": ("outcome: y", "outcome: [y]", "3, outcome", "must be text, not a list", "one word"),
    "outcome empty": ("outcome: y", "outcome:", "3, outcome", "is empty", "leave the line out"),
    "protected latent": ("[race]", "[race, k]", "2, protected[1]", "'k' is latent", "observed nodes"),
    "protected twice": ("[race]", "[race, race]", "2, protected[1]", "'race' is repeated", "once"),
    "resolving the outcome": ("name: small", "resolving: [y]", "1, resolving[0]", "is protected or the outcome", "between"),
    "resolving latent": ("name: small", "resolving: [k]", "1, resolving[0]", "'k' is latent", "observed nodes"),
    "parent twice": ("[race, k]", "[race, race]", "7, nodes.x.parents[1]", "'race' is repeated", "once"),
    "parents one word": ("[race, k]", "race", "7, nodes.x.parents", "must be a list, not 'race'", "write [race]"),
    "cycle": (K, "parents: [y]", "7, nodes.x.parents[1]", "cycle x -> y -> k -> x", "remove one of these edges"),
    "own parent": (K, "parents: [k]", "6, nodes.k.parents[0]", "cycle k -> k", "remove"),
    "duplicate key": ("name: small", "name: small\nname: big", "2", "'name' is declared twice, first on line 1", "remove one"),
    "duplicate node": ("  k: {", "  race: {mechanism: gaussian}\n  k: {", "6, nodes", "'race' is declared twice, first on line 5", "one"),
    "node without anything": ("{mechanism: poisson, parents: [race, k]}", "", "7, nodes.x", "must be a mapping, not nothing", "{key"),
    "node a word": ("{mechanism: poisson, parents: [race, k]}", "poisson", "7, nodes.x", "must be a mapping, not 'poisson'", "{key"),
    "repeated level": ("[a, b, c]", "[a, b, a]", "5, nodes.race.levels[2]", "'a' is repeated", "once"),
    "levels equal by text": ("[a, b, c]", '[1, 1.0, "2"]', "5, nodes.race.levels[1]", "'1' is repeated", "once"),
    "one level": ("[a, b, c]", "[a]", "5, nodes.race.levels", "at least two levels", "list the others"),
    "no levels": (", levels: [a, b, c]", "", "5, nodes.race", "a categorical node needs levels", "list them"),
    "three binary levels": ("categorical", "bernoulli", "5, nodes.race.levels", "has two levels, not 3", "choose categorical"),
    "levels of a real": (K, "levels: [1, 2]", "6, nodes.k.levels", "a gaussian node has no levels", "choose bernoulli or categorical"),
    "empty level": ("[a, b, c]", '["", b]', "5, nodes.race.levels[0]", "a name is empty", "short name"),
    "null level": ("[a, b, c]", "[null, b]", "5, nodes.race.levels[0]", "a level is empty", "in quotes"),
    "level not finite": ("[a, b, c]", "[.nan, b]", "5, nodes.race.levels[0]", "a level must be finite, not nan", "in quotes"),
    "level a list": ("[a, b, c]", "[[a], b]", "5, nodes.race.levels[0]", "not a list", "write its name"),
    "latent a word": ("latent: true", "latent: yes", "6, nodes.k.latent", "must be true or false, not 'yes'", "write true or false"),
    "round a real": (K, "round: true", "6, nodes.k.round", "a gaussian node is not a count", "leave 'round' out"),
    "empty name": ("  x: {", '  "": {', "7, nodes.", "a name is empty", "short name"),
    "endless name": ("  x: {", f"  {'x' * 201}: {{", f"7, nodes.{'x' * 60}...", "longer than 200 characters", "short name"),
    "control character": ("  x: {", '  "x\\u0007": {', "7, nodes.x\\x07", "holds a control character: 'x\\x07'", "printable"),
    "equals sign": ("  x: {", "  x=1: {", "7, nodes.x=1", "'x=1' holds '=', which has a meaning in labels", "without it"),
    "comma": ("  x: {", '  "x,1": {', "7, nodes.x,1", "holds ','", "without it"),
    "bracket": ("  x: {", '  "x[1]": {', "7, nodes.x[1]", "holds '['", "without it"),
    "model's name a path": ("name: small", "name: ../small", "1, name", "holds '.'", "without it"),
    "model's name a folder": ("name: small", "name: a/b", "1, name", "holds '/'", "without it"),
    "no table": ("name: small", 'data: ""', "1, data", "no table is named", "leave the line out"),
    "no nodes": (GOOD[GOOD.index("nodes:") :], "nodes: {}", "4, nodes", "no node is declared", "declare"),
    "nodes a list": (GOOD[GOOD.index("nodes:") :], "nodes: [a]", "4, nodes", "must be a mapping, not a list", "{key"),
}

PARAMETERS = {
    "unknown": ("x", "{intercep: 1}", ".intercep", "'intercep' is not a known key", "'intercept'?"),
    "of another family": ("x", "{scale: 1}", ".scale", "a poisson node has no parameter 'scale'", "intercept, weights"),
    "a number": ("x", "3", "", "must be a mapping, not '3'", "{key"),
    "a word": ("x", "{intercept: yes}", ".intercept", "must be a number, not 'yes'", "1.0"),
    "a boolean": ("x", "{intercept: true}", ".intercept", "must be a number, not 'true'", "1.0"),
    "infinite": ("x", "{intercept: .inf}", ".intercept", "must be finite, not .inf", "1.0"),
    "overflowing": ("x", f"{{intercept: {'9' * 400}}}", ".intercept", "must be finite", "1.0"),
    "of no weight": ("x", "{weights: {race=B: 1}}", ".weights.race=B", "'race=B' is not a weight of", "race="),
    "of the reference": ("x", "{weights: {race=a: 1}}", ".weights.race=a", "is a reference level", "leave it out"),
    "of a weight by a word": ("x", "{weights: {k: x}}", ".weights.k", "must be a number, not 'x'", "1.0"),
    "weights in a list": ("x", "{weights: [1]}", ".weights", "must be a mapping, not a list", "{key"),
    "no scale": ("y", "{scale: 0}", ".scale", "must be above 0, not 0", "positive"),
    "negative scale": ("y", "{scale: -1}", ".scale", "must be above 0, not -1", "positive"),
    "too few probabilities": ("race", "{probabilities: [.5, .5]}", ".probabilities", "2 probabilities for 3 levels", "one per"),
    "wrong sum": ("race", "{probabilities: [.5, .4, .2]}", ".probabilities", "sum to 1.1", "sum to 1"),
    "zero probability": ("race", "{probabilities: [1, 0, 0]}", ".probabilities[1]", "above 0", "positive"),
    "probabilities a number": ("race", "{probabilities: 1}", ".probabilities", "a list of numbers", "one probability per"),
    "both": ("race", "{probabilities: [.2, .3, .5], b: {}}", ".probabilities", "both given", "keep one"),
    "of the first level": ("race", "{a: {}}", ".a", "'a' is the reference level", "leave it out"),
    "of no level": ("race", "{d: {}}", ".d", "'d' is not a level", "b, c"),
    "outside a level": ("race", "{intercept: 1}", ".intercept", "stand under its levels", "{Level:"),
    "unknown in a level": ("race", "{b: {intercep: 1}}", ".b.intercep", "not a known key", "'intercept'?"),
    "a word in a level": ("race", "{b: {intercept: x}}", ".b.intercept", "must be a number", "1.0"),
    "no weight in a level": ("race", "{b: {weights: {q: 1}}}", ".b.weights.q", "not a weight of this node", "(none)"),
    "scale in a level": ("race", "{b: {scale: 1}}", ".b.scale", "not a known key", "intercept, weights"),
}

G = "mechanism: gaussian, parents: [race, k, x]"
OPTIONS = {
    "interaction with a stranger": ("interactions: [[race, q]]", "", ".mechanism.interactions[0][1]", "'q' is not a parent", "use one of"),
    "interaction of one": ("interactions: [[race, x], [x]]", "", ".mechanism.interactions[1]", "of two or more", "at least two"),
    "interaction with itself": ("interactions: [[x, x]]", "", ".mechanism.interactions[0]", "a parent is repeated", "once"),
    "interaction twice": ("interactions: [[x, k], [k, x]]", "", ".mechanism.interactions[1]", "given twice", "keep one"),
    "weight of no product": (
        "interactions: [[race, x]]", ", parameters: {weights: {race=b:k: 1}}", ".parameters.weights.race=b:k", "not a weight", "race=b:x",
    ),
    "weight of a reference": (
        "interactions: [[race, x]]", ", parameters: {weights: {race=a:x: 1}}", ".parameters.weights.race=a:x", "reference level", "leave",
    ),
    "scale of one": (
        "heteroscedastic: false", ", parameters: {scale_weights: {x: 1}}", ".parameters.scale_weights", "one scale", "heteroscedastic",
    ),
    "prior of one scale": (
        "heteroscedastic: false", ", prior: {scale_weights: {normal: 1}}", ".prior.scale_weights", "one scale", "heteroscedastic",
    ),
    "scale of a latent": (
        "heteroscedastic: true", ", parameters: {scale_weights: {k: 1}}", ".parameters.scale_weights.k", "'k' is not a weight", "race=b",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OPTIONS)
def test_a_wrong_option_is_named_with_its_line_and_its_mend(case: str) -> None:
    option, more, where, problem, mend = OPTIONS[case]
    error = refusal(put(G, f"mechanism: {{family: gaussian, {option}}}, parents: [race, k, x]{more}"))
    assert error.where == f"dag.yaml:8, nodes.y{where}"
    assert problem in error.problem
    assert mend in error.mend


def test_a_link_that_a_family_lacks_and_a_latent_that_cannot_be_are_refused() -> None:
    error = refusal(put("mechanism: gaussian, latent: true", "mechanism: student_t, latent: true"))
    assert (error.where, error.mend) == ("dag.yaml:6, nodes.k.latent", "make it one of: gaussian, bernoulli, categorical, ordinal, table")
    two = put("mechanism: gaussian, latent: true}", "mechanism: gaussian, latent: true}\n  l: {mechanism: gaussian, latent: true}")
    error = refusal(two.replace(G, "mechanism: {family: gaussian, interactions: [[k, l]]}, parents: [k, l]"))
    assert "an interaction of two latents, k and l" in error.problem
    error = refusal(put(G, "mechanism: {family: bernoulli, link: logist}, levels: [u, v]"))
    assert (error.where, error.problem) == ("dag.yaml:8, nodes.y.mechanism.link", "'logist' is not a link")
    colon = put(G, 'mechanism: {family: gaussian, interactions: [[k, x]]}, parents: [k, x, "k:x"]').replace(
        "  y:", '  "k:x": {mechanism: gaussian}\n  y:'
    )
    assert "two weights would be called 'k:x'" in refusal(colon).problem


CUTPOINTS = {
    "too few": ("{cutpoints: [1]}", ".cutpoints", "1 cutpoints for 3 levels", "one fewer"),
    "not increasing": ("{cutpoints: [1, 1]}", ".cutpoints[1]", "1 is not above the one before", "increasing"),
    "a number": ("{cutpoints: 1}", ".cutpoints", "must be a list of numbers, not '1'", "square brackets"),
    "a word": ("{cutpoints: [a, 1]}", ".cutpoints[0]", "must be a number, not 'a'", "1.0"),
    "an intercept": ("{intercept: 1}", ".intercept", "an ordinal node has no parameter 'intercept'", "cutpoints, weights"),
    "misspelt": ("{cutpoint: [1, 2]}", ".cutpoint", "'cutpoint' is not a known key", "'cutpoints'?"),
    "a name of ours": ("{lists: {cutpoints: [1, 2]}}", ".lists", "has no parameter 'lists'", "cutpoints, weights"),
}

PRIORS = {
    "variance normal": ("{variance: {normal: 1}}", "prior.variance", "takes 'inverse_gamma'", "{inverse_gamma: [shape, scale]}"),
    "weights gamma": ("{weights: {inverse_gamma: [1, 1]}}", "prior.weights", "takes 'normal'", "{normal: [mean, sd]}"),
    "unknown family": ("{weights: {laplace: 1}}", "prior.weights", "takes 'normal'", "{normal: sd}"),
    "two families": ("{weights: {normal: 1, laplace: 1}}", "prior.weights", "takes 'normal'", "{normal: sd}"),
    "a number": ("{weights: 1}", "prior.weights", "takes 'normal'", "{normal: sd}"),
    "negative sd": ("{weights: {normal: -1}}", "prior.weights.normal", "standard deviation above 0", "{normal: sd}"),
    "zero sd": ("{weights: {normal: [1, 0]}}", "prior.weights.normal", "standard deviation above 0", "{normal: sd}"),
    "three numbers": ("{weights: {normal: [1, 2, 3]}}", "prior.weights.normal", "standard deviation above 0", "{normal: sd}"),
    "no numbers": ("{weights: {normal: []}}", "prior.weights.normal", "standard deviation above 0", "{normal: sd}"),
    "infinite": ("{weights: {normal: .inf}}", "prior.weights", "must be finite", "1.0"),
    "one number": ("{variance: {inverse_gamma: [1]}}", "prior.variance.inverse_gamma", "a shape and a scale", "[shape, scale]"),
    "negative scale": ("{variance: {inverse_gamma: [1, -1]}}", "prior.variance.inverse_gamma", "both above 0", "[shape, scale]"),
    "unknown parameter": ("{scale: {normal: 1}}", "prior.scale", "'scale' is not a known key", "intercept, weights, variance"),
    "not a mapping": ("normal", "prior", "must be a mapping, not 'normal'", "{key"),
}


def refusal(text: str) -> SpecError:
    with pytest.raises(SpecError) as refused:
        read_spec(text, name="dag.yaml")
    assert "\n" not in str(refused.value)
    return refused.value


def put(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def test_the_declaration_to_be_damaged_is_good() -> None:
    assert list(read_spec(GOOD, name="dag.yaml").nodes) == ["race", "k", "x", "y"]


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_named_with_its_line_and_its_mend(case: str) -> None:
    old, new, where, problem, mend = CASES[case]
    error = refusal(put(old, new))
    assert error.where == f"dag.yaml:{where}"
    assert problem in error.problem
    assert mend in error.mend


@pytest.mark.parametrize("case", PARAMETERS)
def test_a_wrong_parameter_is_named_with_its_line_and_its_mend(case: str) -> None:
    node, parameters, where, problem, mend = PARAMETERS[case]
    said = {"x": "mechanism: poisson", "y": "parents: [race, k, x]", "race": "levels: [a, b, c]"}[node]
    error = refusal(put(said, f"{said}, parameters: {parameters}"))
    assert error.where == f"dag.yaml:{ {'race': 5, 'x': 7, 'y': 8}[node] }, nodes.{node}.parameters{where}"
    assert problem in error.problem
    assert mend in error.mend


@pytest.mark.parametrize("case", CUTPOINTS)
def test_wrong_cutpoints_are_named_with_their_line_and_their_mend(case: str) -> None:
    parameters, where, problem, mend = CUTPOINTS[case]
    error = refusal(put("mechanism: categorical, levels: [a, b, c]", f"mechanism: ordinal, levels: [a, b, c], parameters: {parameters}"))
    assert error.where == f"dag.yaml:5, nodes.race.parameters{where}"
    assert problem in error.problem
    assert mend in error.mend


def test_probabilities_belong_to_a_node_without_parents() -> None:
    error = refusal(put(X, "mechanism: categorical, levels: [u, v], parameters: {probabilities: [.5, .5]}"))
    assert (error.where, error.mend) == ("dag.yaml:7, nodes.x.parameters.probabilities", "fix {Level: {intercept, weights}} instead")


@pytest.mark.parametrize("case", PRIORS)
def test_a_wrong_prior_is_named_with_its_line_and_its_mend(case: str) -> None:
    prior, where, problem, mend = PRIORS[case]
    error = refusal(put(Y, f"{Y}, prior: {prior}"))
    assert error.where == f"dag.yaml:8, nodes.y.{where}"
    assert problem in error.problem
    assert mend in error.mend


def test_a_count_has_no_variance_to_give_a_prior() -> None:
    error = refusal(put(X, f"{X}, prior: {{variance: {{inverse_gamma: [1, 1]}}}}"))
    assert (error.problem, error.mend) == ("a poisson node has no prior for 'variance'", "use one of: intercept, weights")


def test_of_several_mistakes_the_first_line_is_told() -> None:
    text = GOOD.replace("poisson", "poison").replace("parents: [race, k, x]", "parents: race").replace("latent: true", "latent: maybe")
    assert refusal(text).where == "dag.yaml:6, nodes.k.latent"
    text = GOOD.replace("parents: [race, k, x]", "parents: [rac]").replace("[race]", "[rac]")
    assert refusal(text).where == "dag.yaml:2, protected[0]"


def test_the_line_is_that_of_the_part_in_block_style_too() -> None:
    text = GOOD.replace(
        "  y: {mechanism: gaussian, parents: [race, k, x]}\n",
        "  y:\n    mechanism: gaussian\n    parents:\n      - race\n      # why\n      - kk\n",
    )
    assert refusal(text).where == "dag.yaml:13, nodes.y.parents[1]"
