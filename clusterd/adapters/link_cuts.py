"""Which links of this node has a lab cut, and which lose packets? I/O.

The launcher writes the file whole (temporary file, then rename) and sends SIGHUP; the daemon reads it again. Install the
handler first and read afterwards, so that no change falls between.
"""

import os
from pathlib import Path

import msgspec

from clusterd.model.errors import BadInput


class LinkCuts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of peers: application messages to the first kind and from the second kind are dropped."""

    drop_to: tuple[str, ...] = ()
    drop_from: tuple[str, ...] = ()
    loss_percent: dict[str, int] = {}
    """Of a hundred packets on the link to that peer, so many are lost, each way."""

    @classmethod
    def load(cls, path: Path) -> "LinkCuts":
        """The content of `path`; nothing is cut when there is no such file."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return cls()
        except (msgspec.DecodeError, OSError) as error:
            raise BadInput(
                f"{path} does not say which links are cut: {error}", hint="lab heal writes it anew"
            ) from error

    def write(self, path: Path) -> None:
        """Replace the file in one step: a reader sees the old content or the new, never half."""
        half = path.with_name(path.name + ".new")
        half.write_bytes(msgspec.json.encode(self))
        os.replace(half, path)
