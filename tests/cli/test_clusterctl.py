"""Does clusterctl say what happened, end with the right code, and find another node when one is away?"""

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from served_cluster import MANIFEST, TOKEN, Served

from clusterd.cli import connection, output
from clusterd.cli.connection import Endpoint, find_doors, parse_endpoint
from clusterd.cli.failures import Unreachable
from clusterd.cli.main import COMMANDS, hoist_global_options
from clusterd.lab.layout import LabRecord, NodeEntry
from clusterd.lab.processes import start_ticks_of
from clusterd.model.errors import BadInput
from clusterd.model.states import NextAction, ResourceState

# ---- the whole way ----


def test_apply_status_move_explain(clusterctl, manifest: str) -> None:
    result = clusterctl("apply", "-f", manifest)
    assert result.code == 0, result.err
    assert "create group web" in result.out and "group web is online on n1" in result.out
    assert "web-server" in clusterctl("status").out
    assert clusterctl("group", "move", "web", "n3").out.splitlines() == [
        "update group web: move: n1 → n3",
        "group web is online on n3: web goes to n3",
    ]
    told = clusterctl("explain", "group", "web").out
    assert "web is online on n3 (generation 2)" in told and "it is down" in told and "+1.5 s" in told
    assert clusterctl("wait", "--for", "group web online on n3").code == 0
    assert "move web to n3" in clusterctl("events", "--group", "web").out


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("events",),
        ("group", "list"),
        ("group", "show", "web"),
        ("resource", "list"),
        ("resource", "show", "web-server"),
        ("node", "list"),
        ("node", "show", "n1"),
        ("quorum", "show"),
        ("cluster", "show"),
        ("resource-type", "list"),
        ("resource-type", "show", "generic_service"),
        ("explain", "group", "web"),
        ("explain", "resource", "web-server"),
        ("explain", "node", "n1"),
        ("export",),
        ("console",),
        ("wait", "--for", "group web online"),
    ],
)
def test_every_read_in_every_form_with_and_without_quorum(
    clusterctl, served: Served, manifest: str, arguments: tuple[str, ...]
) -> None:
    clusterctl("apply", "-f", manifest)
    table = clusterctl(*arguments)
    assert (table.code, table.err) == (0, "")
    assert table.out.strip()
    assert "\x1b" not in table.out
    assert clusterctl(*arguments, "-o", "json").json["schema"] == 1
    assert clusterctl("-o", "json", *arguments).json["schema"] == 1
    assert yaml.safe_load(clusterctl(*arguments, "--output=yaml").out)
    if arguments[0] == "wait":
        return
    served.call(lambda cluster: setattr(cluster, "is_quorate", False))
    result = clusterctl(*arguments, "-o", "json")
    assert result.code == 0
    if arguments[0] not in ("export", "console"):
        assert result.json["as_of"]["quorate"] is False


def test_the_change_of_each_command(clusterctl, served: Served, manifest: str) -> None:
    clusterctl("apply", "-f", manifest)
    steps = [
        ("group", "create", "db", "failover_threshold=2", "--preferred-owners", "n2,n3"),
        ("group", "set", "db", "failover_period=1h", "--unset", "failover_threshold"),
        ("resource", "create", "db-a", "--group", "db", "--type", "generic_service", "command=[a, -x]"),
        ("resource", "create", "db-b", "--group", "db", "--type", "generic_service", "command=[b]", "ready={tcp: 80}"),
        ("resource", "depend", "db-b", "[db-a]"),
        ("resource", "set", "db-b", "RestartPeriod=10min", "--possible-owners", "n1,n2"),
        ("group", "online", "db"),
        ("resource", "offline", "db-b"),
        ("resource", "online", "db-b"),
        ("resource", "fail", "db-b"),
        ("cluster", "set", "same_subnet_threshold=12"),
        ("group", "move", "db"),
        ("group", "offline", "db"),
        ("resource", "delete", "db-b"),
        ("group", "delete", "db"),
    ]
    for step in steps:
        result = clusterctl(*step, "--plan")
        assert (result.code, result.err) == (0, ""), (step, result)
        assert result.out.startswith("would "), (step, result)
        result = clusterctl(*step, "-o", "json")
        assert result.code == 0, (step, result)
        assert result.json["changed"] is True, (step, result)
    assert served.cluster.view().groups()[0].name == "web"
    assert served.cluster.view().resource("db-a") is None


