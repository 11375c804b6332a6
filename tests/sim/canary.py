#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""canary.py PROGRAM CANARY -- the simulation finds a known bug within 500 seeds.

PROGRAM is a scenario, CANARY the same one with a bug put back (src/base/canary.h). Each seed is a
process. CANARY has to fail at one of the seeds 1 to 500, and PROGRAM must not at the same one: else
it is not the bug that was found.
"""
import os
import subprocess
import sys

SEEDS = 500
PATIENCE_S = 60


def failure(program, seed):
    """What the program says when it fails at this seed, or None."""
    environment = {**os.environ, "WEIR_SIM_SEED": str(seed), "WEIR_SIM_FAULTS": "swarm"}
    try:
        done = subprocess.run([program], env=environment, capture_output=True, text=True,
                              errors="replace", timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return f"nothing within {PATIENCE_S} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"


def main():
    program, canary = sys.argv[1:]
    for seed in range(1, SEEDS + 1):
        said = failure(canary, seed)
        if said is None:
            continue
        print(f"found by seed {seed}: {said}")
        said = failure(program, seed)
        if said is not None:
            sys.exit(f"the program without the bug fails too: {said}")
        return
    sys.exit(f"not found by {SEEDS} seeds")


main()
