"""The laws that every mechanism obeys, each a function that tries a mechanism on people and says with numbers how it fails."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from cfair.families import Kind
from cfair.interfaces import Mechanism, Values
from cfair.mechanisms.findings import first_bad, fits, listed, not_finite, shape_of, unlike
from cfair.mechanisms.linear import Parent
from cfair.mechanisms.sampling import follows

__all__ = ["LAWS", "Trial", "broken", "trial_parents"]

PEOPLE = 60  # on whom the laws are tried
MANY = 20_000  # draws of one person's value, to be held against the density
LOWEST = 2**-54  # of a uniform number


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A mechanism and people to try it on.

    Args:
        mechanism: a torch module.
        parents: name -> (n,).
        levels: of the node itself; 0 where it is a number.
        n: how many people.
    """

    mechanism: Mechanism
    parents: Values
    levels: int
    n: int = PEOPLE

    def uniform(self, *draws: int, seed: int = 1) -> Tensor:
        """Numbers in (0, 1) of the noise's shape, (..., n) or (..., n, k)."""
        size = self.mechanism.noise_size
        shape = (*draws, self.n) if size == 1 else (*draws, self.n, size)
        return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).clamp(min=LOWEST)

    def seen(self) -> Tensor:
        """Values drawn from the mechanism's own noise, shape (n,)."""
        return self.mechanism.value(self.mechanism.noise(self.uniform(seed=2)), self.parents).expand(self.n)


Law: TypeAlias = Callable[[Trial], str]  # how it is broken, or "" where it holds


