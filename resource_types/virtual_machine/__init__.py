"""How is a virtual machine made a clustered resource? QEMU runs it; here it is started, watched, saved and moved."""

from resource_types.virtual_machine.resource_type import VirtualMachine

__all__ = ["VirtualMachine"]
