"""The storages that the same cases run on. `disk(node)` is one node's own way to it; time moves only when a disk waits."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from resource_types.physical_disk.back_end import BackEnd
from resource_types.physical_disk.image import Image
from resource_types.physical_disk.iscsi_link import IscsiLink, Target
from resource_types.physical_disk.scsi_disk import ScsiDisk
from tests.disk.pretend_target import PretendTarget
from tests.disk.tgt import Tgt


class SteppedClock:
    """Shared by all disks of a test. `on_pause` is what others do meanwhile."""

    def __init__(self) -> None:
        self.ms = 1_000_000
        self.on_pause: Callable[[], None] = lambda: None

    def now_ms(self) -> int:
        return self.ms

    def pause(self, duration_ms: int) -> None:
        self.ms += duration_ms
        time.sleep(0.0002)  # another thread may have to get on
        self.on_pause()


class Storage:
    """`forgets` says whether there is a target whose restart forgets reservations."""

    forgets = False

    def __init__(self) -> None:
        self.clock = SteppedClock()
        self.disks: list[BackEnd] = []

    def disk(self, node: str) -> BackEnd:
        disk = self.make(node)
        disk.open()
        self.disks.append(disk)
        return disk

    def make(self, node: str) -> BackEnd:
        raise NotImplementedError

    def restart(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        for each in self.disks:
            each.close()


class PretendStorage(Storage):
    forgets = True

    def __init__(self) -> None:
        super().__init__()
        self.target = PretendTarget()

    def make(self, node: str) -> BackEnd:
        return ScsiDisk(self.target.connect, self.clock)

    def restart(self) -> None:
        self.target.dials = self.target.dials._replace(survives=False)
        self.target.restart()


class IscsiStorage(Storage):
    forgets = True

    def __init__(self, tgt: Tgt) -> None:
        super().__init__()
        self.tgt, self.unit = tgt, tgt.new_unit()

    def make(self, node: str) -> BackEnd:
        target = Target(self.tgt.portal, self.unit, 1, f"iqn.2026-01.test.clusterd:{node}", "d")
        return ScsiDisk(lambda: IscsiLink(target), self.clock)

    def restart(self) -> None:
        self.tgt.restart()


class ImageStorage(Storage):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "image"
        self.path.write_bytes(b"")
        os.truncate(self.path, 1 << 20)

    def make(self, node: str) -> BackEnd:
        return Image(str(self.path), node, self.clock)
