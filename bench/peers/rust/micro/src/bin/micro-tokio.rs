// SPDX-License-Identifier: MIT
//! micro-tokio: the figures of tokio's current-thread runtime.
//!
//! Whatever takes turns is a spawned task, the one that measures too: the future of block_on is
//! polled by other rules.
use micro::{Draw, Micro, ALARMS, BATCH, BATCHES, SPAWNS, YIELDS};
use std::future::{poll_fn, Future};
use std::pin::{pin, Pin};
use std::process::ExitCode;
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{coop::unconstrained, yield_now};
use tokio::time::{sleep, Sleep};

const HOUR: Duration = Duration::from_secs(3600);

fn run(runtime: &Runtime, work: impl Future<Output = ()> + Send + 'static) {
    runtime.block_on(async { tokio::spawn(work).await.expect("the task ended") });
}

fn yields(micro: &mut Micro, runtime: &Runtime, name: &str, tasks: usize) {
    if !micro.wanted(name) {
        return;
    }
    let rounds = YIELDS / tasks;
    let others: Vec<_> = (1..tasks)
        .map(|_| {
            runtime.spawn(async {
                loop {
                    yield_now().await;
                }
            })
        })
        .collect();
    micro.measure(name, rounds * tasks, || {
        run(runtime, async move {
            for _ in 0..rounds {
                yield_now().await;
            }
        })
    });
    for other in others {
        other.abort();
        assert!(runtime.block_on(other).is_err());
    }
}

fn spawns(micro: &mut Micro, runtime: &Runtime) {
    if micro.wanted("spawn.run.exit") {
        micro.measure("spawn.run.exit", BATCHES * BATCH, || {
            run(runtime, async {
                for _ in 0..BATCHES {
                    for _ in 0..BATCH {
                        drop(tokio::spawn(async {}));
                    }
                    yield_now().await;
                }
            });
            assert_eq!(runtime.metrics().num_alive_tasks(), 0);
        });
    }
    if micro.wanted("spawn.join") {
        micro.measure("spawn.join", SPAWNS, || {
            run(runtime, async {
                for _ in 0..SPAWNS {
                    tokio::spawn(async {}).await.expect("the task ended");
                }
            })
        });
    }
    if micro.wanted("sleep.cancel.join") {
        micro.measure("sleep.cancel.join", SPAWNS, || {
            run(runtime, async {
                for _ in 0..SPAWNS {
                    let sleeper = tokio::spawn(sleep(HOUR));
                    yield_now().await;
                    sleeper.abort();
                    assert!(sleeper.await.is_err());
                }
            })
        });
    }
}

/// A sleep is in the timer wheel once it was polled.
async fn arm(mut sleep: Pin<&mut Sleep>) {
    poll_fn(|context| {
        assert!(sleep.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await
}

/// Unconstrained, else a sleep whose task has used its budget is put off and never armed.
fn sleeps(micro: &mut Micro, runtime: &Runtime, name: &str, sleepers: usize) {
    if !micro.wanted(name) {
        return;
    }
    let mut draw = Draw::default();
    let mut pending = Vec::with_capacity(sleepers);
    runtime.block_on(unconstrained(async {
        for i in 0..sleepers {
            let away = Duration::from_secs(60 * draw.seconds()) + Duration::from_micros(i as u64);
            let mut sleeper = Box::pin(sleep(away));
            arm(sleeper.as_mut()).await;
            pending.push(sleeper);
        }
    }));
    micro.measure(name, ALARMS, || {
        runtime.block_on(unconstrained(async {
            for _ in 0..ALARMS {
                let sleeper = pin!(sleep(Duration::from_secs(draw.seconds())));
                arm(sleeper).await;
            }
        }))
    });
}

/// To be done first: memory that was resident before would not be seen.
fn parked(micro: &mut Micro) {
    const TASKS: usize = 100_000;
    if !micro.wanted("parked.100k.each") {
        return;
    }
    let runtime = new_runtime();
    let before = micro::resident();
    run(&runtime, async {
        for _ in 0..TASKS {
            drop(tokio::spawn(sleep(HOUR)));
        }
        yield_now().await;
    });
    assert_eq!(runtime.metrics().num_alive_tasks(), TASKS);
    let each = (micro::resident() - before) / TASKS as f64;
    micro.report("parked.100k.each", "bytes", 0, vec![each]);
}

fn new_runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a current-thread runtime")
}

fn main() -> ExitCode {
    let mut micro = Micro::from_args();
    parked(&mut micro);
    let runtime = new_runtime();
    yields(&mut micro, &runtime, "yield.16", 16);
    yields(&mut micro, &runtime, "yield.4096", 4096);
    spawns(&mut micro, &runtime);
    sleeps(&mut micro, &runtime, "sleep.add.remove.1k", 1000);
    sleeps(&mut micro, &runtime, "sleep.add.remove.100k", 100_000);
    sleeps(&mut micro, &runtime, "sleep.add.remove.1M", 1_000_000);
    micro.end()
}
