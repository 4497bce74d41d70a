"""A mechanism of the user's own behind a border: tried by the contract before use, and whatever it raises becomes a CodeError."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from torch import Tensor, nn
from torch.distributions import Distribution

from cfair.errors import CodeError
from cfair.families import Kind
from cfair.interfaces import Mechanism, SelfTaught, Values
from cfair.mechanisms.contract import Trial, broken, trial_parents
from cfair.mechanisms.linear import Parent, Unit
from cfair.spec import NodeSpec
from cfair.spec.own_code import at_border, run_class

__all__ = ["Own", "own_mechanism"]

VERBS = ("distribution", "noise", "value", "abduct", "priors", "start", "raw")


def own_mechanism(node: NodeSpec, parents: Sequence[Parent], unit: Unit, *, name: str, kinds: Mapping[str, Kind]) -> Mechanism:
    """The user's mechanism of node ``name``, once it has kept every law of the contract on people made up for it.

    Args:
        node: its declaration, whose ``options`` are all that the mapping says beside ``python``.
        parents: as the class gets them.
        unit: in which a real or count node is standardised.
        name: of the node, for messages.
        kinds: of its parents.

    Raises:
        CodeError: the class cannot be had, lacks a verb, raises something, or breaks a law; the message says which, with numbers.
    """
    where = f"node '{name}', {node.mechanism}"
    tried = _made(node, parents, unit, where)
    trial = Trial(tried, trial_parents(parents, kinds), len(node.levels))
    with at_border(where, "trying it on made-up people"):
        found = broken(trial)
    if found is not None:
        law, said = found
        raise CodeError(where, f"it breaks the law '{law}': {said}", "mend the class; cfair.interfaces.Mechanism has the contract")
    return _made(node, parents, unit, where)


def _made(node: NodeSpec, parents: Sequence[Parent], unit: Unit, where: str) -> "Own":
    """A new mechanism of the user's class, behind the border."""
    assert node.own is not None
    module, _, name = node.own.reference.partition(":")
    made_by = run_class(module, name, Path(node.own.path), where=where)
    if not callable(made_by):
        raise CodeError(where, f"'{name}' is of type {type(made_by).__name__}, not a class", "name the class")
    with at_border(where, f"{name}(node, parents, unit)"):
        inner = made_by(node, tuple(parents), unit)
    if not isinstance(inner, nn.Module):
        raise CodeError(where, f"{name} is not a torch.nn.Module", "derive it from torch.nn.Module, whose state is what a run keeps")
    if missing := [verb for verb in (*VERBS, "kind", "noise_size") if not hasattr(inner, verb)]:
        raise CodeError(where, f"{name} has no '{missing[0]}'", "write it; cfair.interfaces.Mechanism has the contract")
    if inner.kind != node.kind:
        raise CodeError(where, f"its kind is '{inner.kind}', and '{node.kind}' when it was read", "let the class say its kind once")
    if not isinstance(inner.noise_size, int) or inner.noise_size < 1:
        raise CodeError(where, f"its noise_size is {inner.noise_size!r}", "write a whole number from 1")
    return OwnSelfTaught(inner, where) if isinstance(inner, SelfTaught) else Own(inner, where)


class Own(nn.Module):
    """A user's mechanism, each verb called at the border.

    Args:
        inner: the user's own.
        where: the node and the class, for messages.
    """

    def __init__(self, inner: nn.Module, where: str) -> None:
        super().__init__()
        self.inner, self.where = inner, where
        self.kind = cast("Kind", inner.kind)
        self.noise_size = cast("int", inner.noise_size)

    @property
    def user(self) -> Mechanism:
        """The user's own."""
        return cast("Mechanism", self.inner)

    def forward(self, parents: Values) -> Distribution:
        """The node's distribution given its parents."""
        with at_border(self.where, "distribution(parents)"):
            return self.user.distribution(parents)

    distribution = forward

    def noise(self, uniform: Tensor) -> Tensor:
        """Noise from its prior."""
        with at_border(self.where, "noise(uniform)"):
            return self.user.noise(uniform)

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """The node's value."""
        with at_border(self.where, "value(noise, parents)"):
            return self.user.value(noise, parents)

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise that made ``value``."""
        with at_border(self.where, "abduct(value, parents, uniform)"):
            return self.user.abduct(value, parents, uniform)

    def priors(self) -> dict[str, Distribution]:
        """Parameter -> its prior."""
        with at_border(self.where, "priors()"):
            return {f"inner.{name}": prior for name, prior in self.user.priors().items()}

    def start(self, value: Tensor) -> None:
        """Set the free parameters where learning begins."""
        with at_border(self.where, "start(value)"):
            self.user.start(value)

    def raw(self) -> Mapping[str, object]:
        """What the user's code tells of its parameters."""
        with at_border(self.where, "raw()"):
            return self.user.raw()


class OwnSelfTaught(Own):
    """A user's mechanism that learns itself."""

    @property
    def known(self) -> bool:
        """Whether nothing is left to learn."""
        return cast("SelfTaught", self.inner).known

    def learn(self, value: Tensor, parents: Values, *, node: str, seed: int, weights: Tensor | None = None) -> None:
        """Set what is not known from the node's own values (n,) and its parents'."""
        with at_border(self.where, "learn(value, parents, node, seed, weights)"):
            cast("SelfTaught", self.inner).learn(value, parents, node=node, seed=seed, weights=weights)
