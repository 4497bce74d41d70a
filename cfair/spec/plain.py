"""A declaration as the plain values that dag.yaml holds, and as its text."""

import re
from typing import TYPE_CHECKING, TypeAlias
from unicodedata import category

if TYPE_CHECKING:
    from cfair.families import OptionValue
    from cfair.spec.given import LevelParameters, Parameters
    from cfair.spec.model import ModelSpec
    from cfair.spec.priors import Prior
    from cfair.spec.records import NodeSpec

__all__ = ["PlainValue", "plain_head", "plain_node", "yaml_text"]

PlainValue: TypeAlias = "str | float | bool | list[PlainValue] | dict[str, PlainValue]"

_SIMPLE = re.compile(r"[A-Za-z_]([A-Za-z0-9_./= -]*[A-Za-z0-9_./=-])?")
_QUOTED = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})  # not text to some readers of YAML


def plain_head(spec: "ModelSpec") -> dict[str, PlainValue]:
    """What dag.yaml would say above ``nodes``: every key that has something to say."""
    said: dict[str, PlainValue] = {"name": spec.name}
    said |= {key: text for key, text in (("source", spec.source), ("data", spec.data)) if text}
    said |= {"protected": list(spec.protected), "outcome": spec.outcome}
    said |= {"resolving": list(spec.resolving)} if spec.resolving else {}
    return said | ({"unfair_paths": [list(path) for path in spec.unfair_paths]} if spec.unfair_paths else {})


def plain_node(node: "NodeSpec") -> dict[str, PlainValue]:
    """What dag.yaml would say of one node: every key that differs from its default."""
    own = {name: _listed(value) for name, value in node.options.items()}
    named: dict[str, PlainValue] = {"python": node.mechanism, "sha256": node.own.sha256} if node.own else {"family": node.mechanism}
    said: dict[str, PlainValue] = {"mechanism": {**named, **own} if own or node.own else node.mechanism}
    said |= {key: list(names) for key, names in (("parents", node.parents), ("levels", node.levels)) if names}
    said |= {key: True for key, flag in (("latent", node.latent), ("round", node.round)) if flag}
    said |= {} if node.parameters is None else {"parameters": _parameters(node.parameters)}
    said |= {} if node.prior is None else {"prior": _prior(node.prior)}
    return said | ({} if node.coupling is None else {"coupling": node.coupling})


def yaml_text(spec: "ModelSpec") -> str:
    """YAML of a declaration: one line per key, and under ``nodes`` one line per node."""
    head = [f"{key}: {_flow(value)}" for key, value in plain_head(spec).items()]
    nodes = [f"  {_scalar(name)}: {_flow(plain_node(node))}" for name, node in spec.nodes.items()]
    return "\n".join([*head, "nodes:", *nodes, ""])


def _listed(value: "OptionValue") -> PlainValue:
    """An option's value, its tuples as lists."""
    return [list(each) if isinstance(each, tuple) else each for each in value] if isinstance(value, tuple) else value


def _parameters(given: "Parameters") -> dict[str, PlainValue]:
    said = _linear(given)
    said |= {} if given.scale is None else {"scale": given.scale}
    said |= {} if given.scale_weights is None else {"scale_weights": dict(given.scale_weights)}
    said |= {**given.numbers, **{name: list(values) for name, values in given.lists.items()}}
    said |= {} if given.probabilities is None else {"probabilities": list(given.probabilities)}
    said |= {} if given.rows is None else {"probabilities": [{**row.given, "p": list(row.p)} for row in given.rows]}
    return said | {level: _linear(parameters) for level, parameters in (given.levels or {}).items()}


def _linear(given: "Parameters | LevelParameters") -> dict[str, PlainValue]:
    said: dict[str, PlainValue] = {} if given.intercept is None else {"intercept": given.intercept}
    return said | ({} if given.weights is None else {"weights": dict(given.weights)})


def _prior(prior: "Prior") -> PlainValue:
    if prior.cell is not None:
        return prior.cell
    said: dict[str, PlainValue] = {}
    for name, normal in (("intercept", prior.intercept), ("weights", prior.weights), ("scale_weights", prior.scale_weights)):
        said |= {} if normal is None else {name: {"normal": [normal.mean, normal.sd] if normal.mean else normal.sd}}
    return said | ({} if prior.variance is None else {"variance": {"inverse_gamma": [prior.variance.shape, prior.variance.scale]}})


def _flow(value: PlainValue) -> str:
    """``value`` in one line."""
    if isinstance(value, str):
        return _scalar(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_scalar(key)}: {_flow(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return str(value).lower() if isinstance(value, int) else _number(value)  # true and false are integers, too


def _number(value: float) -> str:
    """The shortest text that reads back as the same number, with a point that every YAML reader understands."""
    mantissa, exponent, power = repr(float(value)).partition("e")
    return f"{mantissa}{'' if '.' in mantissa else '.0'}{exponent}{power}"


def _scalar(text: str) -> str:
    """``text``, in double quotes where it could be taken for something else."""
    if _SIMPLE.fullmatch(text) and text.lower() not in _QUOTED:
        return text
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    legible = category(character) not in {"Cc", "Cf", "Cn", "Zl", "Zp"}
    return character if legible else f"\\U{ord(character):08x}"
