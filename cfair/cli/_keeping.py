"""Reports kept in a folder."""

import json
from pathlib import Path

from cfair.auditing import Report
from cfair.store.whole import written_whole

__all__ = ["keep_report"]


def keep_report(report: Report, text: str, folder: Path, kind: str) -> None:
    """Write report.json and report.md into a folder, whole or not at all.

    Args:
        report: for report.json.
        text: for report.md.
        folder: where; an older one of this kind there is replaced.
        kind: of the folder, as its manifest says.

    Raises:
        StoreError: the folder is in the way, or cannot be written.
    """
    with written_whole(folder, kind, {"name": str(report.model["name"])}) as new:
        content = json.dumps(report.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
        (new / "report.json").write_text(content, encoding="utf-8")
        (new / "report.md").write_text(text, encoding="utf-8")
