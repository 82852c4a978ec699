#!/usr/bin/env bash
# Cogitate on the nodes of a Slurm job: Ray's head on the first, the driver beside it, and a worker of Ray on each other one.
# Arguments are those of `cogitate run`:
#   sbatch --nodes=4 --cpus-per-task=32 --time=12:00:00 examples/slurm.sh tiny --out runs/tiny cluster.generators=4
# docs/cluster.md says what must be there, and what happens when the job is cut.
#
# COGITATE_NETWORK          the interface of the nodes' private network (eth1, ib0 ...); else the head's name says its address
# COGITATE_TRUSTED_NETWORK  1: go on although the address is public
# COGITATE_RAY_PORT         of Ray's head; 6379
# COGITATE_START_LIMIT      seconds until Ray has started on all nodes; 300
#SBATCH --job-name=cogitate
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --no-kill
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@300
set -euo pipefail

fail() {
    echo "error: $*" >&2
    exit 2
}

[ $# -gt 0 ] || fail "no recipe; the arguments are those of \`cogitate run\`"
[ -n "${SLURM_JOB_ID:-}" ] || fail "this is no job of Slurm; submit it by sbatch"
for program in srun scontrol ray cogitate; do
    command -v "$program" > /dev/null || fail "$program is not on PATH; activate the Python environment before sbatch"
done

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
first=${nodes[0]}
cpus=${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}
port=${COGITATE_RAY_PORT:-6379}

# The address of Ray's head on the private network, which the workers' routes to it decide theirs by.
address="" trusted=()
if [ -n "${COGITATE_NETWORK:-}" ]; then
    read -r _ _ _ address _ < <(ip -4 -o addr show dev "$COGITATE_NETWORK" || true) || true
    address=${address%/*}
    [ -n "$address" ] || fail "COGITATE_NETWORK=$COGITATE_NETWORK: no such interface with an IPv4 address on $first"
else
    read -r address _ < <(getent ahostsv4 "$first" || true) || true
    [ -n "$address" ] || fail "$first has no IPv4 address; name the private network's interface by COGITATE_NETWORK"
fi
case $address in
    127.*) fail "$first is $address here, where others do not reach it; name the network's interface by COGITATE_NETWORK" ;;
    10.* | 192.168.* | 169.254.* | 172.1[6-9].* | 172.2[0-9].* | 172.3[01].*) ;;
    100.6[4-9].* | 100.[7-9][0-9].* | 100.1[01][0-9].* | 100.12[0-7].*) ;;
    *)
        [ "${COGITATE_TRUSTED_NETWORK:-}" = 1 ] || fail "$address is a public address, and Ray's ports must not be open to" \
            "others; name a private network's interface by COGITATE_NETWORK, or set COGITATE_TRUSTED_NETWORK=1"
        trusted=(cluster.trusted_network=true)
        ;;
esac

# All nodes read the token here, so that the directory of the job must be on a file system that they share.
work=$PWD/slurm-$SLURM_JOB_ID
(
    umask 077
    mkdir -p "$work"
    od -An -vN32 -tx1 /dev/urandom | tr -d ' \n' > "$work/token"
)
rm -f "$work"/ray-*.log # of a job that was queued again
unset RAY_AUTH_TOKEN # it would come before the file
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$work/token RAY_USAGE_STATS_ENABLED=0

steps=() driver="" stopped="" told=""

stop() { # the driver writes a checkpoint
    stopped=1
    if [ -n "$driver" ]; then
        told=1
        kill -TERM "$driver" 2> /dev/null || true
    fi
}

end() { # Ray on all nodes, and the token
    local status=$?
    trap '' TERM INT
    if [ "${#steps[@]}" -gt 0 ]; then
        kill -TERM "${steps[@]}" 2> /dev/null || true
        for _ in {1..300}; do
            kill -0 "${steps[@]}" 2> /dev/null || break
            sleep 0.1
        done
        kill -KILL "${steps[@]}" 2> /dev/null || true
        wait "${steps[@]}" 2> /dev/null || true
    fi
    rm -f "$work/token"
    exit "$status"
}

trap stop TERM INT
trap end EXIT

# One step for each node, by its number: that of a lost node ends alone.
start_ray() {
    local node=${nodes[$1]} options=(--address="$address:$port")
    [ "$1" -gt 0 ] || options=(--head --node-ip-address="$address" --port="$port" --include-dashboard=false)
    srun --nodes=1 --ntasks=1 --nodelist="$node" --cpus-per-task="$cpus" --overlap --no-kill --export=ALL \
        ray start --block --num-cpus="$cpus" "${options[@]}" > "$work/ray-$node.log" 2>&1 &
    steps[$1]=$!
}

wait_for_ray() {
    local node=${nodes[$1]} log=$work/ray-${nodes[$1]}.log
    until grep -qs "Ray runtime started" "$log"; do
        [ -z "$stopped" ] || exit 143
        [ "$SECONDS" -lt "${COGITATE_START_LIMIT:-300}" ] || fail "Ray has not started on $node for $SECONDS s; see $log"
        if ! kill -0 "${steps[$1]}" 2> /dev/null; then
            # Ray waits 30 seconds for its own processes, which may be too few.
            grep -qs "timed out during startup" "$log" ||
                fail "Ray does not start on $node; its last line: $(tail -n 1 "$log"); see $log"
            echo "Ray was too slow to start on $node; it is started again" >&2
            rm -f "$log"
            start_ray "$1"
        fi
        sleep 0.1
    done
}

start_ray 0
wait_for_ray 0
for ((number = 1; number < ${#nodes[@]}; number++)); do
    start_ray "$number"
done
for number in "${!nodes[@]}"; do
    wait_for_ray "$number"
done
[ -z "$stopped" ] || exit 143

cogitate run "$@" runtime.backend=ray cluster.address="$address:$port" cluster.token_file="$work/token" "${trusted[@]}" &
driver=$!
[ -z "$stopped" ] || [ -n "$told" ] || stop # the signal came before the driver had a number
status=0
wait "$driver" || status=$?
while kill -0 "$driver" 2> /dev/null; do # the wait was interrupted by a signal
    status=0
    wait "$driver" || status=$?
done
[ "$status" -ne 143 ] || echo "the job was cut; submit it again, and the run goes on from its last checkpoint" >&2
exit "$status"