def test_values_are_read_as_in_a_manifest(clusterctl, served: Served, manifest: str) -> None:
    clusterctl("apply", "-f", manifest)
    assert clusterctl("resource", "set", "web-server", 'command=[x, "1", 2:3]', "stop_grace=3s").code == 0
    record = served.cluster.view().resource("web-server")
    assert record is not None
    assert record.private["command"] == ["x", "1", "2:3"]
    assert record.private["ready"] == {"tcp": 8081}
    for bad in ("command", "=x", "command=[", "command=*x"):
        result = clusterctl("resource", "set", "web-server", bad)
        assert result.code == 64, bad


def test_manifests_from_standard_input_with_their_folder(
    clusterctl, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = MANIFEST.replace("/srv/web", '"${MANIFEST_DIR}').replace("prepare}", 'prepare"}')
    path = tmp_path / "web.yaml"
    path.write_text(text, encoding="utf-8")
    assert clusterctl("apply", "-f", str(path)).code == 0
    assert served.cluster.view().resource("web-data").private["script_filepath"] == f"{tmp_path}/prepare"

    class Input:
        buffer = io.BytesIO(MANIFEST.encode())

    monkeypatch.setattr(sys, "stdin", Input())
    result = clusterctl("diff", "-f", "-")
    assert result.out.startswith("would update resource web-data: script_filepath")
    odd = tmp_path / 'a"b'
    odd.mkdir()
    (odd / "web.yaml").write_text(text, encoding="utf-8")
    result = clusterctl("apply", "-f", str(odd / "web.yaml"))
    assert result.code == 64 and "cannot stand in a manifest" in result.err


def test_the_demo_manifest_is_accepted(clusterctl) -> None:
    path = Path(__file__).parents[2] / "deploy" / "demo" / "web.yaml"
    result = clusterctl("diff", "-f", str(path), "-o", "json")
    assert result.code == 64 or len(result.json["changes"]) == 3, result


def test_export_round_trips_through_a_file(clusterctl, manifest: str, tmp_path: Path) -> None:
    clusterctl("apply", "-f", manifest)
    path = tmp_path / "export.yaml"
    path.write_text(clusterctl("export").out, encoding="utf-8")
    assert clusterctl("diff", "-f", str(path)).out == "nothing to change\n"
    assert clusterctl("apply", "-f", str(path), "--prune").code == 0


def test_logs(clusterctl, served: Served, manifest: str) -> None:
    clusterctl("apply", "-f", manifest)
    served.call(lambda cluster: cluster.logs.update({"web-server": b"one\n\x1b[31mtwo\n"}))
    assert clusterctl("resource", "logs", "web-server").out == "one\n�[31mtwo\n"


# ---- exit codes ----


def test_0_done_also_when_it_was_so_already(clusterctl, manifest: str) -> None:
    assert clusterctl("apply", "-f", manifest).code == 0
    again = clusterctl("apply", "-f", manifest)
    assert (again.code, again.out.splitlines()[0]) == (0, "nothing to change")


def test_2_accepted_and_pending_only_with_no_wait(clusterctl, served: Served, manifest: str) -> None:
    served.call(lambda cluster: setattr(cluster, "acts", False))
    assert clusterctl("apply", "-f", manifest, "--no-wait").code == 2
    served.call(lambda cluster: cluster.act())
    assert clusterctl("apply", "-f", manifest, "--no-wait").code == 0


def test_3_refused_by_a_rule(clusterctl, manifest: str) -> None:
    clusterctl("apply", "-f", manifest)
    result = clusterctl("group", "delete", "web", "-o", "json")
    assert result.code == 3
    assert result.out == ""
    assert result.error == {
        "code": "refused",
        "message": "group web cannot be deleted: it is wanted online (rule offline-first)",
        "rule": "offline-first",
        "hint": "first: clusterctl group offline web",
        "retryable": False,
    }
    assert clusterctl("group", "show", "nothing").code == 3


def test_4_no_quorum_for_writes(clusterctl, served: Served, manifest: str) -> None:
    clusterctl("apply", "-f", manifest)
    served.call(lambda cluster: setattr(cluster, "is_quorate", False))
    result = clusterctl("group", "offline", "web")
    assert result.code == 4
    assert result.err.splitlines() == [
        "error: n2 reaches 1 of 3 votes and needs 2: nothing was changed",
        "try: start the missing nodes or mend their links: n1, n3",
    ]


def test_5_conflict(clusterctl, served: Served, manifest: str) -> None:
    clusterctl("apply", "-f", manifest)
    assert clusterctl("group", "set", "web", "failover_threshold=1", "--if-revision", "1").code == 5
    served.call(lambda cluster: setattr(cluster, "conflicts_left", 99))
    assert clusterctl("group", "offline", "web").code == 5


def test_6_the_wait_ran_out(clusterctl, served: Served, manifest: str) -> None:
    served.call(lambda cluster: setattr(cluster, "acts", False))
    result = clusterctl("apply", "-f", manifest, "--timeout", "100ms", "-o", "json")
    assert result.code == 6
    assert result.error["code"] == "timeout"
    assert result.json["request_id"] in result.error["message"]
    result = clusterctl("wait", "--for", "node n1 down", "--timeout", "0.1")
    assert result.code == 6 and "node n1 is up" in result.err


def test_1_when_it_cannot_come_true(clusterctl, served: Served, manifest: str) -> None:
    clusterctl("apply", "-f", manifest)
    result = clusterctl("wait", "--for", "group web moved by somebody-else")
    assert result.code == 1
    assert result.err == "error: the move of web was cancelled\ntry: clusterctl explain group web\n"
    assert result.out == ""  # not told twice


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("group",),
        ("group", "nonsense"),
        ("group", "move"),
        ("status", "--nonsense"),
        ("status", "-o", "xml"),
        ("explain", "cat", "x"),
        ("apply",),
        ("apply", "-f", "/nonexistent/file.yaml"),
        ("apply", "-f", "/"),
        ("wait", "--for", "group web shiny"),
        ("wait", "--for", "group web online", "--timeout", "soon"),
        ("events", "--since", "yesterday"),
        ("group", "create", "../etc"),
        ("lab", "nonsense"),
        ("lab", "kill"),
        ("--endpoint", "ftp://x", "status"),
    ],
)
def test_64_wrong_usage(clusterctl, arguments: tuple[str, ...]) -> None:
    result = clusterctl(*arguments)
    assert result.code == 64
    assert result.out == ""
    assert result.err.strip()


