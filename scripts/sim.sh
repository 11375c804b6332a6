#!/bin/sh
# SPDX-License-Identifier: MIT
# sim.sh BUILD SEEDS SCENARIO|all [option of weir-sim...] -- the scenarios of tests/sim, with many seeds.
# Exit status: 0, or 1 if one failed; then the others are run all the same.
set -u
build=$1 seeds=$2 wanted=$3
shift 3
tool=$(dirname "$0")/../tools/weir-sim
failed=0

# scenario NAME FAULTS MARK... : the marks are what some seed has to reach.
scenario() {
    name=$1 faults=$2
    shift 2
    [ "$wanted" = all ] || [ "$wanted" = "$name" ] || return 0
    [ "$seeds" -ge 500 ] || set -- # too few to reach them all
    for mark; do
        marks="$marks
--require=$mark"
    done
    echo "$name, $faults:"
    IFS='
'
    # shellcheck disable=SC2086 # a mark has spaces, and no line breaks
    "$tool" --count "$seeds" --faults "$faults" $marks $options "$build/tests/sim_$name" || failed=1
    unset IFS
    marks=
}

marks=
options=
for option; do
    options="$options
$option"
done
scenario echo swarm "an echo is whole" "a connection is reset" "a client is refused"
scenario get swarm "a page is whole"
scenario race swarm "the left one wins" "the right one wins" "nobody can win"
scenario churn swarm
scenario mix swarm "an action is done" "an action is cancelled" "an action is too late" "a disk fails"
# A disk that loses what it has synced is more than one replica can bear.
scenario kv "swarm latent=0" "a put is acknowledged" "a put is in doubt" "a get is answered" \
    "a replica gives up" "a replica loses its power"
exit "$failed"
