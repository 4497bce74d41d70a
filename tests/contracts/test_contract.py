"""The contract that a user's own mechanism is tried by: every family of ours keeps it, and every law of it can be broken."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Laplace, Normal

from cfair.families import FAMILIES
from cfair.interfaces import Mechanism
from cfair.mechanisms import Parent, Unit
from cfair.mechanisms.contract import LAWS, Trial, broken, trial_parents
from cfair.scm import SCM
from cfair.spec import ModelSpec

from networks import NETWORKS
from oracles import declare

CASES = [f"{name}:{coupling}" for name, family in FAMILIES.items() for coupling in family.couplings or ("",)]


def spec_of(case: str) -> ModelSpec:
    """A node ``v`` of a family, nothing of it fixed, with parents of each kind that it can have."""
    name, _, coupling = case.partition(":")
    levels = {"binary": ["no", "yes"], "real": [], "count": []}.get(FAMILIES[name].kind, ["x", "y", "z"])
    parents = {
        "a": {"mechanism": "bernoulli", "levels": ["no", "yes"]},
        "c": {"mechanism": "categorical", "levels": ["S", "M", "L"]},
        "r": {"mechanism": "gaussian"},
        "n": {"mechanism": "poisson"},
    }
    own = ["a", "c"] if FAMILIES[name].discrete_parents or coupling == "independent" else list(parents)
    v = {"mechanism": name, "parents": own, "levels": levels, "coupling": coupling or None}
    return declare({**parents, "v": v}, outcome="v")


def trial_of(spec: ModelSpec, mechanism: Mechanism) -> Trial:
    node = spec.nodes["v"]
    parents = [Parent(name, spec.nodes[name].levels) for name in node.parents]
    return Trial(mechanism, trial_parents(parents, {name: spec.nodes[name].kind for name in node.parents}), len(node.levels))


@pytest.mark.parametrize("case", CASES)
def test_every_family_keeps_every_law(case: str) -> None:
    spec = spec_of(case)
    module, source = SCM(spec).mechanisms["v"], torch.Generator().manual_seed(0)
    state = module.state_dict()  # type: ignore[attr-defined]
    for name, tensor in state.items():
        if tensor.is_floating_point() and "center" not in name and "scale" not in name and name != "probabilities" and tensor.numel():
            state[name] = tensor + 0.1 * torch.randn(tensor.shape, generator=source, dtype=torch.float64)
    if case.partition(":")[0] not in NETWORKS:
        module.load_state_dict(state)  # type: ignore[attr-defined]
    assert broken(trial_of(spec, module)) is None


class Good(nn.Module):
    """x = b + w·r + e^s·u, u ~ Laplace(0, 1), over one real parent."""

    kind: ClassVar[str] = "real"
    noise_size = 1

    def __init__(self) -> None:
        super().__init__()
        for name, value in (("bias", 0.2), ("weight", -0.7), ("log_scale", 0.1)):
            setattr(self, name, nn.Parameter(torch.tensor(value, dtype=torch.float64), requires_grad=False))
            self.register_buffer(f"{name}_free", torch.tensor(True))

    def forward(self, parents: Mapping[str, Tensor]) -> Distribution:
        return Laplace(self.location(parents), self.log_scale.exp(), validate_args=False)

    def distribution(self, parents: Mapping[str, Tensor]) -> Distribution:
        return self.forward(parents)

    def location(self, parents: Mapping[str, Tensor]) -> Tensor:
        return self.bias + self.weight * parents["r"]

    def noise(self, uniform: Tensor) -> Tensor:
        return Laplace(torch.zeros(()).double(), 1.0).icdf(uniform)

    def value(self, noise: Tensor, parents: Mapping[str, Tensor]) -> Tensor:
        return self.location(parents) + self.log_scale.exp() * noise

    def abduct(self, value: Tensor, parents: Mapping[str, Tensor], uniform: Tensor) -> Tensor:
        return (value - self.location(parents)) / self.log_scale.exp()

    def priors(self) -> dict[str, Distribution]:
        return {name: Normal(torch.zeros(()).double(), 10.0) for name in ("bias", "weight", "log_scale")}

    def start(self, value: Tensor) -> None:
        self.bias.data = value.mean()

    def raw(self) -> dict[str, object]:
        return {"bias": float(self.bias)}


class Single(Good):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(2))


class Tall(Good):
    def value(self, noise: Tensor, parents: Mapping[str, Tensor]) -> Tensor:
        return super().value(noise, parents).unsqueeze(-1)


class Whole(Good):
    kind = "count"


class Forgetful(Good):
    def abduct(self, value: Tensor, parents: Mapping[str, Tensor], uniform: Tensor) -> Tensor:
        return value - self.location(parents)


class Endless(Good):
    def abduct(self, value: Tensor, parents: Mapping[str, Tensor], uniform: Tensor) -> Tensor:
        return super().abduct(value, parents, uniform).expand(*uniform.shape).unsqueeze(0)


class Summed(Good):
    def forward(self, parents: Mapping[str, Tensor]) -> Distribution:
        return torch.distributions.Independent(super().forward(parents), 1)


class Normally(Good):
    def forward(self, parents: Mapping[str, Tensor]) -> Distribution:
        return Normal(self.location(parents), self.log_scale.exp(), validate_args=False)


class Ranked(Good):
    """Centred on the parent's mean among whoever is asked about."""

    def location(self, parents: Mapping[str, Tensor]) -> Tensor:
        return super().location({"r": parents["r"] - parents["r"].mean(-1, keepdim=True)})


