"""What must exist before a lab's first process starts? I/O.

Folders, the cluster's authority and certificates, the API token, and each node's configuration and bootstrap.
A lab is always made anew: what an earlier one of that name left is removed first, and nothing else is ever removed.
"""

import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from clusterd.adapters.certificates import create_authority, issue_node, write_authority, write_node, write_secret
from clusterd.adapters.configuration import (
    Bootstrap,
    FenceAgentEntry,
    Member,
    NodeConfiguration,
    TlsFiles,
    socket_path_problem,
)
from clusterd.adapters.disk_faults import DiskFaults
from clusterd.adapters.link_cuts import LinkCuts
from clusterd.lab.layout import MACHINES_MARK, MACHINES_NAME, RECORD_NAME, LabRecord, NodeEntry, make_private
from clusterd.lab.leftovers import disk_folder, remove_sockets, take_away
from clusterd.lab.locks import lab_root
from clusterd.lab.options import LabOptions
from clusterd.lab.ports import HOST, Ports
from clusterd.lab.processes import start_ticks_of
from clusterd.model.errors import Refused
from clusterd.model.settings import PROFILES
from clusterd.runtime.founding import found

RUN_BASE_PREFIX = "clusterd-"
PARTS = (
    "tls",
    "bootstrap.json",
    "token",
    "control.sock",
    "fence.sock",
    RECORD_NAME,
    f"{RECORD_NAME}.new",
    "disks",
    "m",
)
"""What a lab's folder may hold beside its nodes."""
NODE_FOLDER = re.compile(r"n[0-9]{1,2}")
REMOVE_TRIES = 5
REMOVE_AGAIN_S = 0.05
"""Somebody wrote into a folder while it was removed; nothing of the lab runs any more, so that does not go on."""


def lay(options: LabOptions, ports: Ports) -> LabRecord:
    """Make everything but the processes. Raises Refused when the folder is somebody else's."""
    folder = _prepare_folder(lab_root(), options)
    record = _record(options, folder, _short_base(folder, options.node_count), ports)
    record.write()
    _lay_nodes(options, record)
    return record


def _prepare_folder(root: Path, options: LabOptions) -> Path:
    place = root / options.name
    folder = Path(options.dir).absolute() if options.dir else place
    if folder == place and place.is_symlink():
        place.unlink()
    if folder.exists() and not folder.is_dir():
        raise Refused(f"{folder} is not a folder", hint="name another one with --dir")
    if folder.is_dir() and any(folder.iterdir()):
        remove_old(folder)
    make_private(folder)
    if folder != place:
        if place.is_dir() and not place.is_symlink():
            remove_old(place)
            place.rmdir()
        place.unlink(missing_ok=True)
        place.symlink_to(folder)
    return folder


def remove_old(folder: Path) -> None:
    """Remove an earlier lab, its record last: whatever interrupts it, it can be done again. Raises Refused when there is
    anything that is not one, or that does not go."""
    try:
        old = msgspec.json.decode((folder / RECORD_NAME).read_bytes(), type=LabRecord)
    except (OSError, msgspec.DecodeError) as error:
        if folder.parent == lab_root() and not folder.is_symlink() and _are_remains(folder):
            _remove_all(each for each in folder.iterdir() if each.name != MACHINES_NAME)
            return
        raise Refused(f"{folder} is not empty and holds no lab", hint="name an empty folder with --dir") from error
    if old.is_running:
        raise Refused(f"{folder} belongs to the running lab {old.name}", hint=f"clusterctl --lab {old.name} lab down")
    run_base = Path(old.run_base)
    take_away(disk_folder(run_base))
    remove_sockets(run_base)
    if run_base != folder and run_base.name.startswith(RUN_BASE_PREFIX) and run_base.parent == _short_parent():
        shutil.rmtree(run_base, ignore_errors=True)
    _remove_all(Path(node.dir) for node in old.nodes if Path(node.dir).parent == folder)
    _remove_all(folder / name for name in PARTS if name != RECORD_NAME)
    _remove_all([folder / RECORD_NAME])


def _are_remains(folder: Path) -> bool:
    """Whether all of it is what labs are made of: one whose removal, or whose making, was interrupted. Its machines stay,
    as they do when a lab is made anew."""
    has_machines = (folder / MACHINES_NAME / MACHINES_MARK).is_file()
    parts = (*PARTS, MACHINES_NAME) if has_machines else PARTS
    return all(each.name in parts or NODE_FOLDER.fullmatch(each.name) for each in folder.iterdir())


