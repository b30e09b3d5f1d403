"""How is an imagined future told to a person? I/O (text only)."""

from collections.abc import Mapping, Sequence
from typing import Any

from clusterd.cli.output import paint, plain, table
from clusterd.model.durations import rough_text

SHOWN_MAX = 40


def foreseen_lines(found: Mapping[str, Any]) -> list[str]:
    """The summary, what happens to each group and why, and what would not run."""
    lines = [paint(plain(found["summary"]), "bold")]
    left = {each["group"] for each in found["not_running"]}
    happenings = [each for each in found["happenings"] if each["kind"] != "stops" or each["group"] not in left]
    lines += table(["  WHAT", "WHY"], [_row(each) for each in happenings[:SHOWN_MAX]]) if happenings else []
    if len(happenings) > SHOWN_MAX:
        lines.append(f"  … and {len(happenings) - SHOWN_MAX} more; -o json has them all")
    for each in found["not_running"][:SHOWN_MAX]:
        lines += _left_lines(each)
    return lines


def _row(each: Mapping[str, Any]) -> list[str]:
    later = f" (after {rough_text(each['after_ms'])})" if each["after_ms"] else ""
    return [f"  {each['text']}{later}", each["because"] or "-"]


def _left_lines(each: Mapping[str, Any]) -> list[str]:
    verb = "would not run any more" if each["was_running"] else "does not run, and would not then"
    lines = [paint(f"{plain(each['group'])} {verb}: {plain(each['reason'])}", "red")]
    return lines + candidate_reasons(each["candidates"], indent="    ")


def candidate_reasons(candidates: Sequence[Mapping[str, Any]], *, indent: str) -> list[str]:
    """Why each node was passed over."""
    return [
        f"{indent}not {plain(each['node'])}: {plain(each['reason'])}" for each in candidates if not each["is_chosen"]
    ]
