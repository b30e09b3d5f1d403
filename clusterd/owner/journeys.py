"""What is told of a live migration, and remembered of it? Pure."""

from dataclasses import replace

from clusterd.model.migrations import MigrationReport
from clusterd.owner.group import Departure, OwnedGroup
from clusterd.owner.now import Now
from clusterd.owner.steps import with_step


def migration_report(group: OwnedGroup) -> MigrationReport | None:
    leaving = group.departure
    if leaving is None or not leaving.number:
        return group.arrived
    return MigrationReport(
        leaving.number,
        leaving.percent,
        leaving.text if not (leaving.failed or leaving.is_moved) else "",
        leaving.failed,
        leaving.is_moved,
        leaving.moved_wall_ms if leaving.is_moved else 0,
        leaving.took_ms,
    )


def restored_departure(report: MigrationReport | None, now_ms: int = 0) -> Departure | None:
    """What an earlier daemon said of it for good; what it did not say is found out again."""
    if report is None or report.blackout_ms or not (report.failed or report.is_moved):
        return None
    return Departure(
        report.number,
        now_ms,
        percent=report.percent,
        failed=report.failed,
        is_moved=report.is_moved,
        moved_wall_ms=report.moved_wall_ms,
        took_ms=report.took_ms,
    )


def went_on(group: OwnedGroup, now: Now) -> None:
    """It came by live migration, and everything is online here now, since when that is told or since now.

    The blackout is the difference of two nodes' wall clocks, for people only, and as good as these are in step: the
    cluster's own clock may differ by as much between two nodes as one was started before the other.
    """
    arrived = group.arrived
    if arrived is None or arrived.blackout_ms or not arrived.moved_wall_ms:
        return
    blackout_ms = max(1, (group.went_on_wall_ms or now.wall_ms) - arrived.moved_wall_ms)
    group.arrived = replace(arrived, blackout_ms=blackout_ms)
    text = f"it goes on here as it ran, {blackout_ms} ms after it stood still"
    group.steps = with_step(group.steps, now, text)