def test_64_for_a_refused_manifest_with_every_line(clusterctl, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(MANIFEST.replace("preferred_owners", "prefered").replace("8081}", "0}"), encoding="utf-8")
    result = clusterctl("apply", "-f", str(path))
    assert result.code == 64
    assert result.err.splitlines() == [
        "error: the manifest has 2 problems, and nothing of it was stored:",
        "  line 3, groups[0].prefered: a group has no key prefered: did you mean preferred_owners?",
        "  line 14, groups[0].resources[1].properties.ready.tcp: must be at least 1, not 0",
        "try: mend the lines named and apply it again",
    ]
    path.write_text(MANIFEST.replace("8081}", "0}"), encoding="utf-8")
    result = clusterctl("apply", "-f", str(path), "-o", "json")
    assert result.error["problems"] == [
        {"line": 14, "path": "groups[0].resources[1].properties.ready.tcp", "message": "must be at least 1, not 0"}
    ]


def test_1_unreachable(bare, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CLUSTERCTL_ENDPOINT", "http://127.0.0.1:1")
    result = bare("status", "-o", "json")
    assert (result.code, result.error["code"], result.error["retryable"]) == (1, "unreachable", True)
    environment.delenv("CLUSTERCTL_ENDPOINT")
    result = bare("status")
    assert result.code == 1
    assert "no lab is running" in result.err
    assert bare("--lab", "nothing", "status").code == 3


def test_1_unauthorized_without_the_token_in_the_answer(clusterctl, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CLUSTERCTL_TOKEN", "wrong-secret")
    result = clusterctl("status", "-o", "json")
    assert (result.code, result.error["code"]) == (1, "unauthorized")
    assert "wrong-secret" not in result.err


# ---- where it connects ----


def make_lab(root: Path, name: str, urls: list[str], pid: int) -> LabRecord:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "token").write_text(TOKEN, encoding="ascii")
    nodes = tuple(
        NodeEntry(f"n{number}", number, url.removeprefix("http://"), "", "", "", "", "")
        for number, url in enumerate(urls, start=1)
    )
    ticks = start_ticks_of(pid) or 0
    record = LabRecord(name, str(folder), pid, ticks, "default", True, str(folder / "token"), str(folder), nodes)
    record.write()
    return record


@pytest.fixture
def a_process():
    """A launcher for a pretended lab."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield child.pid
    child.kill()
    child.wait()
    child.stdin.close()


def test_the_only_running_lab_is_found_with_its_token(bare, served: Served, tmp_path: Path, a_process: int) -> None:
    make_lab(tmp_path / "labs", "mine", served.urls, a_process)
    assert bare("status").code == 0
    assert bare("--lab", "mine", "status").code == 0
    assert bare("--endpoint", served.urls[1], "status").code == 0
    make_lab(tmp_path / "labs", "other", served.urls, a_process)
    result = bare("status")
    assert result.code == 64 and "several labs are running: mine, other" in result.err


def test_a_lab_that_is_not_running_says_so(bare, served: Served, tmp_path: Path) -> None:
    make_lab(tmp_path / "labs", "mine", served.urls, 2**22 + 1)
    result = bare("--lab", "mine", "status")
    assert result.code == 1 and "lab mine is not running" in result.err


def test_another_node_is_asked_when_one_is_away(
    bare, served: Served, tmp_path: Path, a_process: int, manifest: str
) -> None:
    make_lab(tmp_path / "labs", "mine", ["http://127.0.0.1:1", *served.urls], a_process)
    assert bare("apply", "-f", manifest).code == 0
    served.stop_door(0)
    assert bare("status").code == 0
    assert bare("group", "move", "web").code == 0
    assert bare("export").code == 0


def test_the_order_of_doors(environment: pytest.MonkeyPatch, served: Served, tmp_path: Path, a_process: int) -> None:
    make_lab(tmp_path / "labs", "mine", served.urls, a_process)
    environment.setenv("CLUSTERCTL_ENDPOINT", "http://10.0.0.1:1")
    environment.setenv("CLUSTERCTL_TOKEN", "t")
    assert find_doors(endpoint="http://10.0.0.2:2", lab="mine").name == "http://10.0.0.2:2"
    assert find_doors(lab="mine").name == "lab mine"
    assert find_doors().name == "http://10.0.0.1:1"
    environment.delenv("CLUSTERCTL_ENDPOINT")
    assert find_doors().name == "lab mine"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://127.0.0.1:7401", Endpoint("http", "127.0.0.1", 7401)),
        ("127.0.0.1:7401", Endpoint("http", "127.0.0.1", 7401)),
        ("https://node", Endpoint("https", "node", 443)),
        ("http://[::1]:8", Endpoint("http", "::1", 8)),
        ("unix:///run/x.sock", Endpoint("unix", path="/run/x.sock")),
    ],
)
def test_endpoints(text: str, expected: Endpoint) -> None:
    assert parse_endpoint(text) == expected


@pytest.mark.parametrize("text", ["ftp://x", "http://", "http://x:99999", "http://x:y", "unix://"])
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(BadInput):
        parse_endpoint(text)


def test_a_token_file_that_cannot_be_read(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CLUSTERCTL_TOKEN_FILE", "/nonexistent/token")
    with pytest.raises(BadInput):
        find_doors(endpoint="http://127.0.0.1:1")
    environment.delenv("CLUSTERCTL_TOKEN_FILE")
    with pytest.raises(Unreachable):
        find_doors()
    assert connection.LOCAL_SOCKET.startswith("/run/")


# ---- how it looks ----


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["status", "-o", "json"], ["--output", "json", "status"]),
        (["status", "--output=yaml"], ["--output", "yaml", "status"]),
        (["status", "-ojson"], ["--output", "json", "status"]),
        (["lab", "up", "--lab", "x"], ["--lab", "x", "lab", "up"]),
        (["group", "create", "--", "-o"], ["group", "create", "--", "-o"]),
        (["status", "-o"], ["status", "-o"]),
    ],
)
def test_global_options_may_stand_anywhere(given: list[str], expected: list[str]) -> None:
    assert hoist_global_options(given) == expected


def test_every_command_exists_and_teaches(bare) -> None:
    overview = bare("--help").out
    for name in COMMANDS:
        assert name in overview
        result = bare(name, "--help")
        assert result.code == 0
        assert "Usage: clusterctl" in result.out


def test_text_from_the_cluster_cannot_steer_the_terminal() -> None:
    lines = output.table(["A"], [["x\x1b]0;title\x07y\nz"]])
    assert lines == ["A", "x�]0;title�y z"]


def test_tables_line_up_with_and_without_colour() -> None:
    lines = output.table(["NAME", "X"], [["a", "1"], ["long-name", "2"]])
    assert lines == ["NAME       X", "a          1", "long-name  2"]
    assert output.plain_cell("\x1b[32monline\x1b[0m") == "\x1b[32monline\x1b[0m"


def test_failed_resources_tell_their_story(clusterctl, served: Served, manifest: str) -> None:
    clusterctl("apply", "-f", manifest)
    served.call(
        lambda cluster: cluster.report(
            "web", "web-server", state=ResourceState.FAILED, cause="exit 3", next_action=NextAction.RETRY,
            next_action_cluster_ms=5000,
        )
    )  # fmt: skip
    status = clusterctl("status").out
    assert "! group web is failed, wanted online: web-server: exit 3" in status
    assert "next: retry of web-server at" in status
    assert "next: retry of web-server in 4.0 s" in clusterctl("explain", "group", "web").out
    told = clusterctl("explain", "resource", "web-server").out
    assert (
        "web-server failed on n1: exit 3; next: retry in 4.0 s" in told
        and "restarted at most once within 15 min" in told
    )


def test_following_goes_on_at_another_node(
    served: Served, environment: pytest.MonkeyPatch, tmp_path: Path, a_process
) -> None:
    make_lab(tmp_path / "labs", "mine", served.urls, a_process)
    served.call(lambda cluster: cluster.event("before"))
    command = [sys.executable, "-m", "clusterd.cli.main", "events", "--follow", "-o", "json"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert json.loads(child.stdout.readline())["message"] == "before"
        served.stop_door(0)
        served.call(lambda cluster: cluster.event("after"))
        assert json.loads(child.stdout.readline())["message"] == "after"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_nothing_heavy_is_imported_for_a_question() -> None:
    program = (
        "import sys; from clusterd.cli.main import main; import clusterd.cli.overview, clusterd.cli.explanations; "
        "import clusterd.lab.commands, clusterd.lab.control; "
        "heavy = ('aiohttp', 'cryptography', 'google', 'grpc', 'rich', 'asyncio', 'structlog', 'yaml'); "
        "print([each for each in heavy if each in sys.modules])"
    )
    begin = time.monotonic()
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    assert found == "[]"
    assert time.monotonic() - begin < 5
