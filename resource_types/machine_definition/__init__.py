"""What is a virtual machine made of? Pure, but for `proof`, `images` and `volumes`, which look at this node's files.

`parse_definition(text)` reads the one file that describes a machine; `prove` says what of it this node lacks.
The two resource types of virtual machines and everybody who checks a machine before it is clustered use the same code.
"""

from resource_types.machine_definition.definition import (
    Bus,
    Cache,
    Definition,
    Disk,
    DiskMode,
    ImageFormat,
    Network,
    NetworkKind,
    cores,
    fingerprint,
    paths_of,
    required_memory_mib,
)
from resource_types.machine_definition.parsing import parse_definition
from resource_types.machine_definition.proof import definition_path, prove, read_definition

__all__ = [
    "Bus",
    "Cache",
    "Definition",
    "Disk",
    "DiskMode",
    "ImageFormat",
    "Network",
    "NetworkKind",
    "cores",
    "definition_path",
    "fingerprint",
    "parse_definition",
    "paths_of",
    "prove",
    "read_definition",
    "required_memory_mib",
]
