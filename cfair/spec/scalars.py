"""What stands at the tips of a declaration: names, numbers, switches and levels, each from YAML or from Python."""

import re
from math import isfinite
from numbers import Integral, Real
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

__all__ = ["Flag", "Groups", "Level", "Levels", "Names", "NotNegative", "Number", "Paths", "Plain", "Positive", "Sizes", "Text", "Whole"]
__all__ += ["described", "is_text", "level_text", "mistake", "number"]

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {text: text.lower() == "true" for text in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_EXACT = 1e15  # whole floats below it print as the integer they are


class Plain(str):
    """An unquoted YAML scalar: its text, which is a number, a boolean or nothing only where such a thing is asked for.

    So ``no``, ``yes`` and ``on`` are text, and a node may be called ``2019``.
    """

    __slots__ = ()

    def value(self) -> str | int | float | bool | None:
        """What the text stands for. Source: YAML 1.2.2, section 10.3.2, the core schema."""
        text = str(self)
        if text in _NULL:
            return None
        if text in _BOOLEAN:
            return _BOOLEAN[text]
        if _INTEGER.fullmatch(text):
            return int(text, 0 if text[:2] in {"0o", "0x"} else 10) if len(text) < 1000 else float("inf")
        if _NOT_FINITE.fullmatch(text):
            return float(text.replace(".", ""))
        return float(text) if _FLOAT.fullmatch(text) else text


def mistake(problem: str, mend: str, *path: str | int) -> PydanticCustomError:
    """A mistake for pydantic to collect; ``path`` leads from the field being read to the exact place."""
    return PydanticCustomError("cfair", "{problem}", {"problem": problem, "mend": mend, "path": path})


def level_text(value: object) -> str:
    """The text by which levels compare: 1, 1.0 and "1" agree, and so do True and "true".

    >>> [level_text(value) for value in (1, 1.0, "1", True, 0.5, "Puerto Rican")]
    ['1', '1', '1', 'true', '0.5', 'Puerto Rican']
    """
    if isinstance(value, str):
        return str(value)
    if str(value) in _BOOLEAN:
        return str(value).lower()
    if isinstance(value, Real) and not isinstance(value, Integral) and abs(whole := float(value)) < _EXACT and whole.is_integer():
        return str(int(whole))
    return str(value)


def is_text(value: str) -> bool:
    """Whether ``value`` can be written to a file: no half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def number(value: object) -> float:
    """A finite number, from YAML or any real type of Python."""
    read = value.value() if isinstance(value, Plain) else value
    if not isinstance(read, Real) or isinstance(read, bool):
        raise mistake(f"must be a number, not {described(value)}", "write a number such as 1.0")
    try:
        if isfinite(read):
            return float(read)
    except OverflowError:  # an integer beyond the largest float
        pass
    raise mistake(f"must be finite, not {str(value)[:20]}", "write a number such as 1.0")


def _positive(value: float) -> float:
    if value <= 0:
        raise mistake(f"must be above 0, not {value:g}", "write a positive number such as 1.0")
    return value


def _not_negative(value: float) -> float:
    if value < 0:
        raise mistake(f"must be 0 or above, not {value:g}", "write 0 or a positive number")
    return value


def _whole(value: object) -> int:
    read = number(value)
    if read < 1 or not read.is_integer():
        raise mistake(f"must be a whole number above 0, not {read:g}", "write a number such as 8")
    return int(read)


def _flag(value: object) -> bool:
    read = value.value() if isinstance(value, Plain) else value
    if isinstance(read, str) or str(read) not in {"True", "False"}:
        raise mistake(f"must be true or false, not {described(value)}", "write true or false")
    return str(read) == "True"


def _text(value: object) -> str:
    if isinstance(value, Plain) and value.value() is None:
        raise mistake("is empty", "write a value, or leave the line out; in quotes if the word itself is meant")
    if not isinstance(value, str):
        raise mistake(f"must be text, not {described(value)}", "write one word, in quotes if need be")
    if not is_text(value):
        raise mistake("is not text: it holds half of a surrogate pair", "retype it")
    return str(value)


def _level(value: object) -> str:
    read = value.value() if isinstance(value, Plain) else value
    if read is None:
        raise mistake("a level is empty", "write its name, in quotes if it is the word null")
    if not isinstance(read, str | Real) and str(read) not in _BOOLEAN:
        raise mistake(f"a level must be text, a number or a boolean, not {described(value)}", "write its name, in quotes if need be")
    text = level_text(read)
    if text in {"inf", "-inf", "nan"} and not isinstance(read, str):
        raise mistake(f"a level must be finite, not {text}", "write its name in quotes")
    return text


def _list(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(value)
    shown = f"[{value}]" if isinstance(value, str) and value else "it as a list"
    raise mistake(f"must be a list, not {described(value)}", f"write {shown}")


def _path(value: object) -> object:
    """A directed path in one line, ``race -> lsat -> zfya``, or as a list of its nodes."""
    if isinstance(value, str) and "->" in value:
        return tuple(name.strip() for name in value.split("->"))
    return _list(value)


def described(value: object) -> str:
    """What ``value`` is, in a reader's words; short values are quoted."""
    if value is None or (isinstance(value, Plain) and value.value() is None):
        return "nothing"
    if isinstance(value, str | bool | Real):
        return f"'{str(value)[:40]}'"
    return "a list" if isinstance(value, list | tuple) else "a mapping" if isinstance(value, dict) else f"of type {type(value).__name__}"


Text = Annotated[str, BeforeValidator(_text)]
Names = Annotated[tuple[Text, ...], BeforeValidator(_list)]
Level = Annotated[str, BeforeValidator(_level)]
Levels = Annotated[tuple[Level, ...], BeforeValidator(_list)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Groups = Annotated[tuple[Names, ...], BeforeValidator(_list)]
Paths = Annotated[tuple[Annotated[tuple[Text, ...], BeforeValidator(_path)], ...], BeforeValidator(_list)]
Whole = Annotated[int, BeforeValidator(_whole)]
Sizes = Annotated[tuple[Whole, ...], BeforeValidator(_list)]
Number = Annotated[float, BeforeValidator(number)]
NotNegative = Annotated[float, BeforeValidator(lambda value: _not_negative(number(value)))]
Positive = Annotated[float, BeforeValidator(lambda value: _positive(number(value)))]
