"""How much of what is committed does a replica hold? Pure. For people: nothing is decided by it."""

from clusterd.consensus.core import Core


def percent(core: Core) -> int:
    """Of what its leader last said is committed; the part of a snapshot that has arrived counts in proportion."""
    if core.leading is not None:
        return 100
    wanted = max(core.leader_index, core.commit_index)
    held = float(max(core.commit_index, min(core.agreed_index, core.durability.durable_index)))
    incoming = core.incoming
    if incoming is not None and incoming.total_size_bytes and incoming.meta.index > held:
        held += (incoming.meta.index - held) * len(incoming.data) / incoming.total_size_bytes
    return min(100, int(held * 100 // wanted)) if wanted else 0
