"""How is what stands beside a state shown: pauses, drains, maintenance, moves, and what comes next? I/O."""

import math
from collections.abc import Mapping
from typing import Any

from clusterd.cli.output import ago_text, clock_text, plain, state_text
from clusterd.model.counts import counted
from clusterd.model.durations import rough_text

OVERDUE_MIN_MS = 1000


def words_text(each: Mapping[str, Any]) -> str:
    """A state with the words beside it: 'paused, drain-completed'."""
    return ", ".join([state_text(each["state"]), *(state_text(word) for word in each["status"])])


def member_text(each: Mapping[str, Any]) -> str:
    """What part a node has in decisions: 'voter', 'joining (42 %)'. A server of an older version does not say."""
    progress = each.get("progress_percent")
    return f"{each.get('member_state') or '-'}{'' if progress is None else f' ({progress} %)'}"


def node_standing_lines(each: Mapping[str, Any]) -> list[str]:
    """Why a node is out of use, and since when."""
    lines = []
    pause, drain = each["paused"], each["drain"]
    if pause:
        options = [f"to {pause['target']}"] if pause["target"] else []
        options += [word for word in ("force", "retry") if pause[word]]
        what = "drain" if pause["drain"] else "pause"
        said = f" ({', '.join(options)})" if options else ""
        lines.append(f"{what}{said} asked for by {plain(pause['by'])} {ago_text(pause['since'])} ago")
    if drain:
        lines.append(f"drain {drain['state']}: {plain(drain['text'])}")
        lines += [f"  could not leave: {plain(found['group'])}: {plain(found['reason'])}" for found in drain["failed"]]
    if each["quarantined_until"]:
        lines.append(f"quarantined until {clock_text(each['quarantined_until'])}; clusterctl node clear-quarantine …")
    if each["not_quarantined_because"]:
        lines.append(plain(each["not_quarantined_because"]))
    return lines + maintenance_lines(each["maintenance"])


def group_standing_lines(each: Mapping[str, Any]) -> list[str]:
    """What a group waits for, which move is asked for, and what happens next."""
    lines = [f"status: {', '.join(each['status'])}"] if each["status"] else []
    if each["waits_since"]:
        lines.append(f"waits since {ago_text(each['waits_since'])}")
    move = each["move"]
    if move:
        how = "waits in the queue" if move["queued"] else "under way" if move["under_way"] else "asked for"
        lines.append(f"move to {move['target'] or 'the best node'}: {how}, since {ago_text(move['since'])}")
    if each["next_action"]:
        lines.append(f"next: {next_text(each['next_action'])}")
    return lines + maintenance_lines(each["maintenance"])


def availability_line(told: Mapping[str, Any] | None) -> str:
    """How long it was online of the time that it should have been, since when, and how often it was not."""
    if told is None:
        return "availability: not known: it was not online yet since that is measured"
    if told["ratio"] is None:
        return f"availability: it was wanted for no time yet since {told['measured_since']}"
    outages = counted(told["outages"], "outage")
    longest = f", the longest {rough_text(told['longest_outage_ms'])}" if told["outages"] else ""
    now = " (one lasts now)" if told["state"] == "outage" else ""
    share = math.floor(told["ratio"] * 100_000) / 1000  # 99.9996 % is not 100 %
    times = f"{rough_text(told['online_ms'])} of {rough_text(told['expected_ms'])}"
    return f"availability: {share:.3f} % ({times}) since {told['measured_since']}: {outages}{longest}{now}"


def resource_standing_lines(each: Mapping[str, Any]) -> list[str]:
    """What is known of something that could not be stopped, what can be done about it, and whether hands are kept off."""
    lines = [f"evidence: {plain(each['evidence'])}"] if each["evidence"] else []
    if each.get("restart_needed"):
        lines.append(f"restart needed: changed since it came online; clusterctl resource restart {plain(each['name'])}")
    lines += unknown_health_lines(each)
    lines += [f"way out: {plain(way)}" for way in each["ways_out"]]
    return lines + maintenance_lines(each["maintenance"])


def unknown_health_lines(each: Mapping[str, Any]) -> list[str]:
    """Since when nobody can tell, when that counts as a failure, and what happens then."""
    if not each.get("health_unknown"):
        return []
    lines = [f"health unknown since {plain(each['health_unknown_since'])}: {plain(each['health_unknown'])}"]
    fails_at, then = each.get("health_unknown_fails_at"), each.get("health_unknown_then")
    if fails_at:
        lines.append(f"  counts as a failure at {clock_text(fails_at)}: {plain(then)}")
    elif then:
        lines.append(f"  {plain(then)}")
    return lines


def next_text(action: Mapping[str, Any]) -> str:
    """restart of web-server at 12:00:01.000, or: restart of web-server, due since 12 s."""
    if not action["at"]:
        return plain(action["what"])
    if (action["overdue_ms"] or 0) >= OVERDUE_MIN_MS:
        return f"{plain(action['what'])}, due since {rough_text(action['overdue_ms'])}"
    return f"{plain(action['what'])} at {clock_text(action['at'])}"


def maintenance_lines(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return []
    reason = f" ({plain(found['reason'])})" if found["reason"] else ""
    waits = f": {plain(found['waits_for'])}" if found["waits_for"] else ""
    state = "in force" if found["in_force"] else f"waits for the end of what is under way{waits}"
    who = f"{plain(found['by'])}, {ago_text(found['since'])} ago"
    return [f"hands off: {plain(found['scope'])} is in maintenance{reason}, asked for by {who}; {state}"]
