#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# build.sh DIRECTORY: builds the servers in Rust and Go into DIRECTORY, as peer-<name>, and the micro
# benchmarks of some of these runtimes, as micro-<name>. Needs cargo and go; what they lack is
# skipped with a line that says so. This is the only step of the repository that downloads (the
# crates, by cargo), and no test depends on it.
#
# Exit status: 0, also where a tool is missing; 1 if a program that could be built was not.
set -u
if [ $# -ne 1 ]; then
    echo "usage: ${0##*/} DIRECTORY" >&2
    exit 2
fi
mkdir -p "$1" || exit 1
out=$(cd "$1" && pwd)
cd "$(dirname "$0")" || exit 1
status=0

if command -v cargo >/dev/null; then
    for name in tokio monoio ringline compio may; do
        if CARGO_TARGET_DIR=$out/cargo cargo build --quiet --release \
            --manifest-path rust/Cargo.toml -p "peer-$name"; then
            cp "$out/cargo/release/peer-$name" "$out/"
        else
            echo "peers: $name was not built" >&2
            status=1
        fi
    done
    if CARGO_TARGET_DIR=$out/cargo cargo build --quiet --release \
        --manifest-path rust/Cargo.toml -p micro; then
        cp "$out/cargo/release/micro-tokio" "$out/cargo/release/micro-may" "$out/"
    else
        echo "peers: micro-tokio and micro-may were not built" >&2
        status=1
    fi
else
    echo "peers: tokio, monoio, ringline, compio and may are skipped: there is no cargo"
fi

if command -v go >/dev/null; then
    if ! (cd go && go build -trimpath -o "$out/peer-go" . &&
        go build -trimpath -o "$out/micro-go" ./micro); then
        echo "peers: go was not built" >&2
        status=1
    fi
else
    echo "peers: go is skipped: there is no go"
fi

ls "$out"/peer-* "$out"/micro-* 2>/dev/null
exit $status
