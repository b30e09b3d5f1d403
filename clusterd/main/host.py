"""What does `clusterd-host` start? I/O. Started by the guard only, which hands it the descriptor of the lease.

clusterd-host --host-id ID --socket PATH --incarnation ID --cluster NAME --node NAME --run-dir DIR --cgroup PATH
              --lease-descriptor N --guard-pid PID [--plugins DIR ...]
"""

import os
import socket
import sys

REQUIRED = ("host-id", "socket", "incarnation", "cluster", "node", "run-dir", "lease-descriptor", "guard-pid")
INHERITED = ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "TMPDIR", "SHELL", "VIRTUAL_ENV")
WRONG_USAGE = 64


def run() -> None:
    from clusterd.main.guard import options_of

    options = options_of(sys.argv[1:])
    if options is None or not all(name in options for name in REQUIRED):
        sys.stderr.write("clusterd-host is started by clusterd-guard\n")
        sys.exit(WRONG_USAGE)
    sys.exit(_host(options))


def _host(options: dict[str, list[str]]) -> int:
    from clusterd.adapters.containment_fork import become_subreaper, die_with_parent
    from clusterd.adapters.process_limits import Rank, raise_descriptor_limit, take_oom_rank
    from clusterd.reshost.spawning import start_spawner

    one = {name: values[-1] for name, values in options.items()}
    die_with_parent(int(one["guard-pid"]))
    become_subreaper()
    os.set_inheritable(int(one["lease-descriptor"]), False)
    spawner, spawner_pid = start_spawner()  # with the limits that a workload is to have
    raise_descriptor_limit()
    take_oom_rank(Rank.HOST)

    import asyncio

    from clusterd.adapters.plain_log import bind

    bind(cluster=one["cluster"], node=one["node"], process="host", host=one["host-id"])
    asyncio.run(_serve(one, options.get("plugins", []), spawner, spawner_pid))
    return 0


async def _serve(one: dict[str, str], plugin_folders: list[str], spawner: socket.socket, spawner_pid: int) -> None:
    import asyncio

    from clusterd.adapters.call_record import CallRecord, record_path
    from clusterd.adapters.containment import NodeContainment
    from clusterd.adapters.kept_output import OutputKeeper
    from clusterd.adapters.plain_log import log
    from clusterd.reshost.host import Host
    from clusterd.reshost.plugins import load_plugins
    from clusterd.reshost.reaping import OrphanReaper
    from clusterd.reshost.server import Connections, LeaseWatch, listen
    from clusterd.reshost.services import HostServices
    from clusterd.reshost.spawning import SpawnerLink
    from clusterd.reshost.threads import CallThreads
    from clusterd.reshost.uncontained import Orphans

    containment = NodeContainment.at(one["run-dir"], one.get("cgroup", ""))
    record = CallRecord(record_path(one["run-dir"], one["host-id"]))
    connections = Connections()

    def end(because: str) -> None:
        """Everything dies, this process too: whoever comes after must find nothing."""
        log("host.ending", "warning", because=because)
        host.kill_everything()
        containment.host(one["incarnation"], one["host-id"]).kill()
        os._exit(1)

    services = HostServices(
        cluster=one["cluster"],
        node=one["node"],
        host_id=one["host-id"],
        incarnation=one["incarnation"],
        containment=containment,
        environment=_workload_environment(),
        spawner=SpawnerLink(spawner, spawner_pid, end),
        threads=CallThreads(record),
        orphans=Orphans(spawner_pid),
        emit=connections.emit,
        keeper=OutputKeeper(one["run-dir"]),
    )
    plugins = load_plugins(plugin_folders, record)
    for trouble in plugins.troubles:
        log("plugin.refused", "error", because=trouble)
    host = connections.host = Host(services, plugins)
    watch = LeaseWatch(socket.socket(fileno=int(one["lease-descriptor"])), host, end)
    reaper = OrphanReaper(spawner_pid)
    server = await listen(one["socket"], connections)
    watch.tell_ready()
    log("host.ready", types=sorted(plugins.types), pid=os.getpid())
    async with server:
        await asyncio.get_running_loop().create_future()
    reaper.close()


def _workload_environment() -> dict[str, str]:
    """What workloads inherit: how to find commands and speak to people, and who they belong to; nothing else of ours."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in INHERITED or name.startswith(("LC_", "CLUSTERD_RUN"))
    }


if __name__ == "__main__":
    run()
