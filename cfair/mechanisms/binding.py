"""A mechanism at other parameters than its own."""

from collections.abc import Mapping
from copy import copy
from typing import TypeVar, cast

from torch import Tensor, nn

__all__ = ["bound"]

_Module = TypeVar("_Module")


def bound(mechanism: _Module, parameters: Mapping[str, Tensor]) -> _Module:
    """The mechanism with other tensors in place of some of its parameters and buffers, given by name; it shares all else.

    As ``torch.func.functional_call``, for all of its methods, and many times cheaper.
    """
    if not parameters:
        return mechanism
    module = cast("nn.Module", mechanism)
    twin = copy(module)
    nested = {name: _under(name, parameters) for name in module._modules}
    twin.__dict__["_parameters"] = {name: parameters.get(name, value) for name, value in module._parameters.items()}
    twin.__dict__["_buffers"] = {name: parameters.get(name, value) for name, value in module._buffers.items()}
    twin.__dict__["_modules"] = {name: part and bound(part, nested[name]) for name, part in module._modules.items()}
    return cast("_Module", twin)


def _under(name: str, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters of a part of a module, by their names there."""
    return {path.removeprefix(f"{name}."): value for path, value in parameters.items() if path.startswith(f"{name}.")}