def _remove_all(paths: Iterable[Path]) -> None:
    """Raises Refused for what does not go although it was tried again."""
    for path in paths:
        for attempt in range(REMOVE_TRIES):
            try:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
                break
            except OSError as error:
                if attempt == REMOVE_TRIES - 1:
                    hint = "see what holds it (mounts, running processes), then once more"
                    raise Refused(f"{error.filename or path} cannot be removed: {error.strerror}", hint=hint) from error
                time.sleep(REMOVE_AGAIN_S)


def _short_base(folder: Path, node_count: int) -> Path:
    """Where sockets live: the lab's folder when its path is short enough, else a short private one."""
    if socket_path_problem(str(folder / f"n{node_count}" / "run")) is None:
        return folder
    return Path(tempfile.mkdtemp(prefix=RUN_BASE_PREFIX, dir=_short_parent()))


def _short_parent() -> Path:
    return Path("/tmp")


def _record(options: LabOptions, folder: Path, run_base: Path, ports: Ports) -> LabRecord:
    nodes = []
    for index in range(options.node_count):
        name = f"n{index + 1}"
        base = folder / name
        nodes.append(
            NodeEntry(
                name=name,
                number=index + 1,
                api=f"{HOST}:{ports.api[index]}",
                peer=f"{HOST}:{ports.peer[index]}",
                dir=str(base),
                data_dir=str(base / "data"),
                run_dir=str(run_base / name / "run"),
                configuration=str(base / "node.toml"),
            )
        )
    return LabRecord(
        name=options.name,
        dir=str(folder),
        pid=os.getpid(),
        pid_start_ticks=start_ticks_of(os.getpid()) or 0,
        profile=options.profile,
        fence=options.fence,
        token_file=str(folder / "token"),
        run_base=str(run_base),
        nodes=tuple(nodes),
    )


def _lay_nodes(options: LabOptions, record: LabRecord) -> None:
    folder = Path(record.dir)
    tls = folder / "tls"
    tls.mkdir(mode=0o700)
    authority = create_authority(record.name)
    write_authority(authority, certificate=tls / "ca.pem", key=tls / "ca.key")
    write_secret(folder / "token", secrets.token_urlsafe(24).encode())
    bootstrap = _bootstrap(options, record)
    bootstrap.write(folder / "bootstrap.json")
    cluster_id = secrets.token_hex(16)
    members = tuple(Member(each.name, each.number, each.peer, each.api) for each in record.nodes)
    for entry in record.nodes:
        base = Path(entry.dir)
        for path in (base, Path(entry.data_dir), Path(entry.run_dir).parent, Path(entry.run_dir)):
            path.mkdir(mode=0o700, exist_ok=True)
        files = TlsFiles(str(base / "ca.pem"), str(base / "node.pem"), str(base / "node.key"))
        write_node(
            issue_node(authority, entry.name),
            ca=Path(files.ca),
            certificate=Path(files.certificate),
            key=Path(files.key),
        )
        LinkCuts().write(base / "links.json")
        DiskFaults().write(base / "disk.json")
        _configuration(options, record, entry, files, members, cluster_id).write(Path(entry.configuration))
    # Last of all: a lab that was interrupted before has founded nothing, and one that was not is whole.
    found(NodeConfiguration.load(Path(record.nodes[0].configuration)), bootstrap)


def _bootstrap(options: LabOptions, record: LabRecord) -> Bootstrap:
    agents: Iterable[FenceAgentEntry] = ()
    if options.fence:
        socket_path = str(record.fence_socket)
        agents = (FenceAgentEntry("lab-power-switch", "lab", parameters={"socket": socket_path}),)
    properties: dict[str, Any] = dict(PROFILES[options.profile])
    return Bootstrap(properties=properties, fence=tuple(agents))


def _configuration(
    options: LabOptions,
    record: LabRecord,
    entry: NodeEntry,
    files: TlsFiles,
    members: tuple[Member, ...],
    cluster_id: str,
) -> NodeConfiguration:
    return NodeConfiguration(
        cluster=record.name,
        cluster_id=cluster_id,
        node=entry.name,
        data_dir=entry.data_dir,
        run_dir=entry.run_dir,
        peer_listen=entry.peer,
        api_listen=entry.api,
        api_token_file=record.token_file,
        tls=files,
        nodes=members,
        plugins=options.plugins,
        bootstrap_file=str(Path(record.dir) / "bootstrap.json"),
        links_file=str(Path(entry.dir) / "links.json"),
        disk_file=str(Path(entry.dir) / "disk.json"),
    )
