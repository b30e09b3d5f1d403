#!/bin/sh
# A lab of three nodes with the demo group online. May be repeated: a running lab is reused, the manifest applied again.
set -eu
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
lab=demo
unset CLUSTERCTL_ENDPOINT

fail() {
    echo "make demo failed: $1" >&2
    exit 1
}

clusterctl --lab "$lab" lab up || fail "the lab did not come up; see above."
lab_folder=$(clusterctl --lab "$lab" lab status -o json | python -c 'import json, sys; print(json.load(sys.stdin)["dir"])')
# The port that it serves already, or else the first one that is free.
port=$(clusterctl --lab "$lab" resource show web-server -o json 2>/dev/null | python -c '
import json, socket, sys
try:
    print(json.load(sys.stdin)["resources"][0]["properties"]["ready"]["tcp"])
except (ValueError, LookupError, TypeError):
    for port in range(8081, 8181):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            print(port)
            break
') || fail "no port from 8081 to 8180 is free for the demo's web server."
[ "$port" = 8081 ] || echo "port 8081 is taken: the demo's web server listens on $port"
if ! sed -e "s|8081|$port|g" -e "s|\${MANIFEST_DIR}|$PWD/deploy/demo|g" deploy/demo/web.yaml |
    clusterctl --lab "$lab" apply -f - --wait; then
    # What failed for good in an earlier run, for a port that was taken then, is tried again only when somebody says so.
    echo "once more:"
    clusterctl --lab "$lab" group online web || fail "the demo group did not come online; see above, and 'clusterctl status'."
fi

# A virtual machine, where QEMU is: a guest of two sectors that counts on its console.
machine=""
if command -v qemu-system-x86_64 >/dev/null && command -v nasm >/dev/null; then
    machine=tiny
    if clusterctl --lab "$lab" vm show "$machine" >/dev/null 2>&1; then
        clusterctl --lab "$lab" vm start "$machine" >/dev/null || fail "the demo machine did not start; see above."
    else
        folder=$lab_folder/machines
        if [ -f "$folder/$machine.toml" ]; then # of an earlier lab
            clusterctl --lab "$lab" vm protect "$machine" --definition "$folder/$machine.toml" --yes
        else
            clusterctl --lab "$lab" vm create "$machine" --template tiny
        fi || fail "the demo machine could not be made; see above."
    fi
else
    echo "no virtual machine in this demo: qemu-system-x86 and nasm are not installed"
fi
echo
clusterctl --lab "$lab" status || fail "the status could not be read; see above."
address=$(clusterctl --lab "$lab" console) || fail "no node answers; see 'clusterctl lab status'."
cat <<END

console:  $address
          lets one page in, once, within ten minutes; for another: clusterctl console
web page: http://127.0.0.1:$port/

Try, with PATH=$PWD/.venv/bin:\$PATH
  clusterctl status                     where everything runs
  clusterctl what-if node n1 down       what would follow, decision by decision; changes nothing
  clusterctl group move web n3 --plan   the same for a change, and a plan to apply by its id
  clusterctl lab kill n1                power loss of a node
  clusterctl explain group web          what happened, and why; also why not another node, and what comes next
  clusterctl events --around last-failover
  clusterctl capacity                   whether every group would survive the loss of a node
  clusterctl lab start n1               bring it back; nothing moves by itself
  clusterctl group move web n3          a planned move
  clusterctl events --follow            watch
END
if [ -n "$machine" ]; then
    cat <<END
  clusterctl vm list                    the virtual machine, which comes back elsewhere when its node is killed
  clusterctl vm console tiny            its counter; Ctrl-] leaves
  clusterctl group move tiny            moves it to the best other node; its memory comes along
END
fi
echo "  make demo-down                        end everything"