class Flat(Good):
    """Reads the first draw's parents only."""

    def location(self, parents: Mapping[str, Tensor]) -> Tensor:
        return super().location({"r": parents["r"] if parents["r"].dim() < 2 else parents["r"][:1]})


class Priorless(Good):
    def priors(self) -> dict[str, Distribution]:
        return {"bias": super().priors()["bias"]}


class Maskless(Good):
    def __init__(self) -> None:
        super().__init__()
        del self.weight_free


class Cut(Good):
    def location(self, parents: Mapping[str, Tensor]) -> Tensor:
        return self.bias + self.weight.detach() * parents["r"]


class Speechless(Good):
    def raw(self) -> dict[str, object]:
        return {"bias": self.bias}


BREAKERS: dict[type[Good], tuple[str, str]] = {
    Single: ("parameters and buffers are float64", "'table' is torch.float32"),
    Tall: ("values are of the declared kind", "the value of 3 draws"),
    Whole: ("values are of the declared kind", "it is a count"),
    Forgetful: ("value undoes abduct", "where it should be"),
    Endless: ("abducted noise has the noise's shape and is finite", "(1, 60)"),
    Summed: ("log_prob is finite, one number per person", "has shape ()"),
    Normally: ("values follow the distribution", "by the density"),
    Flat: ("draws broadcast", "abduct of one draw"),
    Ranked: ("people do not depend on one another", "in another order"),
    Priorless: ("each parameter has a prior and a mask of its shape", "the parameters are bias, weight, log_scale"),
    Maskless: ("each parameter has a prior and a mask of its shape", "no buffer 'weight_free'"),
    Cut: ("gradients reach every free parameter", "by 'weight' is absent"),
    Speechless: ("start and raw can be called, and raw can be written down", "not JSON serializable"),
}


def try_out(kind: type[Good]) -> tuple[str, str] | None:
    parents = trial_parents([Parent("r", (), Unit(1.0, 2.0))], {"r": "real"})
    mechanism: Any = kind()
    return broken(Trial(mechanism, parents, 0))


def test_a_mechanism_that_keeps_the_laws_breaks_none() -> None:
    assert try_out(Good) is None


@pytest.mark.parametrize("kind", BREAKERS, ids=lambda kind: kind.__name__)
def test_each_broken_law_is_named_with_its_numbers(kind: type[Good]) -> None:
    found = try_out(kind)
    assert found is not None
    law, said = BREAKERS[kind]
    assert found[0] == law
    assert said in found[1]


def test_every_law_has_a_mechanism_that_breaks_it() -> None:
    assert {law for law, _ in BREAKERS.values()} | {"noise has the declared size and is finite"} == set(LAWS)


class Infinite(Good):
    def noise(self, uniform: Tensor) -> Tensor:
        return super().noise(uniform) / 0.0


def test_noise_that_is_not_finite_is_named() -> None:
    found = try_out(Infinite)
    assert found is not None
    assert found[0] == "noise has the declared size and is finite"
    assert "noise is" in found[1]


def test_people_for_a_trial_have_every_level_and_counts_from_zero() -> None:
    parents = [Parent("c", ("x", "y", "z")), Parent("n", (), Unit(2.0, 1.5)), Parent("r", (), Unit(100.0, 3.0))]
    found = trial_parents(parents, {"c": "category", "n": "count", "r": "real"})
    assert found["c"].unique().tolist() == [0.0, 1.0, 2.0]
    assert (found["n"] >= 0).all()
    assert (found["n"] == found["n"].floor()).all()
    assert 90 < float(found["r"].mean()) < 110


def test_a_trial_leaves_torch_as_it_was() -> None:
    before = torch.random.get_rng_state()
    try_out(Good)
    assert torch.equal(torch.random.get_rng_state(), before)
