// SPDX-License-Identifier: MIT
//! micro-may: the figures of may's stackful coroutines on one worker.
//!
//! A sleeping coroutine cannot be told to stop waiting but by ending it, so the figures about sleep
//! have no equal here.
use may::coroutine::{park, scope, sleep, yield_now};
use may::go;
use micro::{Micro, BATCH, BATCHES, SPAWNS, YIELDS};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Duration;

/// Everybody counts his turns, without a locked instruction since there is one worker: the figure
/// means nothing unless all of them had as many.
fn count(turns: &AtomicUsize) {
    turns.store(turns.load(Relaxed) + 1, Relaxed);
}

fn measure_yields(micro: &mut Micro, name: &str, tasks: usize, turns: &AtomicUsize) {
    let rounds = YIELDS / tasks;
    micro.measure(name, rounds * tasks, || {
        turns.store(0, Relaxed);
        for _ in 0..rounds {
            count(turns);
            yield_now();
        }
        let (taken, due) = (turns.load(Relaxed), rounds * tasks);
        assert!(taken.abs_diff(due) <= tasks, "{taken} turns, not {due}");
    });
}

/// The one that measures is among the spawned ones, and whoever spawned them waits: may looks for
/// new coroutines only when no old one is runnable.
fn yields(micro: &mut Micro, name: &str, tasks: usize) {
    if !micro.wanted(name) {
        return;
    }
    let over = AtomicBool::new(false);
    let turns = AtomicUsize::new(0);
    scope(|scope| {
        for _ in 1..tasks {
            go!(scope, || while !over.load(Relaxed) {
                count(&turns);
                yield_now();
            });
        }
        go!(scope, || {
            measure_yields(micro, name, tasks, &turns);
            over.store(true, Relaxed);
        });
    });
}

fn spawns(micro: &mut Micro) {
    if micro.wanted("spawn.run.exit") {
        micro.measure("spawn.run.exit", BATCHES * BATCH, || {
            for _ in 0..BATCHES {
                scope(|scope| {
                    for _ in 0..BATCH {
                        go!(scope, || ());
                    }
                });
            }
        });
    }
    if micro.wanted("spawn.join") {
        micro.measure("spawn.join", SPAWNS, || {
            for _ in 0..SPAWNS {
                go!(|| ()).join().expect("the coroutine ended");
            }
        });
    }
}

/// A fifth of what the others park: each stack is two mappings, of which a process may have 65,530
/// (vm.max_map_count).
fn parked(micro: &mut Micro) {
    const TASKS: usize = 20_000;
    if !micro.wanted("parked.20k.each") {
        return;
    }
    let before = micro::resident();
    let started = Arc::new(AtomicUsize::new(0));
    for _ in 0..TASKS {
        let started = started.clone();
        go!(move || {
            count(&started);
            park();
        });
    }
    while started.load(Relaxed) < TASKS {
        sleep(Duration::from_millis(1));
    }
    let each = (micro::resident() - before) / TASKS as f64;
    micro.report("parked.20k.each", "bytes", 0, vec![each]);
}

fn main() -> ExitCode {
    let mut micro = Micro::from_args();
    // The driver pins the process; may would pin its worker to a CPU of its own choice.
    may::config().set_workers(1).set_worker_pin(false);
    go!(move || {
        yields(&mut micro, "yield.16", 16);
        yields(&mut micro, "yield.4096", 4096);
        spawns(&mut micro);
        parked(&mut micro);
        micro.end()
    })
    .join()
    .expect("the measuring coroutine ended")
}
