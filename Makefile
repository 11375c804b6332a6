# SPDX-License-Identifier: MIT
# The front door. What is behind it is CMake with presets: see CMakePresets.json and docs/design/build.md.
PREFIX ?= /usr/local
export CTEST_PARALLEL_LEVEL ?= $(shell nproc)

SEEDS ?= 2000

.PHONY: run test soak sim bench guard peers lint install clean
.NOTPARALLEL:

run: ; scripts/deps.sh && cmake --preset release && \
	cmake --build --preset release --target example_echo weir-load && scripts/run.sh

test: ; scripts/deps.sh && cmake --workflow --preset release

soak: ; scripts/deps.sh && cmake --preset release && cmake --build --preset release && scripts/soak.sh

# The scenarios of tests/sim, each with so many seeds: a failure is one line to repeat it, made small.
sim: ; scripts/deps.sh && cmake --preset release && cmake --build --preset release && \
	scripts/sim.sh build/release $(SEEDS) all

bench: ; scripts/deps.sh bench && cmake --preset release && cmake --build --preset release && \
	bench/run --out build/bench.jsonl && bench/plot build/bench.jsonl build/bench.svg

guard: ; scripts/deps.sh ci && cmake --preset release && cmake --build --preset release && bench/guard

# What `make bench` measures in Rust and Go; takes minutes, and is the only target that downloads.
peers: ; bench/peers/build.sh build/peers

lint: ; scripts/deps.sh ci && scripts/lint.sh

install: ; scripts/deps.sh && cmake --preset release && cmake --build --preset release && \
	cmake --install build/release --prefix $(PREFIX)

clean: ; rm -rf build
