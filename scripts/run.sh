#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# run.sh -- what `make run` shows: the echo example on every backend, driven for a few seconds.
#
# For each backend the example runs as a server of its own on an ephemeral port; weir-load drives and
# checks it; then a short second run under strace counts the server's system calls (strace slows the
# server, so it has no part in the other figures). One table comes out.
#
# Exit status: 0 if every cell moved; 1 otherwise. A backend that this machine lacks has a row that
# says so and is no failure, as long as another one ran. Only processes started here are ever killed,
# by pid, also when this script is interrupted.
#
# Environment: BUILD (build/release), RUN_SECONDS (3), RUN_ECHO and RUN_LOAD (the two programs).
set -u
export LC_ALL=C

root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build/release}
echo_program=${RUN_ECHO:-$build/examples/echo}
load_program=${RUN_LOAD:-$build/bench/net/weir-load}
seconds=${RUN_SECONDS:-3}
connections=50
size=64
traced_requests=20000
start_timeout=10 # seconds for the server to listen, for strace to attach, and for both to end

status=0
ran=0
server=      # pid; empty when there is none
load=        # "
tracer=      # "
scratch=$(mktemp -d "${TMPDIR:-/tmp}/weir-run.XXXXXX") || exit 1

# Waits until the child is gone; false if it is still there after the timeout.
gone() {
    local tenths=$((start_timeout * 10))
    while kill -0 "$1" 2>/dev/null; do
        ((tenths-- > 0)) || return 1
        sleep 0.1
    done
}

# Ends one child: asks, then insists. Its status is not of interest. (Not by SIGINT: a shell without
# job control starts its background processes with that one ignored.)
end_child() {
    [ -n "$1" ] || return 0
    kill -TERM "$1" 2>/dev/null
    gone "$1" || kill -KILL "$1" 2>/dev/null
    wait "$1" 2>/dev/null
}

# The server before its tracer: strace then ends by itself. Killed in its first moments instead, it
# would leave a helper process behind.
end_all() {
    end_child "$load"
    load=
    end_child "$server"
    server=
    [ -z "$tracer" ] || gone "$tracer" || end_child "$tracer"
    tracer=
}

# shellcheck disable=SC2317 # called by the traps
leave() {
    trap - EXIT INT TERM HUP
    end_all
    local pid
    for pid in $(jobs -p); do # started, but interrupted before its pid was noted
        end_child "$pid"
    done
    rm -rf "$scratch"
    exit "$1"
}
trap 'leave $?' EXIT
trap 'leave 130' INT
trap 'leave 143' TERM
trap 'leave 129' HUP

die() {
    echo "run.sh: $*" >&2
    exit 1
}

# A row that failed: says why below the table, and fails the run.
notes=()
failed() {
    notes+=("$1: $2")
    status=1
}

# The CPUs that this process may use, one a line: "0-2,5" gives 0 1 2 5.
allowed_cpus() {
    awk '/^Cpus_allowed_list/ {
        n = split($2, part, ",")
        for (i = 1; i <= n; i++) {
            m = split(part[i], edge, "-")
            for (cpu = edge[1] + 0; cpu <= edge[m] + 0; cpu++)
                print cpu
        }
    }' /proc/self/status
}

# A number of weir-load's JSON.
figure() {
    sed -n "s/.*\"$1\":\\([0-9.]*\\).*/\\1/p" "$2"
}

# True if the argument is a number above zero.
moved() {
    awk -v value="${1:-0}" 'BEGIN { exit !(value + 0 > 0) }'
}

# Runs a child to its end in the background, so that a signal is served at once and finds its pid.
drive() {
    "$load_program" "$address" --connections $connections --size $size --server-pid "$server" \
        --json "${client_pin[@]}" "$@" >"$scratch/json" 2>"$scratch/load.err" &
    load=$!
    wait "$load"
    local rc=$?
    load=
    return $rc
}

