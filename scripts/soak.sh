#!/bin/sh
# SPDX-License-Identifier: MIT
# soak.sh [build folder] -- the cases that take too long for the gate, on every backend. Minutes to an
# hour; each says how long it took. Exit status: 0, or 1 if one failed.
set -u
build=${1:-build/release}
failed=0
for backend in epoll uring; do
    for case in $("$build/tests/contract" | grep '^soak_'); do
        began=$(date +%s)
        if WEIR_SOAK=1 WEIR_BACKEND=$backend "$build/tests/contract" "$case"; then
            result=passed
        else
            status=$?
            [ "$status" -eq 77 ] && result=skipped || { result=FAILED; failed=1; }
        fi
        echo "$backend $case: $result after $(($(date +%s) - began)) s"
    done
done
exit "$failed"
