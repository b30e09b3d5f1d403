"""Does KVM really run guests here? I/O: starts one of a few bytes.

`/dev/kvm` alone proves little: where it is itself emulated, every instruction of an ordinary guest is interpreted, and a
boot takes minutes. The probe is a firmware image that counts to two million and then ends QEMU with a status of its own:
real hardware needs a millisecond for it.
"""

import os

from clusterd.resource_api import Context, NotOnThisNode
from resource_types.virtual_machine.command_line import QEMU

PROBE_WITHIN_MS = 3000
ROM_SIZE = 1 << 16
_ENTRY = 0xFFF0
_CODE_AT = 0xFF00
_COUNT = 2_000_000
_EXIT_PORT = 0xF4
_SEEN_STATUS = 2 * 0x10 + 1
"""isa-debug-exit: twice the byte that was written, plus one."""


def require(context: Context) -> None:
    """Raises NotOnThisNode when the accelerator that is asked for does not run guests on this node."""
    if context.properties["accelerator"] == "tcg":
        return
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise NotOnThisNode(f"accelerator kvm: /dev/kvm cannot be opened on {context.node}; enable it, or use tcg")
    path = os.path.join(context.properties["run_folder"] or "/tmp", f"kvm-probe-{os.getpid()}-{context.resource}.rom")
    with open(path, "xb") as file:
        file.write(probe_rom())
    try:
        command = [QEMU, "-nodefaults", "-display", "none", "-machine", "pc,accel=kvm", "-m", "1", "-bios", path]
        command += ["-device", f"isa-debug-exit,iobase={_EXIT_PORT:#x},iosize=1"]
        finished = context.processes.run(command, timeout_ms=PROBE_WITHIN_MS)
    finally:
        os.unlink(path)
    if finished.exit is None:
        raise NotOnThisNode(
            f"accelerator kvm: a guest of a few bytes did not end within {PROBE_WITHIN_MS} ms on {context.node}, so KVM is "
            "itself emulated there; use tcg"
        )
    if finished.exit.status != _SEEN_STATUS:
        raise NotOnThisNode(f"accelerator kvm: the probe {finished.exit} on {context.node}: {finished.output}; use tcg")


def probe_rom() -> bytes:
    """Real-mode code at the reset vector. Pure."""
    code = b"\x66\xb9" + _COUNT.to_bytes(4, "little")  # mov ecx, COUNT
    code += b"\x66\x49"  # dec ecx
    code += b"\x75\xfc"  # jnz back to the dec
    code += b"\xb0\x10" + bytes((0xE6, _EXIT_PORT))  # mov al, 0x10; out EXIT_PORT, al
    code += b"\xf4\xeb\xfd"  # hlt, again and again
    jump = b"\xe9" + ((_CODE_AT - _ENTRY - 3) & 0xFFFF).to_bytes(2, "little")
    rom = bytearray(ROM_SIZE)
    rom[_CODE_AT : _CODE_AT + len(code)] = code
    rom[_ENTRY : _ENTRY + len(jump)] = jump
    return bytes(rom)
