"""YAML text to plain values and the line of each. Refuses everything that a declaration does not need."""

from collections.abc import Iterator
from typing import NoReturn

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from cfair.errors import SpecError
from cfair.spec.places import FilePlaces, Path
from cfair.spec.scalars import Plain, is_text

__all__ = ["compose"]

Value = str | list["Value"] | dict[str, "Value"]
_DEEPEST = 12  # a declaration needs seven; a limit keeps a thousand brackets from exhausting the stack


def compose(text: str, name: str) -> tuple[Value, FilePlaces]:
    """The one document in ``text``, and where each of its parts stands.

    Unquoted scalars come as ``Plain``, so that the reader decides whether ``1.0`` is a number, a level or a name.

    Args:
        text: the file's content.
        name: the file's name, for messages.

    Raises:
        SpecError: ``text`` is not YAML, is empty, or holds a tag, an anchor, an alias, a merge key, a duplicate key or a second document.
    """
    composer = _Composer(text, name)
    try:
        return composer.document(), FilePlaces(name, composer.lines)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpecError(f"{name}:{line}", "a character is not text", "save the file as plain UTF-8 text") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join((error.problem or error.context or "cannot be read").split())
        raise SpecError(f"{name}:{mark.line + 1 if mark else 1}", f"not YAML: {problem}", _hint(problem)) from error
    except (YAMLError, ValueError) as error:
        raise SpecError(f"{name}:{composer.line}", "not YAML: an escape here or below stands for no character", "retype it") from error


def _hint(problem: str) -> str:
    """The usual cause of a YAML problem."""
    if "'\\t'" in problem or "tab" in problem:
        return "indent with spaces, not tabs"
    if "mapping values are not allowed" in problem:
        return "put the text in quotes if it holds ': ', and check the indentation"
    return "check quotes, brackets, commas and indentation on this line and the one before"


def _parsed(text: str) -> Iterator[events.Event]:
    yield from YAML(typ="safe", pure=True).parse(text)


class _Composer:
    """Walks the parser's events once; the parser itself keeps its own stack, so depth is ours to limit."""

    def __init__(self, text: str, name: str) -> None:
        self.name, self.line, self.lines = name, 1, dict[Path, int]()
        self._events = _parsed(text)

    def document(self) -> Value:
        self._next()  # the stream's start
        start = self._next()
        if not isinstance(start, events.DocumentStartEvent):
            raise SpecError(f"{self.name}:1", "the file is empty", "declare 'protected', 'outcome' and 'nodes'")
        if start.version not in {None, (1, 2)}:
            self._refuse("this version of YAML is not read", "leave the %YAML line out: version 1.2 is meant")
        value = self._value(self._next(), ())
        self._next()  # the document's end
        if not isinstance(self._next(), events.StreamEndEvent):
            self._refuse("a second document begins here", "keep one document, without '---' between parts")
        return value

    def _next(self) -> events.Event:
        event = next(self._events)
        self.line = event.start_mark.line + 1
        return event

    def _value(self, event: events.Event, path: Path) -> Value:
        self.lines.setdefault(path, self.line)
        self._check(event, path)
        if isinstance(event, events.SequenceStartEvent):
            return self._sequence(path)
        if isinstance(event, events.MappingStartEvent):
            return self._mapping(path)
        assert isinstance(event, events.ScalarEvent)
        return self._scalar(event)

    def _sequence(self, path: Path) -> list[Value]:
        items: list[Value] = []
        while not isinstance(event := self._next(), events.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> dict[str, Value]:
        entries: dict[str, Value] = {}
        while not isinstance(event := self._next(), events.MappingEndEvent):
            self._check(event, path)
            if not isinstance(event, events.ScalarEvent):
                self._refuse("a key must be one word, not a list or a mapping", "put the key in quotes", path)
            key = self._scalar(event)
            if key == "<<" and isinstance(key, Plain):
                self._refuse("merge keys '<<' are not read", "write the keys out", path)
            if key in entries:
                self._refuse(f"'{key}' is declared twice, first on line {self.lines[*path, key]}", "remove one of them", path)
            self.lines[*path, key] = self.line
            entries[key] = self._value(self._next(), (*path, key))
        return entries

    def _scalar(self, event: events.ScalarEvent) -> str:
        if not is_text(event.value):
            self._refuse("an escape is half of a surrogate pair", "write the character itself")
        return Plain(event.value) if event.implicit[0] else str(event.value)

    def _check(self, event: events.Event, path: Path) -> None:
        """No alias, anchor or tag, and not too deep."""
        if isinstance(event, events.AliasEvent):
            self._refuse(f"alias '*{event.anchor}' is not read", "write the value out", path)
        if isinstance(event, events.NodeEvent) and event.anchor is not None:
            self._refuse(f"anchor '&{event.anchor}' is not read", "leave it out, and write the value where it is needed", path)
        if isinstance(event, events.ScalarEvent | events.CollectionStartEvent) and event.tag is not None:
            self._refuse(f"tag '{event.tag}' is not read", "leave the tag out; put the value in quotes if it is text", path)
        if len(path) > _DEEPEST:
            self._refuse("is nested too deeply", "check the brackets", path[:_DEEPEST])

    def _refuse(self, problem: str, mend: str, path: Path = ()) -> NoReturn:
        """Raise with the line that is being read."""
        raise SpecError(FilePlaces(self.name, {path: self.line}).where(path), problem, mend)
