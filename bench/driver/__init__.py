# SPDX-License-Identifier: MIT
"""The parts of bench/run: who takes part, how processes run, what is counted, what comes out; and
of bench/guard: counts."""
