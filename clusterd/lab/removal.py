"""How does a lab that has ended go for good? I/O. Its nodes with their data, its folder, its log and its name."""

import os
import shutil
import time
from pathlib import Path

from clusterd.lab.foundation import remove_old
from clusterd.lab.layout import LOCK_WAIT_MAX_MS, MACHINES_MARK, MACHINES_NAME, LabRecord, lock_when_over
from clusterd.lab.leftovers import mounts, take_away
from clusterd.lab.locks import lab_root, lock
from clusterd.model.errors import Refused

SWEPT_AFTER_S = 24 * 3600


def remove_lab(record: LabRecord) -> list[str]:
    """Delete everything that the lab made; returns the names of what else is in its folder, and stays. Raises Refused while
    it runs or starts, and when something is still mounted.

    A folder that `--dir` named goes too, unless there is something in it that is none of the lab's.
    """
    root = lab_root()
    lock_file = root / f"{record.name}.lock"
    held = lock_when_over(record.name, within_ms=LOCK_WAIT_MAX_MS)
    if held is None:
        raise Refused(f"lab {record.name} is running", hint=f"clusterctl --lab {record.name} lab down --delete")
    try:
        folder = Path(record.dir).resolve()
        take_away(folder)
        left = [each.point for each in mounts() if each.point.startswith(f"{folder}/")]
        if left:
            raise Refused(f"{left[0]} in lab {record.name} is still mounted", hint=f"umount {left[0]}, then once more")
        _remove_machines(folder)
        remove_old(folder)
        others = _remove_if_empty(folder)
        named = root / record.name
        if named.is_symlink():
            named.unlink()
        for file in (root / f"{record.name}.log", lock_file):
            file.unlink(missing_ok=True)
        return others
    finally:
        os.close(held)


def remove_remains(name: str) -> None:
    """Delete what is left where a lab has no record any more, or none yet: it was interrupted. Raises Refused for anything
    else, and while somebody is at it."""
    root = lab_root()
    folder, lock_file = root / name, root / f"{name}.lock"
    if not any(each.is_symlink() or each.exists() for each in (folder, lock_file)):
        return
    held = lock_when_over(name, within_ms=LOCK_WAIT_MAX_MS)
    if held is None:
        raise Refused(f"lab {name} is running", hint=f"clusterctl --lab {name} lab down --delete")
    try:
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            take_away(folder)
            _remove_machines(folder)
            if any(folder.iterdir()):
                remove_old(folder)
            folder.rmdir()
        for file in (root / f"{name}.log", lock_file):
            file.unlink(missing_ok=True)
    finally:
        os.close(held)


def sweep(root: Path) -> None:
    """Forget labs of which nothing is left but a lock that nobody holds, and a log that nobody has looked into for long:
    starts that failed, and folders that were deleted by hand."""
    for lock_file in root.glob("*.lock"):
        name = lock_file.name.removesuffix(".lock")
        if (root / name).exists() or time.time() - lock_file.stat().st_mtime < SWEPT_AFTER_S:
            continue
        held = lock(lock_file)
        if held is None:
            continue
        try:
            for file in (root / f"{name}.log", lock_file):
                file.unlink(missing_ok=True)
        finally:
            os.close(held)


def _remove_machines(folder: Path) -> None:
    """Those that were made for the lab (`vm create`), by the mark that is left with them."""
    machines = folder / MACHINES_NAME
    if (machines / MACHINES_MARK).is_file():
        shutil.rmtree(machines)


def _remove_if_empty(folder: Path) -> list[str]:
    others = sorted(each.name for each in folder.iterdir())
    if not others:
        folder.rmdir()
    return others
