"""What is asked of a model, checked before any long work."""

from collections.abc import Collection, Sequence

from cfair.effects.contrast import Contrast, Question
from cfair.effects.mediators import entries
from cfair.effects.paths import MOST_PATHS, Path, checked_paths, first_paths
from cfair.effects.prediction import Predicted, Prediction, model_with
from cfair.effects.roles import roles_of
from cfair.effects.targets import Target, target_of
from cfair.errors import DataError, QueryError
from cfair.interfaces import Columns
from cfair.scm import SCM
from cfair.spec import ModelSpec

__all__ = ["Along", "ask", "check_people", "contrast_of", "parse_path", "question_of"]

Along = Sequence[str] | Sequence[Sequence[Sequence[str]]]


def ask(
    scm: SCM,
    *,
    attribute: str,
    start: str | float,
    end: str | float,
    of: str | None = None,
    prediction: Prediction | Predicted | None = None,
    along: Along | None = None,
) -> tuple[SCM, Question]:
    """The model with the prediction as its last node, and what is asked of it; of the parameters nothing is read.

    Raises:
        QueryError: what ``decompose`` cannot be asked.
    """
    if of is not None and prediction is not None:
        raise QueryError("of", "a node and a prediction are both asked for", "leave one of them out")
    model = model_with(scm, prediction)
    target = target_of(scm.spec, of) if prediction is None else Target(prediction.name, prediction=True)
    roles_of(model.spec, attribute, target.node)  # refuses an attribute or a target that is none
    if along is None and isinstance(prediction, Predicted):
        along = ()  # no path leads to values whose map is not known
    question = question_of(model, contrast_of(scm.spec, attribute, target, start=start, end=end), along)
    if isinstance(prediction, Predicted) and question.along:
        raise QueryError("along", "of the predictions' map nothing is known but their values", "ask for no paths, or give the map")
    return model, question


def contrast_of(spec: ModelSpec, attribute: str, target: Target, *, start: str | float, end: str | float) -> Contrast:
    """The two levels, by name, or the two numbers.

    Raises:
        QueryError: a level does not exist, what should be a number is none, or the two are one.
    """
    levels = spec.nodes[attribute].levels
    coded = [float(spec.level(attribute, each)) if levels else _number(attribute, each) for each in (start, end)]
    if coded[0] == coded[1]:
        raise QueryError("attribute", f"'{attribute}' is {start} on both sides", "compare two of its levels")
    return Contrast(attribute, coded[0], coded[1], target)


def question_of(model: SCM, contrast: Contrast, along: Along | None) -> Question:
    """The contrast with all mediators, all paths unless there are too many to tell apart, and the paths that are asked for.

    Args:
        model: with the prediction, if its effects are asked for.
        contrast: the levels and the target.
        along: paths, each a text "race->lsat->y" or sets of paths, each a list of lists of nodes; by default the declared unfair paths.

    Raises:
        QueryError: the graph lacks one of the paths.
    """
    graph, target, sources = model.spec.graph, contrast.target.node, [contrast.attribute]
    every = _every_path(model, sources, target)
    wanted = tuple(
        checked_paths(model, sources, target, _paths(each)) for each in (_unfair(model.spec, contrast, every) if along is None else along)
    )
    order = {node: place for place, node in enumerate(model.spec.order)}
    mediators = tuple(sorted(entries(graph, contrast.attribute, target), key=order.__getitem__))
    return Question(contrast, mediators, every, wanted)


def parse_path(text: str) -> Path:
    """``race -> lsat -> y`` as its nodes."""
    return tuple(node.strip() for node in text.split("->"))


def check_people(spec: ModelSpec, columns: Columns, contrast: Contrast) -> None:
    """Refuse a table in which nobody has one of the two levels.

    Raises:
        DataError: it has no such people, or no column of the attribute.
    """
    attribute, levels = contrast.attribute, spec.nodes[contrast.attribute].levels
    if attribute not in columns:
        raise DataError(columns.facts.name, f"there is no column '{attribute}'", "give a table that has it")
    if spec.nodes[attribute].kind == "real":
        return
    for value in (contrast.start, contrast.end):
        if not (columns[attribute] == value).any():
            text = levels[int(value)] if levels else f"{value:g}"
            present = sorted({int(each) for each in columns[attribute].tolist()})[:8]
            names = ", ".join(levels[each] if levels else str(each) for each in present)
            raise DataError(f"{columns.facts.name}, column '{attribute}'", f"nobody has '{text}'", f"compare two of: {names}")


def _every_path(model: SCM, sources: Collection[str], target: str) -> tuple[Path, ...]:
    """All paths; none where there are more than can be told apart."""
    found = first_paths(model, sources, target)
    return found if len(found) <= MOST_PATHS else ()


def _unfair(spec: ModelSpec, contrast: Contrast, every: Collection[Path]) -> Along:
    """The declared unfair paths from the attribute to the target, as one set; to a prediction, the paths that begin as one of them does.

    Where none is declared and there are resolving nodes, the paths that avoid these.
    """
    target = contrast.target
    if spec.resolving and not spec.unfair_paths:
        free = [path for path in every if not set(path) & set(spec.resolving)]
        return [free] if free and len(free) < len(every) else []
    unfair = [path for path in spec.unfair_paths if path[0] == contrast.attribute]
    if target.prediction:
        unfair = [path for path in every if any(path[:-1] == other[: len(path) - 1] for other in unfair)]
    chosen = [path for path in unfair if path[-1] == target.node]
    return [chosen] if chosen else []


def _paths(given: str | Sequence[Sequence[str]]) -> list[Path]:
    """One path as text, or several as lists of nodes."""
    return [parse_path(given)] if isinstance(given, str) else [tuple(path) for path in given]


def _number(attribute: str, given: str | float) -> float:
    try:
        return float(given)
    except ValueError:
        raise QueryError("attribute", f"'{given}' is no value of '{attribute}', which is a number", "give two numbers") from None
