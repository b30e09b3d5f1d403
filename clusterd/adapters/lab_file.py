"""How does a lab tell a daemon what to suffer? I/O. A file that the launcher writes and the daemon reads after SIGHUP.

The handler is installed first and the file read afterwards, so that no change falls between.
"""

import os
from pathlib import Path
from typing import ClassVar, Self

import msgspec

from clusterd.model.errors import BadInput


class LabFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in such a file. Everything at its default is a node that suffers nothing."""

    SAYS: ClassVar[str]
    """What the file is there to say, for whoever has to mend it."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """The content of `path`; nothing is wrong when there is no such file."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return cls()
        except (msgspec.DecodeError, OSError) as error:
            raise BadInput(f"{path} does not say {cls.SAYS}: {error}", hint="lab heal writes it anew") from error

    def write(self, path: Path) -> None:
        """Replace the file in one step: a reader sees the old content or the new, never half."""
        half = path.with_name(path.name + ".new")
        half.write_bytes(msgspec.json.encode(self))
        os.replace(half, path)
