"""Values computed when first read, and names resolved when first used."""

import subprocess
import sys

import pytest

from cfair.errors import QueryError
from cfair.lazy import Lazy
from cfair.registry import Registry


def test_a_value_is_computed_once_and_only_when_read() -> None:
    calls: list[str] = []

    def made(name: str) -> str:
        calls.append(name)
        return name.upper()

    lazy = Lazy({"a": lambda: made("a"), "b": lambda: made("b")})
    assert (list(lazy), len(lazy), "a" in lazy, "c" in lazy) == (["a", "b"], 2, True, False)
    assert calls == []
    assert (lazy["b"], lazy["b"]) == ("B", "B")
    assert calls == ["b"]


def test_a_value_may_read_another_of_the_same_mapping() -> None:
    thunks = {"a": lambda: 1}
    lazy = Lazy(thunks)
    thunks["b"] = lambda: lazy["a"] + 1
    assert lazy["b"] == 2


def test_a_name_that_is_missing_is_a_key_error_as_in_any_mapping() -> None:
    with pytest.raises(KeyError):
        Lazy[int]({})["a"]


def test_a_registry_resolves_its_names_and_suggests_the_nearest() -> None:
    registry: Registry[object] = Registry("shape", circle="math:pi", square="math:e")
    assert registry["circle"] == pytest.approx(3.14159, abs=1e-5)
    assert (list(registry), len(registry), "square" in registry, "cube" in registry) == (["circle", "square"], 2, True, False)
    with pytest.raises(QueryError, match=r"shape: 'cirle' is not a known shape. Did you mean 'circle'\?"):
        registry["cirle"]


def test_a_registry_imports_nothing_before_it_is_asked() -> None:
    code = "import sys; from cfair.registry import Registry; shapes = Registry('shape', a='colorsys:rgb_to_hls'); "
    code += "assert 'colorsys' not in sys.modules; shapes['a']; assert 'colorsys' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
