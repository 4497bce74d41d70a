"""The models that come with cfair, found by folder."""

from pathlib import Path

from cfair.errors import SpecError, nearest

__all__ = ["find_model", "shipped_models"]


def shipped_models() -> dict[str, Path]:
    """Name -> dag.yaml of every model in ``models/``: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parents[1]
    folder = package / "models" if (package / "models").is_dir() else package.parent / "models"
    return {file.parent.name: file for file in sorted(folder.glob("*/dag.yaml"))}


def find_model(name: str | Path) -> Path:
    """The dag.yaml that ``name`` means: a shipped model if it names one, else a file; with a "." or "/" always a file.

    Raises:
        SpecError: it is neither.
    """
    shipped, text = shipped_models(), str(name)
    if text in shipped:
        return shipped[text]
    if not set("./\\") & set(text) and not Path(text).exists():
        raise SpecError(text or "DAG", "is neither a file nor a shipped model", nearest(text, shipped))
    return Path(text)
