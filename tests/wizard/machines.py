"""A definition that three nodes see on shared storage, to be changed at one place by each test."""

from typing import Any

import msgspec

from clusterd.wizard import (
    DefinitionFacts,
    Eligibility,
    FileFacts,
    HostFacts,
    NodeDefinitions,
    Surroundings,
    Wish,
    eligible,
)

PATH = "/srv/machines/shop.toml"
DISK = "/srv/machines/shop.qcow2"
NODES = ("n1", "n2", "n3")


def file(path: str = DISK, role: str = "disk system", **changed: Any) -> FileFacts:
    facts = FileFacts(
        role, path, identity="9:1", file_system="nfs4", source="store:/machines", mount_point="/srv/machines"
    )
    return msgspec.structs.replace(facts, **changed)


def local(path: str = DISK, **changed: Any) -> FileFacts:
    return file(path, **{"file_system": "ext4", "source": "/dev/sda1", **changed})


def definition(*files: FileFacts, **changed: Any) -> DefinitionFacts:
    given = files or (file(PATH, "definition"), file())
    return msgspec.structs.replace(DefinitionFacts("shop", PATH, memory_mib=512, cores=2, files=given), **changed)


def missing(path: str = PATH) -> DefinitionFacts:
    return DefinitionFacts("shop", path, trouble=f"there is no {path}")


def told(default: DefinitionFacts | None = None, **by_node: DefinitionFacts) -> dict[str, NodeDefinitions]:
    """What every node says; nodes named have an answer of their own. Each is on a machine of its own."""
    usual = default or definition()
    return {node: NodeDefinitions(f"machine-{node}", (by_node.get(node, usual),)) for node in NODES}


def on_one_machine(answers: dict[str, NodeDefinitions]) -> dict[str, NodeDefinitions]:
    return {node: msgspec.structs.replace(each, machine="all") for node, each in answers.items()}


def hosts(**changed: HostFacts) -> tuple[HostFacts, ...]:
    usual = {node: HostFacts(node, "7.2", "Intel", frozenset({"nx"}), 16_000, 8_000) for node in NODES}
    return tuple((usual | changed).values())


def judged(
    answers: dict[str, NodeDefinitions] | None = None,
    around: Surroundings | None = None,
    wish: Wish | None = None,
    path: str = PATH,
) -> Eligibility:
    return eligible(path, answers or told(), around or Surroundings(hosts()), wish or Wish())
