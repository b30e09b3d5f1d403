"""clusterctl vm create: a machine from a small template, in one command. I/O.

A definition and a disk image are made in a folder that every node sees, then the machine is protected like any other. The
images are built by the project's own scripts (deploy/guests); a lab's nodes see its folder by themselves.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from clusterd.cli.session import client_of, mutating, output_of
from clusterd.cli.vm_protect import ask
from clusterd.model.errors import BadInput, ClusterError, Refused
from clusterd.model.ids import name_problem

BUILD_WITHIN_S = 300.0
INSTALLED_GUESTS = Path(__file__).parent / "guests"
GUESTS = INSTALLED_GUESTS if INSTALLED_GUESTS.is_dir() else Path(__file__).parents[2] / "deploy" / "guests"
"""In a wheel they lie beside this file, in a checkout where they are kept."""
MEMORY_LEAST_MIB = 1
Say = Callable[[str], None]
_NOTHING_STORED = frozenset({"refused", "bad-input", "busy", "not-found", "too-large"})


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of guest: what builds it, the files that come of it, and what its definition says beside memory."""

    says: str
    script: str
    needs: tuple[str, ...]
    memory_mib: int
    disk: str = ""
    """The built file that becomes the machine's own disk."""
    shared: tuple[tuple[str, str], ...] = ()
    """Keys of the definition, and the built files that they name."""
    more: str = ""
    shown: tuple[str, str] = ("", "")
    """What of `more` becomes what else when it has a display."""


TEMPLATES = {
    "tiny": Template(
        "a boot sector that counts and obeys the power button: a fraction of a second, 1 MiB",
        "build-tiny.sh",
        ("nasm",),
        1,
        disk="tiny.img",
    ),
    "linux": Template(
        "Debian's kernel with busybox and the guest agent: some seconds, 128 MiB",
        "build-linux.sh",
        ("busybox", "cpio", "modprobe"),
        128,
        shared=(("kernel", "vmlinuz"), ("initial_ramdisk", "initrd.gz")),
        more='kernel_arguments = "console=ttyS0 quiet panic=-1"\nguest_agent = "virtio"\n',
        shown=("console=ttyS0 quiet", "console=tty0 console=ttyS0"),
    ),
}


@click.command()
@click.argument("name")
@click.option(
    "--template", type=click.Choice(tuple(TEMPLATES)), default="tiny", show_default=True, help="Kind of guest."
)
@click.option("--memory", "memory_mib", type=click.IntRange(MEMORY_LEAST_MIB, 16 << 20), help="MiB.")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), help="Where its files go; every node sees it."
)
@click.option("--display", "has_display", is_flag=True, help="Give it a display, for screenshots.")
@click.option("--offline", "stays_offline", is_flag=True, help="Do not start it yet.")
@mutating
@click.pass_context
def create(
    ctx: click.Context,
    /,
    name: str,
    template: str,
    memory_mib: int | None,
    folder: Path | None,
    has_display: bool,
    stays_offline: bool,
    plan: bool,
    **how: Any,
) -> None:
    """Make a small machine and protect it: its definition, its disk image, and a group of its own.

    \b
    clusterctl vm create tiny1
    clusterctl vm create box --template linux --memory 192 --display
    """
    if problem := name_problem(name):
        raise BadInput(f"{name!r}: {problem}")
    place = (folder or _usual_folder(ctx)).absolute()
    definition = place / f"{name}.toml"
    if definition.exists():
        hint = f"clusterctl vm protect {name} --definition {definition}, or choose another name"
        raise Refused(f"there is a definition {definition} already", hint=hint)

    def say(text: str) -> None:
        """What takes its time is told to people."""
        if output_of(ctx) == "table":
            click.echo(text, err=True)

    kind = TEMPLATES[template]
    if has_display:
        kind = replace(kind, more="display = true\n" + kind.more.replace(*kind.shown))
    made = _make(kind, name, place, memory_mib, say)
    body = {"definition": str(definition), "name": name, **({"wanted": "offline"} if stays_offline else {})}
    say(f"protecting {name} …" if stays_offline or plan else f"protecting and starting {name} …")
    try:
        ask(ctx, body, yes=True, report=None, plan=plan, **how)
    except ClusterError as error:
        # Whatever may have been stored needs its files: also what does not come online, or not in time.
        if error.code in _NOTHING_STORED:
            _remove(made)
        raise
    if plan:
        _remove(made)


def _remove(made: list[Path]) -> None:
    for path in made:
        path.unlink(missing_ok=True)


def _usual_folder(ctx: click.Context) -> Path:
    """A lab's own folder. Elsewhere nobody but the operator knows what every node sees."""
    from clusterd.lab.layout import MACHINES_MARK, MACHINES_NAME, running_labs

    name = client_of(ctx).doors.name
    for record in running_labs():
        if name == f"lab {record.name}":
            place = Path(record.dir) / MACHINES_NAME
            place.mkdir(exist_ok=True)
            (place / MACHINES_MARK).touch()
            return place
    raise BadInput("which folder does every node see?", hint="name it: --folder /srv/machines")


def _make(template: Template, name: str, folder: Path, memory_mib: int | None, say: Say) -> list[Path]:
    """The machine's own files; on failure none of them is left. Built parts are shared by all machines of the folder."""
    parts = folder / "templates"
    made: list[Path] = []
    try:
        parts.mkdir(parents=True, exist_ok=True)
        _build(template, parts, say)
        lines = [f"memory_mib = {memory_mib or template.memory_mib}", *template.more.splitlines()]
        lines += [f'{key} = "{parts / built}"' for key, built in template.shared]
        if template.disk:
            image = folder / f"{name}.img"
            made.append(image)
            say(f"copying its disk to {image} …")
            shutil.copyfile(parts / template.disk, image)
            lines += ["", "[[disks]]", 'id = "system"', f'path = "{image}"', 'bus = "ide"']
        definition = folder / f"{name}.toml"
        made.append(definition)
        definition.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return made
    except OSError as error:
        _remove(made)
        raise ClusterError(f"{error.filename or folder}: {error.strerror}", hint="choose another --folder") from error


def _build(template: Template, parts: Path, say: Say) -> None:
    wanted = [template.disk, *(built for _, built in template.shared)]
    if all((parts / each).is_file() for each in wanted if each):
        return
    say(f"building the guest, once for all machines in {parts.parent} …")
    script = GUESTS / template.script
    if not script.is_file():
        hint = "run it from the project's folder, or write a definition yourself: docs/operations/virtual-machines.md"
        raise ClusterError(f"the script that builds this guest is not here ({script})", hint=hint)
    missing = [each for each in template.needs if shutil.which(each) is None]
    if missing:
        hint = (
            f"apt-get install {' '.join({'modprobe': 'kmod', 'busybox': 'busybox-static'}.get(e, e) for e in missing)}"
        )
        raise ClusterError(f"building this guest needs {', '.join(missing)}", hint=hint)
    try:
        done = subprocess.run(
            ["sh", str(script), str(parts)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=BUILD_WITHIN_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{script} did not end within {BUILD_WITHIN_S:g} s", hint="try it by hand") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ClusterError(f"{script} failed: {said[-1] if said else done.returncode}", hint="try it by hand")
