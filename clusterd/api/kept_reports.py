"""Where are the reports of wizard and validation kept? I/O: JSON files in the data folder of the node that was asked.

The newest sixteen of each kind stay. A report that cannot be written is told in a note and loses nothing else.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clusterd.model.errors import ClusterError, NotFound

KEPT_MAX = 16
_ID = re.compile(r"(?P<kind>[a-z]+)-\d{17}")


class KeptReports:
    """The folder of one node's reports. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def keep(self, kind: str, wall_ms: int, document: Mapping[str, Any]) -> str:
        """Write it whole, forget the oldest, and return its id. Raises OSError."""
        if self._folder is None:
            return ""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        report_id = f"{kind}-{wall_ms:017d}"
        part = self._folder / f".{report_id}.part"
        try:
            part.write_text(json.dumps({**document, "report": report_id}, ensure_ascii=False), encoding="utf-8")
            os.replace(part, self._path(report_id))
        except OSError:
            part.unlink(missing_ok=True)  # half a report on a full disk takes up no room
            raise
        for old in self.ids(kind)[KEPT_MAX:]:
            self._path(old).unlink(missing_ok=True)
        return report_id

    def ids(self, kind: str = "") -> list[str]:
        """The newest first."""
        if self._folder is None or not self._folder.is_dir():
            return []
        found = [_ID.fullmatch(each.stem) for each in self._folder.glob("*.json")]
        known = [match for match in found if match and (not kind or match["kind"] == kind)]
        return [match[0] for match in sorted(known, key=lambda match: match[0].rpartition("-")[2], reverse=True)]

    def read(self, report_id: str) -> dict[str, Any]:
        """Raises NotFound."""
        if self._folder is None or not _ID.fullmatch(report_id) or report_id not in self.ids():
            raise NotFound(
                f"there is no report {report_id} on this node", hint="clusterctl reports lists those there are"
            )
        try:
            found = json.loads(self._path(report_id).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ClusterError(f"report {report_id} cannot be read: {error}") from error
        return found if isinstance(found, dict) else {}

    def _path(self, report_id: str) -> Path:
        return (self._folder or Path()) / f"{report_id}.json"