# Starts the example; sets $address. 1: it does not have this backend, $reason says why. 2: broken.
start_server() {
    : >"$scratch/server.out"
    WEIR_BACKEND=$1 taskset -c "$server_cpu" "$echo_program" 127.0.0.1:0 \
        >"$scratch/server.out" 2>"$scratch/server.err" &
    server=$!
    local tenths=$((start_timeout * 10))
    until address=$(sed -n 's/^listening on //p' "$scratch/server.out") && [ -n "$address" ]; do
        if ! kill -0 "$server" 2>/dev/null; then
            wait "$server" 2>/dev/null
            local rc=$?
            server=
            reason=$(tail -n 1 "$scratch/server.err")
            reason=${reason#echo: }
            [ "$rc" -ne 0 ] && [ "$rc" -lt 126 ] && [ -n "$reason" ] && return 1
            reason="ended with status $rc before it listened${reason:+: $reason}"
            return 2
        fi
        if ((tenths-- <= 0)); then
            reason="did not say \"listening on ADDRESS\" within $start_timeout s"
            end_all
            return 2
        fi
        sleep 0.1
    done
}

# Counts the server's system calls per request: sets $calls, or "n/a" with a note. Connecting and
# closing are in it: 50 connections among 20000 requests.
count_calls() {
    calls=n/a
    if ! command -v strace >/dev/null; then
        notes+=("$1: system calls not counted: there is no strace here")
        return
    fi
    strace -c -f -p "$server" -o "$scratch/trace" 2>"$scratch/trace.err" &
    tracer=$!
    local tenths=$((start_timeout * 10))
    until grep -q "^TracerPid:.*\<$tracer$" "/proc/$server/status" 2>/dev/null; do
        if ! kill -0 "$tracer" 2>/dev/null || ((tenths-- <= 0)); then
            end_child "$tracer"
            tracer=
            notes+=("$1: system calls not counted: $(tail -n 1 "$scratch/trace.err")")
            return
        fi
        sleep 0.1
    done
    drive --requests $traced_requests --timeout 60 || failed "$1" "$(tail -n 1 "$scratch/load.err")"
    end_child "$tracer"
    tracer=
    local total
    total=$(awk '$NF == "total" { print $4 }' "$scratch/trace")
    calls=$(awk -v n="${total:-0}" -v r=$traced_requests 'BEGIN { printf "%.3f", n / r }')
    moved "$calls" || failed "$1" "no system call was seen"
    check_label "$1"
}

# A benchmark must not carry the name of another backend than it ran on.
check_label() {
    local ring=no
    grep -q '\<io_uring_enter$' "$scratch/trace" && ring=yes
    case $1-$ring in
    uring-no) failed "$1" "the server never called io_uring_enter" ;;
    epoll-yes) failed "$1" "the server called io_uring_enter" ;;
    esac
}

row() {
    printf '%-8s %12s %10s %10s %14s %14s\n' "$@"
}

measure() {
    local reason='' rps p50 p99 cpu rc
    start_server "$1"
    rc=$?
    if [ $rc -eq 1 ]; then
        printf '%-8s not available: %s\n' "$1" "$reason"
        return
    elif [ $rc -ne 0 ]; then
        printf '%-8s failed: %s\n' "$1" "$reason"
        status=1
        return
    fi
    if ! drive --duration "$seconds" --warmup 0.5; then
        printf '%-8s failed: %s\n' "$1" "$(tail -n 1 "$scratch/load.err")"
        status=1
        end_all
        return
    fi
    rps=$(figure rps "$scratch/json")
    p50=$(figure p50_us "$scratch/json")
    p99=$(figure p99_us "$scratch/json")
    cpu=$(figure server_cpu_ns "$scratch/json")
    for value in "$rps" "$p50" "$p99" "$cpu"; do
        moved "$value" || failed "$1" "a figure did not move: \"$value\""
    done
    count_calls "$1"
    row "$1" "$(printf %.0f "$rps")" "$(printf %.1f "$p50") us" "$(printf %.1f "$p99") us" \
        "$calls" "$(printf %.0f "$cpu") ns"
    ran=$((ran + 1))
    end_all
}

[ -x "$echo_program" ] || die "$echo_program: not there (make run builds it first)"
[ -x "$load_program" ] || die "$load_program: not there (make run builds it first)"
command -v taskset >/dev/null || die "taskset is missing (package util-linux)"

mapfile -t cpus < <(allowed_cpus)
server_cpu=${cpus[0]}
client_cpu=${cpus[1]:-$server_cpu}
client_pin=(--cpu "$client_cpu")

echo "echo: $connections connections, $size B, closed loop, every byte checked, $seconds s a backend;" \
    "server on CPU $server_cpu, client on CPU $client_cpu, Linux $(uname -r)"
row backend requests/s p50 p99 syscalls/req CPU/req
for backend in uring epoll; do
    measure $backend
done
for note in "${notes[@]}"; do
    echo "  $note"
done
[ $ran -gt 0 ] || die "no backend ran"
exit $status