def broken(trial: Trial) -> tuple[str, str] | None:
    """The first law that the mechanism breaks, and how; None where it keeps them all."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # a user's code may draw from torch's own stream: it comes back as it was
        return next(((law, said) for law, holds in LAWS.items() if (said := holds(trial))), None)


def trial_parents(parents: Sequence[Parent], kinds: Mapping[str, Kind], n: int = PEOPLE) -> dict[str, Tensor]:
    """Values of the parents, (n,) each: every level, numbers about their unit, counts from 0."""
    source = torch.Generator().manual_seed(0)
    values = {}
    for parent in parents:
        drawn = torch.randn(n, generator=source, dtype=torch.float64) * parent.unit.scale + parent.unit.center
        if parent.levels:
            drawn = (torch.arange(n) % len(parent.levels)).double()[torch.randperm(n, generator=source)]
        values[parent.name] = drawn.round().clamp(min=0) if kinds[parent.name] == "count" else drawn
    return values


def _module(trial: Trial) -> str:
    module = cast("nn.Module", trial.mechanism)
    held = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    wrong = [f"'{name}' is {tensor.dtype}" for name, tensor in held.items() if tensor.is_floating_point() and tensor.dtype != torch.float64]
    return f"{wrong[0]}: give it dtype=torch.float64" if wrong else ""


def _noise(trial: Trial) -> str:
    uniform = trial.uniform(3)
    noise = trial.mechanism.noise(uniform)
    if noise.shape != uniform.shape:
        return (
            f"noise of uniform numbers of shape {shape_of(uniform)} has shape {shape_of(noise)}; noise_size is {trial.mechanism.noise_size}"
        )
    return not_finite("noise", noise)


def _value(trial: Trial) -> str:
    noise = trial.mechanism.noise(trial.uniform(3))
    value = trial.mechanism.value(noise, trial.parents)
    if not fits(value, (3, trial.n)):
        return f"the value of 3 draws of {trial.n} people has shape {shape_of(value)}"
    if bad := _unfit(trial, value):
        return bad
    return not_finite("value", value)


def _unfit(trial: Trial, value: Tensor) -> str:
    """A value that is no level, or no count."""
    if trial.mechanism.kind == "real":
        return ""
    most = trial.levels - 1 if trial.levels else torch.inf
    good = (value >= 0) & (value <= most) & (value == value.floor())
    what = f"levels are 0 to {most}" if trial.levels else "it is a count"
    return "" if good.all() else f"a value is {first_bad(value, good)}, and {what}"


def _undone(trial: Trial) -> str:
    seen = trial.seen()
    noise = trial.mechanism.abduct(seen, trial.parents, trial.uniform(3))
    again = trial.mechanism.value(noise, trial.parents)
    if not fits(again, (3, trial.n)):
        return f"value(abduct(x)) has shape {shape_of(again)}, not {(3, trial.n)}"
    return unlike("value(abduct(x))", again.expand(3, trial.n), seen.expand(3, trial.n))


def _abducted(trial: Trial) -> str:
    uniform = trial.uniform()
    noise = trial.mechanism.abduct(trial.seen(), trial.parents, uniform)
    if not fits(noise, uniform.shape):
        return f"abducted noise has shape {shape_of(noise)}, not {shape_of(uniform)}"
    return not_finite("abducted noise", noise)


def _density(trial: Trial) -> str:
    found = trial.mechanism.distribution(trial.parents).log_prob(trial.seen())
    if found.shape != (trial.n,):
        return f"log_prob of {trial.n} people has shape {shape_of(found)}"
    return not_finite("log_prob of the mechanism's own values", found)


def _density_of_values(trial: Trial) -> str:
    one = {name: column[:1] for name, column in trial.parents.items()}
    many = Trial(trial.mechanism, one, trial.levels, n=MANY)
    said = follows(many.seen(), lambda x: trial.mechanism.distribution(one).log_prob(x), is_real=trial.mechanism.kind == "real")
    return f"values made from noise do not follow distribution(parents): {said}" if said else ""


def _draws(trial: Trial) -> str:
    seen, uniform = trial.seen(), trial.uniform(3)
    order = [torch.arange(trial.n).roll(shift) for shift in range(3)]
    many = {name: torch.stack([column[people] for people in order]) for name, column in trial.parents.items()}
    noise = trial.mechanism.abduct(seen, many, uniform).expand(uniform.shape)
    density = trial.mechanism.distribution(many).log_prob(seen)
    values = trial.mechanism.value(noise, many)
    for draw in range(3):
        one = {name: column[draw] for name, column in many.items()}
        said = (
            unlike("abduct of one draw", noise[draw], trial.mechanism.abduct(seen, one, uniform[draw]).expand(uniform[draw].shape))
            or unlike("value of one draw", values.expand(3, trial.n)[draw], trial.mechanism.value(noise[draw], one).expand(trial.n))
            or unlike("log_prob of one draw", density.expand(3, trial.n)[draw], trial.mechanism.distribution(one).log_prob(seen))
        )
        if said:
            return f"among several draws and alone differ: {said}"
    return ""


def _order(trial: Trial) -> str:
    seen, uniform = trial.seen(), trial.uniform()
    noise = trial.mechanism.abduct(seen, trial.parents, uniform).expand(uniform.shape)
    for people in (torch.randperm(trial.n, generator=torch.Generator().manual_seed(3)), torch.arange(1), torch.arange(17)):
        some = {name: column[people] for name, column in trial.parents.items()}
        again = trial.mechanism.abduct(seen[people], some, uniform[people]).expand(uniform[people].shape)
        value = trial.mechanism.value(noise[people], some).expand(len(people))
        if said := unlike("noise", again, noise[people]) or unlike("value", value, seen[people]):
            return f"people change when others are asked about, or in another order: {said}"
    return ""


def _priors(trial: Trial) -> str:
    module = cast("nn.Module", trial.mechanism)
    parameters, masks, priors = dict(module.named_parameters()), dict(module.named_buffers()), trial.mechanism.priors()
    if priors.keys() != parameters.keys():
        return f"priors() has {listed(priors)}, and the parameters are {listed(parameters)}"
    for name, prior in priors.items():
        mask, shape = masks.get(f"{name}_free"), parameters[name].shape
        if mask is None or mask.dtype != torch.bool or mask.shape != shape:
            return f"parameter '{name}' has no buffer '{name}_free' of its shape {tuple(shape)} that says which entries are learned"
        if prior.log_prob(parameters[name]).shape != shape:
            return f"the prior of '{name}' has log_prob of shape {shape_of(prior.log_prob(parameters[name]))}, not {tuple(shape)}"
        if said := not_finite(f"the prior's log_prob of '{name}'", prior.log_prob(parameters[name])):
            return said
    return ""


def _gradients(trial: Trial) -> str:
    module, masks = cast("nn.Module", trial.mechanism), dict(cast("nn.Module", trial.mechanism).named_buffers())
    seen = trial.seen()
    values = {name: value.detach().clone().requires_grad_() for name, value in module.named_parameters()}
    if not any(masks[f"{name}_free"].any() for name in values):
        return ""
    with torch.enable_grad():
        total = functional_call(module, values, (dict(trial.parents),)).log_prob(seen.detach()) @ _any_weights(trial.n)
        if not total.requires_grad:
            return f"the log density depends on none of its parameters: {listed(values)}"
        slopes = torch.autograd.grad(total, list(values.values()), allow_unused=True)
    for (name, _), slope in zip(values.items(), slopes, strict=True):
        free = masks[f"{name}_free"]
        if free.any() and (slope is None or not slope.isfinite().all() or (slope[free] == 0).all()):
            return f"the gradient of the log density by '{name}' is {'absent' if slope is None else slope.flatten()[:4].tolist()}"
    return ""


def _any_weights(n: int) -> Tensor:
    """A weight for each person, so that slopes that cancel in a plain sum do not."""
    return torch.rand(n, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def _start(trial: Trial) -> str:
    trial.mechanism.start(trial.seen())
    raw = trial.mechanism.raw()
    try:
        json.dumps(raw, allow_nan=False)
    except (TypeError, ValueError) as error:
        return f"raw() is not made of numbers, words, lists and mappings: {error}"
    return "" if isinstance(raw, Mapping) else f"raw() is of type {type(raw).__name__}, not a mapping"


LAWS: dict[str, Law] = {
    "parameters and buffers are float64": _module,
    "noise has the declared size and is finite": _noise,
    "values are of the declared kind": _value,
    "abducted noise has the noise's shape and is finite": _abducted,
    "value undoes abduct": _undone,
    "log_prob is finite, one number per person": _density,
    "values follow the distribution": _density_of_values,
    "draws broadcast": _draws,
    "people do not depend on one another": _order,
    "each parameter has a prior and a mask of its shape": _priors,
    "gradients reach every free parameter": _gradients,
    "start and raw can be called, and raw can be written down": _start,
}
