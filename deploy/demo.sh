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
if ! clusterctl --lab "$lab" apply -f deploy/demo/web.yaml --wait; then
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
        folder=$(clusterctl --lab "$lab" lab status -o json | python -c 'import json, sys; print(json.load(sys.stdin)["dir"])')/machines
        if [ -f "$folder/$machine.toml" ]; then # of an earlier lab
            clusterctl --lab "$lab" vm protect "$machine" --definition "$folder/$machine.toml" --yes
        else
            clusterctl --lab "$lab" vm create "$machine" --template tiny --folder "$folder"
        fi || fail "the demo machine could not be made; see above."
    fi
else
    echo "no virtual machine in this demo: qemu-system-x86 and nasm are not installed"
fi
echo
clusterctl --lab "$lab" status || fail "the status could not be read; see above."
address=$(python -c '
import sys
from clusterd.lab.layout import find_lab
lab = find_lab(sys.argv[1])
print(f"{lab.nodes[0].api_url}/#token={lab.token()}")
' "$lab")
cat <<END

console:  $address

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
